"""The loss of the paper, eq. 1: soft Dice plus weighted binary cross entropy, and what may stand beside it."""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional

OVER_PATCH = (1, 2, 3)

@dataclass(frozen=True, slots=True)
class LossTerms:
    """What the loss of a patch is made of; as it stands, eq. 1.

    Attributes
    ----------
    overlap
        The term that looks at the whole object: soft Dice, or soft intersection over union.
    weighted
        Whether the cross entropy has the weights W of eq. 1; else every pixel counts the same.
    max_ratio
        Upper bound of a in W; None leaves it without one, as the paper does. In crowded patches a
        reaches 10 and more, and a weight of a^2 on the object pushes its outline outwards.
    rim
        Factor of the mean unweighted cross entropy over the pixels near the outline of the wanted object.
    rim_px
        How near, on either side.
    """

    overlap: Literal["dice", "iou"] = "dice"
    weighted: bool = True
    max_ratio: float | None = None
    rim: float = 0.0
    rim_px: int = 4


def hybrid_loss(
    logits: Tensor, wanted: Tensor, others: Tensor, *, terms: LossTerms | None = None, targets: Tensor | None = None
) -> Tensor:
    """Give the mean loss of a batch.

    Parameters
    ----------
    logits, wanted, others
        (N, 1, H, W) float: output of the network, mask G of the wanted object, mask G~ of all other
        objects in the patch (0 or 1).
    targets
        (N, 1, H, W) float in [0, 1]: what the cross entropy compares with instead of the mask. The term of
        the whole object keeps to the mask, since soft Dice is least for a hard answer, whatever the target.

    Returns
    -------
    scalar float32
        Soft Dice loss + mean over pixels of W * BCE, with W = a^2 G + a G~ + 1 and
        a = max(sum G~ / sum G, 1) for each patch; a patch that wants nothing has a = 1.

    References
    ----------
    Koohbanani et al. 2020, eq. 1. The printed Dice term lacks the factor 2, so that a perfect mask
    would still cost 0.5; here it has it, and the minimum is 0. Dice is summed over each patch by
    itself, so that a small object counts as much as a large one.
    """
    terms, logits = terms or LossTerms(), logits.float()
    cross = functional.binary_cross_entropy_with_logits(logits, wanted if targets is None else targets, reduction="none")
    weights = _weights(wanted, others, terms.max_ratio) if terms.weighted else 1.0
    loss = overlap_loss(torch.sigmoid(logits), wanted, terms.overlap).mean() + (weights * cross).mean()
    if terms.rim:
        rim = _rim(wanted, terms.rim_px)
        loss = loss + terms.rim * ((rim * cross).sum(OVER_PATCH) / rim.sum(OVER_PATCH).clamp(min=1)).mean()
    return loss


def overlap_loss(probability: Tensor, wanted: Tensor, kind: Literal["dice", "iou"]) -> Tensor:
    """Give the (N,) soft Dice or Jaccard losses."""
    overlap, both = (probability * wanted).sum(OVER_PATCH), probability.sum(OVER_PATCH) + wanted.sum(OVER_PATCH)
    if kind == "iou":
        return 1 - (overlap + 1) / (both - overlap + 1)
    return 1 - (2 * overlap + 1) / (both + 1)


def _weights(wanted: Tensor, others: Tensor, max_ratio: float | None) -> Tensor:
    """Give the (N, 1, H, W) weights W of eq. 1."""
    ratio = others.sum(OVER_PATCH) / wanted.sum(OVER_PATCH).clamp(min=1) * wanted.any(dim=1).any(dim=(1, 2))
    a = ratio.clamp(min=1, max=max_ratio).view(-1, 1, 1, 1)
    return a.square() * wanted + a * others + 1


def _rim(wanted: Tensor, reach: int) -> Tensor:
    """Give 1 on the pixels within `reach` of the outline of a mask, in the square metric, else 0."""
    grown, shrunken = (functional.max_pool2d(sign * wanted, 2 * reach + 1, stride=1, padding=reach) for sign in (1, -1))
    return grown + shrunken
