"""`nuclick-qp segment`: segment the prompts of one image, GeoJSON or ASAP's XML in and out."""

from pathlib import Path
from typing import Annotated

import typer

from nuclick_qp.mpp_limits import LARGEST_MPP, SMALLEST_MPP
from nuclick_qp.run.run_options import RunOptions
from nuclick_qp.segmentation.segment_options import SegmentOptions
from nuclick_qp.stopping import hold_back_stops
from nuclick_qp_cli.shared import (
    DEFAULT_CLASSES,
    DEFAULT_MODEL,
    DEFAULTS,
    BatchSizeOption,
    DeviceOption,
    DryRunOption,
    ForceOption,
    KindOption,
    LinesOption,
    MarkFailedOption,
    MarkUncertainOption,
    MinProbabilityOption,
    OverlayOption,
    OverwriteChoice,
    OverwriteOption,
    PointsOption,
    PromptClassesOption,
    PruneOption,
    ReportJsonOption,
    ScaleChoice,
    ScaleOption,
    TtaOption,
    choose_models,
    end_with,
    split_names,
)


def segment(
    slide: Annotated[Path, typer.Argument(help="The image file.", show_default=False)],
    prompts: Annotated[Path, typer.Option(help="GeoJSON file, or ASAP file (.xml), with points and lines.", show_default=False)],
    output: Annotated[
        Path, typer.Option("--output", "-o", help="GeoJSON or ASAP file for the outlines; it may be there.", show_default=False)
    ],
    classes: PromptClassesOption = DEFAULT_CLASSES,
    points: PointsOption = DEFAULT_MODEL,
    lines: LinesOption = DEFAULT_MODEL,
    kind: KindOption = None,
    mpp: Annotated[
        float | None, typer.Option(help="um per pixel, where the file does not say it.", min=SMALLEST_MPP, max=LARGEST_MPP)
    ] = DEFAULTS.mpp,
    scale: ScaleOption = ScaleChoice.AUTO,
    force: ForceOption = DEFAULTS.force,
    device: DeviceOption = "auto",
    batch_size: BatchSizeOption = DEFAULTS.segment.batch_size,
    tta: TtaOption = DEFAULTS.segment.tta,
    no_crop: Annotated[bool, typer.Option("--no-crop", help="GeoJSON counts from the whole slide, not from its scanned bounds.")] = False,
    overwrite: OverwriteOption = OverwriteChoice.NONE,
    min_probability: MinProbabilityOption = DEFAULTS.min_probability,
    mark_failed: MarkFailedOption = DEFAULTS.mark_failed,
    mark_uncertain: MarkUncertainOption = DEFAULTS.mark_uncertain,
    prune: PruneOption = DEFAULTS.prune,
    dry_run: DryRunOption = DEFAULTS.dry_run,
    overlay: OverlayOption = DEFAULTS.overlay,
    as_json: ReportJsonOption = False,
) -> None:
    """Turn every point and line of a GeoJSON or ASAP file into an outline."""
    from nuclick_qp.run.file import segment_file
    from nuclick_qp_cli.progress import show_progress

    models, left_out = choose_models(points=points, lines=lines, device=device)
    options = RunOptions(
        classes=split_names(classes), left_out=left_out, mpp=mpp, scale=scale.value,
        segment=SegmentOptions(batch_size=batch_size, tta=tta), kind=kind.value if kind else None,
        overwrite=overwrite.value, prune=prune, min_probability=min_probability,
        mark_failed=mark_failed, mark_uncertain=mark_uncertain, force=force, dry_run=dry_run, overlay=overlay,
    )  # fmt: skip
    with hold_back_stops() as stopped, show_progress(stopped) as progress:
        report = segment_file(
            slide, prompts, output, predictors=models, options=options, progress=progress, is_cropped=not no_crop
        )
    end_with(report, as_json=as_json)
