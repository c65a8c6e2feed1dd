"""All that needs a GPU, in one JSON and under eight minutes, with no network: `python -m benchmarks.gpu_bench OUT`, see `make bench-gpu`.

A part that fails says so in the JSON, and one that would begin after the eight minutes is left out: a lent machine does not come back.
`--device cpu --size tiny` runs the same code anywhere.
"""

import argparse
import json
import platform
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict

from benchmarks import one_run, training_steps, warm_click
from benchmarks.drawn_answers import AFTER, load_any
from benchmarks.in_own_process import answer_of
from benchmarks.network_alone import noise
from benchmarks.one_run import RunFigures
from benchmarks.synthetic_slide import IMAGE_SIDE, SIDE, click_on_nuclei, make_project, write_slide
from benchmarks.training_steps import TrainingSteps
from benchmarks.warm_click import WarmClicks
from nuclick_qp.model.devices import choose_device, usable_cores
from nuclick_qp.model.predictor import Predictor
from nuclick_qp.run.in_memory import segment

ROOT = Path(__file__).parents[2]
SHIPPED, FULL = "nuclei", f"{AFTER}1"  # width 1/4 as it is shipped; width 1 with random weights


class Size(BaseModel):
    """How much each part does."""

    model_config = ConfigDict(frozen=True)

    minutes: float = 8
    tests: tuple[str, ...] = ("tests/model", "tests/training")
    side: int = SIDE
    patches: int = 2048
    batches: tuple[int, ...] = (32, 128, 512)
    networks: tuple[str, ...] = (SHIPPED, FULL)
    compared: int = 256
    steps: int = 30
    train_batch: int = 64
    train_widths: tuple[float, ...] = (0.25, 1.0)
    clicks: tuple[tuple[str, int, int], ...] = ((SHIPPED, 20_000, 32), (SHIPPED, 20_000, 256), (FULL, 5_000, 32))
    warm: int = 200


