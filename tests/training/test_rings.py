"""Tests of `nuclick_qp.training.rings`."""

import torch

from nuclick_qp.training.rings import FARTHEST_PX, draw_rings


def _nuclei() -> torch.Tensor:
    """Draw a square nucleus of 12 px in the middle of each of eight patches."""
    nuclei = torch.zeros(8, 1, 64, 64)
    nuclei[..., 26:38, 26:38] = 1
    return nuclei


def _drawn(probability: float, seed: int = 0) -> torch.Tensor:
    return draw_rings(torch.full((8, 3, 64, 64), 0.9), _nuclei(), probability, torch.Generator().manual_seed(seed))


def test_rings_lie_round_nuclei_and_are_brown() -> None:
    """Nuclei and what is farther than a ring stay as they are; what changes is darker, least so in red."""
    changed = (_drawn(1.0) < 0.9 - 1e-6).any(dim=1, keepdim=True)
    reach = FARTHEST_PX + 1  # rings are softened by a pixel

    assert changed.any(dim=(1, 2, 3)).all()
    assert not (changed & (_nuclei() > 0)).any()
    assert not changed[..., : 26 - reach].any()
    assert not changed[..., 38 + reach :].any()
    red, green, blue = (_drawn(1.0)[:, channel][changed[:, 0]].mean() for channel in range(3))
    assert blue < green < red < 0.9


def test_only_some_patches_get_rings() -> None:
    """None with a probability of 0; the others with the same generator look the same."""
    assert torch.equal(_drawn(0.0), torch.full((8, 3, 64, 64), 0.9))
    some = (_drawn(0.5) != 0.9).any(dim=1).any(dim=(1, 2))
    assert 0 < some.sum() < 8
    assert torch.equal(_drawn(0.5)[some], _drawn(1.0)[some])


def test_same_seed_gives_the_same_rings() -> None:
    """All chance comes from the generator."""
    assert torch.equal(_drawn(1.0), _drawn(1.0))
    assert not torch.equal(_drawn(1.0), _drawn(1.0, seed=1))
