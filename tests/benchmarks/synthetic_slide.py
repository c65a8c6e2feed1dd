"""A whole slide made on the spot: real tissue over and over again, and as many clicks on its nuclei as are asked for.

The tissue is the immunohistochemistry image of scikit-image, at twice its size and mirrored, so that no seam shows: a
square of `PERIOD` px that repeats. A pyramid of it has few different tiles. Each is encoded once, and its bytes are
written wherever it comes again: the reader still decodes every tile that it reads.
"""

import io
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import skimage.data
import tifffile
from numpy.typing import NDArray
from PIL import Image

from nuclick_qp.qupath.folder.create import NewImage, create_project
from nuclick_qp.qupath.qpdata.new_objects import NewAnnotation

MPP = 0.25  # um per px of level 0
SIDE = 40_960  # px; 10.24 mm
TILE = 256  # px
QUALITY = 75
MAGNIFIED = 2  # the image of scikit-image looks like a scan at 20x, see examples/ihc_project.py
IMAGE_SIDE = 512 * MAGNIFIED
PERIOD = 2 * IMAGE_SIDE
DENSE_PER_MM2 = 2_000
NUCLEI = Path(__file__).parents[2] / "examples" / "ihc_prompts.json"  # set by eye
ON_NUCLEI = ("epithelium", "stroma", "epithelium_multi_point")

Spread = Literal["dense", "sparse"]


@dataclass(frozen=True, slots=True)
class Clicks:
    """Clicks on the nuclei of a slide, (N, 2) x and y in level-0 px."""

    xy: NDArray[np.float64]
    spread: Spread


def write_slide(path: Path, *, side: int = SIDE) -> None:
    """Write a pyramid of JPEG tiles that OpenSlide opens, with its pixel size in the tags.

    Parameters
    ----------
    side
        Of level 0, in px; a multiple of `PERIOD`.
    """
    assert side % PERIOD == 0
    square = repeating_square()
    with tifffile.TiffWriter(path, bigtiff=True) as writer:
        level = 0
        while (here := side >> level) >= min(side, 4 * TILE):
            writer.write(
                _tiles(_shrunk(square, level), here // TILE),
                shape=(here, here, 3),
                dtype=np.uint8,
                tile=(TILE, TILE),
                photometric="ycbcr",
                subsampling=(2, 2),
                compression="jpeg",
                resolution=(1e4 / (MPP * 2**level),) * 2,
                resolutionunit="CENTIMETER",
                subfiletype=1 if level else 0,  # "reduced": what makes a pyramid of the pages
                metadata=None,
            )
            level += 1


def click_on_nuclei(count: int, spread: Spread, *, side: int = SIDE) -> Clicks:
    """Choose clicks on different nuclei: 2,000 per mm^2 in a square in the middle of the slide, or anywhere on it.

    Raises
    ------
    ValueError
        If the slide has no room for so many.
    """
    rng = np.random.default_rng(0)
    needed = side if spread == "sparse" else int(np.ceil(np.sqrt(count / DENSE_PER_MM2) * 1000 / MPP))
    if needed > side:
        raise ValueError(f"{count} clicks at {DENSE_PER_MM2} per mm^2 need {needed} px, and the slide has {side}")
    left = (side - needed) / 2
    xy = _nuclei_within(left, left + needed)
    chosen = np.sort(rng.permutation(len(xy))[:count])
    if len(chosen) < count:
        raise ValueError(f"the slide has {len(xy)} nuclei there, and {count} are asked for")
    return Clicks(xy[chosen], spread)


def make_project(folder: Path, slide: Path, clicks: Clicks, *, side: int = SIDE) -> Path:
    """Make a project of the slide with one point annotation for each click, and give the `project.qpproj`."""
    folder.mkdir(parents=True)
    here = folder / "slide.tif"
    # A new project draws its thumbnail from the whole image, which 5 GB of pixels forbid: a small one stands in for that moment.
    Image.new("RGB", (100, 100), "white").save(here)
    points = tuple(NewAnnotation("Points", ((x, y),), class_name="Nucleus") for x, y in clicks.xy.tolist())
    project = create_project(folder, [NewImage(here, here.name, side, side, MPP, points, image_type="BRIGHTFIELD_H_DAB")])
    here.unlink()
    os.link(slide, here)
    return project


def repeating_square() -> NDArray[np.uint8]:
    """Give the (PERIOD, PERIOD, 3) pixels that level 0 repeats: the image and its mirror images."""
    image = Image.fromarray(skimage.data.immunohistochemistry()).resize((IMAGE_SIDE, IMAGE_SIDE), Image.Resampling.BICUBIC)
    pixels = np.asarray(image)
    half = np.concatenate([pixels, pixels[:, ::-1]], axis=1)
    return np.concatenate([half, half[::-1]], axis=0)


def _shrunk(square: NDArray[np.uint8], level: int) -> NDArray[np.uint8]:
    """Give the repeating square of a level, at least one tile of it."""
    small = np.asarray(Image.fromarray(square).reduce(2**level))
    repeats = max(1, TILE // len(small))
    return np.tile(small, (repeats, repeats, 1))


def _tiles(square: NDArray[np.uint8], across: int) -> Iterator[bytes]:
    """Give the encoded tiles of a level, row by row."""
    n = len(square) // TILE
    parts = square.reshape(n, TILE, n, TILE, 3).swapaxes(1, 2)
    encoded = [[_jpeg(part) for part in row] for row in parts]
    for row in range(across):
        for col in range(across):
            yield encoded[row % n][col % n]


def _jpeg(pixels: NDArray[np.uint8]) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "jpeg", quality=QUALITY, subsampling="4:2:0")
    return buffer.getvalue()


def _nuclei_within(first: float, last: float) -> NDArray[np.float64]:
    """Give x and y of all nuclei whose coordinates both lie in a range, row of images by row of images."""
    places = json.loads(NUCLEI.read_text("utf-8"))
    xy = np.array([place for name in ON_NUCLEI for place in places[name]], np.float64) * MAGNIFIED
    found = []
    for row in range(int(first // IMAGE_SIDE), int(last // IMAGE_SIDE) + 1):
        for col in range(int(first // IMAGE_SIDE), int(last // IMAGE_SIDE) + 1):
            mirrored = np.array([col % 2, row % 2], bool)
            found.append(np.where(mirrored, IMAGE_SIDE - xy, xy) + np.array([col, row]) * IMAGE_SIDE)
    here: NDArray[np.float64] = np.concatenate(found)
    return here[((here >= first) & (here < last)).all(axis=1)]
