"""`nuclick-qp export`: objects of a project as training data, tables, or files for other programs."""

import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nuclick_qp.export.export_options import ExportOptions, kinds_named
from nuclick_qp_cli.shared import Engine, EngineOption, ImageRootOption, ImagesOption, ProjectArgument, ReportJsonOption, split_names
from nuclick_qp_cli.terminal import say, say_json

if TYPE_CHECKING:  # importing it loads the readers of slides
    from nuclick_qp.export.record import ExportReport, ImageExport


DEFAULTS = ExportOptions()
DEFAULT_CLASSES = ",".join(DEFAULTS.classes)
DEFAULT_KINDS = ",".join(DEFAULTS.kinds)


class ExportFormat(StrEnum):
    """What is written."""

    MASKS = "masks"
    COCO = "coco"
    GEOJSON = "geojson"
    CSV = "csv"
    ASAP = "asap"


def export(
    project: ProjectArgument,
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for the files; it must be empty.", show_default=False)],
    form: Annotated[
        ExportFormat, typer.Option("--format", help="Label images, COCO, GeoJSON or ASAP file per image, or one table.", show_default=False)
    ],
    images: ImagesOption = DEFAULTS.images,
    classes: Annotated[
        str, typer.Option(help="Only objects of these classes, separated by commas; else all but Training, Validation and NAME*.")
    ] = DEFAULT_CLASSES,
    kinds: Annotated[str, typer.Option(help="What counts as an object, separated by commas.")] = DEFAULT_KINDS,
    regions: Annotated[
        str | None, typer.Option(help="Only what lies in rectangles of this class; each becomes one tile.")
    ] = DEFAULTS.regions,
    mpp: Annotated[float | None, typer.Option(help="um per pixel of the tiles; default: that of the image.", min=1e-3)] = DEFAULTS.mpp,
    pixels: Annotated[bool, typer.Option("--pixels/--no-pixels", help="Write the pictures of the tiles.")] = DEFAULTS.pixels,
    engine: EngineOption = Engine.AUTO,
    image_root: ImageRootOption = DEFAULTS.image_root,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an earlier export in the folder.")] = DEFAULTS.overwrite,
    as_json: ReportJsonOption = False,
) -> None:
    """Write detections, cells and closed annotations as label images, COCO, GeoJSON, ASAP files or a table."""
    from nuclick_qp.export.exporting import export_project
    from nuclick_qp.qupath.open_project import open_project

    options = ExportOptions(
        format=form.value,
        images=images,
        classes=split_names(classes),
        kinds=kinds_named(split_names(kinds)),
        regions=regions,
        mpp=mpp,
        pixels=pixels,
        image_root=image_root,
        overwrite=overwrite,
    )
    with open_project(project, engine=engine.value) as opened:
        report = export_project(opened, output, options)
    print_export(report, output, as_json=as_json)
    sys.exit(0 if report.all_ok else 1)


def print_export(report: "ExportReport", folder: Path, *, as_json: bool) -> None:
    """Print a report to stdout: as JSON, or as a few lines to read."""
    from nuclick_qp.annotations.objects import listed_classes

    if as_json:
        say_json(report.model_dump_json(indent=2))
        return
    for image in report.images:
        say(_export_line(image))
    for name in report.unknown_classes:
        verb = "has the class" if name else "is"
        say(f"no object {verb} {listed_classes([name])}; correct --classes: there are {listed_classes(report.classes) or 'none'}")
    if report.quoted_cells:
        say(f"{report.quoted_cells:,} cells of the table begin with an apostrophe: a spreadsheet would execute them as formulas")
    say(f"{sum(image.objects for image in report.images)} objects exported into {folder}")


def _export_line(image: "ImageExport") -> str:
    """Say what became of an image, and what a user may miss."""
    notes = [
        (image.cut, "cut at the border of a tile"),
        (image.covered, "partly below smaller ones"),
        (image.unseen, "without a pixel of their own"),
        (image.broken, "left out: their outline encloses nothing"),
    ]
    parts = [] if image.error is None else [f"failed: {image.error}"]
    if image.status == "nothing":
        parts.append("nothing to export")
    else:
        parts += [f"{len(image.tiles)} tile(s)"] if image.tiles else []
        parts.append(f"{image.objects} objects")
    return f"{image.image}: {'; '.join([*parts, *(f'{count} {text}' for count, text in notes if count)])}"
