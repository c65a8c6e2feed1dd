"""The loss of the paper, eq. 1: soft Dice plus weighted binary cross entropy."""

import torch
from torch import Tensor
from torch.nn import functional


def hybrid_loss(logits: Tensor, wanted: Tensor, others: Tensor, *, max_ratio: float | None = None) -> Tensor:
    """Give the mean loss of a batch.

    Parameters
    ----------
    logits, wanted, others
        (N, 1, H, W) float: output of the network, mask G of the wanted object, mask G~ of all other
        objects in the patch (0 or 1).
    max_ratio
        Upper bound of a; None leaves it without one, as the paper does. In crowded patches a
        reaches 10 and more, and a weight of a^2 on the object pushes its outline outwards.

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
    logits = logits.float()
    probability = torch.sigmoid(logits)
    over = (1, 2, 3)
    overlap = (probability * wanted).sum(over)
    dice = 1 - (2 * overlap + 1) / (probability.sum(over) + wanted.sum(over) + 1)
    ratio = others.sum(over) / wanted.sum(over).clamp(min=1) * wanted.any(dim=1).any(dim=(1, 2))
    a = ratio.clamp(min=1, max=max_ratio).view(-1, 1, 1, 1)
    weights = a.square() * wanted + a * others + 1
    cross = functional.binary_cross_entropy_with_logits(logits, wanted, weights, reduction="none")
    return dice.mean() + cross.mean()
