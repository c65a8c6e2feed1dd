"""Images of touching cells, made from images of single ones.

Koohbanani et al. 2020, section 4.1: data sets of white blood cells show one cell an image, slides do
not. Cells are cut out, deformed, resized, turned, and blended into a background so that they touch.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from skimage.transform import AffineTransform, warp

from nuclick_qp.errors import TrainingDataError
from nuclick_qp.training.config import TouchingCells
from nuclick_qp.training.images import LabelledImage, labelled_image

MARGIN_PX = 4  # surroundings that are cut out with a cell, to blend its rim
SIZES = (0.8, 1.25)
ELASTIC_SHARE = 0.06  # greatest displacement, as a share of the side of the cut-out
ELASTIC_WAVE = 0.25  # smoothness of the displacement, as a share of the side
OVERLAP_SHARE = 0.04  # of the new cell's area that may lie on cells placed before: touching, slightly pressed
TRIES = 30  # places tried for a cell before it is left out, and shifts to cover cells with background
COVER_PX = 6  # a removed cell is covered with some of its surroundings: stain halo, soft rim


@dataclass(frozen=True, slots=True)
class CellCutOut:
    """One cell with a little of its surroundings.

    Attributes
    ----------
    pixels, mask
        (H, W, 3) float32 in [0, 255], (H, W) bool; the mask keeps clear of the border.
    background
        (3,) median colour round the cell.
    """

    pixels: NDArray[np.float32]
    mask: NDArray[np.bool_]
    background: NDArray[np.float32]


def touching_cells(
    images: Sequence[LabelledImage], settings: TouchingCells, *, share: float, rng: np.random.Generator
) -> list[LabelledImage]:
    """Make images of touching cells out of the cells and the background of labelled images.

    Parameters
    ----------
    images
        At the resolution of the network (zoom 1), of one source: their colours go together.
    share
        Share of `settings.images` and of `settings.weight` that is made of these images.

    Raises
    ------
    TrainingDataError
        If no cell lies wholly inside its image.
    """
    cut_outs = [cell for image in images for cell in cut_out_cells(image)]
    if not cut_outs:
        raise TrainingDataError(f"no cell in the images beside {images[0].name} lies inside its image; remove [touching]")
    count = max(1, round(settings.images * share))
    made = []
    for number in range(count):
        background = clear_background(images[int(rng.integers(len(images)))], settings.canvas_px, rng)
        wanted = int(rng.integers(settings.cells[0], settings.cells[1] + 1))
        pixels, labels = fill_canvas(background, cut_outs, wanted=wanted, rng=rng)
        name = f"touching cells {number + 1} from {images[0].name}"
        made.append(labelled_image(name, pixels, labels, zoom=1.0, weight=settings.weight * share / count))
    return made


def cut_out_cells(image: LabelledImage) -> list[CellCutOut]:
    """Cut out the cells of an image that do not reach its border."""
    cells = []
    for index, (rows, cols) in enumerate(image.boxes):
        top, left = rows.start - MARGIN_PX, cols.start - MARGIN_PX
        bottom, right = rows.stop + MARGIN_PX, cols.stop + MARGIN_PX
        if top < 0 or left < 0 or bottom > image.labels.shape[0] or right > image.labels.shape[1]:
            continue
        pixels = image.pixels[top:bottom, left:right].astype(np.float32)
        labels = image.labels[top:bottom, left:right]
        background = np.median(image.pixels[image.labels == 0], axis=0).astype(np.float32)
        cells.append(CellCutOut(pixels, labels == image.centroids[index, 0], background))
    return cells


def clear_background(image: LabelledImage, side: int, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Give a (side, side, 3) canvas of the background of an image, its cells covered, mirrored at the borders."""
    covered = ndimage.binary_dilation(image.labels > 0, iterations=COVER_PX)
    pixels = image.pixels.astype(np.float32)
    height, width = covered.shape
    for _ in range(TRIES):  # what shows a cell takes the colours of a place that shows none
        if not covered.any():
            break
        shift = int(rng.integers(height)), int(rng.integers(width))
        filled = covered & ~np.roll(covered, shift, (0, 1))
        soft = ndimage.gaussian_filter(filled.astype(np.float32), 1.5)[..., None]
        pixels = pixels + np.maximum(soft, filled[..., None]) * (np.roll(pixels, shift, (0, 1)) - pixels)
        covered &= ~filled
    if covered.any():
        pixels[covered] = np.median(image.pixels[image.labels == 0], axis=0)
    start = rng.integers(0, (height, width))
    rows, cols = (np.arange(side) + s for s in start)
    canvas = pixels[_mirrored(rows, height)[:, None], _mirrored(cols, width)]
    return np.clip(np.rint(canvas), 0, 255).astype(np.uint8)


