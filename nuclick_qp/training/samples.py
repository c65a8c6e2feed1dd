"""Images with instance labels to training patches.

Step k of a run draws its batch from the generator seeded with (seed, k): a run that was stopped
goes on with the very batches it would have seen, and no generator state needs to be stored.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from nuclick_qp.errors import TrainingDataError
from nuclick_qp.guidance.simulated import label_centroids, random_inner_click
from nuclick_qp.labels import find_pairs, read_pair
from nuclick_qp.training.config import Source, TrainingConfig

WHITE = 255  # what lies outside an image, in training as in use
LARGEST_RESCALE = 2.0
SMALLEST_OBJECT_PX = 10
BACKGROUND = -1  # the "label" of a click that hits nothing: no pixel has it, so nothing is wanted
BACKGROUND_MARGIN_PX = 4.0  # from the nearest object: a click on its rim may well mean the object
BACKGROUND_TRIES = 20  # an image full of objects has no such place; an object is clicked instead

Pixel = TypeVar("Pixel", np.uint8, np.int32)


@dataclass(frozen=True, slots=True)
class LabelledImage:
    """One image with its instances, ready to be sampled.

    Attributes
    ----------
    pixels, labels
        (H, W, 3) uint8 and (H, W) int32; 0 is background.
    zoom
        Patch pixels per image pixel.
    centroids
        (M, 3) label, row, col of each object; the centre is inside the object.
    weight
        Share of the samples drawn from this image.
    """

    name: str
    pixels: NDArray[np.uint8]
    labels: NDArray[np.int32]
    zoom: float
    centroids: NDArray[np.intp]
    weight: float


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


def load_source(source: Source, *, root: Path, mpp: float) -> tuple[list[LabelledImage], list[LabelledImage]]:
    """Read the images of a source.

    Parameters
    ----------
    root
        Folder that the source's folder is relative to.
    mpp
        Micrometres per pixel of the network.

    Returns
    -------
    training, validation
        The second holds those that match one of the source's validation globs.

    Raises
    ------
    TrainingDataError
        If the folder holds no pairs, or a label image is missing, empty, of another size than its
        image, or not instance-wise; the message names the file.
    """
    pairs = find_pairs(root / source.folder, source.pattern)
    parts: tuple[list[LabelledImage], list[LabelledImage]] = ([], [])
    for path, label_path in pairs:
        held_out = any(path.match(glob) for glob in source.validation)
        parts[held_out].append(_load_image(path, label_path, source=source, mpp=mpp, weight=source.weight / len(pairs)))
    return parts


def draw_batch(images: Sequence[LabelledImage], config: TrainingConfig, rng: np.random.Generator) -> Batch:
    """Draw `config.batch_size` patches, geometry and signals only; colours are as in the images."""
    weights = np.array([image.weight for image in images])
    picks = rng.choice(len(images), size=config.batch_size, p=weights / weights.sum())
    patches = [_draw_patch(images[i], config, rng) for i in picks]
    return Batch(*(torch.stack(parts) for parts in zip(*patches, strict=True)))


def _load_image(path: Path, label_path: Path, *, source: Source, mpp: float, weight: float) -> LabelledImage:
    pixels, labels = read_pair(path, label_path)
    areas = np.bincount(labels.ravel())[1:]
    if source.object_area_px is not None:
        zoom = float(np.sqrt(source.object_area_px / np.median(areas[areas > 0])))
        zoom = float(np.clip(zoom, 1 / LARGEST_RESCALE, LARGEST_RESCALE))
    elif source.mpp is not None:
        zoom = source.mpp / mpp
    else:
        raise TrainingDataError(f"source {source.folder} states neither `mpp` nor `object_area_px`; add one")
    centroids = label_centroids(labels)
    centroids = centroids[areas[centroids[:, 0] - 1] >= SMALLEST_OBJECT_PX]
    if not len(centroids):
        raise TrainingDataError(f"{label_path} holds no object of {SMALLEST_OBJECT_PX} px or more; label it, or remove the pair")
    return LabelledImage(path.stem, pixels, labels, zoom, centroids, weight)


def _draw_patch(image: LabelledImage, config: TrainingConfig, rng: np.random.Generator) -> tuple[Tensor, Tensor, Tensor]:
    """Draw one patch around a random click, turned, flipped and scaled."""
    side, aug = config.patch_px, config.augmentation
    number, click_row, click_col = _draw_click(image, config, rng)
    zoom = image.zoom * float(np.exp(rng.uniform(-1, 1) * np.log(aug.zoom)))
    matrix = _random_turn(rng) / zoom  # patch offset (x, y) -> image offset
    off_centre = rng.uniform(-aug.off_centre_px, aug.off_centre_px, 2) if rng.random() < 0.5 else np.zeros(2)
    centre_xy = np.array([click_col + 0.5, click_row + 0.5]) + matrix @ off_centre
    pixels, labels = _warp(image, centre_xy, matrix, side)
    wanted = labels == number
    at = np.floor(side / 2 - off_centre).astype(int)  # the click, x then y, in the patch
    if number != BACKGROUND and not wanted[at[1], at[0]]:  # rounding on the rim of a thin object
        if not wanted.any():
            return _draw_patch(image, config, rng)
        at = np.array(random_inner_click(wanted, rng)[::-1])
    signals = np.zeros((2, side, side), np.float32)
    signals[0, at[1], at[0]] = 1
    others = image.centroids[image.centroids[:, 0] != number]
    xy = (others[:, [2, 1]] + 0.5 - centre_xy) @ np.linalg.inv(matrix).T + side / 2
    cols, rows = np.floor(_keep_some(xy, config, rng)).astype(int).T
    seen = (rows >= 0) & (rows < side) & (cols >= 0) & (cols < side)
    signals[1, rows[seen], cols[seen]] = 1
    signals[1][signals[0] > 0] = 0
    inputs = torch.cat([pixels, torch.from_numpy(signals)])
    rest = (labels > 0) & ~wanted
    return inputs, torch.from_numpy(wanted[None].astype(np.float32)), torch.from_numpy(rest[None].astype(np.float32))


def _draw_click(image: LabelledImage, config: TrainingConfig, rng: np.random.Generator) -> tuple[int, int, int]:
    """Draw the label, row and col of a click: inside a random object, or well outside of all."""
    number, row, col = (int(v) for v in image.centroids[rng.integers(len(image.centroids))])
    if rng.random() >= config.background_share:
        return number, *_click_in_object(image, number, (row, col), rng)
    margin = int(np.ceil(BACKGROUND_MARGIN_PX / image.zoom))
    for row, col in rng.integers(0, image.labels.shape, (BACKGROUND_TRIES, 2)).tolist():
        if not image.labels[max(row - margin, 0) : row + margin + 1, max(col - margin, 0) : col + margin + 1].any():
            return BACKGROUND, row, col
    return number, *_click_in_object(image, number, (row, col), rng)


def _click_in_object(image: LabelledImage, number: int, inside: tuple[int, int], rng: np.random.Generator) -> tuple[int, int]:
    """Draw a click in the object; `inside` is one of its pixels, round which it is looked for."""
    reach = 64
    top, left = max(inside[0] - reach, 0), max(inside[1] - reach, 0)
    near = image.labels[top : inside[0] + reach, left : inside[1] + reach] == number
    row, col = random_inner_click(near, rng)
    return top + row, left + col


def _random_turn(rng: np.random.Generator) -> NDArray[np.float64]:
    """Give a rotation by any angle, mirrored half of the time, as a 2 x 2 matrix."""
    angle = rng.uniform(0, 2 * np.pi)
    cos, sin = np.cos(angle), np.sin(angle)
    mirror = 1.0 if rng.random() < 0.5 else -1.0
    return np.array([[cos * mirror, -sin], [sin * mirror, cos]])


def _keep_some(xy: NDArray[np.float64], config: TrainingConfig, rng: np.random.Generator) -> NDArray[np.float64]:
    """Leave out exclusion clicks as a user does who has not clicked on everything."""
    if rng.random() < config.exclusion_drop:
        return xy[:0]
    return xy[rng.random(len(xy)) < rng.uniform(config.exclusion_keep, 1)]


def _warp(image: LabelledImage, centre_xy: NDArray[np.float64], matrix: NDArray[np.float64], side: int) -> tuple[Tensor, NDArray[np.int32]]:
    """Sample a patch whose pixel offset o from its centre shows the image at centre + matrix @ o.

    Returns
    -------
    pixels, labels
        (3, side, side) float32 in [0, 1], bilinear; (side, side) int32, nearest.
    """
    reach = int(np.ceil(np.abs(matrix).sum(axis=1).max() * side / 2)) + 2
    left, top = (np.floor(centre_xy).astype(int) - reach).tolist()
    pixels = _cut(image.pixels, top, left, 2 * reach, fill=WHITE)
    labels = _cut(image.labels, top, left, 2 * reach, fill=0)
    # grid_sample wants (x, y) in [-1, 1] over the whole cut, pixel edges to pixel edges.
    shift = (centre_xy - (left, top)) / reach - 1
    theta = torch.from_numpy(np.column_stack([matrix * side / (2 * reach), shift])).float()[None]
    grid = functional.affine_grid(theta, [1, 1, side, side], align_corners=False)
    as_float = torch.from_numpy(pixels).permute(2, 0, 1)[None].float() / 255
    warped = functional.grid_sample(as_float, grid, mode="bilinear", padding_mode="border", align_corners=False)
    numbers = functional.grid_sample(
        torch.from_numpy(labels)[None, None].float(), grid, mode="nearest", padding_mode="zeros", align_corners=False
    )
    return warped[0], numbers[0, 0].numpy().astype(np.int32)


def _cut(array: NDArray[Pixel], top: int, left: int, side: int, *, fill: int) -> NDArray[Pixel]:
    """Cut a square out of an array; what lies outside is filled."""
    out = np.full((side, side, *array.shape[2:]), fill, array.dtype)
    r0, r1 = max(top, 0), min(top + side, array.shape[0])
    c0, c1 = max(left, 0), min(left + side, array.shape[1])
    if r0 < r1 and c0 < c1:
        out[r0 - top : r1 - top, c0 - left : c1 - left] = array[r0:r1, c0:c1]
    return out
