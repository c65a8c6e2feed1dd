"""Labelled images to training patches: where a patch lies, and the signals drawn into it.

Step k of a run draws its batch from the generator seeded with (seed, k): a run that was stopped
goes on with the very batches it would have seen, and no generator state needs to be stored.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor

from nuclick_qp.guidance.signals import draw_clicks
from nuclick_qp.guidance.simulated import random_inner_click, random_squiggle
from nuclick_qp.training.config import TrainingConfig
from nuclick_qp.training.images import LabelledImage
from nuclick_qp.training.warp import random_turn, warp

BACKGROUND = -1  # the "label" of a click that hits nothing: no pixel has it, so nothing is wanted
BACKGROUND_MARGIN_PX = 4.0  # from the nearest object: a click on its rim may well mean the object
BACKGROUND_TRIES = 20  # an image full of objects has no such place; an object is clicked instead
LARGEST_SHARE = 0.9  # of the side of a patch that a gland may fill; a larger one is shown at a coarser scale


@dataclass(frozen=True, slots=True)
class Batch:
    """N training patches; all tensors are float32.

    Attributes
    ----------
    inputs
        (N, 5, P, P): R, G, B, inclusion, exclusion in [0, 1].
    wanted, others
        (N, 1, P, P): mask of the wanted object, mask of all others.
    """

    inputs: Tensor
    wanted: Tensor
    others: Tensor


def draw_batch(images: Sequence[LabelledImage], config: TrainingConfig, rng: np.random.Generator) -> Batch:
    """Draw `config.batch_size` patches, geometry and signals only; colours are as in the images."""
    weights = np.array([image.weight for image in images])
    picks = rng.choice(len(images), size=config.batch_size, p=weights / weights.sum())
    patches = [_draw_patch(images[i], config, rng) for i in picks]
    return Batch(*(torch.stack(parts) for parts in zip(*patches, strict=True)))


@dataclass(frozen=True, slots=True)
class _Placed:
    """A patch before its signals: one wanted object, and where the patch lies in the image.

    Attributes
    ----------
    number
        Label of the wanted object, or `BACKGROUND`.
    centre_xy, matrix
        Pixel offset o (x, y) from the middle of the patch shows the image at centre_xy + matrix @ o.
    """

    number: int
    centre_xy: NDArray[np.float64]
    matrix: NDArray[np.float64]

    def to_patch(self, xy: NDArray[np.float64], side: int) -> NDArray[np.float64]:
        """Convert (..., 2) places in the image to places in the patch, x and y."""
        there: NDArray[np.float64] = (xy - self.centre_xy) @ np.linalg.inv(self.matrix).T + side / 2
        return there


def _draw_patch(image: LabelledImage, config: TrainingConfig, rng: np.random.Generator) -> tuple[Tensor, Tensor, Tensor]:
    """Draw one patch of a random object, turned, mirrored and scaled, with fresh signals."""
    side = config.patch_px
    if config.prompt == "line":
        placed = _place_squiggle(image, config, rng)
        pixels, labels = warp(image, placed.centre_xy, placed.matrix, side)
        wanted = labels == placed.number
        if not wanted.any():  # an object of few pixels, missed by the grid
            return _draw_patch(image, config, rng)
        inclusion, others = random_squiggle(wanted, rng), _clicks_in_others(labels, placed.number, rng)
    else:
        placed, click = _place_click(image, config, rng)
        pixels, labels = warp(image, placed.centre_xy, placed.matrix, side)
        wanted = labels == placed.number
        if placed.number != BACKGROUND and not wanted[click]:  # rounding on the rim of a thin object
            if not wanted.any():
                return _draw_patch(image, config, rng)
            click = random_inner_click(wanted, rng)
        inclusion = _discs(np.array([click]), side, radius_px=config.click_radius_px)
        others = _centroids_of_others(image, placed, side)
    exclusion = _discs(_keep_some(others, config, rng), side, radius_px=config.click_radius_px)
    signals = np.stack([inclusion, exclusion & ~inclusion]).astype(np.float32)
    masks = [torch.from_numpy(mask[None].astype(np.float32)) for mask in (wanted, (labels > 0) & ~wanted)]
    return torch.cat([pixels, torch.from_numpy(signals)]), masks[0], masks[1]


def _place_click(image: LabelledImage, config: TrainingConfig, rng: np.random.Generator) -> tuple[_Placed, tuple[int, int]]:
    """Place a patch round a random click; gives the click's row and col in the patch as well."""
    side, aug = config.patch_px, config.augmentation
    number, click_row, click_col = _draw_click(image, config, rng)
    matrix = random_turn(rng) / _random_zoom(image, config, rng)
    off_centre = rng.uniform(-aug.off_centre_px, aug.off_centre_px, 2) if rng.random() < 0.5 else np.zeros(2)
    centre_xy = np.array([click_col + 0.5, click_row + 0.5]) + matrix @ off_centre
    col, row = np.floor(side / 2 - off_centre).astype(int).tolist()
    return _Placed(number, centre_xy, matrix), (row, col)


