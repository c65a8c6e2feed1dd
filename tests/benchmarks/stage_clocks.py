"""Clocks on the stages of a run, put on from outside: the code that is measured stands as it is.

What a stage costs is processor time of the threads that work on it: waiting for a lock, a GPU or Python's lock is no work. What
a stage is, the table `STAGES` says; it is all there is to change when a function moves.
"""

import functools
import importlib
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn

# Where the work of each stage is done: module, colon, function or method. No one of them calls another.
STAGES = {
    "read project": ("nuclick_qp.qupath.folder_project:FolderProject.read",),
    "read slide": ("nuclick_qp.slides.slide:Slide.read",),
    "inputs": ("nuclick_qp.guidance.signals:mark_patches", "nuclick_qp.model.inputs:draw_inputs"),
    "masks": ("nuclick_qp.segmentation.postprocess:extract_mask", "nuclick_qp.segmentation.postprocess:extract_best"),
    "overlaps": ("nuclick_qp.segmentation.overlaps:settle_overlaps", "nuclick_qp.segmentation.overlaps:take_out_standing"),
    "outlines": ("nuclick_qp.segmentation.outlines:trace_outlines",),
    "objects": ("nuclick_qp.run.results:to_objects",),
    "write project": ("nuclick_qp.qupath.folder_project:FolderProject.write",),
}
NETWORK = "network"
Span = tuple[float, float]


@dataclass(slots=True)
class Work:
    """When a stage was at work, of all threads, by `time.perf_counter`; and the processor time that it took, in seconds."""

    spans: list[Span] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)  # a list, as threads append at once


@dataclass(slots=True)
class Clocks:
    """The work of each stage."""

    work: dict[str, Work] = field(default_factory=lambda: defaultdict(Work))
    device_ms: float = 0.0  # of the network on a GPU, by the clock of the GPU

    def seconds(self, stage: str) -> float:
        """Give the processor time of a stage."""
        return sum(self.work[stage].seconds)

    def busy_seconds(self, stage: str) -> float:
        """Give for how long at least one thread was at a stage."""
        return covered(self.work[stage].spans)

    def first_end(self, stage: str) -> float | None:
        """Give when the stage was done for the first time."""
        return min((end for _, end in self.work[stage].spans), default=None)


def covered(spans: Sequence[Span]) -> float:
    """Give the length of the union of spans.

    Examples
    --------
    >>> covered([(0.0, 2.0), (1.0, 3.0), (5.0, 6.0)])
    4.0
    """
    total, until = 0.0, -1.0
    for start, end in sorted(spans):
        total += max(0.0, end - max(start, until))
        until = max(until, end)
    return total


@contextmanager
def clocks_on(network: type[nn.Module]) -> Iterator[Clocks]:
    """Put clocks on all stages and on the forward pass of a class of networks, and take them off again."""
    clocks = Clocks()
    with ExitStack() as stack:
        for stage, targets in STAGES.items():
            for target in targets:
                stack.enter_context(_clock_on(target, clocks.work[stage]))
        stack.enter_context(_clock_on_network(network, clocks))
        yield clocks


@contextmanager
def _clock_on(target: str, work: Work) -> Iterator[None]:
    """Time a function wherever a module has imported it, or a method of a class."""
    module_name, _, path = target.partition(":")
    module = importlib.import_module(module_name)
    *owners, name = path.split(".")
    owner = functools.reduce(getattr, owners, module)
    original = getattr(owner, name)
    timed = _timed(original, work)
    holders = [owner] if owners else [one for one in list(sys.modules.values()) if getattr(one, name, None) is original]
    for holder in holders:
        setattr(holder, name, timed)
    try:
        yield
    finally:
        for holder in holders:
            setattr(holder, name, original)


def _timed(function: Callable[..., Any], work: Work) -> Callable[..., Any]:
    @functools.wraps(function)
    def timed(*args: Any, **kwargs: Any) -> Any:
        start, before = time.perf_counter(), time.thread_time()
        try:
            return function(*args, **kwargs)
        finally:
            work.seconds.append(time.thread_time() - before)
            work.spans.append((start, time.perf_counter()))

    return timed


@contextmanager
def _clock_on_network(network: type[nn.Module], clocks: Clocks) -> Iterator[None]:
    """Time the forward pass; on a GPU, where it only hands work in, by events of the GPU as well."""
    original, lock = network.forward, threading.Lock()
    events: list[tuple[Any, Any]] = []

    def forward(self: nn.Module, x: torch.Tensor) -> torch.Tensor:
        if x.device.type != "cuda":
            return original(self, x)  # type: ignore[no-any-return]  # a Tensor, as of all our networks
        begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))  # type: ignore[no-untyped-call]  # torch's
        begin.record()
        found: torch.Tensor = original(self, x)
        end.record()
        with lock:
            events.append((begin, end))
        return found

    network.forward = _timed(forward, clocks.work[NETWORK])
    try:
        yield
    finally:
        network.forward = original
        if events:
            torch.cuda.synchronize()
            clocks.device_ms = sum(begin.elapsed_time(end) for begin, end in events)
