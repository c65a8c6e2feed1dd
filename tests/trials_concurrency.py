"""Several runs on copies of one project at once, some of them killed: run by hand, and for a moment by the tests.

    python tests/trials_concurrency.py [TRIALS] [SEED]

Two to four processes start at random moments on a project of drawn discs: all on the same prompts, on classes or on
images of their own, with another model, or adding classes to the project's list. Some are killed. When all have ended

- every `ok` or `unchanged` that a process reported before its end is an outline on disk, unless a later run replaced it,
- every image that was changed has a backup that holds its very first content,
- all that the user drew is there, and every file can be read.

A last run then does what is left, alone, and has to end with every prompt outlined.
"""

import json
import logging
import multiprocessing
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from dataclasses import asdict, dataclass, fields
from multiprocessing.context import ForkProcess
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from skimage.draw import disk

from drawn_projects import ours_of, points_at, run_on
from fakes import DarkIsObject, make_card
from nuclick_qp.annotations.objects import PROMPT_KEY
from nuclick_qp.model.predictor import Predictor, Predictors
from nuclick_qp.qupath.folder.create import NewImage, create_project
from nuclick_qp.qupath.qpdata.data_file import parse_data_file
from nuclick_qp.storage.guarded import backup_of

CLASSES = ("A", "B", "C", "D")
IMAGES = 3
PLACES = [(40.0 + 60 * column, 40.0 + 60 * row) for row in range(4) for column in range(6)]
KINDS = ("same", "classes", "images", "models")
KILLED: list[int] = []  # processes that were still at work
FORK = multiprocessing.get_context("fork")  # a worker imports nothing and builds no network


@dataclass(frozen=True)
class Found:
    """What went wrong in one trial, by kind; all empty when nothing did."""

    wrong_reports: tuple[str, ...] = ()
    without_backup: tuple[str, ...] = ()
    lost_objects: tuple[str, ...] = ()
    unfinished: tuple[str, ...] = ()


def make_predictors(name: str = "dark") -> Predictors:
    """Give a model for points that takes dark pixels for objects."""
    return {"point": Predictor(make_card(name=name), DarkIsObject(), device="cpu", precision="float32")}


def make_original(folder: Path) -> Path:
    """Make a project of drawn discs, with a point of one of four classes in each."""
    pixels = np.full((300, 400, 3), 230, np.uint8)
    for x, y in PLACES:
        pixels[disk((y - 0.5, x - 0.5), 9, shape=pixels.shape[:2])] = 40
    new = []
    for number in range(IMAGES):
        path = folder / f"{number}.png"
        Image.fromarray(pixels).save(path)
        points = tuple(points_at(*PLACES[i :: len(CLASSES)], class_name=name) for i, name in enumerate(CLASSES))
        new.append(NewImage(path, path.name, 400, 300, 0.25, points))
    return create_project(folder / "project", new)


def work(project: Path, options: dict[str, Any], predictors: Predictors, told: Path, delay: float) -> None:
    """Run, and tell what was reported."""
    logging.disable()
    time.sleep(delay)
    report = run_on(project, predictors, **options)
    lines = {image.image: {"ok": image.ok, "skipped": image.skipped, "error": image.error} for image in report.images}
    told.write_text(json.dumps(lines))


