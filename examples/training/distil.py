"""What `gpu.sh` does: pack the images of a kind, train a teacher on them, and teach the shipped size.

    python examples/training/distil.py pack KIND DATA FILE
    python examples/training/distil.py train KIND FILE OUT [--minutes 8 [--fit]] [--stage student] [--compile] [--device auto]

The student is the configuration gpu/KIND.toml; a teacher has its values but for those of its `Plan`. `--stage student`
makes no teacher: the student learns from one that lies in OUT/back, else from labels alone.
"""

import argparse
import io
import sys
import tarfile
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from PIL import Image

from nuclick_qp.errors import NuClickError
from nuclick_qp.stopping import Stopped, raise_on_all_stops
from nuclick_qp.storage.atomic import write_atomically
from nuclick_qp.storage.labels import find_pairs
from nuclick_qp.training.config import TeacherSettings, TrainingConfig, read_config
from nuclick_qp.training.finish import finish
from nuclick_qp.training.loop import TrainingProgress, train
from nuclick_qp.training.pace import with_steps
from nuclick_qp.training.sources import load_images
from nuclick_qp.training.state import TrainingState
from nuclick_qp.training.training_run import TrainingRun

CONFIGS = Path(__file__).parent / "gpu"
EXIT_STOPPED, EXIT_ERROR = 130, 3  # as of `nuclick-qp train`
LARGEST_PACK = 60_000_000
LARGEST_PART = 15_000_000  # bytes of a file that comes back
PNG_QUALITY = 95  # of the JPEG that it becomes
TEACHERS_SHARE = 0.5


@dataclass(frozen=True, slots=True)
class Plan:
    """How a kind is trained on a GPU.

    Attributes
    ----------
    init
        Model that the student starts from. The teacher, of another width, starts from random weights.
    teacher_steps, teacher_rate, teacher_width
        Length and learning rate of the teacher's training, and its width. Width 1/2 comes back in three files.
    """

    init: str
    teacher_steps: int
    teacher_rate: float = 2e-3
    teacher_width: float = 0.5


PLANS = {
    "nuclei": Plan("nuclei", 1400),
    "nuclei-monuseg": Plan("nuclei-monuseg", 1000),
    "cells": Plan("cells", 700),
    "glands": Plan("glands", 700),
}


def main() -> None:
    """Pack here, train there."""
    parser = argparse.ArgumentParser(description="Train a teacher and a student on a machine without network.")
    parser.add_argument("command", choices=["pack", "train"])
    parser.add_argument("kind", choices=PLANS)
    parser.add_argument("source", type=Path, help="pack: folder of the data; train: the packed file")
    parser.add_argument("out", type=Path, help="pack: the file; train: folder of checkpoints and weights")
    parser.add_argument("--quality", type=int, help="pack: of JPEG, for all images; 95 for PNG images if you do not say, and JPEG stays")
    parser.add_argument("--minutes", type=float, help="stop after so long; the same command goes on")
    parser.add_argument("--fit", action="store_true", help="the student takes as many steps as fit into the minutes, and is done then")
    parser.add_argument("--compile", action="store_true", help="let torch.compile fuse the network, which takes a minute at the start")
    parser.add_argument("--stage", choices=["both", "student"], default="both", help="student: make no teacher")
    parser.add_argument("--teacher-width", type=float, help="1 is that of the paper, and stays on the machine or comes back in nine files")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:N or mps")
    parser.add_argument("--configs", type=Path, default=CONFIGS, help="folder of KIND.toml")
    arguments = parser.parse_args()
    config = read_config(arguments.configs / f"{arguments.kind}.toml")
    if arguments.command == "pack":
        print(f"{arguments.out}: {pack(config, arguments.source, arguments.out, quality=arguments.quality):,} bytes")
        return
    plan = PLANS[arguments.kind]
    if arguments.teacher_width is not None:
        plan = replace(plan, teacher_width=arguments.teacher_width)
    raise_on_all_stops()
    until = None if arguments.minutes is None else time.monotonic() + 60 * arguments.minutes
    try:
        with tempfile.TemporaryDirectory() as data:
            with tarfile.open(arguments.source) as file:
                file.extractall(data, filter="data")
            run = TrainingRun(Path(data), arguments.out, device=arguments.device, fit=arguments.fit, compiled=arguments.compile)
            make(config, plan, run, teacher=arguments.stage == "both", until=until)
    except (KeyboardInterrupt, Stopped):
        print("stopped; the same command goes on from here", file=sys.stderr)
        sys.exit(EXIT_STOPPED)
    except NuClickError as err:
        print(err, file=sys.stderr)
        sys.exit(EXIT_ERROR)


