"""Tests of `nuclick_qp.evaluation.baselines.classic`, on drawn discs: what each method can do, and how it fails."""

import sys

import numpy as np
import pytest
from numpy.typing import NDArray
from skimage.draw import disk

from nuclick_qp.errors import NuClickError, OptionError
from nuclick_qp.evaluation.baselines.classic import ActiveContour, GrabCut, RegionGrowing, Watershed
from nuclick_qp.evaluation.baselines.method import Method, Pair
from nuclick_qp.evaluation.metrics import score

SHAPE = 120, 160
APART = {3: (35, 40, 14), 7: (75, 110, 20), 12: (95, 30, 9)}  # label: row, col, radius
TOUCHING = {3: (60, 40, 8), 7: (60, 66, 20)}  # of one colour, joined along some pixels
ABLE: list[Method] = [Watershed("otsu", "edges"), Watershed("otsu", "depth", "red", 1.0), RegionGrowing(), ActiveContour()]
ALL: list[Method] = [*ABLE, Watershed(), GrabCut(), GrabCut(squiggle=True, strip_px=5)]


@pytest.mark.parametrize("method", [*ABLE, GrabCut(), GrabCut(squiggle=True)], ids=str)
def test_discs_apart_are_segmented_under_the_numbers_of_the_truth(method: Method) -> None:
    """On a noisy ground each disc is found almost to the pixel, by the figures of `evaluate`."""
    image, truth = draw(APART)

    found = method.segment(image, truth)

    assert found.dtype == np.int32
    assert set(np.unique(found).tolist()) == {0, *APART}
    assert min(ious(truth, found).values()) > 0.95
    assert score(truth, found).aji > 0.95


def test_a_watershed_without_ground_fills_the_image() -> None:
    """The paper names no marker for the background, so every pixel goes to a disc."""
    image, truth = draw(APART)

    found = Watershed().segment(image, truth)

    assert (found > 0).all()
    assert score(truth, found).aji < 0.2


def test_a_watershed_by_edges_cuts_touching_discs_wrong_and_by_depth_right() -> None:
    """There is no edge where two discs of one colour touch, only noise; the distance to the ground has a saddle there."""
    image, truth = draw(TOUCHING)

    by_edges, by_depth = (Watershed("otsu", cut).segment(image, truth) for cut in ("edges", "depth"))

    assert ious(truth, by_edges)[3] < 0.5
    assert ((by_edges > 0) != (truth > 0)).mean() < 0.001  # the ground is right, but for single pixels of noise
    assert min(ious(truth, by_depth).values()) > 0.9


@pytest.mark.parametrize("method", [RegionGrowing(), ActiveContour()], ids=str)
def test_a_small_disc_runs_into_the_large_one_that_it_touches(method: Method) -> None:
    """Both clicks reach the pixels between them, so the border lies half way, which is inside the larger disc."""
    image, truth = draw(TOUCHING)

    found = method.segment(image, truth)

    assert ((truth == 7) & (found == 3)).sum() > 100
    assert ious(truth, found)[3] < 0.6
    assert ious(truth, found)[7] > 0.8


@pytest.mark.parametrize("method", [Watershed("otsu", "depth"), RegionGrowing(), ActiveContour()], ids=str)
def test_a_neighbour_without_a_click_is_swallowed(method: Method) -> None:
    """Nothing but another click ever stops one of these at a border between equal colours."""
    image, truth = draw(TOUCHING)
    alone = np.where(truth == 3, truth, 0)

    found = method.segment(image, alone)

    assert ((truth == 7) & (found == 3)).sum() > 400
    assert ious(alone, found)[3] < 0.3


def test_grabcut_loses_a_small_disc_to_the_large_one_that_it_touches() -> None:
    """Its colour goes on outside its box, with no edge between, so it is ground; the large disc is hardly disturbed."""
    image, truth = draw(TOUCHING)

    found = GrabCut().segment(image, truth)

    assert 3 not in found
    assert ious(truth, found)[7] > 0.95


