"""`nuclick-qp segment`: segment the prompts of one image, GeoJSON or ASAP's XML in and out."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from nuclick_qp_cli.run import DEFAULT_MODEL, ObjectType, split_names


def segment(
    slide: Annotated[Path, typer.Argument(help="The image file.", show_default=False)],
    prompts: Annotated[Path, typer.Option(help="GeoJSON file, or ASAP file (.xml), with points and lines.", show_default=False)],
    output: Annotated[
        Path, typer.Option("--output", "-o", help="GeoJSON or ASAP file for the outlines; ASAP files are added to.", show_default=False)
    ],
    classes: Annotated[str, typer.Option(help="Only prompts of these classes, separated by commas.")] = "",
    points: Annotated[str, typer.Option(help="Model for points; 'none' leaves them out.")] = DEFAULT_MODEL,
    lines: Annotated[str, typer.Option(help="Model for lines; 'none' leaves them out.")] = DEFAULT_MODEL,
    kind: Annotated[ObjectType, typer.Option("--as", help="What the outlines become; polygons in ASAP files.")] = ObjectType.DETECTION,
    mpp: Annotated[float | None, typer.Option(help="um per pixel, where the file does not say it.", min=1e-3)] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:N or mps.")] = "auto",
    batch_size: Annotated[int, typer.Option(help="Clicks that go through the network at once.", min=1)] = 32,
    tta: Annotated[bool, typer.Option("--tta", help="Average over five views of each patch: better, and five times the work.")] = False,
    no_crop: Annotated[bool, typer.Option("--no-crop", help="GeoJSON counts from the whole slide, not from its scanned bounds.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as one JSON object.")] = False,
) -> None:
    """Turn every point and line of a GeoJSON or ASAP file into an outline."""
    from nuclick_qp.run.file import segment_file
    from nuclick_qp.run.run_options import RunOptions
    from nuclick_qp.segment.segment_options import SegmentOptions
    from nuclick_qp_cli.progress import show_progress
    from nuclick_qp_cli.setup import load_predictors, print_report

    predictors, left_out = load_predictors(points=points, lines=lines, device=device)
    options = RunOptions(
        classes=split_names(classes),
        left_out=left_out,
        kind=kind.value,
        mpp=mpp,
        segment=SegmentOptions(batch_size=batch_size, tta=tta),
    )
    with show_progress() as progress:
        report = segment_file(
            slide, prompts, output, predictors=predictors, options=options, progress=progress, is_cropped=not no_crop
        )
    print_report(report, as_json=as_json)
    sys.exit(0 if report.all_ok else 1)
