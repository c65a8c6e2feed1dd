"""How well predicted objects agree with true ones, from two label images of one field of view.

A *label image* is an (H, W) integer array: 0 is background, every other value is one object. Labels may have gaps,
their order means nothing, and the parts of one label need not touch. Lengths are pixels of these arrays.

Conventions that the papers leave open, the same in every function:

- Both images empty: they agree, so every score is 1 and every distance 0. One of them empty: every score is 0 and
  every distance the diagonal of the image, which no distance between two objects can exceed.
- The *partner* of an object is the object of the other image that shares most pixels with it.
- Where two candidates are equal the one whose first pixel comes first in reading order is taken, so that renaming
  the labels changes no figure.

References
----------
.. [1] Kumar et al., A dataset and a technique for generalized nuclear segmentation for computational pathology,
   IEEE Trans. Med. Imaging 36 (2017) 1550: aggregated Jaccard index.
.. [2] Kirillov et al., Panoptic segmentation, CVPR 2019: SQ, DQ (there RQ) and PQ.
.. [3] Sirinukunwattana et al., Gland segmentation in colon histology images: the GlaS challenge contest,
   Med. Image Anal. 35 (2017) 489: object F1, object Dice, object Hausdorff distance.
.. [4] Koohbanani et al., NuClick, Med. Image Anal. 65 (2020) 101771, section 4.3: which of them are reported.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from nuclick_qp.evaluation.comparison import Comparison, LabelImage, PartnerDistances, best_pairs, compare, partner_distances

PANOPTIC_IOU = 0.5  # a match needs more than this, which makes it unique; Kirillov 2019
GLAND_COVERAGE = 0.5  # share of a true object that a prediction must cover to count; Sirinukunwattana 2017


@dataclass(frozen=True, slots=True)
class PanopticQuality:
    """Panoptic quality and its two factors, each from 0 to 1.

    Attributes
    ----------
    sq
        Segmentation quality: mean IoU of the matched pairs; 0 where objects exist and none is matched.
    dq
        Detection quality: F1 of the matching.
    pq
        Their product.
    """

    sq: float
    dq: float
    pq: float


class Scores(BaseModel):
    """All figures of one image, or their means over several, by the names of the field's tables.

    Attributes
    ----------
    aji, dice, sq, dq, pq, f1, dice_obj
        From 0 (nothing agrees) to 1 (equal); the last two at the object level.
    hausdorff, hausdorff_obj
        In pixels; 0 is equal.
    """

    model_config = ConfigDict(frozen=True)

    aji: float
    dice: float
    sq: float
    dq: float
    pq: float
    hausdorff: float
    f1: float
    dice_obj: float
    hausdorff_obj: float


def score(truth: LabelImage, prediction: LabelImage) -> Scores:
    """Give every figure of this module at once, for the cost of one comparison.

    Parameters
    ----------
    truth, prediction
        (H, W) label images of the same shape.

    Raises
    ------
    ValueError
        If the shapes differ, or an image is not two-dimensional, not of integers, or has negative labels.

    Examples
    --------
    >>> truth = np.array([[1, 1, 0, 2]])
    >>> score(truth, np.array([[7, 0, 0, 3]])).aji
    0.6666666666666666
    """
    both = compare(truth, prediction)
    quality = _panoptic_quality(both)
    distances = partner_distances(both)
    return Scores(
        aji=_aji(both),
        dice=_dice(both),
        sq=quality.sq,
        dq=quality.dq,
        pq=quality.pq,
        hausdorff=_hausdorff(both, distances),
        f1=_object_f1(both),
        dice_obj=_object_dice(both),
        hausdorff_obj=_object_hausdorff(both, distances),
    )


def mean_scores(scores: Sequence[Scores]) -> Scores:
    """Average each figure over images, every image with the same weight.

    The mean of PQ is therefore not the product of the means of SQ and DQ.

    Raises
    ------
    ValueError
        If there are no scores.
    """
    if not scores:
        raise ValueError("there are no scores to average; score at least one image")
    return Scores(**{name: float(np.mean([getattr(one, name) for one in scores])) for name in Scores.model_fields})


def aji(truth: LabelImage, prediction: LabelImage) -> float:
    """Give the aggregated Jaccard index [1]_, 0 to 1.

    Each true object is paired with the prediction of greatest IoU; the shared pixels of all pairs are divided by the
    pixels of all unions plus those of the predictions that no true object chose. As in the paper a prediction may be
    chosen several times. A true object that no prediction touches adds its area to the denominator.

    Raises
    ------
    ValueError
        As `score`.
    """
    return _aji(compare(truth, prediction))


def dice(truth: LabelImage, prediction: LabelImage) -> float:
    """Give the Dice coefficient of foreground against foreground, 0 to 1, blind to objects ("Dice" in [4]_).

    Raises
    ------
    ValueError
        As `score`.
    """
    return _dice(compare(truth, prediction))


def panoptic_quality(truth: LabelImage, prediction: LabelImage) -> PanopticQuality:
    """Give SQ, DQ and PQ of one class [2]_; objects match where their IoU exceeds 0.5.

    DQ is F1 itself: half of it, as [4]_ prints, contradicts the figures there.

    Raises
    ------
    ValueError
        As `score`.
    """
    return _panoptic_quality(compare(truth, prediction))


def hausdorff(truth: LabelImage, prediction: LabelImage) -> float:
    """Give the mean over true objects of the Hausdorff distance to their partners, in pixels.

    The distance is symmetric, between the centres of all pixels (not only the border) of the two objects. A true
    object that no prediction touches is not left out: the prediction at the smallest Hausdorff distance stands in for
    its partner, as in `object_hausdorff`. Every true object has the same weight, and predictions that are nobody's
    partner cost nothing, which suits prompts that are one to one with true objects.

    Raises
    ------
    ValueError
        As `score`.
    """
    both = compare(truth, prediction)
    return _hausdorff(both, partner_distances(both))


def object_f1(truth: LabelImage, prediction: LabelImage) -> float:
    """Give the F1 score of detection by the GlaS rule [3]_, 0 to 1.

    A prediction is a true positive when it covers at least half of the true object that is its partner; a true object
    counts once, so of two predictions that cover exactly half each one is a false positive.

    Raises
    ------
    ValueError
        As `score`.
    """
    return _object_f1(compare(truth, prediction))


def object_dice(truth: LabelImage, prediction: LabelImage) -> float:
    """Give the object-level Dice coefficient [3]_, 0 to 1.

    The Dice coefficients of all objects with their partners (0 without one), averaged by area over the true objects
    and over the predicted ones; the result is the mean of the two.

    Raises
    ------
    ValueError
        As `score`.
    """
    return _object_dice(compare(truth, prediction))


def object_hausdorff(truth: LabelImage, prediction: LabelImage) -> float:
    """Give the object-level Hausdorff distance [3]_, in pixels.

    The Hausdorff distances of all objects to their partners, averaged by area over the true objects and over the
    predicted ones; the result is the mean of the two. An object without a partner takes the smallest Hausdorff
    distance to any object of the other image.

    Raises
    ------
    ValueError
        As `score`.
    """
    both = compare(truth, prediction)
    return _object_hausdorff(both, partner_distances(both))


def _aji(both: Comparison) -> float:
    if both.both_empty:
        return 1.0
    best = best_pairs(both.rows, both.iou, both.truth.count)
    best = best[best >= 0]
    chosen = both.cols[best]
    shared = both.shared[best].sum()
    unused = np.delete(both.prediction.area, chosen).sum()
    union = both.truth.area.sum() + both.prediction.area[chosen].sum() - shared
    return float(shared / (union + unused))


def _dice(both: Comparison) -> float:
    if both.both_empty:
        return 1.0
    return float(2 * both.shared.sum() / (both.truth.area.sum() + both.prediction.area.sum()))


def _panoptic_quality(both: Comparison) -> PanopticQuality:
    if both.both_empty:
        return PanopticQuality(1.0, 1.0, 1.0)
    matched = both.iou[both.iou > PANOPTIC_IOU]
    sq = float(matched.mean()) if matched.size else 0.0
    dq = 2 * matched.size / (both.truth.count + both.prediction.count)
    return PanopticQuality(sq, dq, sq * dq)


def _object_f1(both: Comparison) -> float:
    if both.both_empty:
        return 1.0
    best = best_pairs(both.cols, both.shared, both.prediction.count)
    best = best[best >= 0]
    covers = both.shared[best] >= GLAND_COVERAGE * both.truth.area[both.rows[best]]
    hits = np.unique(both.rows[best][covers]).size
    return 2 * hits / (both.truth.count + both.prediction.count)


def _object_dice(both: Comparison) -> float:
    if both.both_empty:
        return 1.0
    if both.one_empty:
        return 0.0
    values = np.append(2 * both.shared / (both.truth.area[both.rows] + both.prediction.area[both.cols]), 0.0)
    # index -1, an object without a partner, takes the 0 at the end
    of_truth = values[best_pairs(both.rows, both.shared, both.truth.count)]
    of_prediction = values[best_pairs(both.cols, both.shared, both.prediction.count)]
    return _mean_of_sides(both, of_truth, of_prediction)


def _hausdorff(both: Comparison, distances: PartnerDistances) -> float:
    if both.both_empty:
        return 0.0
    if both.one_empty:
        return both.diagonal
    return float(distances.of_truth.mean())


def _object_hausdorff(both: Comparison, distances: PartnerDistances) -> float:
    if both.both_empty:
        return 0.0
    if both.one_empty:
        return both.diagonal
    return _mean_of_sides(both, distances.of_truth, distances.of_prediction)


def _mean_of_sides(both: Comparison, of_truth: NDArray[np.float64], of_prediction: NDArray[np.float64]) -> float:
    """Average by area over each of the two images, then over the two."""
    sides = np.average(of_truth, weights=both.truth.area), np.average(of_prediction, weights=both.prediction.area)
    return float(np.mean(sides))
