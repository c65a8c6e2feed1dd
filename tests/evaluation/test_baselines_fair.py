"""Tests of `nuclick_qp.evaluation.baselines.fair`: settings chosen on training images."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray
from skimage.draw import disk

from nuclick_qp.errors import OptionError, TrainingDataError
from nuclick_qp.evaluation.baselines.classic import ActiveContour, GrabCut, RegionGrowing, Watershed
from nuclick_qp.evaluation.baselines.fair import (
    ACTIVE_CONTOURS,
    GRAB_CUTS,
    GRAB_CUTS_BY_SQUIGGLE,
    REGION_GROWINGS,
    WATERSHEDS,
    Chosen,
    best_of,
)
from nuclick_qp.evaluation.baselines.method import Method, Pair


class Grown:
    """A method of somebody else's: the truth, but for so many columns at the left."""

    def __init__(self, lost: int) -> None:
        self.lost = lost
        self.seen = 0

    def fit(self, images: Sequence[Pair]) -> None:
        self.seen += len(images)

    def segment(self, image: NDArray[np.uint8], truth: NDArray[np.int32]) -> NDArray[np.int32]:
        return np.where(np.arange(truth.shape[1]) < self.lost, 0, truth).astype(np.int32)


@pytest.mark.parametrize(
    ("candidates", "of_the_paper"),
    [(WATERSHEDS, Watershed()), (REGION_GROWINGS, RegionGrowing()), (ACTIVE_CONTOURS, ActiveContour()), (GRAB_CUTS, GrabCut())],
)
def test_lists_begin_with_the_settings_of_the_paper_and_try_nothing_twice(candidates: Sequence[Method], of_the_paper: Method) -> None:
    """Fair settings are never worse on the training images than the paper's are there."""
    assert candidates[0] == of_the_paper
    assert len(set(candidates)) == len(candidates)


def test_with_a_squiggle_the_settings_of_grabcut_are_the_same() -> None:
    """Box alone, and box and squiggle, differ in the prompt and in nothing else."""
    assert not any(cut.squiggle for cut in GRAB_CUTS)
    assert tuple(replace(cut, squiggle=True) for cut in GRAB_CUTS) == GRAB_CUTS_BY_SQUIGGLE


def test_region_growing_may_go_further_than_the_paper_lets_it() -> None:
    """A disc of 45 px in radius is out of reach of 30 steps, and settings that reach its border are chosen."""
    truth = np.zeros((120, 120), np.int32)
    truth[disk((60, 60), 45)] = 1
    image = np.where(truth[..., None] > 0, (110, 70, 150), (230, 215, 225)).astype(np.uint8)
    method = Chosen(REGION_GROWINGS)

    method.fit([(image, truth)])

    assert isinstance(method.best, RegionGrowing)
    assert method.best.iterations == 60


def test_the_best_on_training_images_segments_the_others() -> None:
    """All candidates are fitted, and the one with the greatest mean AJI is taken."""
    candidates = [Grown(40), Grown(10), Grown(20)]
    method = Chosen(candidates)

    method.fit([pair(), pair()])

    assert method.best is candidates[1]
    assert [candidate.seen for candidate in candidates] == [2, 2, 2]
    image, truth = pair()
    assert np.array_equal(method.segment(image, truth), candidates[1].segment(image, truth))


def test_of_equals_the_first_is_taken() -> None:
    """So the paper's settings stay where no other does better."""
    first, second = Grown(5), Grown(5)

    assert best_of([first, second], [pair()]) is first


def test_a_watershed_learns_that_there_is_a_ground() -> None:
    """On a drawn image the settings of the paper fill all of it, and others are chosen."""
    method = Chosen(WATERSHEDS)

    method.fit([pair()])

    assert isinstance(method.best, Watershed)
    assert method.best.ground == "otsu"


def test_nothing_is_chosen_without_training_images_or_before_them() -> None:
    """Both are refused, and no setting is taken silently."""
    method = Chosen(WATERSHEDS)

    with pytest.raises(OptionError, match="fit the method"):
        method.segment(*pair())
    with pytest.raises(TrainingDataError, match="no training images"):
        method.fit([])


def pair() -> Pair:
    """Draw two dark discs on a light noisy ground."""
    truth = np.zeros((80, 100), np.int32)
    truth[disk((40, 25), 15)] = 1
    truth[disk((40, 75), 18)] = 2
    colours = np.where(truth[..., None] > 0, (110, 70, 150), (230, 215, 225))
    return (colours + np.random.default_rng(1).normal(0, 8, (80, 100, 3))).clip(0, 255).astype(np.uint8), truth
