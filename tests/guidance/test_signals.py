"""Tests of `nuclick_qp.guidance.signals`."""

import numpy as np
import pytest

from nuclick_qp.errors import PromptError
from nuclick_qp.geometry import Window
from nuclick_qp.guidance.signals import build_inputs, exclusion_map, inclusion_map
from nuclick_qp.prompts import Prompt, click_at


def test_click_marks_the_pixel_that_it_lies_in() -> None:
    """Pixel [row, col] covers [col, col + 1) x [row, row + 1) of the window frame."""
    signal = inclusion_map(click_at(107.9, 52.0), Window(100, 50, 16, 8, scale=2.0))

    assert signal.shape == (8, 16)
    assert np.argwhere(signal).tolist() == [[1, 3]]


def test_click_may_mark_a_disc() -> None:
    """All pixels whose centres lie within the radius of the clicked one; a squiggle stays a line."""
    window = Window(0, 0, 16, 16)

    signal = inclusion_map(click_at(8.5, 6.5), window, click_radius_px=3)
    cut_off = inclusion_map(click_at(0.5, 0.5), window, click_radius_px=3)
    stroke = Prompt("line", (((2.5, 2.5), (9.5, 2.5)),))

    rows, cols = np.mgrid[:16, :16]
    assert np.array_equal(signal > 0, (rows - 6) ** 2 + (cols - 8) ** 2 <= 9)
    assert np.array_equal(cut_off > 0, rows**2 + cols**2 <= 9)
    assert np.array_equal(inclusion_map(stroke, window, click_radius_px=3), inclusion_map(stroke, window))


def test_discs_of_neighbours_keep_off_the_own_disc() -> None:
    """Where two discs overlap the pixel belongs to the wanted object."""
    window = Window(0, 0, 16, 16)
    own = inclusion_map(click_at(5.5, 8.5), window, click_radius_px=3)

    signal = exclusion_map(np.array([[9.5, 8.5]]), own, window, click_radius_px=3)

    rows, cols = np.mgrid[:16, :16]
    assert np.array_equal(signal > 0, ((rows - 8) ** 2 + (cols - 9) ** 2 <= 9) & (own == 0))


def test_squiggle_is_an_unbroken_line() -> None:
    """Every pixel of a stroke has a neighbour; both strokes are drawn."""
    prompt = Prompt("line", (((2.5, 2.5), (12.5, 7.5)), ((20.5, 20.5), (20.5, 25.5))))

    signal = inclusion_map(prompt, Window(0, 0, 32, 32))

    assert signal[2, 2] == signal[7, 12] == signal[20, 20] == signal[25, 20] == 1
    assert signal.sum() == 11 + 6


def test_squiggle_is_cut_at_the_border_of_the_patch() -> None:
    """What lies outside is left out, without an error while some of it is inside."""
    signal = inclusion_map(Prompt("line", (((-10.0, 5.5), (40.0, 5.5)),)), Window(0, 0, 32, 32))

    assert np.argwhere(signal).tolist() == [[5, col] for col in range(32)]


def test_prompt_outside_its_patch_is_an_error() -> None:
    """An inclusion map without a mark would ask for nothing."""
    with pytest.raises(PromptError, match="outside its patch"):
        inclusion_map(click_at(40, 5), Window(0, 0, 32, 32))


def test_exclusion_map_leaves_out_own_click_and_far_neighbours() -> None:
    """Neighbours count once per pixel, only inside the patch, never on the wanted pixel."""
    window = Window(0, 0, 32, 32)
    own = inclusion_map(click_at(10.2, 10.2), window)

    signal = exclusion_map(np.array([[10.7, 10.7], [20.1, 5.9], [20.2, 5.8], [32.0, 3.0], [-0.1, 3.0]]), own, window)

    assert np.argwhere(signal).tolist() == [[5, 20]]


def test_lone_click_has_an_empty_exclusion_map() -> None:
    """Koohbanani 2020, section 3.3.1: a zero map when only one object is clicked."""
    window = Window(0, 0, 32, 32)

    assert not exclusion_map(np.empty((0, 2)), inclusion_map(click_at(1, 1), window), window).any()


def test_inputs_are_scaled_pixels_with_both_signals() -> None:
    """Channels R, G, B in [0, 1], inclusion, exclusion."""
    pixels = np.zeros((1, 32, 32, 3), np.uint8)
    pixels[..., 0], pixels[..., 2] = 255, 51

    inputs = build_inputs(pixels, [click_at(3.5, 4.5)], windows=[Window(0, 0, 32, 32)], others_xy=[np.array([[8.5, 9.5]])])

    assert inputs.shape == (1, 5, 32, 32)
    assert inputs.dtype == np.float32
    assert inputs[0, :3, 0, 0].tolist() == pytest.approx([1.0, 0.0, 0.2])
    assert np.argwhere(inputs[0, 3]).tolist() == [[4, 3]]
    assert np.argwhere(inputs[0, 4]).tolist() == [[9, 8]]
