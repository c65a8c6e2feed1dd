"""Prompts to patches, and patches to tiles, so that each region of the slide is read once.

All patches of one scale lie on one pixel grid, anchored at the slide's origin: what a patch shows
does not depend on the tile it was cut from, nor on the size of the tiles.
"""

import math
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nuclick_qp.geometry import Window
from nuclick_qp.prompts import Prompt
from nuclick_qp.segmentation.segment_options import TILE_PX

LINE_MARGIN = 0.1  # free border beside a squiggle, as a share of the patch: glands are wider than their squiggle


@dataclass(frozen=True, slots=True)
class Patch:
    """One input of the network.

    Attributes
    ----------
    index
        Position of its prompt in the list that was planned.
    window
        Square of the slide that it shows; its corner lies on the grid of its scale.
    """

    index: int
    window: Window


@dataclass(frozen=True, slots=True)
class Tile:
    """One read from the slide, and the patches that are cut from it.

    Attributes
    ----------
    window
        Smallest rectangle that holds all patches; same grid and scale as they.
    patches
        In the order of their prompts.
    """

    window: Window
    patches: tuple[Patch, ...]

    def cut(self, pixels: NDArray[np.uint8]) -> Iterator[NDArray[np.uint8]]:
        """Cut the patches out of the pixels of the tile, one after the other.

        Parameters
        ----------
        pixels
            (H, W, 3) uint8 of `window`.

        Yields
        ------
        (P, P, 3) uint8 array
            A view of the pixels.
        """
        for patch in self.patches:
            offset = self.window.to_window((patch.window.x, patch.window.y))
            col, row = (int(v) for v in np.rint(offset))
            yield pixels[row : row + patch.window.height, col : col + patch.window.width]


def patch_window(prompt: Prompt, *, patch_px: int, scale: float, zoom_out: float = 1.0) -> Window:
    """Give the patch of a prompt.

    A click lies in the pixel [P/2, P/2]. A squiggle's bounding box lies in the middle; when it does
    not fit, the patch covers more of the slide at a coarser scale.

    Parameters
    ----------
    scale
        Level-0 pixels per pixel of the network.
    zoom_out
        How many times more of the slide the patch shows than its prompt asks for.

    References
    ----------
    Koohbanani et al. 2020, section 3.3.2: 512 x 512 patches round squiggles, scaled down when larger.
    """
    left, top, right, bottom = prompt.bounds
    extent = max(right - left, bottom - top) / (scale * patch_px * (1 - 2 * LINE_MARGIN))
    scale *= max(extent, 1.0) * zoom_out
    col = math.floor((left + right) / 2 / scale) - patch_px // 2
    row = math.floor((top + bottom) / 2 / scale) - patch_px // 2
    return Window(col * scale, row * scale, patch_px, patch_px, scale)


def plan_tiles(
    prompts: Sequence[Prompt], *, patch_px: int, scale: float, zoom_out: float = 1.0, tile_px: int = TILE_PX
) -> list[Tile]:
    """Plan which regions are read, and which patches are cut from each.

    Parameters
    ----------
    prompts
        Prompts inside the slide, in the slide frame.
    scale, zoom_out
        See `patch_window`.
    tile_px
        Patches whose corners lie in the same square of this side share a tile.

    Returns
    -------
    list of Tile
        In reading order: by scale, row, column. Every prompt is in exactly one.
    """
    cells: dict[tuple[float, int, int], list[Patch]] = defaultdict(list)
    for index, prompt in enumerate(prompts):
        window = patch_window(prompt, patch_px=patch_px, scale=scale, zoom_out=zoom_out)
        cell_px = tile_px * window.scale
        cell = (window.scale, math.floor(window.y / cell_px), math.floor(window.x / cell_px))
        cells[cell].append(Patch(index, window))
    return [_tile_of(cells[cell]) for cell in sorted(cells)]


def _tile_of(patches: list[Patch]) -> Tile:
    """Give the tile that holds all patches of one cell; they share one scale."""
    scale = patches[0].window.scale
    corners = np.array([(p.window.x, p.window.y) for p in patches])
    first = np.rint(corners.min(axis=0) / scale).astype(int)
    size = np.rint(corners.max(axis=0) / scale).astype(int) - first + patches[0].window.width
    window = Window(float(first[0] * scale), float(first[1] * scale), int(size[0]), int(size[1]), scale)
    return Tile(window, tuple(patches))
