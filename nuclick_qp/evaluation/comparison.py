"""Which objects of two label images share pixels, how many, and how far apart they lie.

The one contingency table behind every figure of `metrics`, which states the conventions.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import KDTree

LabelImage = NDArray[np.integer[Any]]


@dataclass(frozen=True, slots=True)
class Objects:
    """The objects of one label image, renamed 1 to n by their first pixel in reading order.

    Attributes
    ----------
    labels
        (H, W); 0 is background.
    area
        (n,) pixels of each object; element k belongs to label k + 1.
    """

    labels: NDArray[np.intp]
    area: NDArray[np.intp]

    @property
    def count(self) -> int:
        """Number of objects."""
        return self.area.size


@dataclass(frozen=True, slots=True)
class Comparison:
    """The contingency table of two label images: k pairs of objects that share pixels.

    Attributes
    ----------
    truth, prediction
        The two images.
    rows, cols
        (k,) which true object and which prediction make the pair, counted from 0; sorted by row, then column.
    shared
        (k,) pixels in common, at least 1.
    """

    truth: Objects
    prediction: Objects
    rows: NDArray[np.intp]
    cols: NDArray[np.intp]
    shared: NDArray[np.intp]

    @property
    def iou(self) -> NDArray[np.float64]:
        """Intersection over union of each pair, (k,), above 0 and up to 1."""
        return np.asarray(self.shared / (self.truth.area[self.rows] + self.prediction.area[self.cols] - self.shared))

    @property
    def both_empty(self) -> bool:
        """Whether there is no object in either image."""
        return self.truth.count == 0 and self.prediction.count == 0

    @property
    def one_empty(self) -> bool:
        """Whether just one of the images has objects."""
        return (self.truth.count == 0) != (self.prediction.count == 0)

    @property
    def diagonal(self) -> float:
        """Diagonal of the images in pixels."""
        return float(np.hypot(*self.truth.labels.shape))


@dataclass(frozen=True, slots=True)
class PartnerDistances:
    """Hausdorff distance of every object to its partner, in pixels.

    An object that shares no pixel with any other has the smallest distance to one of the other image instead.

    Attributes
    ----------
    of_truth, of_prediction
        One value per object; the diagonal of the image where the other image is empty.
    """

    of_truth: NDArray[np.float64]
    of_prediction: NDArray[np.float64]


def compare(truth: LabelImage, prediction: LabelImage) -> Comparison:
    """Count the pixels that each object of one label image shares with each of the other.

    Parameters
    ----------
    truth, prediction
        (H, W) label images of the same shape.

    Raises
    ------
    ValueError
        If the shapes differ, or an image is not two-dimensional, not of integers, or has negative labels.
    """
    if truth.shape != prediction.shape:
        raise ValueError(f"truth has shape {truth.shape} and prediction {prediction.shape}; give label images of one size")
    one, other = _number(truth, "truth"), _number(prediction, "prediction")
    overlap = (one.labels > 0) & (other.labels > 0)
    codes = (one.labels[overlap] - 1) * other.count + (other.labels[overlap] - 1)
    pairs, shared = np.unique(codes, return_counts=True)
    rows, cols = np.divmod(pairs, max(other.count, 1))
    return Comparison(one, other, rows, cols, shared)


def best_pairs(owners: NDArray[np.intp], values: NDArray[Any], count: int) -> NDArray[np.intp]:
    """Find the pair of greatest value for each object of one image.

    Parameters
    ----------
    owners
        (k,) object of each pair: `rows` or `cols` of a comparison.
    values
        (k,) what to maximise.
    count
        Number of objects n in that image.

    Returns
    -------
    (n,) array
        Index of a pair, -1 for an object that is in none. Of equal values the first partner in reading order wins.
    """
    order = np.lexsort((-values, owners))  # a stable sort, and pairs come in reading order
    having, first = np.unique(owners[order], return_index=True)
    best = np.full(count, -1, np.intp)
    best[having] = order[first]
    return best


def partner_distances(both: Comparison) -> PartnerDistances:
    """Measure how far every object is from the one of the other image that shares most pixels with it."""
    if both.both_empty or both.one_empty:
        return PartnerDistances(np.full(both.truth.count, both.diagonal), np.full(both.prediction.count, both.diagonal))
    of_truth = best_pairs(both.rows, both.shared, both.truth.count)
    of_prediction = best_pairs(both.cols, both.shared, both.prediction.count)
    truth_trees, prediction_trees = _pixel_trees(both.truth), _pixel_trees(both.prediction)
    by_pair = np.full(both.shared.size, np.nan)
    for pair in np.setdiff1d(np.union1d(of_truth, of_prediction), -1):
        by_pair[pair] = _distance(truth_trees[both.rows[pair]], prediction_trees[both.cols[pair]])
    return PartnerDistances(
        _fill(of_truth, by_pair, truth_trees, prediction_trees),
        _fill(of_prediction, by_pair, prediction_trees, truth_trees),
    )


def _number(image: LabelImage, name: str) -> Objects:
    """Check a label image and rename its objects."""
    if image.ndim != 2:
        raise ValueError(f"{name} has {image.ndim} dimensions; give one (H, W) label image at a time")
    if not np.issubdtype(image.dtype, np.integer):
        raise ValueError(f"{name} is of {image.dtype}, not of integers; label the objects first")
    found, first, inverse = np.unique(image, return_index=True, return_inverse=True)
    if found.size and found[0] < 0:
        raise ValueError(f"{name} has the negative label {found[0]}; use 0 for background and positive labels for objects")
    objects = found > 0
    names = np.zeros(found.size, np.intp)
    names[objects] = 1 + np.argsort(np.argsort(first[objects]))
    labels = names[inverse].reshape(image.shape)  # NumPy 1 gives a flat inverse
    return Objects(labels, np.bincount(labels.ravel(), minlength=1)[1:])


def _pixel_trees(objects: Objects) -> list[KDTree]:
    """Search trees over the pixels of each object, as (row, col)."""
    pixels = np.argwhere(objects.labels)
    order = np.argsort(objects.labels[objects.labels > 0], kind="stable")
    parts = np.split(pixels[order], np.cumsum(objects.area)[:-1])
    return [KDTree(part, balanced_tree=False, compact_nodes=False) for part in parts]


def _distance(one: KDTree, other: KDTree) -> float:
    """Symmetric Hausdorff distance of two sets of pixels."""
    there, _ = other.query(one.data)
    back, _ = one.query(other.data)
    return float(max(np.max(there), np.max(back)))


def _fill(pairs: NDArray[np.intp], by_pair: NDArray[np.float64], own: Sequence[KDTree], others: Sequence[KDTree]) -> NDArray[np.float64]:
    """Distances of one image's objects, looking for the nearest where an object has no partner."""
    boxes = np.array([np.concatenate([tree.mins, tree.maxes]) for tree in others])
    return np.array([by_pair[pair] if pair >= 0 else _nearest(tree, others, boxes) for tree, pair in zip(own, pairs, strict=True)])


def _nearest(tree: KDTree, others: Sequence[KDTree], boxes: NDArray[np.float64]) -> float:
    """Smallest Hausdorff distance to any of the others."""
    # two sets cannot be closer than the same edges of their bounding boxes, so most candidates need no measuring
    bounds = np.abs(boxes - np.concatenate([tree.mins, tree.maxes])).max(axis=1)
    nearest = np.inf
    for candidate in np.argsort(bounds):
        if bounds[candidate] >= nearest:
            break
        nearest = min(nearest, _distance(tree, others[candidate]))
    return nearest