def pack(config: TrainingConfig, data: Path, out: Path, *, quality: int | None = None) -> int:
    """Write the images and labels of a configuration into one tar file; gives its size in bytes.

    PNG images become JPEG of quality 95 without chroma subsampling; JPEG images and labels stay as they are. With a
    `quality` all images become JPEG of it.
    """
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as tar:
        for source in config.sources:
            assert source.folder is not None
            for image, labels in find_pairs(data / source.folder, source.pattern):
                _add(tar, source.folder / labels.name, labels.read_bytes())
                stays = quality is None and image.suffix.lower() in (".jpg", ".jpeg")
                _add(tar, source.folder / f"{image.stem}.jpg", image.read_bytes() if stays else _as_jpeg(image, quality or PNG_QUALITY))
    size = len(content.getbuffer())
    if size > LARGEST_PACK:
        sys.exit(f"{out} would have {size:,} bytes, {LARGEST_PACK:,} are the most; give a lower --quality")
    write_atomically(out, content.getvalue())
    return size


def make(config: TrainingConfig, plan: Plan, run: TrainingRun, *, teacher: bool, until: float | None) -> None:
    """Train what is not yet there: the teacher, then the student; their weights are put into OUT/back after each slice."""
    back = run.out / "back"
    back.mkdir(parents=True, exist_ok=True)
    of_teacher = config.model_copy(
        update={
            "name": f"{config.name}-teacher",
            "width": plan.teacher_width,
            "steps": min(plan.teacher_steps, config.steps),
            "learning_rate": plan.teacher_rate,
        }
    )
    card = run.out / "teacher" / f"{of_teacher.name}.json"
    _join(back, card)
    if teacher and not card.exists():
        _train(of_teacher, replace(run, out=card.parent, minutes=_left(until), fit=False), back)
    if card.exists():
        config = config.model_copy(update={"teacher": TeacherSettings(model=str(card), share=TEACHERS_SHARE)})
    _train(config, replace(run, out=run.out / "student", init=plan.init, minutes=_left(until)), back)


def _train(config: TrainingConfig, run: TrainingRun, back: Path) -> None:
    """Train one network; if the time is over, what it has learned so far comes back as a model, too."""
    said = time.monotonic()

    def tell(progress: TrainingProgress) -> None:
        nonlocal said
        if time.monotonic() - said > 10 or progress.step == progress.steps:
            said = time.monotonic()
            dice = f", Dice {progress.row.dice:.4f}" if progress.row else ""
            print(f"{config.name}: step {progress.step} of {progress.steps}, loss {progress.loss:.4f}{dice}", file=sys.stderr)

    try:
        train(config, run, on_step=tell)
        done = run.out / f"{config.name}.json"
    except (KeyboardInterrupt, Stopped):
        if (run.out / "checkpoint.pt").exists():
            _bring_back(_so_far(config, run), config, run, back)
        raise
    _bring_back(done, config, run, back)


def _so_far(config: TrainingConfig, run: TrainingRun) -> Path:
    """Make a model of the average in the checkpoint; gives its card."""
    state = TrainingState.new(with_steps(config) if run.fit else config, torch.device("cpu"))
    state.restore(run.out / "checkpoint.pt")
    named = config.model_copy(update={"name": f"{config.name}-step-{state.step}"})
    images = load_images(config, run.data)[0] if config.tells_scale else []
    finish(state.average, named, run.out, images=images)
    return run.out / f"{named.name}.json"


def _bring_back(card: Path, config: TrainingConfig, run: TrainingRun, back: Path) -> None:
    """Put a model and its log into the folder that comes back, instead of what an earlier slice had put there."""
    for old in back.glob(f"{config.name}-step-*"):
        old.unlink()
    _part(card, back)
    if (run.out / "log.csv").exists():
        write_atomically(back / f"{config.name}-log.csv", (run.out / "log.csv").read_bytes())


def _left(until: float | None) -> float | None:
    """Give the minutes that are left."""
    if until is None:
        return None
    if until <= time.monotonic():
        raise Stopped
    return (until - time.monotonic()) / 60


def _add(tar: tarfile.TarFile, name: Path, data: bytes) -> None:
    entry = tarfile.TarInfo(name.as_posix())
    entry.size = len(data)
    tar.addfile(entry, io.BytesIO(data))


def _as_jpeg(path: Path, quality: int) -> bytes:
    data = io.BytesIO()
    with Image.open(path) as image:
        image.convert("RGB").save(data, "JPEG", quality=quality, subsampling=0)
    return data.getvalue()


def _part(card: Path, back: Path) -> None:
    """Put a model into the folder that comes back; weights that are too large for one file in several."""
    weights = card.with_suffix(".safetensors").read_bytes()
    parts = [weights[start : start + LARGEST_PART] for start in range(0, len(weights), LARGEST_PART)]
    names = [card.with_suffix(".safetensors").name]
    if len(parts) > 1:
        names = [f"{names[0]}.{number}" for number in range(len(parts))]
    for name, part in zip(names, parts, strict=True):
        write_atomically(back / name, part)
    write_atomically(back / card.name, card.read_bytes())


def _join(back: Path, card: Path) -> None:
    """Put a model that came back together again, where it is not there yet; the checksum in its card is looked at on loading."""
    if card.exists() or not (back / card.name).exists():
        return
    name = card.with_suffix(".safetensors").name
    parts = sorted(back.glob(f"{name}.*"), key=lambda part: int(part.suffix[1:])) or [back / name]
    card.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(card.parent / name, b"".join(part.read_bytes() for part in parts))
    write_atomically(card, (back / card.name).read_bytes())


if __name__ == "__main__":
    main()
