"""Formats without tiles, in the coordinates of the image: GeoJSON for QuPath, and a table of all objects."""

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain

from nuclick_qp.annotations.objects import ClosedObject
from nuclick_qp.export.csv_text import csv_bytes
from nuclick_qp.export.target import Summarised, Target, Written, write_file
from nuclick_qp.export.tiles import ImageObjects, place_objects
from nuclick_qp.formats.geojson.writing import closed_to_geojson
from nuclick_qp.qupath.protocol import ImageEntry

logger = logging.getLogger(__name__)

HEADER = (
    "image", "image_id", "object_id", "kind", "class", "name", "z", "t", "regions",
    "centroid_x_px", "centroid_y_px", "area_px2", "centroid_x_um", "centroid_y_um", "area_um2",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class ObjectRow:
    """One object of the table.

    Attributes
    ----------
    regions
        Numbers of the regions that it reaches into, from 1.
    """

    entry: ImageEntry
    item: ClosedObject
    regions: tuple[int, ...]


def object_rows(image: ImageObjects) -> tuple[ObjectRow, ...]:
    """Give the objects of an image, or those that reach into its regions, each once."""
    if image.regions is None:
        return tuple(ObjectRow(image.entry, item, ()) for item in image.objects)
    reached: dict[int, tuple[int, ...]] = {}
    for number, box in enumerate(image.regions, start=1):
        for placed in place_objects(image.objects, box.bounds):
            reached[id(placed.item)] = (*reached.get(id(placed.item), ()), number)
    return tuple(ObjectRow(image.entry, item, reached[id(item)]) for item in image.objects if id(item) in reached)


def write_geojson(image: ImageObjects, target: Target) -> Iterator[Written[None]]:
    """Write the objects of an image as GeoJSON: with ids, classes, names, measurements, nuclei of cells.

    Objects that reach into a region are whole.
    """
    rows = object_rows(image)
    if rows:
        file = write_file(target, f"{image.stem}.geojson", closed_to_geojson([row.item for row in rows]))
        yield Written((file,), objects=len(rows))


def write_nothing_more(rows: Sequence[None], target: Target) -> Summarised:
    """Stand for the summary of a format that needs none."""
    return Summarised()


def write_rows(image: ImageObjects, target: Target) -> Iterator[Written[ObjectRow]]:
    """Give the objects of an image, whole, to be written into the table."""
    rows = object_rows(image)
    if image.entry.mpp is None:
        logger.warning("%s has no pixel size in the project; its columns in um stay empty", image.entry.name)
    if rows:
        yield Written((), rows, objects=len(rows))


def summarise_table(rows: Sequence[ObjectRow], target: Target) -> Summarised:
    """Write `objects.csv`: one line per object, one column per measurement; what is unknown stays empty."""
    names = list(dict.fromkeys(name for row in rows for name, _ in row.item.measurements))
    measured = [dict(row.item.measurements) for row in rows]
    cells = ((*_facts(row), *(values.get(name, "") for name in names)) for row, values in zip(rows, measured, strict=True))
    table, quoted = csv_bytes(chain([(*HEADER, *names)], cells))
    return Summarised((write_file(target, "objects.csv", table),), quoted)


def _facts(row: ObjectRow) -> tuple[object, ...]:
    item, mpp = row.item, row.entry.mpp
    centre, area = item.outline.centroid, item.outline.area
    in_px = (centre.x, centre.y, area)
    in_um = ("", "", "") if mpp is None else (centre.x * mpp, centre.y * mpp, area * mpp**2)
    return (
        row.entry.name,
        row.entry.entry_id,
        item.object_id,
        item.kind,
        item.class_name or "",
        item.name or "",
        item.plane.z,
        item.plane.t,
        ";".join(map(str, row.regions)),
        *(round(value, 3) for value in in_px),
        *(value if isinstance(value, str) else round(value, 4) for value in in_um),
    )