def try_once(original: Path, folder: Path, rng: random.Random) -> Found:
    """Run several processes on a copy of a project, kill some, and look at what they left."""
    project = Path(shutil.copytree(original.parent, folder / "project")) / original.name
    kind, count = rng.choice(KINDS), rng.randint(2, 4)
    jobs = []
    for number in range(count):
        options: dict[str, Any] = {}
        predictors = make_predictors(f"dark{number}" if kind == "models" else "dark")
        if kind == "classes":
            options["classes"] = CLASSES[number::count]
        if kind == "images" and number:
            options["images"] = f"{rng.randrange(IMAGES)}.png"
        told = folder / f"{number}.json"
        process = FORK.Process(target=work, args=(project, options, predictors, told, rng.random() * 0.3))
        jobs.append((process, options, told))
    for process, _, _ in jobs:
        process.start()
    killed = [process for process, _, _ in jobs if rng.random() < 0.35]
    _kill(killed, rng)
    for process, _, _ in jobs:
        process.join(120)
        assert process.exitcode is not None, "a run hangs"
    found = _look(original, project, [(options, told) for _, options, told in jobs], kind=kind)
    last = run_on(project, make_predictors())
    rest = tuple(f"{kind}: {image.image}: {image.error or image.statuses}" for image in last.images if image.status != "ok")
    rest += tuple(str(p) for p in project.parent.rglob("*") if p.name.endswith(".nuclick-lock"))
    return Found(found.wrong_reports, found.without_backup, found.lost_objects, rest)


def _kill(processes: list[ForkProcess], rng: random.Random) -> None:
    """Kill processes at random moments of the second and a half that a run takes."""
    for process in processes:
        time.sleep(rng.random() * 0.5)
        if process.pid is not None and process.is_alive():
            os.kill(process.pid, signal.SIGKILL)
            KILLED.append(process.pid)


def _look(original: Path, project: Path, jobs: list[tuple[dict[str, Any], Path]], *, kind: str) -> Found:
    wrong, bare, lost = [], [], []
    for number in range(IMAGES):
        entry, name = str(number + 1), f"{number}.png"
        data = project.parent / "data" / entry / "data.qpdata"
        first = (original.parent / "data" / entry / "data.qpdata").read_bytes()
        is_changed = data.read_bytes() != first
        if is_changed and (not backup_of(data).is_file() or backup_of(data).read_bytes() != first):
            bare.append(f"{kind}: {name}")
        if _drawn(data.read_bytes(), data) != _drawn(first, data):
            lost.append(f"{kind}: {name}")
        standing = Counter(item.class_name for item in ours_of(project, entry))
        keys = [dict(item.metadata)[PROMPT_KEY] for item in ours_of(project, entry)]
        if len(set(keys)) < len(keys):
            wrong.append(f"{kind}: {name}: an outline twice")
        for options, told in jobs:
            wanted = options.get("classes") or CLASSES
            report = json.loads(told.read_text()).get(name) if told.exists() else None
            if report is None:
                continue
            on_disk = sum(standing[c] for c in wanted)
            if report["error"] or report["ok"] + report["skipped"] != on_disk:
                wrong.append(f"{kind}: {name}: reported {report}, on disk {on_disk}")
    for path in project.parent.rglob("*.json"):
        json.loads(path.read_text("utf-8"))
    return Found(tuple(wrong), tuple(bare), tuple(lost))


def _drawn(data: bytes, source: Path) -> list[str]:
    """List what the user drew."""
    items = parse_data_file(data, source=source).objects
    return [f"{item.class_name} {item.roi!r}" for item in items if PROMPT_KEY not in dict(item.metadata)]


def main(trials: int, seed: int) -> int:
    """Make trials, and print what went wrong in them."""
    rng = random.Random(seed)
    sums = {field.name: 0 for field in fields(Found)}
    since = time.monotonic()
    with tempfile.TemporaryDirectory() as place:
        original = make_original(Path(place))
        for number in range(trials):
            folder = Path(place) / str(number)
            folder.mkdir()
            for what, lines in asdict(try_once(original, folder, rng)).items():
                sums[what] += len(lines)
                for line in lines:
                    print(f"trial {number}: {what}: {line}", flush=True)
            shutil.rmtree(folder)
    print(f"{trials} trials in {time.monotonic() - since:.0f} s: {sums}; {len(KILLED)} runs were killed at work")
    return int(any(sums.values()))


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 200, int(sys.argv[2]) if len(sys.argv) > 2 else 0))
