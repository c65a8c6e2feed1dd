"""`nuclick-qp evaluate`: measure a model on labelled images."""

from pathlib import Path
from typing import Annotated

import typer

from nuclick_qp.evaluation.evaluation_options import EvaluationOptions
from nuclick_qp.segmentation.segment_options import SegmentOptions
from nuclick_qp_cli.shared import DeviceOption, JsonOption, ScaleChoice, TtaOption
from nuclick_qp_cli.terminal import say, say_json

DEFAULTS = EvaluationOptions()


def evaluate(
    data: Annotated[list[Path], typer.Argument(help="Folders of NAME.png|jpg with NAME_label.png|tif.", show_default=False)],
    model: Annotated[str, typer.Option(help="Name of the model, or path of its card, weights or folder.")] = "nuclei",
    pattern: Annotated[str, typer.Option(help="Only images that match this glob.")] = DEFAULTS.pattern,
    mpp: Annotated[float | None, typer.Option(help="um per pixel of the images; default: that of the model.", min=1e-3)] = DEFAULTS.mpp,
    scale: Annotated[
        ScaleChoice, typer.Option(help="auto: the objects under the clicks tell the scale of each image, for cells.")
    ] = ScaleChoice.GIVEN,
    jitter: Annotated[
        float, typer.Option(help="Standard deviation by which prompts are moved, in px.", min=0)
    ] = DEFAULTS.jitter_px,
    exclusion: Annotated[
        bool, typer.Option("--exclusion/--no-exclusion", help="Show the network the other prompts.")
    ] = DEFAULTS.segment.use_exclusion,
    tta: TtaOption = DEFAULTS.segment.tta,
    device: DeviceOption = "auto",
    as_json: JsonOption = False,
) -> None:
    """Click on every labelled object, or draw its skeleton for a model of lines, and compare outlines with labels."""
    from nuclick_qp.evaluation.prompting import evaluate_folders
    from nuclick_qp.evaluation.summary import summarise
    from nuclick_qp.model.predictor import Predictor

    predictor = Predictor.load(model, device=device)
    segment = SegmentOptions(use_exclusion=exclusion, tta=tta)
    options = EvaluationOptions(pattern=pattern, mpp=mpp, scale=scale.value, jitter_px=jitter, segment=segment)
    summary = summarise(predictor.card.short_id, evaluate_folders(data, predictor=predictor, options=options))
    if as_json:
        say_json(summary.model_dump_json(indent=2))
        return
    for line in summary.lines():
        say(line)
