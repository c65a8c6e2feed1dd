"""Tests of `nuclick_qp.evaluation.tables.intervals`: means over images and differences on the same images."""

import math

import numpy as np
import pytest

from nuclick_qp.evaluation.tables.intervals import Interval, difference_interval, mean_interval


@pytest.mark.parametrize(("images", "least"), [(40, 0.90), (7, 0.80)])
def test_intervals_hold_a_known_mean(images: int, least: float) -> None:
    """Of 200 drawn sets of 40 images 95 % in the mean, sd 1.5 points; of 7 images fewer, as the docstring says, but most."""
    rng = np.random.default_rng(16)

    held = 0
    for _ in range(200):
        interval = mean_interval(rng.normal(0.8, 0.05, images).tolist())
        assert interval.low is not None
        assert interval.high is not None
        held += interval.low <= 0.8 <= interval.high

    assert least <= held / 200 <= 0.99


def test_pairs_tell_apart_what_means_do_not() -> None:
    """Images differ by .2, methods by .01 in each: their intervals overlap, that of the difference is narrow."""
    rng = np.random.default_rng(1)
    hard = rng.uniform(0.5, 0.9, 14)
    one, other = hard + 0.01 + rng.normal(0, 0.002, 14), hard

    plain, paired = mean_interval(one.tolist()), difference_interval(one.tolist(), other.tolist())

    assert plain.low is not None
    assert plain.low < other.mean()
    assert paired.excludes_zero
    assert paired.mean == pytest.approx(0.01, abs=0.002)
    assert difference_interval(other.tolist(), one.tolist()).mean == pytest.approx(-paired.mean)


def test_difference_is_that_of_images_and_not_of_order() -> None:
    """Figures are paired by place, so the caller's order matters for pairs and nothing for a mean."""
    one, other = [0.9, 0.5, 0.7], [0.8, 0.4, 0.6]

    assert mean_interval(one) == mean_interval(one[::-1])
    same, mixed = difference_interval(one, other), difference_interval(one, other[::-1])
    assert (same.mean, same.low, same.high) == pytest.approx((0.1, 0.1, 0.1))
    assert mixed.mean == pytest.approx(0.1)
    assert not mixed.excludes_zero


def test_one_image_has_no_interval() -> None:
    """It tells nothing of others, and no sign of a difference is sure."""
    assert mean_interval([0.8]) == Interval(0.8, None, None, 1)
    assert not difference_interval([0.8], [0.1]).excludes_zero


def test_equal_figures_have_an_interval_of_no_width() -> None:
    """As F1 of all glands; no warning, nothing that is not a number."""
    assert mean_interval([1.0] * 20) == Interval(1.0, 1.0, 1.0, 20)
    assert not difference_interval([0.7, 0.8], [0.7, 0.8]).excludes_zero


@pytest.mark.parametrize("values", [[], [0.5, math.nan], [math.inf]])
def test_what_has_no_mean_is_refused(values: list[float]) -> None:
    """No figures, or one that is none."""
    with pytest.raises(ValueError, match="at least one figure"):
        mean_interval(values)


def test_figures_of_other_images_are_not_paired() -> None:
    """Two lists of different length belong to different images."""
    with pytest.raises(ValueError, match="shorter"):
        difference_interval([0.5, 0.6], [0.5])
