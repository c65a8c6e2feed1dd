"""Tests of `nuclick_qp.guidance.signals`: which pixels a prompt marks, and its neighbours."""

import numpy as np
import pytest
from numpy.typing import NDArray

from nuclick_qp.errors import PromptError
from nuclick_qp.geometry import Window
from nuclick_qp.guidance.signals import MarkedPatches, mark_patches
from nuclick_qp.prompts import Prompt, click_at

PATCH = Window(0, 0, 32, 32)


def _mark(prompt: Prompt, *others: tuple[float, float], window: Window = PATCH, radius: float = 0.0) -> MarkedPatches:
    pixels = np.zeros((1, window.height, window.width, 3), np.uint8)
    return mark_patches(pixels, [prompt], windows=[window], others_xy=[np.array(others).reshape(-1, 2)], click_radius_px=radius)


def _rows_and_cols(pixels: NDArray[np.intp]) -> list[list[int]]:
    return sorted(pixels[:, 1:].tolist())


def test_click_marks_the_pixel_that_it_lies_in() -> None:
    """Pixel [row, col] covers [col, col + 1) x [row, row + 1) of the window frame."""
    marked = _mark(click_at(107.9, 52.0), window=Window(100, 50, 16, 16, scale=2.0))

    assert _rows_and_cols(marked.inclusion) == _rows_and_cols(marked.under) == [[1, 3]]


def test_click_may_mark_a_disc() -> None:
    """All pixels whose centres lie within the radius of the clicked one, inside the patch; a squiggle stays a line."""
    rows, cols = np.mgrid[:32, :32]
    stroke = Prompt("line", (((2.5, 2.5), (9.5, 2.5)),))

    assert _rows_and_cols(_mark(click_at(8.5, 6.5), radius=3).inclusion) == np.argwhere((rows - 6) ** 2 + (cols - 8) ** 2 <= 9).tolist()
    assert _rows_and_cols(_mark(click_at(0.5, 0.5), radius=3).inclusion) == np.argwhere(rows**2 + cols**2 <= 9).tolist()
    assert _rows_and_cols(_mark(click_at(0.5, 0.5), radius=3).under) == [[0, 0]]
    assert _rows_and_cols(_mark(stroke, radius=3).inclusion) == [[2, col] for col in range(2, 10)]


def test_squiggle_is_an_unbroken_line() -> None:
    """Every pixel of a stroke has a neighbour; both strokes are drawn."""
    marked = _mark(Prompt("line", (((2.5, 2.5), (12.5, 7.5)), ((20.5, 20.5), (20.5, 25.5)))))

    found = _rows_and_cols(marked.inclusion)
    assert [2, 2] in found
    assert [7, 12] in found
    assert [[row, 20] for row in range(20, 26)] == found[-6:]
    assert len(found) == 11 + 6


def test_squiggle_is_cut_at_the_border_of_the_patch() -> None:
    """What lies outside is left out, without an error while some of it is inside."""
    marked = _mark(Prompt("line", (((-10.0, 5.5), (40.0, 5.5)),)))

    assert _rows_and_cols(marked.inclusion) == [[5, col] for col in range(32)]


def test_prompt_outside_its_patch_is_an_error() -> None:
    """An inclusion map without a mark would ask for nothing."""
    with pytest.raises(PromptError, match=r"point prompt at \(40, 5\) lies outside its patch"):
        _mark(click_at(40, 5))


def test_neighbours_outside_the_patch_are_left_out() -> None:
    """Those whose disc would reach into it as well."""
    marked = _mark(click_at(10.2, 10.2), (20.1, 5.9), (32.0, 3.0), (-0.1, 3.0), radius=1)

    assert _rows_and_cols(marked.exclusion) == [[4, 20], [5, 19], [5, 20], [5, 21], [6, 20]]


def test_lone_click_has_no_exclusion() -> None:
    """Koohbanani 2020, section 3.3.1: a zero map when only one object is clicked."""
    assert not len(_mark(click_at(1, 1)).exclusion)


def test_marks_of_several_patches_stay_with_theirs() -> None:
    """Clicks and squiggles in any order: a part has the marks of its own patches, counted from its first."""
    prompts = [click_at(1, 1), Prompt("line", (((5.5, 5.5), (6.5, 5.5)),)), click_at(3, 3)]
    others = [np.array([[9.5, 9.5]]), np.empty((0, 2)), np.array([[7.5, 8.5]])]
    marked = mark_patches(np.zeros((3, 32, 32, 3), np.uint8), prompts, windows=[PATCH] * 3, others_xy=others)

    assert marked.part(1, 3).inclusion.tolist() == [[0, 5, 5], [0, 5, 6], [1, 3, 3]]
    assert marked.part(1, 3).exclusion.tolist() == [[1, 8, 7]]
    assert marked.part(0, 1).under.tolist() == [[0, 1, 1]]
    assert len(marked.part(3, 3)) == 0
