"""Marked patches to probabilities: weights, device, precision and batches in one place."""

import copy
import logging
import sys
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import FIRST_EXCEPTION, wait
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from nuclick_qp.guidance.signals import MarkedPatches
from nuclick_qp.kinds import PromptKind
from nuclick_qp.model.cards import Card, find_card
from nuclick_qp.model.checkpoints import load_network
from nuclick_qp.model.devices import Precision, choose_device, choose_precision, one_core_threads, usable_cores
from nuclick_qp.model.folded import fold_batch_norm
from nuclick_qp.model.inputs import draw_inputs
from nuclick_qp.stopping import Stopped, never

logger = logging.getLogger(__name__)

PATCHES_IN_PART = 4  # of a batch, on a CPU
PARTS_IN_BATCH = 8  # as many cores as one of 32 patches keeps busy
DTYPES = {"bfloat16": torch.bfloat16, "float16": torch.float16}  # of the autocast


class Predictor:
    """A network on a device, ready for use once built; several threads may ask it at once.

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
        channels = card.network.in_channels
        self._here = _Place.of(torch.device("cpu"), folded, channels, precision)
        there = choose_device(device)
        self._there = self._here if there == self._here.device else _Place.of(there, copy.deepcopy(folded), channels, precision)
        self._cores = one_core_threads(usable_cores(), f"network {card.name}")
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

    @property
    def batches_at_once(self) -> int:
        """How many batches should be under way, being read and cut out as well, so that the network never waits."""
        return 2 + -(-usable_cores() // PARTS_IN_BATCH)

    def predict(self, patches: MarkedPatches, *, batch_size: int = 32, stopped: Callable[[], bool] = never) -> NDArray[np.float32]:
        """Give the probability of belonging to the wanted object.

        When the device runs out of memory the batch is halved, for later calls as well, down to one patch;
        where not even that finds room the CPU takes over for the rest of this call, see `may_move`. The
        result stays the same.

        Parameters
        ----------
        patches
            N patches of P x P pixels, as `guidance.mark_patches` makes them.
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
        parts, done, place = [np.empty((0, patches.side, patches.side), np.float32)], 0, self._there
        while done < len(patches):
            size = min(batch_size, self._most_at_once)
            try:
                parts.append(self._run(place, patches.part(done, done + size), stopped))
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

    def _run(self, place: "_Place", patches: MarkedPatches, stopped: Callable[[], bool]) -> NDArray[np.float32]:
        """Send one batch through the network; on a CPU in parts, which the cores share out among themselves."""
        if place.device.type != "cpu":
            return place.run(patches, stopped)
        count = -(-len(patches) // PATCHES_IN_PART)
        ends = np.linspace(0, len(patches), count + 1).astype(int).tolist()
        parts = [self._cores.submit(place.run, patches.part(start, stop), stopped) for start, stop in pairwise(ends)]
        wait(parts, return_when=FIRST_EXCEPTION)
        for part in parts:
            part.cancel()  # what has not begun when another has failed
        return np.concatenate([part.result() for part in parts if not part.cancelled()])


@dataclass(frozen=True, slots=True)
class _Place:
    """A network on a device, how many channels it sees, and its precision there."""

    device: torch.device
    net: nn.Module
    channels: int
    precision: Precision

    @classmethod
    def of(cls, device: torch.device, net: nn.Module, channels: int, precision: Precision) -> Self:
        """Move a network to a device, settle the precision there, and let each layer ask whether to leave off."""
        for layer in net.modules():
            layer.register_forward_pre_hook(_ask)
        return cls(device, net.to(device), channels, choose_precision(device) if precision == "auto" else precision)

    @torch.inference_mode()
    def run(self, patches: MarkedPatches, stopped: Callable[[], bool] = never) -> NDArray[np.float32]:
        """Give the (N, P, P) probabilities of patches."""
        _asked.stopped = stopped
        inputs = draw_inputs(patches, channels=self.channels, device=self.device)
        dtype = DTYPES.get(self.precision)
        with torch.autocast(self.device.type, dtype=dtype, enabled=dtype is not None):
            logits = self.net(inputs)  # (N, 1, P, P)
        probability: NDArray[np.float32] = torch.sigmoid(logits[:, 0].float()).cpu().numpy()
        return probability


_asked = threading.local()  # `stopped` of the call that a thread works for


def _ask(_layer: nn.Module, _inputs: Any) -> None:
    """Leave off before a layer begins, where that is wanted."""
    if _asked.stopped():
        raise Stopped


Predictors = Mapping[PromptKind, Predictor]  # one for each kind of prompt that is segmented
