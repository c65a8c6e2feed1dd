"""One batch on several cores: each thread takes its part of it through a network of its own, all with the same weights."""

import copy
import ctypes
import os
from collections.abc import Callable
from dataclasses import fields

import torch
from torch import Tensor, nn

from nuclick_qp.model.devices import one_core_threads, usable_cores, use_one_thread
from nuclick_qp.training.patches import Batch

FEWEST_PATCHES = 8  # of a lane, where the number of lanes is chosen here: batch norm needs some to take its statistics from
M_ARENA_MAX, M_MMAP_THRESHOLD, M_TRIM_THRESHOLD = -8, -3, -1  # of mallopt(3)


def choose_lanes(asked: int | None, *, batch_size: int, device: torch.device) -> int:
    """Give the number of lanes: as many as are asked for and the batch has patches; else one a core, and one on a GPU.

    ``OMP_NUM_THREADS`` says how many cores there are for this program, if it is set.
    """
    if device.type != "cpu":
        return 1
    if asked is not None:
        return min(asked, batch_size)
    return max(1, min(usable_cores(), batch_size // FEWEST_PATCHES))


class Lanes:
    """Networks that share the weights of one, and the threads that train them.

    Each lane has a single thread of torch: several that work on one operation wait for one another by
    spinning, and take seven times as long as one as soon as another program keeps a core busy. Threads
    scale here, since torch holds Python's lock only between two operations.

    Parameters
    ----------
    net
        The network of the first lane; the others have its weights, in the same memory.
    count
        How many lanes there are.
    compiled
        Whether ``torch.compile`` fuses their operations, at the first batch.
    """

    def __init__(self, net: nn.Module, count: int, *, compiled: bool = False) -> None:
        self._nets = (net, *(_twin(net) for _ in range(count - 1)))
        self._called = tuple(torch.compile(net) for net in self._nets) if compiled else self._nets
        self._threads = one_core_threads(count, "lane") if count > 1 else None

    def backward(self, batch: Batch, mean_loss: Callable[[nn.Module, Batch], Tensor]) -> Tensor:
        """Leave the gradient of the mean loss of a batch in the first network, and give that loss.

        Batch norm takes its statistics from the part of a lane, and the running ones become the mean of all
        lanes. The order in which gradients are added is fixed: the same number of lanes gives the same bits.
        """
        if self._threads is None:
            return _backward(self._called[0], batch, mean_loss, 1.0)  # type: ignore[arg-type]  # a compiled network is one, which torch does not say
        count, size = len(self._nets), len(batch.inputs)
        parts = map(Batch, *(getattr(batch, field.name).tensor_split(count) for field in fields(batch)))
        work = [(net, part, mean_loss, len(part.inputs) / size) for net, part in zip(self._called, parts, strict=True)]
        for twin in self._nets[1:]:
            _take_statistics(twin, self._nets[0])
        losses = list(self._threads.map(_backward, *zip(*work, strict=True)))
        _add_gradients(self._nets)
        _average_statistics(self._nets)
        return torch.stack(losses).sum()


def get_ready(device: torch.device) -> None:
    """Settle how this whole process trains on a device, before the first step."""
    use_one_thread(device)
    keep_freed_memory()
    torch.backends.cudnn.benchmark = True  # all batches have one shape: the fastest kernels for it are looked for once


def keep_freed_memory() -> None:
    """Let the C library keep the memory that is freed, for the next step, where it is glibc.

    As it comes, it gives large tensors back to the system and takes them anew, page by page, some 100,000
    pages a step; one arena serves all lanes, since those of threads do so whatever they are told.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if os.name == "posix" else None
    if mallopt is not None:
        for option, value in ((M_ARENA_MAX, 1), (M_MMAP_THRESHOLD, 2**30), (M_TRIM_THRESHOLD, 2**31 - 1)):
            mallopt(option, value)  # what it cannot do it leaves


def _twin(net: nn.Module) -> nn.Module:
    """Give a network with the very weights of another, but its own gradients and batch norm statistics."""
    twin = copy.deepcopy(net)
    for mine, theirs in zip(twin.parameters(), net.parameters(), strict=True):
        mine.data = theirs.data
    return twin


def _backward(net: nn.Module, part: Batch, mean_loss: Callable[[nn.Module, Batch], Tensor], share: float) -> Tensor:
    net.zero_grad(set_to_none=True)
    loss = mean_loss(net, part) * share
    loss.backward()  # type: ignore[no-untyped-call]  # torch has no annotation here
    return loss.detach()


def _take_statistics(twin: nn.Module, net: nn.Module) -> None:
    twin.train(net.training)
    for mine, theirs in zip(twin.buffers(), net.buffers(), strict=True):
        mine.copy_(theirs)


def _add_gradients(nets: tuple[nn.Module, ...]) -> None:
    for first, *others in zip(*(net.parameters() for net in nets), strict=True):
        for other in others:
            assert first.grad is not None
            assert other.grad is not None
            first.grad += other.grad


def _average_statistics(nets: tuple[nn.Module, ...]) -> None:
    for first, *others in zip(*(net.buffers() for net in nets), strict=True):
        if first.is_floating_point():
            first.copy_(torch.stack([first, *others]).mean(dim=0))
