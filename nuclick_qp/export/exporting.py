"""One project from its objects to files for training and analysis, image by image."""

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Generic, TypeVar

from nuclick_qp import __version__
from nuclick_qp.annotations.objects import listed_classes
from nuclick_qp.errors import ProjectError
from nuclick_qp.export.coco import summarise_coco, write_coco
from nuclick_qp.export.export_options import ExportOptions
from nuclick_qp.export.for_asap import write_asap
from nuclick_qp.export.masks import summarise_masks, write_masks
from nuclick_qp.export.record import ExportReport, ImageExport, TileReport, prepare_folder, remove_stale, write_export_record
from nuclick_qp.export.target import Summarised, Target, Written
from nuclick_qp.export.tiles import ExportTile, ImageObjects, read_image
from nuclick_qp.export.untiled import summarise_table, write_geojson, write_nothing_more, write_rows
from nuclick_qp.plain_text import encodable
from nuclick_qp.qupath.choosing import choose_images
from nuclick_qp.qupath.image_by_image import work_or_error
from nuclick_qp.qupath.locate import SlidePlaces
from nuclick_qp.qupath.protocol import ImageEntry, Project
from nuclick_qp.storage.records import json_value

logger = logging.getLogger(__name__)

RowT = TypeVar("RowT")
WriteImage = Callable[[ImageObjects, Target], Iterator[Written[RowT]]]
Summarise = Callable[[Sequence[RowT], Target], Summarised]


def export_project(project: Project, folder: Path, options: ExportOptions | None = None) -> ExportReport:
    """Write detections, cells and closed annotations of a project into a folder.

    An image that fails is reported as failed and the export goes on with the next. When the export
    is stopped, what is done is kept.

    Parameters
    ----------
    folder
        Made if it is not there. It must be empty, unless the options say that it holds an earlier
        export to be replaced: then files of that one which are not written anew are removed once
        every image has been exported.

    Raises
    ------
    OptionError
        If no image matches, or `image_root` is no folder.
    WriteRefusedError
        If the folder cannot be used, or the summary cannot be written.
    ProjectError
        If the project holds no images, or no image holds anything to export.
    """
    options = options or ExportOptions()
    entries = choose_images(project, options.images, remedy="add some in QuPath and outline objects in them")
    places = SlidePlaces(project.path, project.stored_uri, options.image_root)
    target = Target(folder, options, places, project.class_colours())
    job = _Job(project, entries, target, prepare_folder(folder, overwrite=options.overwrite))
    match options.format:  # one writer per image, and one for what is said about all of them
        case "masks":
            report = _export(job, write_masks, summarise_masks)
        case "coco":
            report = _export(job, write_coco, summarise_coco)
        case "geojson":
            report = _export(job, write_geojson, write_nothing_more)
        case "csv":
            report = _export(job, write_rows, summarise_table)
        case "asap":
            report = _export(job, write_asap, write_nothing_more)
    if not report.files and report.all_ok:
        raise ProjectError(_nothing_to_export(project, len(entries), options, classes=report.classes))
    return report


@dataclass(frozen=True, slots=True)
class _Job:
    """What is to be exported; `earlier` are the files of the export that it replaces."""

    project: Project
    entries: Sequence[ImageEntry]
    target: Target
    earlier: Sequence[str]


@dataclass(slots=True)
class _Done(Generic[RowT]):
    """What has been exported so far; it grows, so that a stop keeps it."""

    images: list[ImageExport] = field(default_factory=list)
    rows: list[RowT] = field(default_factory=list)
    files: list[str] = field(default_factory=list)
    classes: set[str] = field(default_factory=set)
    quoted_cells: int = 0
    is_complete: bool = False


def _export(job: _Job, write: WriteImage[RowT], summarise: Summarise[RowT]) -> ExportReport:
    """Export all images in one format, then write the summary and the record."""
    done: _Done[RowT] = _Done()
    try:
        for entry in job.entries:
            done.images.append(_try_image(job, entry, write, done))
        done.is_complete = all(image.status != "failed" for image in done.images)
    finally:
        if done.rows or done.files:
            summarised = summarise(done.rows, job.target)
            done.files += summarised.files
            done.quoted_cells = summarised.quoted_cells
        stale = [name for name in job.earlier if name not in set(done.files)]
        report = _report(job, done, kept=() if done.is_complete else stale)
        if done.files:
            write_export_record(job.target, report)
    if done.files and done.is_complete:
        remove_stale(job.target.folder, stale)
    return report


def _try_image(job: _Job, entry: ImageEntry, write: WriteImage[RowT], done: _Done[RowT]) -> ImageExport:
    """Export one image. Any error ends here, so that the other images are still done."""
    parts: list[Written[RowT]] = []
    read: list[ImageObjects] = []

    def work() -> None:
        image = read_image(job.project, entry, job.target.options)
        read.append(image)
        done.classes |= image.classes
        for part in write(image, job.target):
            parts.append(part)
            done.rows += part.rows
            done.files += part.files

    ended = work_or_error(work, image_name=entry.name)
    error = None if ended is None else str(ended) or type(ended).__name__
    logger.info("%s: %d objects", entry.name, sum(part.objects for part in parts))
    return ImageExport(
        image=encodable(entry.name),
        status="failed" if error is not None else "ok" if parts else "nothing",
        error=None if error is None else encodable(error),
        objects=sum(part.objects for part in parts),
        cut=sum(part.cut for part in parts),
        covered=sum(part.covered for part in parts),
        unseen=sum(part.unseen for part in parts),
        broken=sum(image.broken for image in read),
        tiles=tuple(_report_tile(part.tile) for part in parts if part.tile is not None),
    )


def _report(job: _Job, done: _Done[RowT], *, kept: Sequence[str]) -> ExportReport:
    """Put the reports of all images together; classes are unknown only when every image could be read."""
    options = job.target.options
    return ExportReport(
        project=encodable(str(job.project.path)),
        engine=job.project.engine,
        version=__version__,
        format=options.format,
        options=json_value(options),
        unknown_classes=tuple(name for name in options.classes if name not in done.classes) if done.is_complete else (),
        classes=tuple(sorted(done.classes)),
        images=tuple(done.images),
        files=(*done.files, *kept),
        quoted_cells=done.quoted_cells,
    )


def _report_tile(tile: ExportTile) -> TileReport:
    w = tile.window
    return TileReport(name=tile.name, x=w.x, y=w.y, width=w.width, height=w.height, downsample=w.scale, mpp=tile.mpp)


def _nothing_to_export(project: Project, images: int, options: ExportOptions, *, classes: Sequence[str]) -> str:
    """Say that nothing was found, and what to do."""
    what = " or ".join(f"{kind}s" for kind in options.kinds)
    of_classes = f" of the classes {listed_classes(options.classes)}" if options.classes else ""
    inside = "" if options.regions is None else f" in a rectangle of class {options.regions!r}"
    return (
        f"{project.path} has no closed {what}{of_classes}{inside} in its {images} image(s) that match; "
        f"correct --kinds, --classes or --regions, or outline objects first; "
        f"there are objects of the classes {listed_classes(classes) or 'none'}"
    )
