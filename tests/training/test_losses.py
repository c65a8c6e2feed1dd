"""Tests of `nuclick_qp.training.losses`."""

import math

import pytest
import torch

from nuclick_qp.training.losses import LossTerms, hybrid_loss


def _masks() -> tuple[torch.Tensor, torch.Tensor]:
    wanted, others = torch.zeros(1, 1, 4, 4), torch.zeros(1, 1, 4, 4)
    wanted[..., 0, :2] = 1  # 2 px
    others[..., 3, :] = 1  # 4 px: a = 2
    return wanted, others


def test_perfect_logits_cost_nothing() -> None:
    """The minimum is 0: the Dice term has its factor 2."""
    wanted, others = _masks()

    assert float(hybrid_loss(200 * wanted - 100, wanted, others)) == pytest.approx(0, abs=1e-6)


def test_loss_is_that_of_the_equation() -> None:
    """All logits 0: probability 0.5 and cross entropy log 2 everywhere."""
    wanted, others = _masks()
    a = 2.0
    mean_weight = (2 * (a**2 + 1) + 4 * (a + 1) + 10) / 16
    dice = 1 - (2 * 0.5 * 2 + 1) / (0.5 * 16 + 2 + 1)

    loss = hybrid_loss(torch.zeros(1, 1, 4, 4), wanted, others)

    assert float(loss) == pytest.approx(dice + mean_weight * math.log(2))


def test_bound_limits_the_ratio() -> None:
    """With a at most 1 the weights are G + G~ + 1."""
    wanted, others = _masks()
    dice = 1 - (2 * 0.5 * 2 + 1) / (0.5 * 16 + 2 + 1)

    loss = hybrid_loss(torch.zeros(1, 1, 4, 4), wanted, others, terms=LossTerms(max_ratio=1.0))

    assert float(loss) == pytest.approx(dice + (2 * 2 + 4 * 2 + 10) / 16 * math.log(2))


def test_patch_that_wants_nothing_is_not_weighted_by_its_neighbours() -> None:
    """Without a wanted object there is no ratio: a is 1, and an empty answer costs nothing."""
    wanted, others = torch.zeros(1, 1, 4, 4), _masks()[1]

    assert float(hybrid_loss(torch.zeros(1, 1, 4, 4), wanted, others)) == pytest.approx(
        1 - 1 / (0.5 * 16 + 1) + (4 * 2 + 12) / 16 * math.log(2)
    )
    assert float(hybrid_loss(torch.full((1, 1, 4, 4), -100.0), wanted, others)) == pytest.approx(0, abs=1e-6)


def test_ratio_is_that_of_each_patch() -> None:
    """The loss of a batch is the mean of the losses of its patches."""
    wanted, others = _masks()
    logits = torch.linspace(-2, 2, 16).view(1, 1, 4, 4)
    alone = [hybrid_loss(logits, wanted, others), hybrid_loss(logits, others, wanted)]

    both = hybrid_loss(logits.repeat(2, 1, 1, 1), torch.cat([wanted, others]), torch.cat([others, wanted]))

    assert float(both) == pytest.approx(float(sum(alone)) / 2)


def test_every_pixel_may_count_the_same() -> None:
    """Without weights the cross entropy is its plain mean."""
    wanted, others = _masks()
    dice = 1 - (2 * 0.5 * 2 + 1) / (0.5 * 16 + 2 + 1)

    loss = hybrid_loss(torch.zeros(1, 1, 4, 4), wanted, others, terms=LossTerms(weighted=False))

    assert float(loss) == pytest.approx(dice + math.log(2))


def test_overlap_may_be_the_intersection_over_union() -> None:
    """Soft IoU in place of soft Dice; a perfect mask costs nothing in either."""
    wanted, others = _masks()
    terms = LossTerms(overlap="iou", weighted=False)
    iou = 1 - (0.5 * 2 + 1) / (0.5 * 16 + 2 - 0.5 * 2 + 1)

    assert float(hybrid_loss(torch.zeros(1, 1, 4, 4), wanted, others, terms=terms)) == pytest.approx(iou + math.log(2))
    assert float(hybrid_loss(200 * wanted - 100, wanted, others, terms=terms)) == pytest.approx(0, abs=1e-6)


def test_rim_looks_at_the_pixels_near_the_outline_only() -> None:
    """A square of 8 px: a wrong pixel next to its outline costs the mean over the band, one far away nothing more."""
    wanted = torch.zeros(1, 1, 32, 32)
    wanted[..., 12:20, 12:20] = 1
    plain, rim = LossTerms(weighted=False), LossTerms(weighted=False, rim=1.0, rim_px=2)
    band = 12 * 12 - 4 * 4

    def added(row: int, col: int) -> float:
        logits = 40 * wanted - 20
        logits[..., row, col] *= -1
        return float(hybrid_loss(logits, wanted, 0 * wanted, terms=rim) - hybrid_loss(logits, wanted, 0 * wanted, terms=plain))

    assert added(11, 15) == added(18, 15) == pytest.approx(20 / band, rel=1e-4)
    assert added(2, 2) == added(15, 15) == pytest.approx(0, abs=1e-5)


def test_patch_that_wants_nothing_has_no_rim() -> None:
    """No outline, no term, and no division by nothing."""
    nothing, logits = torch.zeros(1, 1, 16, 16), torch.zeros(1, 1, 16, 16)

    assert hybrid_loss(logits, nothing, nothing, terms=LossTerms(rim=1.0)) == hybrid_loss(logits, nothing, nothing)
