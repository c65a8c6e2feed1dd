"""Squiggles of training objects, made once and drawn from at every step."""

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from nuclick_qp.guidance.simulated import random_squiggle
from nuclick_qp.training.images import LabelledImage
from nuclick_qp.training.ragged import Ragged

SQUIGGLES_EACH = 8
SQUIGGLE_STREAM = 11  # keeps the random numbers of the squiggles apart from those of the batches


@dataclass(frozen=True, slots=True)
class Squiggles:
    """`SQUIGGLES_EACH` squiggles of every object, and how far the objects reach.

    Making a skeleton takes steps whose number depends on the mask, so a GPU would be waited for in each
    patch; instead they are made before the first step, in the pixels of the image.

    Attributes
    ----------
    links
        For each squiggle of each object x, y, dx, dy of its links, float32: from the centre of one pixel
        to that of a neighbour. A pixel by itself is a link to itself.
    reach
        For each object x and y, float32, of the first and the last pixel centre of each row: the object
        reaches as far as they do, in any direction.
    """

    links: Ragged
    reach: Ragged

    def to(self, device: torch.device) -> "Squiggles":
        """Give the same squiggles on a device."""
        return Squiggles(self.links.to(device), self.reach.to(device))


def make_squiggles(images: Sequence[LabelledImage], *, seed: int) -> Squiggles:
    """Draw the squiggles of all objects, on the CPU; the same for the same seed."""
    streams = [np.random.default_rng([seed, SQUIGGLE_STREAM, number]) for number in range(len(images))]
    with ThreadPoolExecutor(os.cpu_count()) as pool:  # skeletons are made without Python's lock
        made = list(pool.map(_squiggles_of, images, streams))
    links = [of_one for of_image, _ in made for of_one in of_image]
    return Squiggles(Ragged.of(links), Ragged.of([of_one for _, of_image in made for of_one in of_image]))


def _squiggles_of(image: LabelledImage, rng: np.random.Generator) -> tuple[list[NDArray[np.float32]], list[NDArray[np.float32]]]:
    """Give the links of the squiggles of each object of an image, and its reach."""
    links, reach = [], []
    for index, (rows, cols) in enumerate(image.boxes):
        mask, corner = image.mask(index), np.array([cols.start, rows.start])
        reach.append((_row_ends(mask) + corner + 0.5).astype(np.float32))
        links += [_turned_squiggle(mask, corner, rng) for _ in range(SQUIGGLES_EACH)]
    return links, reach


def _turned_squiggle(mask: NDArray[np.bool_], corner: NDArray[np.intp], rng: np.random.Generator) -> NDArray[np.float32]:
    """Draw a squiggle of a mask turned by any angle, as a patch shows it, and turn its links back.

    Outlines that were turned have more steps, and their skeletons more twigs.
    """
    (height, width), angle = mask.shape, rng.uniform(0, 2 * np.pi)
    side = int(np.hypot(height, width)) + 2
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    along = np.arange(side) + 0.5 - side / 2
    x, y = np.einsum("ij,jrc->irc", turn, np.stack(np.meshgrid(along, along)))
    cols, rows = np.floor(x + width / 2).astype(int), np.floor(y + height / 2).astype(int)
    inside = (rows >= 0) & (rows < height) & (cols >= 0) & (cols < width)
    turned = np.zeros((side, side), bool)
    turned[inside] = mask[rows[inside], cols[inside]]
    if not turned.any():  # a thin object, missed by the turned grid
        turned, turn, side = mask, np.eye(2), 0
    links = _links(random_squiggle(turned, rng)).astype(np.float64)
    middle = np.array([width, height]) / 2 if side else 0
    links[:, :2] = (links[:, :2] + 0.5 - side / 2) @ turn.T + middle + corner
    links[:, 2:] = links[:, 2:] @ turn.T
    return links.astype(np.float32)


def _row_ends(mask: NDArray[np.bool_]) -> NDArray[np.intp]:
    """Give the (R, 2) col and row of the first and the last pixel of each row of a mask."""
    rows = np.flatnonzero(mask.any(axis=1))
    first, last = mask[rows].argmax(axis=1), mask.shape[1] - 1 - mask[rows, ::-1].argmax(axis=1)
    return np.concatenate([np.column_stack([first, rows]), np.column_stack([last, rows])])


def _links(skeleton: NDArray[np.bool_]) -> NDArray[np.intp]:
    """Give the (L, 4) col, row and steps to the neighbour of all links of a skeleton.

    Diagonal ones only where no way along a side joins the pixels.
    """
    here = np.pad(skeleton, ((0, 1), (1, 1)))  # room for the neighbours to the right, below, and to the left
    inner = here[:-1, 1:-1]
    right, below, left = here[:-1, 2:], here[1:, 1:-1], here[:-1, :-2]
    steps = {
        (1, 0): inner & right,
        (0, 1): inner & below,
        (1, 1): inner & here[1:, 2:] & ~right & ~below,
        (-1, 1): inner & here[1:, :-2] & ~left & ~below,
    }
    parts = [np.pad(np.argwhere(found)[:, ::-1], ((0, 0), (0, 2))) + np.array([0, 0, *step]) for step, found in steps.items()]
    links = np.concatenate(parts)
    joined = np.zeros_like(skeleton)
    for ends in (links[:, :2], links[:, :2] + links[:, 2:]):
        joined[ends[:, 1], ends[:, 0]] = True
    alone = np.argwhere(skeleton & ~joined)[:, ::-1]
    return np.concatenate([links, np.pad(alone, ((0, 0), (0, 2)))])