def fill_canvas(
    background: NDArray[np.uint8], cut_outs: Sequence[CellCutOut], *, wanted: int, rng: np.random.Generator
) -> tuple[NDArray[np.uint8], NDArray[np.int32]]:
    """Blend cells into a canvas, each touching one that was placed before.

    Parameters
    ----------
    wanted
        Number of cells; fewer when the canvas is too full for more.

    Returns
    -------
    pixels, labels
        (H, W, 3) uint8 and (H, W) int32, cells numbered as they were placed.
    """
    canvas = background.astype(np.float32)
    labels = np.zeros(background.shape[:2], np.int32)
    colour = np.median(background.reshape(-1, 3), axis=0)
    for number in range(1, wanted + 1):
        cell = deform(cut_outs[int(rng.integers(len(cut_outs)))], rng)
        corner = _find_place(labels, cell.mask, rng)
        if corner is None:
            break
        part = tuple(slice(c, c + s) for c, s in zip(corner, cell.mask.shape, strict=True))
        labels[part][cell.mask] = number
        # Light through the same stain on this background: its colours scale with those of the background.
        pixels = cell.pixels * (colour / np.maximum(cell.background, 1))
        alpha = np.maximum(ndimage.gaussian_filter(cell.mask.astype(np.float32), 1.0), ndimage.binary_erosion(cell.mask))[..., None]
        canvas[part] += alpha * (pixels - canvas[part])
    return np.clip(np.rint(canvas), 0, 255).astype(np.uint8), _whole_cells(labels)


def deform(cell: CellCutOut, rng: np.random.Generator) -> CellCutOut:
    """Resize, turn and bend a cell."""
    height, width = cell.mask.shape
    size, angle = rng.uniform(*SIZES), rng.uniform(0, 2 * np.pi)
    side = int(np.ceil(np.hypot(height, width) * size)) + 2 * MARGIN_PX
    back = AffineTransform(translation=(-side / 2, -side / 2)) + AffineTransform(rotation=angle, scale=(1 / size, 1 / size))
    back += AffineTransform(translation=(width / 2, height / 2))
    cols, rows = np.meshgrid(np.arange(side), np.arange(side))
    at = back(np.column_stack([cols.ravel(), rows.ravel()]))[:, ::-1].T.reshape(2, side, side) + _bend(side, rng)
    mask = np.asarray(warp(cell.mask.astype(np.float32), at, order=1, cval=0)) >= 0.5
    pixels = np.stack([warp(cell.pixels[..., c], at, order=1, mode="edge", preserve_range=True) for c in range(3)], axis=-1)
    largest = _largest_part(mask)
    return CellCutOut(pixels.astype(np.float32), largest, cell.background)


def _bend(side: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """Give a smooth (2, side, side) displacement."""
    waves = ndimage.gaussian_filter(rng.normal(size=(2, side, side)), (0, ELASTIC_WAVE * side, ELASTIC_WAVE * side))
    waves *= ELASTIC_SHARE * side * rng.uniform() / np.abs(waves).max()
    return np.asarray(waves)


def _find_place(labels: NDArray[np.int32], mask: NDArray[np.bool_], rng: np.random.Generator) -> tuple[int, int] | None:
    """Give the top left corner at which a cell touches those placed, or any one when there is none."""
    free = np.array(labels.shape) - mask.shape
    if (free < 0).any():
        return None
    if not labels.any():
        row, col = (free // 2).tolist()
        return row, col
    taken = labels > 0
    rows, cols = np.nonzero(taken)
    for _ in range(TRIES):
        pick = int(rng.integers(len(rows)))
        angle = rng.uniform(0, 2 * np.pi)
        way = np.array((np.sin(angle), np.cos(angle)))
        start = np.array((rows[pick], cols[pick])) - np.array(mask.shape) / 2
        for reach in range(2 * max(mask.shape)):  # from the middle of a placed cell outwards
            row, col = np.rint(start + reach * way).astype(int).tolist()
            if not (0 <= row <= free[0] and 0 <= col <= free[1]):
                break
            overlap = np.count_nonzero(taken[row : row + mask.shape[0], col : col + mask.shape[1]] & mask)
            if overlap <= OVERLAP_SHARE * np.count_nonzero(mask):
                return row, col
    return None


def _whole_cells(labels: NDArray[np.int32]) -> NDArray[np.int32]:
    """Keep the largest connected part of each cell: a later one may have cut a corner off."""
    kept = np.zeros_like(labels)
    for number, box in enumerate(ndimage.find_objects(labels), 1):
        if box is not None:
            kept[box][_largest_part(labels[box] == number)] = number
    return kept


def _largest_part(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    parts, count = ndimage.label(mask)
    if count < 2:
        return mask
    return np.asarray(parts == 1 + int(np.argmax(np.bincount(parts.ravel())[1:])))


def _mirrored(index: NDArray[np.intp], length: int) -> NDArray[np.intp]:
    """Fold indices back into an axis, mirrored at its ends."""
    folded = index % (2 * length)
    return np.where(folded < length, folded, 2 * length - 1 - folded)
