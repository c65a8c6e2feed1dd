"""Training patches made one at a time with numpy and scipy: slow, and what batches on any device must be like."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from skimage.morphology import skeletonize
from torch.nn import functional

from nuclick_qp.guidance.simulated import distance_inside
from nuclick_qp.training.config import TrainingConfig
from nuclick_qp.training.images import LabelledImage
from signals_one_by_one import draw_clicks


@dataclass(frozen=True)
class Patch:
    """One patch: (5, P, P) input, and (P, P) bool masks of the wanted object and of all others."""

    inputs: NDArray[np.float32]
    wanted: NDArray[np.bool_]
    others: NDArray[np.bool_]


@dataclass(frozen=True)
class _Place:
    number: int
    centre_xy: NDArray[np.float64]
    matrix: NDArray[np.float64]


def draw_patches(images: Sequence[LabelledImage], config: TrainingConfig, count: int, rng: np.random.Generator) -> list[Patch]:
    """Draw patches of random objects, turned, mirrored and scaled, with fresh signals."""
    weights = np.array([image.weight for image in images])
    return [_draw(images[i], config, rng) for i in rng.choice(len(images), size=count, p=weights / weights.sum())]


def inner_click(mask: NDArray[np.bool_], rng: np.random.Generator) -> tuple[int, int]:
    """Draw a pixel 2 px or more inside a mask, or where it is thickest."""
    depth = distance_inside(mask)
    rows, cols = np.nonzero(depth >= min(2.0, float(depth.max())))
    pick = int(rng.integers(len(rows)))
    return int(rows[pick]), int(cols[pick])


def squiggle(mask: NDArray[np.bool_], rng: np.random.Generator) -> NDArray[np.bool_]:
    """Give the skeleton of D > t, t uniform in [0, mean + std of D]."""
    depth = distance_inside(mask)
    inside = depth[mask]
    highest = min(float(inside.mean() + inside.std()), float(inside.max()) - 1e-6)
    drawn: NDArray[np.bool_] = skeletonize(depth > rng.uniform(0, highest))
    return drawn


def _draw(image: LabelledImage, config: TrainingConfig, rng: np.random.Generator) -> Patch:
    side = config.patch_px
    place, click = _place_squiggle(image, config, rng) if config.prompt == "line" else _place_click(image, config, rng)
    pixels, labels = _warp(image, place, side)
    wanted = labels == place.number
    if place.number and not wanted.any():
        return _draw(image, config, rng)
    inclusion = np.zeros((side, side), np.float32)
    if config.prompt == "line":
        inclusion[squiggle(wanted, rng)] = 1
        others = [inner_click(labels == n, rng) for n in np.unique(labels).tolist() if n not in (0, place.number)]
    else:
        if place.number and not wanted[click]:
            click = inner_click(wanted, rng)
        draw_clicks(inclusion, np.array([click]), radius_px=config.click_radius_px)
        others = _centroids(image, place, side)
    keep = 0.0 if rng.random() < config.exclusion_drop else rng.uniform(config.exclusion_keep, 1)
    kept = np.array([place for place in others if rng.random() < keep], np.intp).reshape(-1, 2)
    exclusion = np.zeros((side, side), np.float32)
    draw_clicks(exclusion, kept, radius_px=config.click_radius_px)
    exclusion[inclusion > 0] = 0
    wanted &= place.number > 0  # of a click on the background
    return Patch(np.concatenate([pixels, [inclusion], [exclusion]]), wanted, (labels > 0) & ~wanted)


def _matrix(image: LabelledImage, config: TrainingConfig, rng: np.random.Generator) -> NDArray[np.float64]:
    angle, mirror = rng.uniform(0, 2 * np.pi), rng.choice([-1, 1])
    zoom = image.zoom * config.augmentation.zoom ** rng.uniform(-1, 1)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    matrix: NDArray[np.float64] = turn @ np.diag([mirror, 1]) / zoom
    return matrix


def _place_click(image: LabelledImage, config: TrainingConfig, rng: np.random.Generator) -> tuple[_Place, tuple[int, int]]:
    side, off_px = config.patch_px, config.augmentation.off_centre_px
    index = int(rng.integers(len(image.centroids)))
    number = int(image.centroids[index, 0])
    row, col = inner_click(image.labels == number, rng)
    if rng.random() < config.background_share:
        near = int(np.ceil(4 / image.zoom))
        crowded = ndimage.maximum_filter(image.labels, 2 * near + 1, mode="constant") > 0
        for place in rng.integers(0, image.labels.shape, (20, 2)).tolist():
            if not crowded[tuple(place)]:
                number, (row, col) = 0, place
                break
    matrix = _matrix(image, config, rng)
    off_centre = rng.uniform(-off_px, off_px, 2) if rng.random() < 0.5 else np.zeros(2)
    click_col, click_row = np.floor(side / 2 - off_centre).astype(int).tolist()
    return _Place(number, np.array([col + 0.5, row + 0.5]) + matrix @ off_centre, matrix), (click_row, click_col)


def _place_squiggle(image: LabelledImage, config: TrainingConfig, rng: np.random.Generator) -> tuple[_Place, tuple[int, int]]:
    side, number = config.patch_px, int(rng.choice(image.centroids[:, 0]))
    matrix = _matrix(image, config, rng)
    back = np.linalg.inv(matrix)
    rows, cols = np.nonzero(image.labels == number)
    corners = [np.column_stack([cols + x, rows + y]) @ back.T for x in (0, 1) for y in (0, 1)]
    low, high = np.min(corners, axis=(0, 1)), np.max(corners, axis=(0, 1))
    too_large = max(1.0, float((high - low).max() / (0.9 * side)))
    matrix, low, high = matrix * too_large, low / too_large, high / too_large
    room = (side - (high - low)) / 2 - 1
    shift = rng.uniform(-1, 1, 2) * np.minimum(room, config.augmentation.off_centre_px)
    return _Place(number, matrix @ ((low + high) / 2 + shift), matrix), (0, 0)


def _warp(image: LabelledImage, place: _Place, side: int) -> tuple[NDArray[np.float32], NDArray[np.int32]]:
    """Sample pixels (bilinear, white outside; four samples where the scale is 1.4 or more) and labels (nearest)."""
    fine = 2 if abs(np.linalg.det(place.matrix)) ** 0.5 > 1.4 else 1
    rows, cols = _grid(place, side, fine)
    pad = 2 * side  # so far from the image nothing but white is seen
    white = np.pad(image.pixels.astype(np.float32) / 255, ((pad, pad), (pad, pad), (0, 0)), constant_values=1)
    at = np.array([rows, cols]) - 0.5 + pad
    pixels = np.array([ndimage.map_coordinates(white[..., c], at, order=1, mode="nearest") for c in range(3)])
    pixels = functional.avg_pool2d(torch.from_numpy(pixels), fine).numpy()
    rows, cols = (np.floor(part).astype(int) for part in _grid(place, side, 1))
    inside = (rows >= 0) & (rows < image.labels.shape[0]) & (cols >= 0) & (cols < image.labels.shape[1])
    labels = np.zeros((side, side), np.int32)
    labels[inside] = image.labels[rows[inside], cols[inside]]
    return pixels.astype(np.float32), labels


def _grid(place: _Place, side: int, fine: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    along = (np.arange(fine * side) + 0.5) / fine - side / 2
    x, y = np.meshgrid(along, along)
    cols, rows = place.centre_xy[:, None, None] + np.einsum("ij,jyx->iyx", place.matrix, np.array([x, y]))
    return rows, cols


def _centroids(image: LabelledImage, place: _Place, side: int) -> list[tuple[int, int]]:
    found = []
    for number, row, col in image.centroids.tolist():
        x, y = np.linalg.inv(place.matrix) @ (np.array([col + 0.5, row + 0.5]) - place.centre_xy) + side / 2
        if number != place.number and 0 <= x < side and 0 <= y < side:
            found.append((int(y), int(x)))
    return found