def _place_squiggle(image: LabelledImage, config: TrainingConfig, rng: np.random.Generator) -> _Placed:
    """Place a patch so that it holds the whole of a random object, somewhere near its middle.

    In use the bounding box of the squiggle lies in the middle, and a squiggle that does not fit
    makes the scale coarser.
    """
    side, index = config.patch_px, int(rng.integers(len(image.centroids)))
    matrix = random_turn(rng) / _random_zoom(image, config, rng)
    rows, cols = np.nonzero(image.mask(index))
    box = image.boxes[index]
    xy = np.column_stack([cols + box[1].start, rows + box[0].start]) + 0.5
    inverse = np.linalg.inv(matrix)
    seen, pixel = xy @ inverse.T, np.abs(inverse).sum(axis=1)  # places and width of image pixels, in patch pixels
    low, high = seen.min(axis=0) - pixel / 2, seen.max(axis=0) + pixel / 2
    too_large = float((high - low).max() / (LARGEST_SHARE * side))
    if too_large > 1:
        matrix, low, high = matrix * too_large, low / too_large, high / too_large
    room = (side - (high - low)) / 2 - 1
    shift = rng.uniform(-1, 1, 2) * np.minimum(room, config.augmentation.off_centre_px)
    return _Placed(int(image.centroids[index, 0]), matrix @ ((low + high) / 2 + shift), matrix)


def _random_zoom(image: LabelledImage, config: TrainingConfig, rng: np.random.Generator) -> float:
    return image.zoom * float(np.exp(rng.uniform(-1, 1) * np.log(config.augmentation.zoom)))


def _draw_click(image: LabelledImage, config: TrainingConfig, rng: np.random.Generator) -> tuple[int, int, int]:
    """Draw the label, row and col of a click: inside a random object, or well outside of all."""
    index = int(rng.integers(len(image.centroids)))
    if rng.random() < config.background_share:
        margin = int(np.ceil(BACKGROUND_MARGIN_PX / image.zoom))
        for row, col in rng.integers(0, image.labels.shape, (BACKGROUND_TRIES, 2)).tolist():
            if not image.labels[max(row - margin, 0) : row + margin + 1, max(col - margin, 0) : col + margin + 1].any():
                return BACKGROUND, row, col
    row, col = random_inner_click(image.mask(index), rng)
    box = image.boxes[index]
    return int(image.centroids[index, 0]), box[0].start + row, box[1].start + col


def _centroids_of_others(image: LabelledImage, placed: _Placed, side: int) -> NDArray[np.intp]:
    """Give the (M, 2) rows and cols of all other centroids that fall into the patch."""
    others = image.centroids[image.centroids[:, 0] != placed.number]
    xy = placed.to_patch(others[:, [2, 1]] + 0.5, side)
    row_col = np.floor(xy[:, ::-1]).astype(np.intp)
    return row_col[((row_col >= 0) & (row_col < side)).all(axis=1)]


def _clicks_in_others(labels: NDArray[np.int32], number: int, rng: np.random.Generator) -> NDArray[np.intp]:
    """Give the (M, 2) row and col of one random place in each other object of a patch.

    In use it is a vertex from the middle of the other's squiggle, which may lie anywhere inside.
    """
    boxes = ndimage.find_objects(labels)
    found = [(n, boxes[n - 1]) for n in np.unique(labels).tolist() if n not in (0, number)]
    corners = np.array([(box[0].start, box[1].start) for _, box in found], np.intp).reshape(-1, 2)
    clicks = np.array([random_inner_click(labels[box] == n, rng) for n, box in found], np.intp).reshape(-1, 2)
    return corners + clicks


def _keep_some(row_col: NDArray[np.intp], config: TrainingConfig, rng: np.random.Generator) -> NDArray[np.intp]:
    """Leave out exclusion clicks as a user does who has not clicked on everything."""
    if rng.random() < config.exclusion_drop:
        return row_col[:0]
    return row_col[rng.random(len(row_col)) < rng.uniform(config.exclusion_keep, 1)]


def _discs(row_col: NDArray[np.intp], side: int, *, radius_px: float) -> NDArray[np.bool_]:
    """Draw clicks as use does, see `draw_clicks`."""
    signal = np.zeros((side, side), np.float32)
    draw_clicks(signal, row_col, radius_px=radius_px)
    return signal > 0
