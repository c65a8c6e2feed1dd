"""Tests of `nuclick_qp.guidance.simulated`."""

import numpy as np
import pytest
from scipy import ndimage
from skimage.draw import disk

from nuclick_qp.guidance.simulated import (
    centroid_click,
    distance_inside,
    label_centroids,
    random_inner_click,
    random_squiggle,
    skeleton_squiggle,
)


@pytest.fixture
def ring() -> np.ndarray[tuple[int, int], np.dtype[np.bool_]]:
    """Draw a ring: outer radius 30, inner radius 12, in the middle of 80 x 80."""
    mask = np.zeros((80, 80), bool)
    mask[disk((40, 40), 30)] = True
    mask[disk((40, 40), 12)] = False
    return mask


def test_inner_clicks_keep_their_distance_from_the_boundary() -> None:
    """Koohbanani 2020: at least 2 px from the boundary; and they vary."""
    mask = np.zeros((40, 40), bool)
    mask[disk((20, 20), 8)] = True
    rng = np.random.default_rng(0)

    clicks = [random_inner_click(mask, rng) for _ in range(200)]

    assert min(distance_inside(mask)[click] for click in clicks) >= 2
    assert len(set(clicks)) > 50


def test_thin_objects_are_clicked_where_they_are_thickest() -> None:
    """A line of one pixel has no place 2 px inside, yet it gets its click."""
    mask = np.zeros((9, 9), bool)
    mask[4, 2:7] = True

    row, col = random_inner_click(mask, np.random.default_rng(1))

    assert mask[row, col]


def test_clicks_repeat_with_their_seed() -> None:
    """All randomness comes from the generator."""
    mask = np.ones((30, 30), bool)

    one, two = (random_inner_click(mask, np.random.default_rng(7)) for _ in range(2))

    assert one == two


def test_centroid_click_moves_inside(ring: np.ndarray[tuple[int, int], np.dtype[np.bool_]]) -> None:
    """The centroid of a ring lies in its hole; the click lies on the ring's inner edge."""
    row, col = centroid_click(ring)

    assert ring[row, col]
    assert np.hypot(row - 40, col - 40) == pytest.approx(12, abs=0.5)


def test_label_centroids_give_one_click_per_object() -> None:
    """Gaps in the numbering are left out."""
    labels = np.zeros((20, 30), np.int32)
    labels[2:7, 3:8], labels[10:13, 20:29] = 1, 3

    assert label_centroids(labels).tolist() == [[1, 4, 5], [3, 11, 24]]


def test_random_squiggles_stay_inside_and_differ(ring: np.ndarray[tuple[int, int], np.dtype[np.bool_]]) -> None:
    """A squiggle never crosses the boundary nor the hole, and no two draws are alike."""
    rng = np.random.default_rng(3)

    squiggles = [random_squiggle(ring, rng) for _ in range(20)]

    assert all(squiggle.any() and not (squiggle & ~ring).any() for squiggle in squiggles)
    assert len({squiggle.tobytes() for squiggle in squiggles}) > 5


def test_squiggle_of_two_joined_discs_may_fall_apart() -> None:
    """Shrinking takes a dumb-bell apart: several strokes for one gland."""
    mask = np.zeros((60, 100), bool)
    mask[disk((30, 25), 20)] = True
    mask[disk((30, 75), 20)] = True
    mask[28:32, 40:60] = True
    rng = np.random.default_rng(0)

    strokes = {int(ndimage.label(random_squiggle(mask, rng), np.ones((3, 3)))[1]) for _ in range(20)}

    assert {1, 2} <= strokes


def test_skeleton_goes_round_a_hole(ring: np.ndarray[tuple[int, int], np.dtype[np.bool_]]) -> None:
    """The skeleton of a ring is a closed curve: it parts the hole from the outside."""
    skeleton = skeleton_squiggle(ring)

    _, regions = ndimage.label(~skeleton)

    assert regions == 2
    assert not (skeleton & ~ring).any()


def test_squiggle_of_a_single_pixel_is_that_pixel() -> None:
    """The smallest object still gets a signal."""
    mask = np.zeros((5, 5), bool)
    mask[2, 3] = True

    assert np.argwhere(random_squiggle(mask, np.random.default_rng(0))).tolist() == [[2, 3]]
