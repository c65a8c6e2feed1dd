"""Tests of `nuclick_qp.guidance.simulated`."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray
from scipy import ndimage
from skimage.draw import disk
from skimage.morphology import skeletonize

from nuclick_qp.geometry import Window
from nuclick_qp.guidance.simulated import (
    centroid_click,
    click_places,
    distance_inside,
    label_centroids,
    random_squiggle,
    skeleton_squiggle,
    skeleton_strokes,
)
from nuclick_qp.prompts import Prompt
from signals_one_by_one import inclusion_map


@pytest.fixture
def ring() -> np.ndarray[tuple[int, int], np.dtype[np.bool_]]:
    """Draw a ring: outer radius 30, inner radius 12, in the middle of 80 x 80."""
    mask = np.zeros((80, 80), bool)
    mask[disk((40, 40), 30)] = True
    mask[disk((40, 40), 12)] = False
    return mask


def test_clicks_keep_their_distance_from_the_boundary() -> None:
    """Koohbanani 2020: all pixels 2 px or more from the nearest one outside, and no other; neighbours and the border are outside."""
    labels = np.zeros((40, 50), np.int32)
    labels[disk((20, 20), 9)] = 1
    labels[disk((20, 38), 9)] = 3  # touches the first
    labels[0:8, 0:8] = 4

    places = click_places(labels)

    for number in (1, 3, 4):
        found = places[places[:, 0] == number, 1:]
        assert found.tolist() == np.argwhere(distance_inside(labels == number) >= 2).tolist()
    assert (np.diff(places[:, 0]) >= 0).all()


@pytest.mark.parametrize("thickness", [1, 2, 3])
def test_thin_objects_are_clicked_where_they_are_thickest(thickness: int) -> None:
    """A bar that is too thin for a margin of 2 px, thinner still at one end, is clicked along its thicker part."""
    labels = np.zeros((9, 12), np.int32)
    labels[4 : 4 + thickness, 2:7] = labels[4, 7:10] = 1
    depth = distance_inside(labels == 1)

    places = click_places(labels)

    assert places[:, 1:].tolist() == np.argwhere(depth >= min(2.0, depth.max())).tolist()


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


def test_squiggles_repeat_with_their_seed(ring: np.ndarray[tuple[int, int], np.dtype[np.bool_]]) -> None:
    """All randomness comes from the generator."""
    one, two, other = (random_squiggle(ring, np.random.default_rng(seed)) for seed in (7, 7, 8))

    assert np.array_equal(one, two)
    assert not np.array_equal(one, other)


EIGHT = np.ones((3, 3), bool)


def _drawn(strokes: list[NDArray[np.intp]], shape: tuple[int, int], *, zoom: int = 1) -> NDArray[np.bool_]:
    """Draw strokes through the centres of pixels as the inclusion signal of a patch of the same or a finer grid."""
    lines = tuple(tuple((col + 0.5, row + 0.5) for row, col in stroke.tolist()) for stroke in strokes)
    window = Window(0, 0, zoom * shape[1], zoom * shape[0], 1 / zoom)
    return inclusion_map(Prompt("line", lines), window) > 0


def _picture(*rows: str) -> NDArray[np.bool_]:
    return np.array([[letter == "#" for letter in row] for row in rows])


@pytest.mark.parametrize(
    ("skeleton", "lengths"),
    [
        (_picture("....", ".#..", "...."), [2]),
        (_picture("#...", ".##.", "...#"), [4]),
        (_picture("#..#", "#..#", "#..#"), [3, 3]),
        (_picture(".##.", "#..#", ".##."), [7]),
        (_picture("..#..", "..#..", "#####"), [3, 5]),
        (_picture("#...#", ".#.#.", "..#..", ".#.#.", "#...#"), [5, 5]),
        (_picture("..#.#", ".#.#.", "..#.."), [6]),
    ],
    ids=["pixel", "curve", "two parts", "loop", "branch", "crossing", "loop with a tail"],
)
def test_strokes_are_as_few_as_a_hand_needs(skeleton: NDArray[np.bool_], lengths: list[int]) -> None:
    """A pixel is a dot, a loop comes back to its start, a branch begins where it leaves the stem."""
    assert sorted(len(stroke) for stroke in skeleton_strokes(skeleton)) == lengths


blobs = hnp.arrays(np.bool_, st.tuples(st.integers(3, 30), st.integers(3, 30)), elements=st.booleans()).map(
    lambda noise: ndimage.binary_opening(ndimage.binary_dilation(noise, iterations=1), iterations=1)
)


@given(st.one_of(blobs, hnp.arrays(np.bool_, (7, 8), elements=st.booleans())), st.booleans())
@settings(max_examples=150, deadline=None)
def test_drawing_the_strokes_gives_the_skeleton(mask: NDArray[np.bool_], thin: bool) -> None:
    """Every pixel and no other, by steps to neighbours; this holds for masks that are not thin as well."""
    skeleton = skeletonize(np.pad(mask, 1)) if thin else mask

    strokes = skeleton_strokes(skeleton)

    assert all(stroke.shape[0] >= 2 and np.abs(np.diff(stroke, axis=0)).max() <= 1 for stroke in strokes)
    assert np.array_equal(_drawn(strokes, skeleton.shape), skeleton) if strokes else not skeleton.any()


@given(blobs)
@settings(max_examples=50, deadline=None)
def test_strokes_have_no_gaps_on_a_finer_grid(mask: NDArray[np.bool_]) -> None:
    """An image that is coarser than the network's pixels: what hung together still does, and nothing else."""
    skeleton = skeletonize(np.pad(mask, 1))
    strokes = skeleton_strokes(skeleton)
    if strokes:
        zoomed = _drawn(strokes, skeleton.shape, zoom=4)

        assert ndimage.label(zoomed, EIGHT)[1] == ndimage.label(skeleton, EIGHT)[1]


def test_strokes_close_a_ring(ring: NDArray[np.bool_]) -> None:
    """One stroke that parts the hole from the outside on a finer grid, too."""
    (stroke,) = skeleton_strokes(skeleton_squiggle(ring))

    assert stroke[0].tolist() == stroke[-1].tolist()
    assert ndimage.label(~_drawn([stroke], ring.shape, zoom=4))[1] == 2


def test_no_skeleton_has_no_strokes() -> None:
    """Nothing to draw."""
    assert skeleton_strokes(np.zeros((4, 4), bool)) == []
