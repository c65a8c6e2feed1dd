"""Prompts to the pixels that they mark: what the network is shown beside the pixels of the image."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Self

import numpy as np
from numpy.typing import NDArray
from skimage.draw import line as draw_line

from nuclick_qp.errors import PromptError
from nuclick_qp.geometry import Window
from nuclick_qp.prompts import Prompt

Pixels = NDArray[np.intp]  # (K, 3): patch, row, column; in the order of the patches


@dataclass(frozen=True, slots=True)
class MarkedPatches:
    """Patches of an image, and what is marked in them: all that a network is shown, as bytes and places.

    The maps of the paper are drawn of it where the network is, so that what goes to a device is a fifth of its input.

    Attributes
    ----------
    pixels
        (N, P, P, 3) uint8, RGB.
    under
        The pixels under the prompt of each patch: the one of a click, the line of a squiggle.
    inclusion
        Those on which the inclusion map is 1: of a click, perhaps a disc.
    exclusion
        Those on which the exclusion map is 1, where `inclusion` has none: of each neighbour one, or a disc.
    """

    pixels: NDArray[np.uint8]
    under: Pixels
    inclusion: Pixels
    exclusion: Pixels

    @classmethod
    def without_marks(cls, pixels: NDArray[np.uint8]) -> Self:
        """Give (N, P, P, 3) pixels in which nothing is marked."""
        nothing = np.empty((0, 3), np.intp)
        return cls(pixels, nothing, nothing, nothing)

    @classmethod
    def joined(cls, several: Sequence["MarkedPatches"]) -> Self:
        """Put the patches of several into one, in their order."""
        firsts = np.cumsum([0, *(len(one) for one in several)])

        def marks(name: str) -> Pixels:
            parts = [np.add(getattr(one, name), (first, 0, 0)) for one, first in zip(several, firsts, strict=False)]
            return np.concatenate(parts)

        return cls(np.concatenate([one.pixels for one in several]), marks("under"), marks("inclusion"), marks("exclusion"))

    def __len__(self) -> int:
        return len(self.pixels)

    @property
    def side(self) -> int:
        """Pixels along one side of a patch."""
        return int(self.pixels.shape[1])

    def part(self, start: int, stop: int) -> "MarkedPatches":
        """Give the patches from `start` to before `stop`."""
        marks = (_of_patches(pixels, start, stop) for pixels in (self.under, self.inclusion, self.exclusion))
        return MarkedPatches(self.pixels[start:stop], *marks)

    def moved(self, rows: int, cols: int) -> "MarkedPatches":
        """Give the same patches with their prompts, but not their neighbours, moved by whole pixels."""
        return replace(self, inclusion=_inside(np.add(self.inclusion, (0, rows, cols)), self.side))

    def mirrored(self, axis: int) -> "MarkedPatches":
        """Give the patches upside down (1) or with left and right exchanged (2)."""

        def turned(marks: Pixels) -> Pixels:
            marks = marks.copy()
            marks[:, axis] = self.side - 1 - marks[:, axis]
            return marks

        return MarkedPatches(np.flip(self.pixels, axis), turned(self.under), turned(self.inclusion), turned(self.exclusion))


def mark_patches(
    pixels: NDArray[np.uint8],
    prompts: Sequence[Prompt],
    *,
    windows: Sequence[Window],
    others_xy: Sequence[NDArray[np.float64]],
    click_radius_px: float = 0.0,
) -> MarkedPatches:
    """Mark the prompt of each patch, and its neighbours.

    Parameters
    ----------
    pixels
        (N, P, P, 3) uint8, RGB.
    prompts, windows
        N prompts, and N patches in the slide frame.
    others_xy
        N arrays (M_i, 2): one place in each other object, in the slide frame; may lie outside the patch.
    click_radius_px
        Radius of the disc that a click marks, in patch pixels; 0 is one pixel, as in the paper. The card of
        the model says it.

    Raises
    ------
    PromptError
        If no part of a prompt falls into its window.

    References
    ----------
    Koohbanani et al., NuClick, Med. Image Anal. 65 (2020) 101771, section 3.3. Discs: Sofiiuk et al., Reviving
    iterative training with mask guidance, ICIP 2022.

    Examples
    --------
    >>> from nuclick_qp.prompts import click_at
    >>> patch, neighbours = np.zeros((1, 32, 32, 3), np.uint8), np.array([[3.5, 4.5]])
    >>> marked = mark_patches(patch, [click_at(10, 20)], windows=[Window(0, 0, 32, 32)], others_xy=[neighbours])
    >>> marked.inclusion.tolist(), marked.exclusion.tolist()
    ([[0, 20, 10]], [[0, 4, 3]])
    """
    side = pixels.shape[1]
    under = _inside(_joined([_prompt_pixels(prompt, window) for prompt, window in zip(prompts, windows, strict=True)]), side)
    marked = np.bincount(under[:, 0], minlength=len(prompts))
    if not marked.all():
        index = int(np.argmin(marked))
        where = f"the {prompts[index].kind} prompt at {prompts[index].anchor} lies outside its patch {windows[index].slide_box}"
        raise PromptError(where)
    is_click = np.array([prompt.kind == "point" for prompt in prompts])[under[:, 0]]
    inclusion = under if not is_click.any() else np.concatenate([under[~is_click], _discs(under[is_click], click_radius_px, side)])
    neighbours = _inside(_joined([window.to_array(xy) for window, xy in zip(windows, others_xy, strict=True)]), side)
    exclusion = _discs(neighbours, click_radius_px, side)
    return MarkedPatches(pixels, under, inclusion[np.argsort(inclusion[:, 0], kind="stable")], exclusion)


def _prompt_pixels(prompt: Prompt, window: Window) -> NDArray[np.intp]:
    """Give rows and columns of the pixels under a prompt, those outside the window as well."""
    return np.concatenate([_stroke_pixels(window.to_array(stroke)) for stroke in prompt.strokes])


def _stroke_pixels(row_col: NDArray[np.intp]) -> NDArray[np.intp]:
    """Give rows and columns of the pixels that join the vertices of a stroke."""
    if len(row_col) == 1:
        return row_col
    return np.concatenate([np.column_stack(draw_line(*one, *other)) for one, other in pairwise(row_col)])


def _joined(parts: Sequence[NDArray[np.intp]]) -> Pixels:
    """Put rows and columns of several patches together, with the number of the patch before each."""
    numbers = np.arange(len(parts)).repeat([len(part) for part in parts])
    return np.column_stack([numbers, np.concatenate([np.empty((0, 2), np.intp), *parts])])


def _discs(centres: Pixels, radius_px: float, side: int) -> Pixels:
    """Give the pixels whose centres lie within a radius of those of others, in the same patch."""
    reach = int(radius_px)
    rows, cols = np.mgrid[-reach : reach + 1, -reach : reach + 1]
    disc = np.column_stack([np.zeros(rows.size, np.intp), rows.ravel(), cols.ravel()])[(rows**2 + cols**2 <= radius_px**2).ravel()]
    return _inside((centres[:, None] + disc).reshape(-1, 3), side)


def _inside(pixels: Pixels, side: int) -> Pixels:
    seen = ((pixels[:, 1:] >= 0) & (pixels[:, 1:] < side)).all(axis=1)
    return pixels[seen]


def _of_patches(pixels: Pixels, start: int, stop: int) -> Pixels:
    first, last = np.searchsorted(pixels[:, 0], [start, stop])
    return pixels[first:last] - (start, 0, 0)
