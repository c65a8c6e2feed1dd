"""Tests of `nuclick_qp.training.lesson`: what a network is shown, and other networks in the same loop."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from disc_training import disc_config
from nuclick_qp.training.config import TrainingConfig
from nuclick_qp.training.flat_images import flatten_images
from nuclick_qp.training.images import load_folder
from nuclick_qp.training.lesson import NuClickLesson
from nuclick_qp.training.losses import LossTerms, hybrid_loss
from nuclick_qp.training.patches import Batch, draw_batch

DISCS = [(60, 60, 9), (110, 60, 14), (200, 150, 30), (60, 240, 12), (340, 240, 20)]


def _config(**changes: Any) -> TrainingConfig:
    return disc_config(**({"patch_px": 64, "batch_size": 24} | changes))


@pytest.fixture
def drawn(tmp_path: Path, draw_pair: Callable[..., Path]) -> Callable[..., Batch]:
    """Give a function that draws a batch from an image of discs."""
    for name in ("discs/one", "discs/two"):
        draw_pair(name, DISCS)

    def draw(config: TrainingConfig, **how: Any) -> Batch:
        images, _ = load_folder(config.sources[0], root=tmp_path, mpp=config.mpp)
        return draw_batch(flatten_images(images, config), config, torch.Generator().manual_seed(0), **how)

    return draw


@pytest.mark.parametrize("prompt", ["point", "line"])
def test_a_batch_has_the_numbers_of_its_objects(drawn: Callable[..., Batch], prompt: str) -> None:
    """The wanted mask is one of them, the others are all else that has one."""
    batch = drawn(_config(prompt=prompt))

    assert batch.labels.shape == batch.wanted.shape == (24, 1, 64, 64)
    assert not batch.labels.is_floating_point()
    assert torch.equal(batch.labels > 0, batch.wanted + batch.others > 0)
    for labels, wanted in zip(batch.labels, batch.wanted, strict=True):
        (number,) = labels[wanted > 0].unique().tolist()
        assert torch.equal(labels == number, wanted > 0)


def test_objects_are_brought_to_a_share_of_their_patch(drawn: Callable[..., Batch]) -> None:
    """Small and large ones alike, up or down, and wholly inside; without a share their sizes stay apart."""
    filled, left = (drawn(_config(prompt="line"), **how) for how in ({"fill": 0.6}, {}))

    def longest(batch: Batch) -> list[int]:
        masks = batch.wanted[:, 0] > 0
        return torch.maximum(masks.any(dim=1).sum(dim=1), masks.any(dim=2).sum(dim=1)).tolist()

    assert all(abs(length - 0.6 * 64) <= 2 for length in longest(filled))
    assert max(longest(left)) > 2 * min(longest(left))


def test_the_own_lesson_shows_what_is_drawn_and_may_leave_out_exclusion(drawn: Callable[..., Batch]) -> None:
    """Five channels as they are; four without the last; the loss is that of the paper, the answer a probability."""
    config = _config()
    batch, generator = drawn(config), torch.Generator().manual_seed(1)
    own = NuClickLesson.of(config)
    blind = NuClickLesson(LossTerms(), in_channels=4)

    assert torch.equal(own.prepare(batch, generator).inputs, batch.inputs)
    shown = blind.prepare(batch, generator)
    assert torch.equal(shown.inputs, batch.inputs[:, :4])
    net = blind.network(config).eval()
    logits = net(shown.inputs)
    assert blind.loss(net, shown) == hybrid_loss(logits, batch.wanted, batch.others, terms=LossTerms())
    assert torch.equal(blind.probability(net, shown), torch.sigmoid(logits))
    assert own.fill is None
