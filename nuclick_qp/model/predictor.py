"""Inputs to probabilities: weights, device, precision and batches in one place."""

import copy
import logging
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from nuclick_qp.kinds import PromptKind
from nuclick_qp.model.cards import Card, find_card
from nuclick_qp.model.checkpoints import load_network
from nuclick_qp.model.devices import Precision, choose_device, choose_precision, one_core_threads, usable_cores
from nuclick_qp.model.folded import fold_batch_norm
from nuclick_qp.stopping import Stopped, never

logger = logging.getLogger(__name__)

PATCHES_IN_PART = 4  # of a batch, on a CPU
DTYPES = {"bfloat16": torch.bfloat16, "float16": torch.float16}  # of the autocast


class Predictor:
    """A network on a device, ready for use once built.

    Parameters
    ----------
    card, net
        The model and its network: (N, C, P, P) in [0, 1] to (N, 1, P, P) logits.
    device
        ``auto``, ``cpu``, ``cuda``, ``cuda:1`` or ``mps``.
    precision
        ``auto`` is bfloat16 where the processor multiplies it natively, float16 on MPS, else
        float32. Results of two precisions differ by less than what a pixel's noise changes.

    Attributes
    ----------
    may_move
        Whether the CPU takes over for the rest of a call when the device has no room for one patch. A run
        goes on that way; a service would be slow, and refuses the request instead.
    """

    def __init__(self, card: Card, net: nn.Module, *, device: str = "auto", precision: Precision = "auto") -> None:
        self.card = card
        self.may_move = True
        folded = fold_batch_norm(net).cpu().to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch lacks it
        self._here = _Place.of(torch.device("cpu"), folded, precision)
        there = choose_device(device)
        self._there = self._here if there == self._here.device else _Place.of(there, copy.deepcopy(folded), precision)
        self.device, self.precision = there, self._there.precision
        self._most_at_once = sys.maxsize  # patches that the device has had room for

    @classmethod
    def load(cls, name: str, *, device: str = "auto", precision: Precision = "auto") -> Self:
        """Build the predictor of a model of the package, of the user's folder, or of the path of a card.

        Raises
        ------
        ModelNotFoundError, WeightsError, DeviceError
            If there is no such model, its weights do not match its card, or the device is missing.
        """
        card, weights = find_card(name)
        return cls(card, load_network(card, weights), device=device, precision=precision)

    def predict(
        self, inputs: NDArray[np.float32], *, batch_size: int = 32, stopped: Callable[[], bool] = never
    ) -> NDArray[np.float32]:
        """Give the probability of belonging to the wanted object.

        When the device runs out of memory the batch is halved, for later calls as well, down to one patch;
        where not even that finds room the CPU takes over for the rest of this call, see `may_move`. The
        result stays the same.

        Parameters
        ----------
        inputs
            (N, 5, P, P) in [0, 1], as `guidance.build_inputs` makes them.
        batch_size
            Patches that go through the network at once.
        stopped
            Asked before each layer whether to leave off: on a CPU one batch may take minutes.

        Returns
        -------
        (N, P, P) float32 array

        Raises
        ------
        Stopped
            If a stop was asked for.
        torch.OutOfMemoryError
            If not even one patch finds room.
        """
        parts, done, place = [np.empty((0, *inputs.shape[2:]), np.float32)], 0, self._there
        with one_core_threads(usable_cores(), "network") as cores, _asking((self._there, self._here), stopped):
            while done < len(inputs):
                size = min(batch_size, self._most_at_once)
                try:
                    parts.append(self._run(place, inputs[done : done + size], cores))
                except torch.OutOfMemoryError as err:
                    if size == 1 and (place is self._here or not self.may_move):
                        raise
                    reason = str(err).splitlines()[0]
                    logger.warning("%s is out of memory at %d patches at once (%s)", place.device, size, reason)
                    if size > 1:
                        self._most_at_once = size // 2
                    else:
                        place = self._here
                        logger.warning("the CPU does the rest of these prompts")
                else:
                    done += size
        return np.concatenate(parts)

    def _run(self, place: "_Place", inputs: NDArray[np.float32], cores: ThreadPoolExecutor) -> NDArray[np.float32]:
        """Send one batch through the network: (N, 5, P, P) to (N, P, P); on a CPU in parts, which the cores share out among themselves."""
        inputs = inputs[:, : self.card.network.in_channels]
        if place.device.type != "cpu":
            return place.run(inputs)
        parts = np.array_split(inputs, -(-len(inputs) // PATCHES_IN_PART))
        return np.concatenate(list(cores.map(place.run, parts)))


@dataclass(frozen=True, slots=True)
class _Place:
    """A network on a device, and its precision there."""

    device: torch.device
    net: nn.Module
    precision: Precision

    @classmethod
    def of(cls, device: torch.device, net: nn.Module, precision: Precision) -> Self:
        """Move a network to a device, and settle the precision there."""
        return cls(device, net.to(device), choose_precision(device) if precision == "auto" else precision)

    @torch.inference_mode()
    def run(self, inputs: NDArray[np.float32]) -> NDArray[np.float32]:
        """Give the (N, P, P) probabilities of (N, C, P, P) inputs."""
        x = torch.from_numpy(np.ascontiguousarray(inputs)).to(self.device, memory_format=torch.channels_last)
        dtype = DTYPES.get(self.precision)
        with torch.autocast(self.device.type, dtype=dtype, enabled=dtype is not None):
            logits = self.net(x)  # (N, 1, P, P)
        probability: NDArray[np.float32] = torch.sigmoid(logits[:, 0].float()).cpu().numpy()
        return probability


@contextmanager
def _asking(places: Iterable[_Place], stopped: Callable[[], bool]) -> Iterator[None]:
    """Let each layer ask whether to leave off before it begins."""

    def ask(_layer: nn.Module, _inputs: Any) -> None:
        if stopped():
            raise Stopped

    layers = {layer for place in places for layer in place.net.modules()}
    hooks = [layer.register_forward_pre_hook(ask) for layer in layers]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


Predictors = Mapping[PromptKind, Predictor]  # one for each kind of prompt that is segmented