def test_grabcut_learns_its_ground_from_the_strip_round_the_box() -> None:
    """What is further away changes nothing; with the whole image as ground it does, here by noise of all colours."""
    image, truth = draw({2: (60, 80, 20)})
    shown = slice(41 - 5, 80 + 5), slice(61 - 5, 100 + 5)  # the box and 5 px round it
    noisy = np.random.default_rng(1).integers(0, 256, image.shape, np.uint8)
    noisy[shown] = image[shown] // 2 + noisy[shown] // 2

    by_strip, by_image = (GrabCut(strip_px=strip).segment(noisy, truth) for strip in (5, None))
    cut = GrabCut().segment(noisy[shown], truth[shown])

    assert np.array_equal(by_strip[shown], cut)
    assert not np.array_equal(by_image, by_strip)


def test_region_growing_ends_after_its_iterations() -> None:
    """Thirty layers of pixels at most: a large disc is not filled, and more iterations fill it."""
    image, truth = draw({1: (60, 80, 50)})

    found, filled = (RegionGrowing(iterations).segment(image, truth) for iterations in (30, 100))

    rows, cols = np.nonzero(found)
    assert (abs(rows - 60) + abs(cols - 80)).max() == 30
    assert ious(truth, filled)[1] > 0.99


@pytest.mark.parametrize("method", ABLE, ids=str)
def test_a_ring_is_clicked_on_the_ring(method: Method) -> None:
    """Its centroid lies in the hole, from where nothing could be found; the nearest of its pixels is clicked instead."""
    image, truth = draw({5: (60, 80, 11)}, hole=(60, 80, 5))

    found = method.segment(image, truth)

    assert found[60, 80] == 0
    assert ious(truth, found)[5] > 0.7


@pytest.mark.parametrize("method", ALL, ids=str)
@pytest.mark.parametrize("discs", [{}, {2: (0, 0, 9), 9: (119, 159, 9)}, {1: (60, 80, 1)}, {4: (60, 80, 200)}], ids=str)
def test_odd_truths_give_labels_of_the_truth(method: Method, discs: dict[int, tuple[int, int, int]]) -> None:
    """No object, objects in corners, one of a single pixel, and one that fills the image."""
    image, truth = draw(discs)

    found = method.segment(image, truth)

    assert found.shape == truth.shape
    assert set(np.unique(found).tolist()) <= {0, *discs}


@pytest.mark.parametrize("method", ALL, ids=str)
def test_a_result_depends_on_image_and_truth_alone(method: Method) -> None:
    """Twice the same gives the same, and neither of them is changed."""
    image, truth = draw(TOUCHING)
    before = image.copy(), truth.copy()

    first, second = (method.segment(image, truth) for _ in range(2))

    assert np.array_equal(first, second)
    assert np.array_equal(image, before[0])
    assert np.array_equal(truth, before[1])


def test_the_distance_to_no_ground_is_refused() -> None:
    """A watershed that fills the image has no depth."""
    with pytest.raises(OptionError, match="give ground='otsu'"):
        Watershed("flooded", "depth")


def test_missing_opencv_is_told_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only GrabCut needs it, and says what brings it."""
    monkeypatch.setitem(sys.modules, "cv2", None)
    image, truth = draw(APART)

    with pytest.raises(NuClickError, match=r"GrabCut needs OpenCV.*nuclick-qp\[tables\]"):
        GrabCut().segment(image, truth)


def draw(discs: dict[int, tuple[int, int, int]], hole: tuple[int, int, int] | None = None) -> Pair:
    """Draw violet discs on a noisy pink ground, the later over the earlier."""
    truth = np.zeros(SHAPE, np.int32)
    for label, (row, col, radius) in discs.items():
        truth[disk((row, col), radius, shape=SHAPE)] = label
    if hole is not None:
        truth[disk(hole[:2], hole[2])] = 0
    colours = np.where(truth[..., None] > 0, (110, 70, 150), (230, 215, 225))
    return (colours + np.random.default_rng(0).normal(0, 8, (*SHAPE, 3))).clip(0, 255).astype(np.uint8), truth


def ious(truth: NDArray[np.int32], found: NDArray[np.int32]) -> dict[int, float]:
    """Give the overlap of each object of the truth with the one of the same number."""
    return {
        number: float(((truth == number) & (found == number)).sum() / ((truth == number) | (found == number)).sum())
        for number in np.unique(truth[truth > 0]).tolist()
    }
