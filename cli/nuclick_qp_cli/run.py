"""`nuclick-qp run`: segment all prompts of a QuPath project."""

import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

NO_MODEL = "none"
DEFAULT_MODEL = "default"


class Engine(StrEnum):
    """What reads and writes the project."""

    AUTO = "auto"
    QUPATH = "qupath"
    FILES = "files"


class ObjectType(StrEnum):
    """What outlines are written as."""

    DETECTION = "detection"
    ANNOTATION = "annotation"
    CELL = "cell"


def split_names(text: str) -> tuple[str, ...]:
    """Split a list at its commas; an empty text is an empty list."""
    return tuple(name.strip() for name in text.split(",")) if text else ()


def run(
    project: Annotated[Path, typer.Argument(help="The project.qpproj file, or its folder.", show_default=False)],
    images: Annotated[str, typer.Option(help="Only images whose name matches this glob.")] = "*",
    classes: Annotated[str, typer.Option(help="Only prompts of these classes, separated by commas.")] = "",
    points: Annotated[str, typer.Option(help="Model for points; 'none' leaves them out.")] = DEFAULT_MODEL,
    lines: Annotated[str, typer.Option(help="Model for lines; 'none' leaves them out.")] = DEFAULT_MODEL,
    kind: Annotated[ObjectType, typer.Option("--as", help="What the outlines become.")] = ObjectType.DETECTION,
    engine: Annotated[Engine, typer.Option(help="What reads and writes the project.")] = Engine.AUTO,
    image_root: Annotated[Path | None, typer.Option(help="Folder to search for slides that have moved.")] = None,
    mpp: Annotated[float | None, typer.Option(help="um per pixel where neither project nor slide say it.", min=1e-3)] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:N or mps.")] = "auto",
    batch_size: Annotated[int, typer.Option(help="Clicks that go through the network at once.", min=1)] = 32,
    tta: Annotated[bool, typer.Option("--tta", help="Average over five views of each patch: better, and five times the work.")] = False,
    overwrite: Annotated[bool, typer.Option(help="Also segment prompts whose results still hold.")] = False,
    prune: Annotated[bool, typer.Option("--prune", help="Remove results of earlier runs whose point or line is gone.")] = False,
    dry_run: Annotated[bool, typer.Option(help="Segment and report, but write nothing.")] = False,
    geojson: Annotated[Path | None, typer.Option(help="Folder for one GeoJSON file of outlines per image.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as one JSON object.")] = False,
) -> None:
    """Turn every point and line of a QuPath project into an outline, and write it back."""
    from nuclick_qp.qupath.open_project import open_project
    from nuclick_qp.run.project import segment_project
    from nuclick_qp.run.run_options import RunOptions
    from nuclick_qp.segment.segment_options import SegmentOptions
    from nuclick_qp_cli.progress import show_progress
    from nuclick_qp_cli.setup import load_predictors, print_report

    predictors, left_out = load_predictors(points=points, lines=lines, device=device)
    options = RunOptions(
        images=images,
        classes=split_names(classes),
        left_out=left_out,
        kind=kind.value,
        image_root=image_root,
        mpp=mpp,
        overwrite=overwrite,
        prune=prune,
        dry_run=dry_run,
        geojson=geojson,
        segment=SegmentOptions(batch_size=batch_size, tta=tta),
    )
    with open_project(project, engine=engine.value) as opened, show_progress() as progress:
        report = segment_project(opened, predictors, options=options, progress=progress)
    print_report(report, as_json=as_json)
    sys.exit(0 if report.all_ok else 1)