SIZES = {
    "full": Size(),
    "tiny": Size(
        tests=("tests/model/test_predictor.py",), side=4 * IMAGE_SIDE, patches=4, batches=(2,), networks=(SHIPPED, f"{AFTER}0.07"),
        compared=32, steps=2, train_batch=4, train_widths=(0.07,), clicks=((f"{AFTER}0.07", 4, 2),), warm=2,
    ),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class WholeSlide:
    """A run over a project of a whole slide."""

    slide: Path
    folder: Path
    network: str
    clicks: int
    batch_size: int
    side: int


class Part(BaseModel):
    """What came out of a part: what it measured, or why it did not."""

    seconds: float
    found: dict[str, Any] = {}
    error: str | None = None


def main() -> None:
    """Do all parts, and write after each."""
    parser = argparse.ArgumentParser(description="Measure and test on a GPU.")
    parser.add_argument("out", type=Path, help="the JSON that is written")
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--size", choices=SIZES, default="full")
    arguments = parser.parse_args()
    device, size, since = choose_device(arguments.device), SIZES[arguments.size], time.monotonic()
    done: dict[str, Part] = {"machine": Part(seconds=0, found=machine(device))}
    with tempfile.TemporaryDirectory() as folder:
        for name, part in parts(size, arguments.device, Path(folder)).items():
            done[name] = attempt(part) if time.monotonic() - since < 60 * size.minutes else Part(seconds=0, error="no time was left")
            arguments.out.write_text(as_json(done), "utf-8")
            print(f"{time.monotonic() - since:.0f} s: {name}: {done[name].error or done[name].found}", file=sys.stderr, flush=True)
    sys.exit(any(part.error for part in done.values()))


def parts(size: Size, device: str, folder: Path) -> dict[str, Callable[[], dict[str, Any]]]:
    """List what is done, by name, the most wanted first."""
    slide = folder / "whole.tif"
    write_slide(slide, side=size.side)
    listed: dict[str, Callable[[], dict[str, Any]]] = {
        "tests marked gpu": partial(run_tests, size),
        "equal to the CPU": partial(compare_with_cpu, size, device, slide),
    }
    for network, clicks, batch in size.clicks:
        whole = WholeSlide(slide, folder / f"{network}-{clicks}-{batch}", network, clicks, batch, size.side)
        listed[f"{clicks} dense clicks from disk to disk, {network}, batches of {batch}"] = partial(run_whole_slide, whole, device)
    listed["one warm click"] = partial(warm_clicks, size, device)
    for network in size.networks:
        listed[f"patches per second, {network}"] = partial(throughput, network, size, device)
    for width in size.train_widths:
        listed[f"training at width {width:g}"] = partial(training_speed, width, size, device)
    return listed


def attempt(part: Callable[[], dict[str, Any]]) -> Part:
    """Do a part; what it fails of is told, and the next is done."""
    since = time.monotonic()
    try:
        return Part(found=part(), seconds=time.monotonic() - since)
    except Exception as err:  # noqa: BLE001  # a lent machine does not come back for the other parts
        return Part(error=f"{type(err).__name__}: {err}", seconds=time.monotonic() - since)


def as_json(done: dict[str, Part]) -> str:
    """Give all parts as a text."""
    return json.dumps({name: part.model_dump(exclude_defaults=True) for name, part in done.items()}, indent=1) + "\n"


def machine(device: torch.device) -> dict[str, Any]:
    """Say what is measured on."""
    card = torch.cuda.get_device_name(device) if device.type == "cuda" else str(device)
    versions = {"torch": torch.__version__, "cuda": torch.version.cuda, "python": platform.python_version()}
    return {"device": card, "cores": usable_cores(), **versions}


def run_tests(size: Size) -> dict[str, Any]:
    """Run the tests that are marked, each of which skips itself where there is no GPU."""
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-m", "gpu", *size.tests]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=False)
    last = done.stdout.splitlines()[-1] if done.stdout else "pytest said nothing"
    if done.returncode:
        raise RuntimeError(f"pytest ended with {done.returncode}: {last}")
    return {word: int(count) for count, word in re.findall(r"(\d+) (passed|skipped)", last)}


def compare_with_cpu(size: Size, device: str, slide: Path) -> dict[str, Any]:
    """Compare probabilities in float32, and outlines in the precision that the device runs in."""
    xy = click_on_nuclei(size.compared, "dense", side=size.side).xy
    here, there = (Predictor.load(SHIPPED, device=name, precision="float32") for name in ("cpu", device))
    patches = noise(size.compared, here.card.patch_px)
    apart = np.abs(here.predict(patches) - there.predict(patches)).max()
    ours, theirs = (segment(slide, xy, predictor=predictor) for predictor in (here, Predictor.load(SHIPPED, device=device)))
    both = [(a.polygon, b.polygon) for a, b in zip(ours, theirs, strict=True) if a.polygon is not None and b.polygon is not None]
    ious = [a.intersection(b).area / a.union(b).area for a, b in both]
    return {
        "greatest difference of a probability, float32": float(apart),
        "outlines": [sum(one.polygon is not None for one in found) for found in (ours, theirs)],
        "IoU": {"median": float(np.median(ious)), "least": min(ious), "clicks": len(ious)},
    }


def throughput(network: str, size: Size, device: str) -> dict[str, Any]:
    """Give patches per second by batch size; the best of three, after one that is not counted."""
    predictor = load_any(network, device=device)[0]
    patches = noise(size.patches, predictor.card.patch_px)
    rates = {}
    for batch in size.batches:
        taken = []
        for _ in range(4):
            since = time.perf_counter()
            predictor.predict(patches, batch_size=batch)
            taken.append(time.perf_counter() - since)
        rates[str(batch)] = round(size.patches / min(taken[1:]), 1)
    return {"precision": predictor.precision, "patches per second by batch": rates}


def run_whole_slide(whole: WholeSlide, device: str) -> dict[str, Any]:
    """Run over a project on disk, in a process of its own."""
    project = make_project(whole.folder, whole.slide, click_on_nuclei(whole.clicks, "dense", side=whole.side), side=whole.side)
    request = one_run.Request(project=project, network=whole.network, device=device, batch_size=whole.batch_size, began=time.time())
    found = answer_of("benchmarks.one_run", request, RunFigures)
    return {"clicks per second": round(found.clicks / found.seconds, 1), **found.model_dump()}


def warm_clicks(size: Size, device: str) -> dict[str, Any]:
    """Time single clicks with a loaded model."""
    request = warm_click.Request(network=SHIPPED, device=device, clicks=size.warm)
    return answer_of("benchmarks.warm_click", request, WarmClicks).model_dump()


def training_speed(width: float, size: Size, device: str) -> dict[str, Any]:
    """Time the steps of a training, in a process of its own."""
    request = training_steps.Request(width=width, device=device, batch_size=size.train_batch, steps=size.steps)
    return answer_of("benchmarks.training_steps", request, TrainingSteps).model_dump()


if __name__ == "__main__":
    main()
