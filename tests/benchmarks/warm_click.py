"""One click after another with a loaded model, from pixels to a polygon, beside nothing and beside a program that keeps a core busy."""

import contextlib
import subprocess
import sys
import time
from collections.abc import Iterator

import numpy as np
import skimage.data
from PIL import Image
from pydantic import BaseModel

from benchmarks.synthetic_slide import IMAGE_SIDE, MPP, click_on_nuclei
from nuclick_qp.model.predictor import Predictor
from nuclick_qp.run.in_memory import segment

SIDE = 512  # px of what is handed over with a click: what QuPath sends is of this order
WARM_UP = 5


class Request(BaseModel):
    """How many clicks, and on what."""

    network: str
    device: str
    clicks: int


class Spread(BaseModel):
    """Milliseconds from pixels to a polygon."""

    p50_ms: float
    p95_ms: float


class WarmClicks(BaseModel):
    """A click on a quiet machine, and beside one program that keeps a core busy."""

    quiet: Spread
    busy: Spread
    clicks: int


def measure(request: Request) -> WarmClicks:
    """Time the clicks one by one."""
    predictor = Predictor.load(request.network, device=request.device)
    _milliseconds(predictor, WARM_UP)
    quiet = _milliseconds(predictor, request.clicks)
    with a_busy_core():
        _milliseconds(predictor, WARM_UP)
        busy = _milliseconds(predictor, request.clicks)
    return WarmClicks(quiet=_spread(quiet), busy=_spread(busy), clicks=request.clicks)


@contextlib.contextmanager
def a_busy_core() -> Iterator[None]:
    """Keep one core busy, as a browser does beside QuPath."""
    with subprocess.Popen([sys.executable, "-c", "while True: pass"]) as process:
        try:
            yield
        finally:
            process.kill()


def _milliseconds(predictor: Predictor, count: int) -> list[float]:
    image = Image.fromarray(skimage.data.immunohistochemistry()).resize((IMAGE_SIDE, IMAGE_SIDE), Image.Resampling.BICUBIC)
    pixels = np.asarray(image)[:SIDE, :SIDE]
    nuclei = click_on_nuclei(400, "dense", side=2 * IMAGE_SIDE).xy
    inside = nuclei[(nuclei < SIDE).all(axis=1)]
    taken = []
    for i in range(count):
        click = inside[i % len(inside)]
        since = time.perf_counter()
        segment(pixels, [click], mpp=MPP, predictor=predictor)
        taken.append((time.perf_counter() - since) * 1000)
    return taken


def _spread(milliseconds: list[float]) -> Spread:
    p50, p95 = np.percentile(milliseconds, [50, 95]).tolist()
    return Spread(p50_ms=p50, p95_ms=p95)


if __name__ == "__main__":
    print(measure(Request.model_validate_json(sys.argv[1])).model_dump_json())
