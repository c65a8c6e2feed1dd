"""Cut a square out of a labelled image, turned, mirrored and scaled in one sampling."""

from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from nuclick_qp.training.images import LabelledImage

WHITE = 255  # what lies outside an image, in training as in use
OVERSAMPLE_FROM = 1.4  # image pixels per patch pixel from which single samples would skip what lies between

Pixel = TypeVar("Pixel", np.uint8, np.int32)


def random_turn(rng: np.random.Generator) -> NDArray[np.float64]:
    """Give a rotation by any angle, mirrored half of the time, as a 2 x 2 matrix."""
    angle = rng.uniform(0, 2 * np.pi)
    cos, sin = np.cos(angle), np.sin(angle)
    mirror = 1.0 if rng.random() < 0.5 else -1.0
    return np.array([[cos * mirror, -sin], [sin * mirror, cos]])


def warp(image: LabelledImage, centre_xy: NDArray[np.float64], matrix: NDArray[np.float64], side: int) -> tuple[Tensor, NDArray[np.int32]]:
    """Sample a patch whose pixel offset o from its centre shows the image at centre + matrix @ o.

    Parameters
    ----------
    centre_xy
        (2,) x and y in image pixels, pixel centres at + 0.5.
    matrix
        (2, 2) offset (x, y) in patch pixels to offset in image pixels.

    Returns
    -------
    pixels, labels
        (3, side, side) float32 in [0, 1], bilinear; (side, side) int32, nearest. Outside the image
        the pixels are white and the labels 0.
    """
    reach = int(np.ceil(np.abs(matrix).sum(axis=1).max() * side / 2)) + 2
    left, top = (np.floor(centre_xy).astype(int) - reach).tolist()
    pixels = _cut(image.pixels, top, left, 2 * reach, fill=WHITE)
    labels = _cut(image.labels, top, left, 2 * reach, fill=0)
    # grid_sample wants (x, y) in [-1, 1] over the whole cut, pixel edges to pixel edges.
    shift = (centre_xy - (left, top)) / reach - 1
    theta = torch.from_numpy(np.column_stack([matrix * side / (2 * reach), shift])).float()[None]
    as_float = torch.from_numpy(pixels).permute(2, 0, 1)[None].float() / 255
    fine = 2 if float(np.sqrt(abs(np.linalg.det(matrix)))) > OVERSAMPLE_FROM else 1
    grid = functional.affine_grid(theta, [1, 1, fine * side, fine * side], align_corners=False)
    warped = functional.grid_sample(as_float, grid, mode="bilinear", padding_mode="border", align_corners=False)
    warped = functional.avg_pool2d(warped, fine) if fine > 1 else warped
    grid = functional.affine_grid(theta, [1, 1, side, side], align_corners=False)
    as_numbers = torch.from_numpy(labels)[None, None].float()
    numbers = functional.grid_sample(as_numbers, grid, mode="nearest", padding_mode="zeros", align_corners=False)
    return warped[0], numbers[0, 0].numpy().astype(np.int32)


def _cut(array: NDArray[Pixel], top: int, left: int, side: int, *, fill: int) -> NDArray[Pixel]:
    """Cut a square out of an array; what lies outside is filled."""
    out = np.full((side, side, *array.shape[2:]), fill, array.dtype)
    r0, r1 = max(top, 0), min(top + side, array.shape[0])
    c0, c1 = max(left, 0), min(left + side, array.shape[1])
    if r0 < r1 and c0 < c1:
        out[r0 - top : r1 - top, c0 - left : c1 - left] = array[r0:r1, c0:c1]
    return out
