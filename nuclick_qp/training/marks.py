"""Pixels marked in a batch of patches: clicks, points of squiggles, discs."""

import math

import torch
from torch import Tensor
from torch.nn import functional


def mark(xy: Tensor, there: Tensor, side: int) -> Tensor:
    """Mark the pixels that hold the given places.

    Parameters
    ----------
    xy, there
        (N, K, 2) places in each patch, x and y, and (N, K) bool which of them count; what lies outside
        the patch is left out.

    Returns
    -------
    (N, side, side) bool
    """
    col, row = torch.floor(xy).long().unbind(dim=-1)
    seen = there & (row >= 0) & (row < side) & (col >= 0) & (col < side)
    index = torch.where(seen, row * side + col, side * side)  # one pixel beyond the patch takes the rest
    signal = torch.zeros((len(xy), side * side + 1), dtype=torch.bool, device=xy.device)
    return signal.scatter_(1, index, True)[:, :-1].view(-1, side, side)


def nearest_pixel(allowed: Tensor, row_col: Tensor) -> Tensor:
    """Mark the one allowed pixel nearest to a place in each patch.

    Parameters
    ----------
    allowed
        (N, P, P) bool; where nothing is allowed, the pixel at 0, 0 is marked.
    row_col
        (N, 2) int64.
    """
    side = allowed.shape[-1]
    along = torch.arange(side, device=allowed.device)
    row, col = ((along - part[:, None]) ** 2 for part in row_col.unbind(dim=1))
    far = (row[:, :, None] + col[:, None, :]).masked_fill(~allowed, 8 * side**2)
    nearest = far.flatten(1).argmin(dim=1, keepdim=True)
    return torch.zeros_like(allowed).flatten(1).scatter_(1, nearest, True).view_as(allowed)


def thinned(lines: Tensor) -> Tensor:
    """Take the inner pixel out of each corner of (N, P, P) bool lines: a step aside becomes a diagonal one, as in a skeleton."""
    height, width = lines.shape[-2:]
    even = torch.arange(height, device=lines.device)[:, None] + torch.arange(width, device=lines.device)
    for part in (0, 1):  # neighbours along a side must not go at once
        around = functional.pad(lines, (1,) * 4)

        def at(row: int, col: int, around: Tensor = around) -> Tensor:
            return around[:, 1 + row : 1 + row + height, 1 + col : 1 + col + width]

        corner = (at(-1, 0) ^ at(1, 0)) & (at(0, -1) ^ at(0, 1))
        # What lies diagonally behind the corner would lose its link.
        behind = torch.where(at(-1, 0), torch.where(at(0, 1), at(1, -1), at(1, 1)), torch.where(at(0, 1), at(-1, -1), at(-1, 1)))
        lines = lines & ~(corner & ~behind & (even % 2 == part))
    return lines


def click_in_each(labels: Tensor, left_out: Tensor, most: int, generator: torch.Generator) -> Tensor:
    """Mark one random pixel in each object of each patch but one.

    In use a neighbour is known by a vertex from the middle of its squiggle, which may lie anywhere inside.
    The pixel is 2 px or more from the boundary of what is seen of the object, or where that is thickest.

    Parameters
    ----------
    labels
        (N, P, P) int, up to `most`.
    left_out
        (N,) label of the object that gets no mark.

    Returns
    -------
    (N, P, P) bool
    """
    side = labels.shape[-1]
    # A number for each pixel that orders by depth, then by chance, then by place, so that no two are equal.
    chance = torch.randint(2**30, labels.shape, generator=generator, device=labels.device)
    place = torch.arange(side**2, device=labels.device).view(side, side)
    order = (_depth_levels(labels) * 2**30 + chance) * side**2 + place
    labels = labels.long().flatten(1)
    greatest = torch.zeros((len(labels), most + 1), dtype=torch.int64, device=labels.device)
    greatest.scatter_reduce_(1, labels, order.flatten(1), "amax")
    marked = (order.flatten(1) == greatest.gather(1, labels)) & (labels > 0) & (labels != left_out[:, None])
    return marked.view(-1, side, side)


def discs(clicks: Tensor, radius_px: float) -> Tensor:
    """Draw a disc round each marked pixel of (N, P, P) bool, as `draw_clicks` does in use."""
    reach, (height, width) = int(radius_px), clicks.shape[-2:]
    around = functional.pad(clicks, (reach,) * 4)
    runs = [around[..., reach : reach + width]]  # runs[half]: clicks drawn out by so much to the left and to the right
    for half in range(1, reach + 1):
        left, right = (around[..., reach + way : reach + way + width] for way in (-half, half))
        runs.append(runs[-1] | left | right)
    drawn = torch.zeros_like(clicks)
    for row in range(-reach, reach + 1):
        half = math.isqrt(int(radius_px**2 - row**2))
        drawn |= runs[half][:, reach + row : reach + row + height]
    return drawn


def _depth_levels(labels: Tensor) -> Tensor:
    """Give 2 where all eight neighbours in the patch have the label, 1 where the four along the sides do, else 0; int64."""
    height, width = labels.shape[-2:]
    around = functional.pad(labels, (1,) * 4, value=-1)
    same = {
        (row, col): around[:, 1 + row : 1 + row + height, 1 + col : 1 + col + width] == labels
        for row in (-1, 0, 1)
        for col in (-1, 0, 1)
    }
    sides = same[0, 1] & same[0, -1] & same[1, 0] & same[-1, 0]
    corners = same[1, 1] & same[1, -1] & same[-1, 1] & same[-1, -1]
    return sides.long() + (sides & corners)
