"""Label images: NAME.png, NAME_label.tif with one number per object, and what the numbers mean.

`nuclick-qp train` and `evaluate` read the folder as it is.
"""

import io
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import tifffile
from numpy.typing import NDArray
from PIL import Image

from nuclick_qp.annotations.objects import UNCLASSIFIED
from nuclick_qp.export.csv_text import csv_bytes
from nuclick_qp.export.target import Summarised, Target, Written, number_classes, write_file
from nuclick_qp.export.tiles import ExportTile, ImageObjects, PlacedObject, open_tiles, place_objects
from nuclick_qp.shapes.fill import paint_outlines
from nuclick_qp.slides import Slide
from nuclick_qp.storage.labels import LABEL_ENDING

LARGEST_UINT16 = 65_535
UM_PER_INCH, UM_PER_CM = 25_400, 10_000
HEADER = ("tile", "label", "class_id", "class", "kind", "object_id", "name", "pixels", "covered_pixels")


@dataclass(frozen=True, slots=True)
class LabelRow:
    """What one number of a label image stands for.

    Attributes
    ----------
    pixels
        Pixels that have the number.
    covered
        Pixels of the object that have the number of a smaller one.
    """

    tile: str
    label: int
    class_name: str | None
    kind: str
    object_id: str
    name: str
    pixels: int
    covered: int


def write_masks(image: ImageObjects, target: Target) -> Iterator[Written[LabelRow]]:
    """Write a picture and a label image for each tile of an image.

    Labels are uint16, uint32 for more than 65,535 objects; 0 is background. Where objects overlap
    the smaller one lies on top; the rows tell what it hides. The label image is written before the
    picture, so that no picture is ever without one.
    """
    with open_tiles(image, target.places, target.options) as (slide, tiles):
        for tile in tiles:
            placed = sorted(place_objects(image.objects, tile.window.slide_box), key=lambda p: -p.item.outline.area)
            if placed or image.regions is not None:
                yield _write_tile(tile, placed, slide, target)


def summarise_masks(rows: Sequence[LabelRow], target: Target) -> Summarised:
    """Write `labels.csv`, what each number of each label image is, and `classes.json`."""
    classes = number_classes(row.class_name for row in rows)
    table, quoted = csv_bytes([HEADER, *(_cells(row, classes) for row in rows)])
    listed = [{"id": number, "name": name} for name, number in classes.items()]
    files = (
        write_file(target, "labels.csv", table),
        write_file(target, "classes.json", json.dumps(listed, ensure_ascii=False, indent=1).encode("utf-8", "backslashreplace")),
    )
    return Summarised(files, quoted)


def png_bytes(pixels: NDArray[np.uint8], mpp: float | None) -> bytes:
    """Encode (H, W, 3) RGB as PNG, with the pixel size in micrometres as its resolution."""
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG", dpi=None if mpp is None else (UM_PER_INCH / mpp, UM_PER_INCH / mpp))
    return file.getvalue()


def _cells(row: LabelRow, classes: Mapping[str, int]) -> tuple[object, ...]:
    name = row.class_name or UNCLASSIFIED
    return row.tile, row.label, classes[name], name, row.kind, row.object_id, row.name, row.pixels, row.covered


def _write_tile(tile: ExportTile, placed: Sequence[PlacedObject], slide: Slide | None, target: Target) -> Written[LabelRow]:
    labels, sizes = paint_outlines([p.item.outline for p in placed], tile.window)
    seen = np.bincount(labels.ravel(), minlength=len(placed) + 1)[1:].tolist()
    files = [write_file(target, f"{tile.name}{LABEL_ENDING}.tif", _label_bytes(labels, len(placed), tile.mpp))]
    if target.options.pixels:
        assert slide is not None
        files.append(write_file(target, f"{tile.name}.png", png_bytes(slide.read(tile.window), tile.mpp)))
    rows = tuple(
        LabelRow(tile.name, number, p.item.class_name, p.item.kind, p.item.object_id, p.item.name or "", pixels, size - pixels)
        for number, (p, pixels, size) in enumerate(zip(placed, seen, sizes, strict=True), start=1)
    )
    return Written(
        tuple(files),
        rows,
        tile,
        len(rows),
        cut=sum(p.is_cut for p in placed),
        covered=sum(row.covered > 0 and row.pixels > 0 for row in rows),
        unseen=sum(row.pixels == 0 for row in rows),
    )


def _label_bytes(labels: NDArray[np.int32], largest: int, mpp: float | None) -> bytes:
    """Encode labels as a deflated TIFF of 16 bits, or of 32 where these are needed."""
    file = io.BytesIO()
    numbers = labels.astype(np.uint16 if largest <= LARGEST_UINT16 else np.uint32)
    tifffile.imwrite(
        file,
        numbers,
        photometric="minisblack",
        compression="zlib",
        metadata=None,
        software=False,
        resolution=None if mpp is None else (UM_PER_CM / mpp, UM_PER_CM / mpp),
        resolutionunit=None if mpp is None else "CENTIMETER",
    )
    return file.getvalue()
