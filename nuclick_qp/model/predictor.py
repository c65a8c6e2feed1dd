"""Inputs to probabilities: weights, device, precision and batches in one place."""

import logging
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
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
DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


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
        Whether the network moves to the CPU for good when the device has no room for one patch. A run
        goes on that way; a service would be slow from then on, and refuses the request instead.
    """

    def __init__(self, card: Card, net: nn.Module, *, device: str = "auto", precision: Precision = "auto") -> None:
        self.card = card
        self.may_move = True
        self.device = choose_device(device)
        self.precision = choose_precision(self.device) if precision == "auto" else precision
        self._net = fold_batch_norm(net).to(self.device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch lacks it

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

        When the device runs out of memory the batch is halved, down to one patch, and then the CPU
        takes over, see `may_move`; the result stays the same.

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
        parts, done = [np.empty((0, *inputs.shape[2:]), np.float32)], 0
        with self._asking(stopped), one_core_threads(usable_cores(), "network") as cores:
            while done < len(inputs):
                try:
                    parts.append(self._run(inputs[done : done + batch_size], cores))
                except torch.OutOfMemoryError as err:
                    batch_size = self._shrink(batch_size, err)
                else:
                    done += batch_size
        return np.concatenate(parts)

    @contextmanager
    def _asking(self, stopped: Callable[[], bool]) -> Iterator[None]:
        """Let each layer ask whether to leave off before it begins."""

        def ask(_layer: nn.Module, _inputs: Any) -> None:
            if stopped():
                raise Stopped

        hooks = [layer.register_forward_pre_hook(ask) for layer in self._net.modules()]
        try:
            yield
        finally:
            for hook in hooks:
                hook.remove()

    def _run(self, inputs: NDArray[np.float32], cores: ThreadPoolExecutor) -> NDArray[np.float32]:
        """Send one batch through the network: (N, 5, P, P) to (N, P, P); on a CPU in parts, which the cores share out among themselves."""
        if self.device.type != "cpu":
            return self._run_part(inputs)
        parts = np.array_split(inputs, -(-len(inputs) // PATCHES_IN_PART))
        return np.concatenate(list(cores.map(self._run_part, parts)))

    @torch.inference_mode()
    def _run_part(self, inputs: NDArray[np.float32]) -> NDArray[np.float32]:
        x = torch.from_numpy(np.ascontiguousarray(inputs[:, : self.card.network.in_channels]))
        x = x.to(self.device, memory_format=torch.channels_last)
        with torch.autocast(self.device.type, dtype=DTYPES[self.precision], enabled=self.precision != "float32"):
            logits = self._net(x)  # (N, 1, P, P)
        probability: NDArray[np.float32] = torch.sigmoid(logits[:, 0].float()).cpu().numpy()
        return probability

    def _shrink(self, batch_size: int, error: Exception) -> int:
        """Give the next batch size to try; from a batch of one the network moves to the CPU."""
        logger.warning("%s is out of memory at %d patches at once (%s)", self.device, batch_size, str(error).splitlines()[0])
        if batch_size > 1:
            return batch_size // 2
        if self.device.type == "cpu" or not self.may_move:
            raise error
        self.device = torch.device("cpu")
        self._net = self._net.to(self.device)
        logger.warning("going on with the CPU")
        return 1


Predictors = Mapping[PromptKind, Predictor]  # one for each kind of prompt that is segmented
