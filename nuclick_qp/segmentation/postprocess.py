"""Probabilities to one mask per prompt.

One 2-D mask at a time: given an (N, H, W) stack, size and hole filters would join neighbouring
patches, and the result of a prompt would depend on its batch.
"""

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from nuclick_qp.model.cards import Card
from nuclick_qp.prompts import Status

FLOOR_PX = 10  # the object under a prompt is one however small it is, but fewer pixels are a speck
# Where nothing reaches the threshold: shares of the probability under the prompt, of which the first is taken whose part ends in the patch.
SHARES_OF_PEAK = (0.5, 0.7, 0.85, 0.95)


@dataclass(frozen=True, slots=True)
class MaskRules:
    """What makes an object out of probabilities.

    Attributes
    ----------
    threshold
        Probability from which on a pixel belongs to the object.
    min_object_px
        Parts of fewer pixels are dropped where the prompt has a larger one, at the resolution of the network.
    max_hole_px
        Holes of up to this many pixels are filled; larger ones stay.
    """

    threshold: float = 0.5
    min_object_px: int = 50
    max_hole_px: int = 0

    @classmethod
    def of(cls, card: Card) -> Self:
        """Give the rules of a model."""
        return cls(card.threshold, card.min_object_px, card.max_hole_px)


def extract_mask(
    probability: NDArray[np.float32], marker: NDArray[np.bool_], *, rules: MaskRules
) -> tuple[NDArray[np.bool_], Status, str]:
    """Give the object that the prompt marks, where the probability reaches the threshold.

    Parameters
    ----------
    probability
        (H, W) in [0, 1].
    marker
        (H, W), True under the prompt: one pixel of a click, the line of a squiggle.

    Returns
    -------
    mask
        (H, W) bool; all False unless the status is `ok`.
    status
        `ok`, `empty` or `outside-own-mask`.
    detail
        Why there is no object; empty when there is one.

    References
    ----------
    Koohbanani et al. 2020, section 3.4: threshold, removal of small objects, morphological
    reconstruction from the inclusion map. The reconstruction of a binary mask from a marker is the
    set of its connected components that the marker touches.
    """
    return reconstruct(probability >= rules.threshold, marker, rules=rules)


def extract_best(
    probability: NDArray[np.float32], marker: NDArray[np.bool_], *, rules: MaskRules
) -> tuple[NDArray[np.bool_], float] | None:
    """Give what stands out most under a prompt where nothing reaches the threshold, and the lower threshold that it takes.

    It is the part round the prompt in which the probability stays above half of that under the prompt, however low that is;
    or above a larger share, where that part does not end within the patch. None where no part does.

    Parameters
    ----------
    probability, marker
        As for `extract_mask`.
    """
    peak = float(probability[marker].max(initial=0.0))
    for share in SHARES_OF_PEAK if peak > 0 else ():
        threshold = share * peak
        mask, status, _ = reconstruct(probability >= threshold, marker, rules=rules)
        if status is Status.OK and not touches_edge(mask):
            return mask, threshold
    return None


def reconstruct(mask: NDArray[np.bool_], marker: NDArray[np.bool_], *, rules: MaskRules) -> tuple[NDArray[np.bool_], Status, str]:
    """Keep the 4-connected parts of a mask that the marker touches and that are large enough; the largest where all are small."""
    nothing = np.zeros_like(mask)
    if not mask.any():
        return nothing, Status.EMPTY, "nothing found under the prompt"
    box = bounding_box(mask)  # labels cost time by the pixel, and an object fills a tenth of its patch
    is_whole = is_plain(mask[box])
    labels = mask[box].astype(np.intp) if is_whole else ndimage.label(mask[box])[0]
    areas = np.bincount(labels.ravel())
    areas[0] = 0
    touched = sorted(set(labels[marker[box]].tolist()) - {0})  # mostly one
    least = min(rules.min_object_px, FLOOR_PX)
    if touched and areas[touched].max() >= least:
        is_kept = np.zeros(len(areas), np.bool_)
        is_kept[touched] = areas[touched] >= min(rules.min_object_px, areas[touched].max())
        nothing[box] = is_kept[labels]
        return nothing if is_whole else fill_holes(nothing, max_hole_px=rules.max_hole_px), Status.OK, ""
    if touched:
        return nothing, Status.EMPTY, f"only a speck of {areas[touched].max()} px under the prompt, at the resolution of the model"
    if areas.max() >= least:
        return nothing, Status.OUTSIDE_OWN_MASK, "the object found lies beside the prompt"
    return nothing, Status.EMPTY, "nothing found under the prompt"


def fill_holes(mask: NDArray[np.bool_], *, max_hole_px: int) -> NDArray[np.bool_]:
    """Fill the holes of a mask of up to a number of pixels, in place: 4-connected parts of the ground that the mask encloses."""
    if not max_hole_px or not mask.any():
        return mask
    box = bounding_box(mask)
    labels, count = ndimage.label(~np.pad(mask[box], 1))  # the border joins all that lies outside, as label 1
    if count > 1:
        is_small = np.bincount(labels.ravel()) <= max_hole_px
        is_small[:2] = False
        mask[box] |= is_small[labels[1:-1, 1:-1]]
    return mask


def is_plain(mask: NDArray[np.bool_]) -> bool:
    """Tell whether each row of a mask is one run that meets that of the next row, as of most nuclei: one part, and no hole.

    That is seen in a tenth of the time that labels take; what is not plain may be one part without holes all the same.
    """
    starts = (mask[:, 1:] > mask[:, :-1]).sum(axis=1) + mask[:, 0]
    return bool((starts == 1).all() and (mask[1:] & mask[:-1]).any(axis=1).all())


def bounding_box(mask: NDArray[np.bool_]) -> tuple[slice, slice]:
    """Give the rows and columns that hold the True pixels of a mask, of which there are some."""
    rows, cols = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return slice(int(rows[0]), int(rows[-1]) + 1), slice(int(cols[0]), int(cols[-1]) + 1)


def touches_edge(mask: NDArray[np.bool_]) -> bool:
    """Tell whether a mask reaches the border of its array: the object may go on beyond it."""
    return bool(mask[0].any() or mask[-1].any() or mask[:, 0].any() or mask[:, -1].any())
