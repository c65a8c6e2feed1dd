"""Tests of `nuclick_qp.serve.batching`: many threads, one network."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from fakes import make_card
from nuclick_qp.guidance.signals import MarkedPatches
from nuclick_qp.model.predictor import Predictor
from nuclick_qp.serve.batching import LARGEST_BATCH, SharedPredictor


class Gate(nn.Module):
    """Gives back the red channel once it is let through; notes the sizes of its batches."""

    def __init__(self) -> None:
        super().__init__()
        self.is_open, self.entered = threading.Event(), threading.Event()
        self.sizes: list[int] = []
        self.memory_left = True

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, 5, P, P) to logits (N, 1, P, P)."""
        self.entered.set()
        assert self.is_open.wait(20)
        self.sizes.append(len(x))
        if not self.memory_left:
            raise torch.OutOfMemoryError("none left")
        return torch.logit(x[:, :1])


@pytest.fixture
def gate() -> Gate:
    """Give a network that waits."""
    return Gate()


@pytest.fixture
def shared(gate: Gate) -> Iterator[SharedPredictor]:
    """Give a predictor with a network that waits."""
    shared = SharedPredictor(Predictor(make_card(patch_px=32), gate, device="cpu", precision="float32"))
    yield shared
    gate.is_open.set()
    shared.close()


def patches(value: float, count: int = 1) -> MarkedPatches:
    """Give patches that all hold one value, of 0 to 1."""
    return MarkedPatches.without_marks(np.full((count, 32, 32, 3), round(255 * value), np.uint8))


def test_requests_that_wait_go_through_the_network_together(gate: Gate, shared: SharedPredictor) -> None:
    """And each gets its own back."""
    values = [0.2, 0.4, 0.6, 0.8, 1.0, 0.0]
    with ThreadPoolExecutor(len(values)) as pool:
        first = pool.submit(shared.predict, patches(values[0]))
        assert gate.entered.wait(20)  # while it is busy the others gather
        others = [pool.submit(shared.predict, patches(value, 2)) for value in values[1:]]
        while shared.waiting < len(others):
            threading.Event().wait(0.01)
        gate.is_open.set()
        done = [future.result(20) for future in (first, *others)]

    assert gate.sizes[0] == 1
    assert sorted(gate.sizes[1:]) == [3, 3, 4]  # ten at once, which the cores share out in parts; five requests would be five parts of two
    for value, probability in zip(values, done, strict=True):
        np.testing.assert_allclose(probability, value, atol=1e-6)


def test_a_large_request_comes_back_in_its_order(gate: Gate, shared: SharedPredictor) -> None:
    """However many batches it takes."""
    gate.is_open.set()
    inputs = MarkedPatches.joined([patches(value / 255) for value in range(2 * LARGEST_BATCH + 3)])

    np.testing.assert_allclose(shared.predict(inputs), inputs.pixels[..., 0] / 255, atol=1e-6)
    assert max(gate.sizes) <= LARGEST_BATCH
    assert shared.predict(inputs.part(0, 0)).shape == (0, 32, 32)


def test_an_error_reaches_who_asked_and_the_next_request_is_served(gate: Gate, shared: SharedPredictor) -> None:
    """On the same device: a service does not move to the CPU for good."""
    gate.is_open.set()
    gate.memory_left = False
    with pytest.raises(torch.OutOfMemoryError):
        shared.predict(patches(0.6))

    gate.memory_left = True
    np.testing.assert_allclose(shared.predict(patches(0.6)), 0.6, atol=1e-6)
