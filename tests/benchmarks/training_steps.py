"""Steps of a training on drawn labels, each with a batch made for it, beside nothing and beside a program that keeps a core busy."""

import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image
from pydantic import BaseModel

from benchmarks.synthetic_slide import IMAGE_SIDE, click_on_nuclei, repeating_square
from benchmarks.warm_click import a_busy_core
from nuclick_qp.model.devices import choose_device
from nuclick_qp.training.batches import BatchMaker
from nuclick_qp.training.config import TrainingConfig
from nuclick_qp.training.lanes import Lanes, choose_lanes, get_ready
from nuclick_qp.training.sources import load_images
from nuclick_qp.training.state import TrainingState
from nuclick_qp.training.step import take_step

DISC_PX = 6  # radius of the objects that are learned
WARM_UP = 2  # steps that are not counted


class Request(BaseModel):
    """How many steps of what."""

    width: float
    device: str
    batch_size: int
    steps: int


class TrainingSteps(BaseModel):
    """Steps per second."""

    quiet: float
    busy: float
    batch_size: int


def measure(request: Request) -> TrainingSteps:
    """Train on two images of tissue with a disc for the label of each nucleus."""
    device = choose_device(request.device)
    get_ready(device)
    with tempfile.TemporaryDirectory() as folder:
        _draw_labelled(Path(folder, "discs"))
        config = _config(request)
        maker = BatchMaker.of(load_images(config, Path(folder))[0], config, device, seed=config.seed, augment=True)
    state = TrainingState.new(config, device)
    lanes = Lanes(state.net, choose_lanes(None, batch_size=config.batch_size, device=device))

    def steps_per_second() -> float:
        for step in range(WARM_UP):
            loss = take_step(state, maker[step], lanes)
        float(loss)  # waits for the device
        since = time.perf_counter()
        for step in range(request.steps):
            loss = take_step(state, maker[step], lanes)
        float(loss)
        return request.steps / (time.perf_counter() - since)

    quiet = steps_per_second()
    with a_busy_core():
        return TrainingSteps(quiet=quiet, busy=steps_per_second(), batch_size=request.batch_size)


def _config(request: Request) -> TrainingConfig:
    return TrainingConfig.model_validate({
        "name": "bench", "prompt": "point", "description": "discs on tissue", "licence": "GPL-3.0-or-later",
        "sources": [{"folder": "discs", "mpp": 0.25, "validation": ["two*"]}],
        "patch_px": 128, "width": request.width, "batch_size": request.batch_size,
    })  # fmt: skip


def _draw_labelled(folder: Path) -> None:
    folder.mkdir()
    nuclei = click_on_nuclei(400, "dense", side=2 * IMAGE_SIDE).xy
    rows, cols = np.mgrid[-DISC_PX : DISC_PX + 1, -DISC_PX : DISC_PX + 1]
    disc = (rows**2 + cols**2 <= DISC_PX**2).nonzero()
    for left, name in ((0, "one"), (IMAGE_SIDE, "two")):
        labels = np.zeros((IMAGE_SIDE, IMAGE_SIDE), np.uint16)
        inside = nuclei - (left, 0)
        inside = inside[((inside > DISC_PX) & (inside < IMAGE_SIDE - DISC_PX - 1)).all(axis=1)]
        for label, (col, row) in enumerate(inside.astype(int), 1):
            labels[disc[0] + row - DISC_PX, disc[1] + col - DISC_PX] = label
        Image.fromarray(repeating_square()[:IMAGE_SIDE, left : left + IMAGE_SIDE]).save(folder / f"{name}.png")
        Image.fromarray(labels).save(folder / f"{name}_label.png")


if __name__ == "__main__":
    print(measure(Request.model_validate_json(sys.argv[1])).model_dump_json())
