"""`nuclick-qp evaluate`: measure a model on labelled images."""

from pathlib import Path
from typing import Annotated

import typer


def evaluate(
    data: Annotated[list[Path], typer.Argument(help="Folders of NAME.png|jpg with NAME_label.png|tif.", show_default=False)],
    model: Annotated[str, typer.Option(help="Name of the model.")] = "nuclei",
    pattern: Annotated[str, typer.Option(help="Only images that match this glob.")] = "*",
    mpp: Annotated[float | None, typer.Option(help="um per pixel of the images; default: that of the model.", min=1e-3)] = None,
    jitter: Annotated[float, typer.Option(help="Standard deviation by which prompts are moved, in px.", min=0)] = 0.0,
    exclusion: Annotated[bool, typer.Option("--exclusion/--no-exclusion", help="Show the network the other prompts.")] = True,
    tta: Annotated[bool, typer.Option("--tta", help="Average over five views of each patch: better, and five times the work.")] = False,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:N or mps.")] = "auto",
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Click on every labelled object, or draw its skeleton for a model of lines, and compare outlines with labels."""
    from nuclick_qp.evaluation.prompting import Protocol, evaluate_folders
    from nuclick_qp.evaluation.summary import summarise
    from nuclick_qp.model.predictor import Predictor
    from nuclick_qp.segment.segment_options import SegmentOptions

    predictor = Predictor.load(model, device=device)
    protocol = Protocol(mpp=mpp, jitter_px=jitter, segment=SegmentOptions(use_exclusion=exclusion, tta=tta))
    summary = summarise(predictor.card.short_id, evaluate_folders(data, predictor=predictor, pattern=pattern, protocol=protocol))
    print(summary.model_dump_json(indent=2) if as_json else summary.table())
