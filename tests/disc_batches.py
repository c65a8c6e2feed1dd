"""Batches of drawn discs for tests of lessons, and how well a lesson outlines them."""

import torch
from torch import Tensor, nn

from nuclick_qp.training.lesson import Lesson
from nuclick_qp.training.patches import Batch

SIDE = 32


def disc_batch(count: int, seed: int = 0) -> Batch:
    """Draw patches with a dark disc near the middle, clicked on its centre, and the corner of another one, of one number each."""
    generator = torch.Generator().manual_seed(seed)
    along = torch.arange(SIDE).float()
    shift = torch.rand((count, 3), generator=generator)
    row, col, radius = 12 + 8 * shift[:, 0], 12 + 8 * shift[:, 1], 5 + 3 * shift[:, 2]
    wanted = _disc(along, row, col, radius)
    others = _disc(along, torch.full_like(row, 2), torch.full_like(col, 29), torch.full_like(row, 6)) & ~wanted
    labels = 7 * wanted + 3 * others
    light = torch.where(labels > 0, 0.3, 0.8)[:, None] + 0.05 * torch.randn((count, 3, SIDE, SIDE), generator=generator)
    click = torch.zeros(count, SIDE, SIDE)
    click[torch.arange(count), row.round().long(), col.round().long()] = 1
    signals = torch.stack([click, torch.zeros_like(click)], dim=1)
    return batch_of(torch.cat([light.clamp(0, 1), signals], dim=1), labels, wanted)


def batch_of(inputs: Tensor, labels: Tensor, wanted: Tensor) -> Batch:
    """Give the batch of (N, C, P, P) inputs, (N, P, P) labels and a (N, P, P) mask of the wanted object."""
    others = (labels > 0) & ~wanted
    return Batch(inputs, wanted[:, None].float(), others[:, None].float(), labels[:, None].int())


def one_of(batch: Batch, row: int) -> Batch:
    """Give one patch of a batch, as a batch."""
    one = slice(row, row + 1)
    return Batch(batch.inputs[one], batch.wanted[one], batch.others[one], batch.labels[one])


def without_values(batch: Batch) -> Batch:
    """Give a batch on a device that raises an error where it is asked for a value, as a GPU would have to be waited for."""
    return Batch(*(tensor.to("meta") for tensor in (batch.inputs, batch.wanted, batch.others, batch.labels)))


def teach(lesson: Lesson, net: nn.Module, batch: Batch, *, steps: int, rate: float) -> tuple[float, float]:
    """Learn from one prepared batch, and give the mean Dice on it before and after."""
    before = mean_dice(lesson, net, batch)
    optimizer = torch.optim.AdamW(net.parameters(), lr=rate)
    net.train()
    for _ in range(steps):
        optimizer.zero_grad()
        lesson.loss(net, batch).backward()  # type: ignore[no-untyped-call]  # torch has no annotation here
        optimizer.step()
    return before, mean_dice(lesson, net, batch)


def mean_dice(lesson: Lesson, net: nn.Module, batch: Batch) -> float:
    """Give the mean Dice at 0.5, with the batch norm of training: there are too few steps to average its statistics over."""
    net.train()
    with torch.no_grad():
        found = lesson.probability(net, batch) > 0.5
    wanted = batch.wanted > 0
    pixels = (1, 2, 3)
    return float((2 * (found & wanted).sum(pixels) / (found.sum(pixels) + wanted.sum(pixels))).mean())


def _disc(along: Tensor, row: Tensor, col: Tensor, radius: Tensor) -> Tensor:
    """Give (N, P, P) bool."""
    y, x = along - row[:, None], along - col[:, None]
    return y[:, :, None] ** 2 + x[:, None, :] ** 2 <= radius[:, None, None] ** 2
