"""`nuclick-qp run`: segment all prompts of a QuPath project."""

from pathlib import Path
from typing import Annotated

import typer

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
    Engine,
    EngineOption,
    EventsOption,
    ForceOption,
    ImageRootOption,
    ImagesOption,
    KindOption,
    LinesOption,
    MarkFailedOption,
    MarkUncertainOption,
    MinProbabilityOption,
    MppOption,
    OverlayOption,
    OverwriteChoice,
    OverwriteOption,
    PointsOption,
    ProjectArgument,
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


def run(
    project: ProjectArgument,
    images: ImagesOption = DEFAULTS.images,
    skip: Annotated[str, typer.Option(help="Numbers of images to leave alone, as in the project, separated by commas.")] = "",
    classes: PromptClassesOption = DEFAULT_CLASSES,
    points: PointsOption = DEFAULT_MODEL,
    lines: LinesOption = DEFAULT_MODEL,
    kind: KindOption = None,
    engine: EngineOption = Engine.AUTO,
    image_root: ImageRootOption = DEFAULTS.image_root,
    mpp: MppOption = DEFAULTS.mpp,
    scale: ScaleOption = ScaleChoice.AUTO,
    force: ForceOption = DEFAULTS.force,
    device: DeviceOption = "auto",
    batch_size: BatchSizeOption = DEFAULTS.segment.batch_size,
    tta: TtaOption = DEFAULTS.segment.tta,
    overwrite: OverwriteOption = OverwriteChoice.NONE,
    min_probability: MinProbabilityOption = DEFAULTS.min_probability,
    mark_failed: MarkFailedOption = DEFAULTS.mark_failed,
    mark_uncertain: MarkUncertainOption = DEFAULTS.mark_uncertain,
    prune: PruneOption = DEFAULTS.prune,
    dry_run: DryRunOption = DEFAULTS.dry_run,
    geojson: Annotated[Path | None, typer.Option(help="Folder for one GeoJSON file of outlines per image.")] = DEFAULTS.geojson,
    overlay: OverlayOption = DEFAULTS.overlay,
    as_json: ReportJsonOption = False,
    events: EventsOption = False,
) -> None:
    """Turn every point and line of a QuPath project into an outline, and write it back."""
    from nuclick_qp.qupath.open_project import open_project
    from nuclick_qp.run.project import segment_project
    from nuclick_qp_cli.progress import show_progress

    models, left_out = choose_models(points=points, lines=lines, device=device)
    options = RunOptions(
        images=images, skip=frozenset(split_names(skip)), classes=split_names(classes), left_out=left_out, image_root=image_root,
        segment=SegmentOptions(batch_size=batch_size, tta=tta), kind=kind.value if kind else None, mpp=mpp, scale=scale.value,
        overwrite=overwrite.value, prune=prune, min_probability=min_probability,
        mark_failed=mark_failed, mark_uncertain=mark_uncertain, force=force, dry_run=dry_run, geojson=geojson, overlay=overlay,
    )  # fmt: skip
    with (
        hold_back_stops() as stopped,
        open_project(project, engine=engine.value) as opened,
        show_progress(stopped, as_json=events) as progress,
    ):
        report = segment_project(opened, models, options=options, progress=progress)
    end_with(report, as_json=as_json)
