"""Tests of `nuclick_qp.segmentation.postprocess`."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from numpy.typing import NDArray
from scipy import ndimage
from skimage.draw import disk
from skimage.morphology import remove_small_holes

from nuclick_qp.prompts import Status
from nuclick_qp.segmentation.postprocess import (
    MaskRules,
    bounding_box,
    extract_best,
    extract_mask,
    fill_holes,
    is_plain,
    reconstruct,
    touches_edge,
)

RULES = MaskRules(threshold=0.5, min_object_px=50, max_hole_px=20)


def _scene(*discs: tuple[int, int, float]) -> NDArray[np.float32]:
    probability = np.full((64, 64), 0.1, np.float32)
    for row, col, radius in discs:
        probability[disk((row, col), radius)] = 0.9
    return probability


def _click(row: int, col: int) -> NDArray[np.bool_]:
    marker = np.zeros((64, 64), bool)
    marker[row, col] = True
    return marker


def test_only_the_marked_object_is_kept() -> None:
    """Morphological reconstruction: the neighbour is not what the user clicked on."""
    probability = _scene((20, 20, 8), (45, 45, 10))

    mask, status, _ = extract_mask(probability, _click(22, 22), rules=RULES)

    assert status is Status.OK
    assert np.array_equal(mask, _scene((20, 20, 8)) > 0.5)


def test_click_beside_an_object_is_outside_its_mask() -> None:
    """There is an object in the patch, but not under the click."""
    mask, status, detail = extract_mask(_scene((20, 20, 8)), _click(50, 50), rules=RULES)

    assert status is Status.OUTSIDE_OWN_MASK
    assert not mask.any()
    assert detail


@pytest.mark.parametrize("probability", [_scene(), _scene((32, 32, 1.5))])
def test_nothing_or_a_speck_is_empty(probability: NDArray[np.float32]) -> None:
    """Fewer than 10 px under a click are noise."""
    mask, status, _ = extract_mask(probability, _click(32, 32), rules=RULES)

    assert status is Status.EMPTY
    assert not mask.any()


def test_area_at_the_limit_counts() -> None:
    """10 px are enough under the prompt, 9 are not, whatever the model says of parts."""
    probability = np.zeros((64, 64), np.float32)
    probability[10:12, 10:15] = 0.9

    assert extract_mask(probability, _click(11, 12), rules=RULES)[1] is Status.OK
    probability[11, 14] = 0
    assert extract_mask(probability, _click(11, 12), rules=RULES)[1] is Status.EMPTY


def test_a_small_part_counts_where_there_is_no_larger_one() -> None:
    """Of two parts under two strokes the one below `min_object_px` goes; alone it is the object."""
    probability = _scene((20, 20, 8), (45, 45, 3))

    both, _, _ = extract_mask(probability, _click(20, 20) | _click(45, 45), rules=RULES)
    alone, _, _ = extract_mask(probability, _click(45, 45), rules=RULES)

    assert np.array_equal(both, _scene((20, 20, 8)) > 0.5)
    assert np.array_equal(alone, _scene((45, 45, 3)) > 0.5)


def test_the_best_object_reaches_to_half_of_the_probability_under_the_prompt() -> None:
    """However low that is: 2e-6 on a ground of 1e-7."""
    probability = np.where(_scene((20, 20, 8)) > 0.5, np.float32(2e-6), np.float32(1e-7))

    best = extract_best(probability, _click(22, 22), rules=RULES)

    assert best is not None
    assert best[1] == pytest.approx(1e-6)
    assert np.array_equal(best[0], _scene((20, 20, 8)) > 0.5)


def test_the_best_object_ends_within_the_patch() -> None:
    """A disc at 0.03 on a ground of 0.02 stands out at 0.7 of its probability only; an even patch has none, nor has one of zeros."""
    probability = np.where(_scene((20, 20, 8)) > 0.5, np.float32(0.03), np.float32(0.02))

    best = extract_best(probability, _click(20, 20), rules=RULES)

    assert best is not None
    assert best[0].sum() == (_scene((20, 20, 8)) > 0.5).sum()
    assert extract_best(np.full_like(probability, 0.02), _click(20, 20), rules=RULES) is None
    assert extract_best(np.zeros_like(probability), _click(20, 20), rules=RULES) is None


def test_small_holes_are_filled_and_large_ones_stay() -> None:
    """A hole up to `max_hole_px` is noise; a larger one is a lumen."""
    probability = _scene((32, 32, 20))
    probability[25:28, 25:28] = 0.1
    probability[35:42, 35:42] = 0.1

    mask, _, _ = extract_mask(probability, _click(32, 24), rules=RULES)

    assert mask[25:28, 25:28].all()
    assert not mask[35:42, 35:42].any()


def test_squiggle_of_two_strokes_keeps_both_parts() -> None:
    """Every part that a stroke touches belongs to the object."""
    probability = _scene((20, 20, 8), (45, 45, 8))

    mask, status, _ = extract_mask(probability, _click(20, 20) | _click(45, 45), rules=RULES)

    assert status is Status.OK
    assert np.array_equal(mask, probability > 0.5)


def test_diagonal_neighbours_are_two_objects() -> None:
    """Objects are 4-connected: a shared corner joins nothing."""
    probability = np.zeros((64, 64), np.float32)
    probability[10:20, 10:20] = probability[20:30, 20:30] = 0.9

    mask, _, _ = extract_mask(probability, _click(15, 15), rules=RULES)

    assert mask.sum() == 100


def test_edge_is_noticed_on_each_side() -> None:
    """An object that reaches the border of the patch may go on beyond it."""
    for place in [(0, 30), (63, 30), (30, 0), (30, 63)]:
        assert touches_edge(_click(*place))
    assert not touches_edge(_click(1, 62))


@given(arrays(np.bool_, array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=7)))
def test_what_is_plain_is_one_part_without_holes(mask: NDArray[np.bool_]) -> None:
    """By labels of the mask and of what lies round it; and a rectangle is plain."""
    box = bounding_box(mask) if mask.any() else (slice(None), slice(None))
    if is_plain(mask[box]):
        assert ndimage.label(mask[box])[1] == 1
        assert ndimage.label(~np.pad(mask[box], 1))[1] == 1
    assert is_plain(np.ones((3, 4), np.bool_))


@given(arrays(np.bool_, (9, 11)), st.integers(0, 12))
def test_holes_up_to_a_size_are_filled(mask: NDArray[np.bool_], max_hole_px: int) -> None:
    """As in an image that is much larger than the object, whatever its shape."""
    expected = remove_small_holes(np.pad(mask, 20), max_size=max_hole_px, connectivity=1)[20:-20, 20:-20]

    assert np.array_equal(fill_holes(mask.copy(), max_hole_px=max_hole_px), expected)


def test_the_frame_round_a_small_object_is_no_hole() -> None:
    """What is cut out for one of 4 px has 12 px round it: fewer than the holes that are filled."""
    mask = np.zeros((4, 4), np.bool_)
    mask[1:3, 1:3] = True

    found, status, _ = reconstruct(mask, mask, rules=MaskRules(min_object_px=1, max_hole_px=64))

    assert status is Status.OK
    assert np.array_equal(found, mask)
