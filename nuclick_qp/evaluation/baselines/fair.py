"""Fair settings: those that are best on training images, in place of those of the paper."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import product

import numpy as np
from numpy.typing import NDArray

from nuclick_qp.errors import OptionError, TrainingDataError
from nuclick_qp.evaluation.baselines.classic import ActiveContour, Channel, GrabCut, RegionGrowing, Watershed
from nuclick_qp.evaluation.baselines.method import Method, Pair
from nuclick_qp.evaluation.metrics import aji

CHANNELS: tuple[Channel, ...] = ("grey", "red")

# The paper's settings come first, so that they are kept where no other is better. Region growing may go further than the
# paper's 30 px, which many a cell is wider than.
WATERSHEDS = (
    Watershed(),
    *(Watershed("otsu", "edges", channel, smoothing) for channel, smoothing in product(CHANNELS, (1.0, 2.0))),
    *(Watershed("otsu", "depth", channel, smoothing) for channel, smoothing in product(CHANNELS, (1.0, 2.0))),
)
REGION_GROWINGS = (
    RegionGrowing(),
    *(
        RegionGrowing(steps, tolerance, channel, 1.0)
        for steps, tolerance, channel in product((30, 60), (0.05, 0.1, 0.15, 0.2, 0.3, 0.4), CHANNELS)
    ),
)
ACTIVE_CONTOURS = (
    ActiveContour(),
    *(ActiveContour(iterations=steps, channel=channel, smoothing_px=1.0) for steps, channel in product((10, 30, 100), CHANNELS)),
)
GRAB_CUTS = (GrabCut(), GrabCut(strip_px=5), GrabCut(strip_px=20))
GRAB_CUTS_BY_SQUIGGLE = tuple(replace(cut, squiggle=True) for cut in GRAB_CUTS)  # a second prompt is no setting


class Chosen:
    """A method that takes, when it is fitted, the best of some candidates.

    Parameters
    ----------
    candidates
        One method with different settings, as `WATERSHEDS`.

    Attributes
    ----------
    best
        The candidate that was taken; None before `fit`.
    """

    def __init__(self, candidates: Sequence[Method]) -> None:
        self.candidates = tuple(candidates)
        self.best: Method | None = None

    def fit(self, images: Sequence[Pair]) -> None:
        """Fit all candidates, and take the best on the same images.

        Raises
        ------
        TrainingDataError
            As `best_of`.
        """
        for candidate in self.candidates:
            candidate.fit(images)
        self.best = best_of(self.candidates, images)

    def segment(self, image: NDArray[np.uint8], truth: NDArray[np.int32]) -> NDArray[np.int32]:
        """Segment with the candidate that was taken.

        Raises
        ------
        OptionError
            Before `fit`.
        """
        if self.best is None:
            raise OptionError("the settings are not chosen yet; fit the method on training images first")
        return self.best.segment(image, truth)


def best_of(candidates: Sequence[Method], images: Sequence[Pair]) -> Method:
    """Give the candidate with the greatest mean AJI over images, of equals the first.

    Raises
    ------
    TrainingDataError
        If there are no images.
    """
    if not images:
        raise TrainingDataError("there are no training images to choose settings on; give at least one")
    means = [np.mean([aji(truth, candidate.segment(image, truth)) for image, truth in images]) for candidate in candidates]
    return candidates[int(np.argmax(means))]
