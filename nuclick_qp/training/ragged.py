"""Rows of different lengths in one tensor, so that a batch takes from many of them at once."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


@dataclass(frozen=True, slots=True)
class Ragged:
    """Rows of at least one value each.

    Attributes
    ----------
    values
        (Q, ...) the values of all rows, one row after the other.
    first, count
        (R,) int64: where each row begins, and how many values it has.
    longest
        The greatest count; known here, so that no step has to ask the device for it.
    """

    values: Tensor
    first: Tensor
    count: Tensor
    longest: int

    @classmethod
    def of(cls, rows: Sequence[NDArray[Any]]) -> "Ragged":
        """Put arrays that agree in all axes but the first one after the other, on the CPU."""
        counts = torch.tensor([len(row) for row in rows])
        return cls(torch.from_numpy(np.concatenate(rows)), counts.cumsum(0) - counts, counts, int(counts.max()))

    def to(self, device: torch.device) -> "Ragged":
        """Give the same rows on a device."""
        return replace(self, values=self.values.to(device), first=self.first.to(device), count=self.count.to(device))

    def pick(self, rows: Tensor, share: Tensor) -> Tensor:
        """Take one value from each of (N,) rows: the one at a share in [0, 1) of its length, float64."""
        return self.values[self.first[rows] + (share * self.count[rows]).long()]

    def padded(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Take (N,) rows whole: (N, longest, ...) values, and (N, longest) bool that tells which are there."""
        at = torch.arange(self.longest, device=rows.device)
        there = at < self.count[rows][:, None]
        return self.values[self.first[rows][:, None] + at * there], there
