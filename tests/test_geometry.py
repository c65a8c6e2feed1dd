"""Tests of `nuclick_qp.geometry`."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nuclick_qp.geometry import Window

coordinates = st.floats(-1e5, 1e5)


@given(x=coordinates, y=coordinates, scale=st.floats(0.01, 64), px=coordinates, py=coordinates)
def test_there_and_back_is_the_same_place(x: float, y: float, scale: float, px: float, py: float) -> None:
    """Slide to window to slide gives the coordinates that went in."""
    window = Window(x, y, 10, 10, scale)

    assert window.to_slide(window.to_window((px, py))) == pytest.approx((px, py), abs=1e-6)


def test_pixel_covers_half_open_square() -> None:
    """The left and upper border belong to a pixel, the right and lower to the next."""
    window = Window(10, 20, 4, 3, 2.0)

    assert window.to_array([(10, 20), (11.99, 21.99), (12, 22)]).tolist() == [[0, 0], [0, 0], [1, 1]]
    assert window.contains([(10, 20), (17.99, 25.99), (18, 25), (17, 26), (9.99, 20)]).tolist() == [True, True, False, False, False]


def test_part_shows_the_same_place() -> None:
    """Array element [r, c] of a part is [row + r, col + c] of the whole."""
    whole = Window(5, 7, 50, 40, 1.5)
    part = whole.part(10, 20, 8, 6)

    assert part.slide_box == (20.0, 37.0, 32.0, 46.0)
    assert np.array_equal(np.add(part.to_array((23.1, 40.2)), (20, 10)), whole.to_array((23.1, 40.2)))


@pytest.mark.parametrize("wrong", [(0, 5, 1.0), (5, 0, 1.0), (5, 5, 0.0), (5, 5, float("nan"))])
def test_empty_windows_are_refused(wrong: tuple[int, int, float]) -> None:
    """A window has at least one pixel and a positive scale."""
    with pytest.raises(ValueError, match=r"empty|positive"):
        Window(0, 0, wrong[0], wrong[1], wrong[2])
