"""Tests of `nuclick_qp.segmentation.overlaps`."""

from dataclasses import replace

import numpy as np
import pytest

from nuclick_qp.geometry import Window
from nuclick_qp.prompts import Plane, Prompt, click_at
from nuclick_qp.segmentation.overlaps import Candidate, settle_overlaps, soft_iou


def _candidate(prompt: Prompt, left: float, probability: float, *, scale: float = 1.0, is_sure: bool = True) -> Candidate:
    """Give a square of 10 x 10 px full of object."""
    full = np.full((10, 10), probability, np.float32)
    marker = np.zeros((10, 10), bool)
    marker[5, 5] = True
    return Candidate(prompt, Window(left, 0, 10, 10, scale), full, full > 0, marker, 0.5, is_sure=is_sure)


def test_an_uncertain_object_takes_nothing_from_a_sure_one() -> None:
    """However high its pixels: what is sure keeps them all, in either order."""
    sure, doubtful = _candidate(click_at(5, 5), 0, 0.6), _candidate(click_at(11, 5), 6, 0.9, is_sure=False)

    sure_mask, doubtful_mask = settle_overlaps([sure, doubtful])
    swapped = settle_overlaps([doubtful, sure])

    assert sure_mask.sum() == swapped[1].sum() == 100
    assert doubtful_mask.sum() == swapped[0].sum() == 60


def test_expected_overlap_counts_what_lies_inside_and_beside() -> None:
    """Half of 100 px at 0.8, with the other half at 0.4 beside it: 40 of 50 + 20. What another prompt got counts for nothing."""
    candidate = _candidate(click_at(5, 5), 0, 0.8)
    candidate.probability[:, 5:] = 0.4
    candidate = replace(candidate, mask=candidate.probability > 0.5)
    left = candidate.mask & (np.arange(10) < 2)

    assert soft_iou(candidate, candidate.mask) == pytest.approx(40 / 70)
    assert soft_iou(candidate, left) == pytest.approx(16 / 40)


def test_higher_probability_gets_the_shared_pixels() -> None:
    """Columns 6 to 9 of the first are columns 0 to 3 of the second."""
    weak, strong = _candidate(click_at(5, 5), 0, 0.6), _candidate(click_at(11, 5), 6, 0.8)

    weak_mask, strong_mask = settle_overlaps([weak, strong])

    assert strong_mask.all()
    assert weak_mask[:, :6].all()
    assert not weak_mask[:, 6:].any()


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 2, 0)])
def test_order_makes_no_difference(order: tuple[int, int, int]) -> None:
    """Three that overlap, two of them equally sure: every pixel has one owner, always the same."""
    candidates = [_candidate(click_at(5, 5), 0, 0.7), _candidate(click_at(9, 5), 4, 0.7), _candidate(click_at(13, 5), 8, 0.9)]
    expected = [mask.copy() for mask in settle_overlaps(candidates)]

    masks = settle_overlaps([candidates[i] for i in order])

    for place, i in enumerate(order):
        assert np.array_equal(masks[place], expected[i])
    owners = np.zeros(20)
    for candidate, mask in zip(candidates, expected, strict=True):
        owners[int(candidate.window.x) : int(candidate.window.x) + 10] += mask[0]
    assert owners[:18].tolist() == [1] * 18


def test_equal_prompts_leave_one_owner() -> None:
    """Two prompts with one key, one probability: the first keeps all, the second nothing."""
    first, second = settle_overlaps([_candidate(click_at(5, 5), 0, 0.7), _candidate(click_at(5, 5), 0, 0.7)])

    assert first.all()
    assert not second.any()


def test_kinds_and_planes_do_not_compete() -> None:
    """A nucleus takes nothing from its gland, nor from an object on another plane."""
    nucleus = _candidate(click_at(5, 5), 0, 0.9)
    gland = _candidate(Prompt("line", (((2.0, 2.0), (8.0, 8.0)),)), 0, 0.6)
    above = _candidate(click_at(5, 5, plane=Plane(z=1)), 0, 0.6)

    assert all(mask.all() for mask in settle_overlaps([nucleus, gland, above]))


def test_patches_of_different_scale_compete_by_place() -> None:
    """A pixel of 2 x 2 px is lost when its centre lies in the other's mask."""
    fine, coarse = _candidate(click_at(5, 5), 0, 0.9), _candidate(click_at(11, 5), 0, 0.6, scale=2.0)

    _, mask = settle_overlaps([fine, coarse])

    assert not mask[:5, :5].any()
    assert mask.sum() == 100 - 25


def test_nothing_comes_of_nothing() -> None:
    """No candidates, no masks."""
    assert settle_overlaps([]) == []
