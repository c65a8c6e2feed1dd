"""The network by itself: `Predictor.predict` now, and the plain forward pass that it was before."""

import statistics
import sys
import time
from collections.abc import Callable

import numpy as np
import torch
from pydantic import BaseModel

from nuclick_qp.guidance.signals import MarkedPatches
from nuclick_qp.model.cards import find_card
from nuclick_qp.model.checkpoints import load_network
from nuclick_qp.model.devices import choose_device, usable_cores
from nuclick_qp.model.inputs import draw_inputs
from nuclick_qp.model.predictor import Predictor

REPEATS = 5
BATCHES = 4  # of a quick look


class Request(BaseModel):
    """Which network, where, and how many patches in batches of what size."""

    network: str
    device: str
    patches: int
    batch_size: int


class NetworkSpeed(BaseModel):
    """Patches per second, medians of `REPEATS`, taken in turns."""

    now: float
    plain: float


def measure(request: Request) -> NetworkSpeed:
    """Time both ways in turns on patches of noise: the network takes the same time for anything."""
    card, weights = find_card(request.network)
    predictor = Predictor.load(request.network, device=request.device)
    device = choose_device(request.device)
    net = load_network(card, weights).eval().to(device)
    patches = noise(request.patches, card.patch_px)
    inputs = draw_inputs(patches, channels=card.network.in_channels, device=torch.device("cpu")).contiguous()  # NCHW

    @torch.inference_mode()
    def plain() -> None:
        """NCHW, float32, batch norms as they are, each convolution split among the cores by OpenMP."""
        torch.set_num_threads(usable_cores())
        for first in range(0, len(inputs), request.batch_size):
            torch.sigmoid(net(inputs[first : first + request.batch_size].to(device)))[:, 0].cpu().numpy()
        torch.set_num_threads(1)

    def now() -> None:
        predictor.predict(patches, batch_size=request.batch_size)

    ways: dict[str, Callable[[], None]] = {"now": now, "plain": plain}
    taken: dict[str, list[float]] = {name: [] for name in ways}
    for way in ways.values():
        way()
    for _ in range(REPEATS):
        for name, way in ways.items():
            since = time.perf_counter()
            way()
            taken[name].append(time.perf_counter() - since)
    return NetworkSpeed(**{name: request.patches / statistics.median(seconds) for name, seconds in taken.items()})


def per_second(predictor: Predictor, *, batch_size: int) -> float:
    """Give the patches that a predictor does in a second in batches, which takes it a second or two."""
    patches = noise(BATCHES * batch_size, predictor.card.patch_px)
    predictor.predict(patches.part(0, batch_size), batch_size=batch_size)
    since = time.perf_counter()
    predictor.predict(patches, batch_size=batch_size)
    return len(patches) / (time.perf_counter() - since)


def noise(count: int, side: int) -> MarkedPatches:
    """Give patches of noise: the network takes the same time for anything."""
    return MarkedPatches.without_marks(np.random.default_rng(0).integers(0, 256, (count, side, side, 3), np.uint8))


if __name__ == "__main__":
    print(measure(Request.model_validate_json(sys.argv[1])).model_dump_json())
