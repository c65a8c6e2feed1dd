"""COCO: one `annotations.json` for the project, pictures in `images`."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely import MultiPolygon, Polygon

from nuclick_qp import __version__
from nuclick_qp.annotations.objects import UNCLASSIFIED
from nuclick_qp.annotations.regions import LARGEST_REGION_PX
from nuclick_qp.errors import ProjectError
from nuclick_qp.export.masks import png_bytes
from nuclick_qp.export.target import Summarised, Target, Written, number_classes, write_file
from nuclick_qp.export.tiles import ExportTile, ImageObjects, PlacedObject, open_tiles, place_objects
from nuclick_qp.geometry import Window
from nuclick_qp.shapes.fill import Box, fill_outline

FOLDER = "images"
DIGITS = 2  # of coordinates in px: QuPath's own resolution

Polygons = list[list[float]]


@dataclass(frozen=True, slots=True)
class RunLengths:
    """A mask as the lengths of runs of 0 and 1 in turn, column by column, 0 first.

    Attributes
    ----------
    size
        (height, width) of the tile.
    """

    size: tuple[int, int]
    counts: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class CocoObject:
    """One annotation of COCO, in pixels of its tile.

    Attributes
    ----------
    segmentation
        Rings as x, y, x, y ..., one for each part, when no part has a hole; else the pixels.
    area
        Inside the outline, in px^2.
    bbox
        Left, top, width, height.
    """

    class_name: str | None
    kind: str
    object_id: str
    segmentation: Polygons | RunLengths
    area: float
    bbox: tuple[float, float, float, float]


@dataclass(frozen=True, slots=True)
class CocoImage:
    """One image of COCO, which is a tile, with its annotations."""

    source: str
    tile: ExportTile
    objects: tuple[CocoObject, ...]


def write_coco(image: ImageObjects, target: Target) -> Iterator[Written[CocoImage]]:
    """Write the picture of each tile of an image; what is in it goes into the summary."""
    with open_tiles(image, target.places, target.options) as (slide, tiles):
        for tile in tiles:
            placed = place_objects(image.objects, tile.window.slide_box)
            if not placed and image.regions is None:
                continue
            row = CocoImage(image.entry.name, tile, tuple(_coco_object(p, tile.window) for p in placed))
            files: tuple[str, ...] = ()
            if target.options.pixels:
                assert slide is not None
                files = (write_file(target, f"{FOLDER}/{tile.name}.png", png_bytes(slide.read(tile.window), tile.mpp)),)
            yield Written(files, (row,), tile, len(placed), cut=sum(p.is_cut for p in placed))


def summarise_coco(rows: Sequence[CocoImage], target: Target) -> Summarised:
    """Write `annotations.json`. Ids count from 1, in the order of the project."""
    classes = number_classes(item.class_name for row in rows for item in row.objects)
    pairs = [(number, item) for number, row in enumerate(rows, start=1) for item in row.objects]
    content = {
        "info": {"description": f"exported by nuclick-qp {__version__}", "version": "1.0"},
        "licenses": [],
        "images": [_image_json(number, row) for number, row in enumerate(rows, start=1)],
        "categories": [{"id": number, "name": name, "supercategory": ""} for name, number in classes.items()],
        "annotations": [_object_json(n, image_id, item, classes) for n, (image_id, item) in enumerate(pairs, start=1)],
    }
    data = json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "backslashreplace")
    return Summarised((write_file(target, "annotations.json", data),))


def run_lengths(mask: NDArray[np.bool_], box: Box, *, height: int, width: int) -> RunLengths:
    """Encode the mask of a box of a tile of height x width as runs of the whole tile.

    Examples
    --------
    >>> run_lengths(np.array([[True, True]]), (slice(1, 2), slice(0, 2)), height=3, width=4)
    RunLengths(size=(3, 4), counts=(1, 1, 2, 1, 7))
    """
    columns = np.zeros((mask.shape[1], mask.shape[0] + 2), np.int8)
    columns[:, 1:-1] = mask.T
    steps = np.diff(columns, axis=1)  # (columns, rows + 1): 1 where a run begins, -1 behind its end
    edges = []
    for step in (1, -1):
        col, row = np.nonzero(steps == step)
        edges.append((col + box[1].start) * height + row + box[0].start)
    begin, end = edges
    goes_on = begin[1:] == end[:-1]  # at the top of the next column
    begin, end = np.delete(begin, np.flatnonzero(goes_on) + 1), np.delete(end, np.flatnonzero(goes_on))
    changes = np.append(np.stack([begin, end], axis=1).ravel(), height * width)
    counts = np.diff(changes, prepend=0).tolist()
    return RunLengths((height, width), tuple(counts if counts[-1] else counts[:-1]))


def _coco_object(placed: PlacedObject, window: Window) -> CocoObject:
    item, parts = placed.item, shapely.get_parts(placed.inside)
    has_holes = bool(shapely.get_num_interior_rings(parts).any())
    segmentation = _pixels(placed, window) if has_holes else [_ring(part, window) for part in parts]
    left, top, right, bottom = placed.inside.bounds
    x, y, x2, y2 = window.to_window([(left, top), (right, bottom)]).ravel().tolist()
    bbox = (round(x, DIGITS), round(y, DIGITS), round(x2 - x, DIGITS), round(y2 - y, DIGITS))
    return CocoObject(item.class_name, item.kind, item.object_id, segmentation, round(placed.inside.area / window.scale**2, DIGITS), bbox)


def _ring(part: Polygon, window: Window) -> list[float]:
    """Give the corners of a polygon without holes; the first is not repeated."""
    flat: list[float] = window.to_window(shapely.get_coordinates(part)[:-1]).round(DIGITS).ravel().tolist()
    return flat


def _pixels(placed: PlacedObject, window: Window) -> RunLengths:
    """Give the pixels of an object with holes, for which COCO knows no polygons."""
    if _box_pixels(placed.inside, window) > LARGEST_REGION_PX:
        raise ProjectError(
            f"object {placed.item.object_id} ({placed.item.class_name or UNCLASSIFIED}) has a hole and more than {LARGEST_REGION_PX:,} px; "
            "pass a coarser --mpp, leave its class out with --classes, or export rectangles with --regions CLASS"
        )
    box, mask = fill_outline(placed.inside, window)
    return run_lengths(mask, box, height=window.height, width=window.width)


def _box_pixels(outline: Polygon | MultiPolygon, window: Window) -> float:
    left, top, right, bottom = outline.bounds
    return (right - left) * (bottom - top) / window.scale**2


def _image_json(number: int, row: CocoImage) -> dict[str, object]:
    """Give the entry of a tile; the keys after `height` are ours and tell where it lies in the image."""
    window = row.tile.window
    return {
        "id": number,
        "file_name": f"{row.tile.name}.png",
        "width": window.width,
        "height": window.height,
        "source": row.source,
        "x": window.x,
        "y": window.y,
        "downsample": window.scale,
        "mpp": row.tile.mpp,
    }


def _object_json(number: int, image_id: int, item: CocoObject, classes: dict[str, int]) -> dict[str, object]:
    shape = item.segmentation
    return {
        "id": number,
        "image_id": image_id,
        "category_id": classes[item.class_name or UNCLASSIFIED],
        "segmentation": {"size": shape.size, "counts": shape.counts} if isinstance(shape, RunLengths) else shape,
        "area": item.area,
        "bbox": item.bbox,
        "iscrowd": 0,
        "object_id": item.object_id,
        "kind": item.kind,
    }
