"""One network for all requests: what waits together goes through it together."""

import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from nuclick_qp.guidance.signals import MarkedPatches
from nuclick_qp.model.predictor import Predictor
from nuclick_qp.stopping import Stopped, never

LARGEST_BATCH = 64  # patches that are put together; those of one request may be more


@dataclass(frozen=True, slots=True)
class _Order:
    patches: MarkedPatches
    future: "Future[NDArray[np.float32]]" = field(default_factory=Future)


class SharedPredictor(Predictor):
    """A `Predictor` for many threads; a single thread of its own talks to the device.

    A result does not depend on what it was batched with.
    """

    def __init__(self, predictor: Predictor) -> None:  # the network stays with the one it is given
        predictor.may_move = False
        self.card, self.device, self.precision = predictor.card, predictor.device, predictor.precision
        self._predictor = predictor
        self._orders: queue.SimpleQueue[_Order | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._work, name=f"predictor {self.card.name}", daemon=True)
        self._thread.start()

    @property
    def waiting(self) -> int:
        """Batches that wait for the network."""
        return self._orders.qsize()

    def predict(
        self, patches: MarkedPatches, *, batch_size: int = LARGEST_BATCH, stopped: Callable[[], bool] = never
    ) -> NDArray[np.float32]:
        """Give the (N, P, P) probabilities of N patches, as `Predictor.predict` does.

        Raises
        ------
        Stopped
            If a stop was asked for before the first batch.
        torch.OutOfMemoryError
            If the device has no room for one patch.
        """
        if stopped():
            raise Stopped
        if not len(patches):
            return np.empty((0, patches.side, patches.side), np.float32)
        parts = [_Order(patches.part(start, start + batch_size)) for start in range(0, len(patches), batch_size)]
        for order in parts:
            self._orders.put(order)
        return np.concatenate([order.future.result() for order in parts])

    def close(self) -> None:
        """End the thread once it has served what waits."""
        self._orders.put(None)
        self._thread.join()

    def _work(self) -> None:
        while (first := self._orders.get()) is not None:
            orders, is_last = self._with_waiting(first)
            try:
                done = self._predictor.predict(MarkedPatches.joined([order.patches for order in orders]), batch_size=LARGEST_BATCH)
            except BaseException as err:  # noqa: BLE001  # it belongs to those who wait, and the next orders may go well
                for order in orders:
                    order.future.set_exception(err)
            else:
                ends = np.cumsum([len(order.patches) for order in orders])
                for order, part in zip(orders, np.split(done, ends[:-1]), strict=True):
                    order.future.set_result(part)
            if is_last:
                return

    def _with_waiting(self, first: _Order) -> tuple[list[_Order], bool]:
        """Take along what waits already, up to a full batch; tell whether the end came with it."""
        orders, patches = [first], len(first.patches)
        while patches < LARGEST_BATCH:
            try:
                order = self._orders.get_nowait()
            except queue.Empty:
                break
            if order is None:
                return orders, True
            orders.append(order)
            patches += len(order.patches)
        return orders, False
