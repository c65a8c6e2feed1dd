"""Pipes, devices and folders where a file is expected."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random

from attack.case import Case, Command, Group
from attack.groups.project_files import PARTS, READERS
from attack.scenes import RUN, make_asap, make_geojson, make_project, make_training

Put = Callable[[Path], None]
TRAIN = ("train", "training.toml", "--data", ".", "--out", "trained", "--workers", "0", "--device", "cpu")
SEGMENT = ("--device", "cpu", "-o", "out.geojson", "--mpp", "0.25")


def _link_to(target: str) -> Put:
    return lambda path: path.symlink_to(target)


KINDS: dict[str, Put] = {
    "pipe": os.mkfifo,
    "link to /dev/zero": _link_to("/dev/zero"),
    "link to /dev/stdin": _link_to("/dev/stdin"),
    "link to a terminal": _link_to("/dev/tty"),
    "link to itself": lambda path: path.symlink_to(path),
    "link to nothing": _link_to("nowhere"),
    "folder": Path.mkdir,
}


def _replaced(make: Callable[[Path], object], part: str, put: Put) -> Callable[[Path], None]:
    """Put something else in the place of a file of a good scene."""

    def made(folder: Path) -> None:
        make(folder)
        path = folder / part
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        put(path)

    return made


def _files(folder: Path) -> None:
    make_project(folder)
    make_geojson(folder / "prompts.geojson")
    make_asap(folder / "prompts.xml")
    make_training(folder)


def _own_model(folder: Path) -> None:
    make_project(folder)
    (folder / "models").mkdir()


def _fixed() -> Iterator[Case]:
    for kind, put in KINDS.items():
        for part in (*PARTS, "slide.png"):
            yield Case(f"{part} is a {kind}", _replaced(make_project, part, put), READERS)
        others: dict[str, tuple[Command, ...]] = {
            "slide.png": (("segment", "slide.png", "--prompts", "prompts.geojson", *SEGMENT),),
            "prompts.geojson": (("segment", "slide.png", "--prompts", "prompts.geojson", *SEGMENT),),
            "prompts.xml": (("segment", "slide.png", "--prompts", "prompts.xml", *SEGMENT),),
            "training.toml": (TRAIN,),
            "images/one.png": (TRAIN, ("evaluate", "images", "--device", "cpu")),
            "images/one_label.png": (TRAIN, ("evaluate", "images", "--device", "cpu")),
            "weights.pth": (("models", "import", "weights.pth", "--name", "other"),),
        }
        for part, commands in others.items():
            yield Case(f"file {part} is a {kind}", _replaced(_files, part, put), commands)
        for part in ("models/own.json", "models/own.safetensors"):
            commands = (RUN, ("models", "list"), ("run", "project", "--points", "own"))
            yield Case(f"{part} is a {kind}", _replaced(_own_model, part, put), commands)


def _mutated(rng: Random) -> Case:
    """Replace two files of a project by something else."""
    chosen = rng.sample((*PARTS, "slide.png"), 2)
    kinds = [rng.choice(list(KINDS)) for _ in chosen]

    def make(folder: Path) -> None:
        make_project(folder)
        for part, kind in zip(chosen, kinds, strict=True):
            _replaced(lambda _: None, part, KINDS[kind])(folder)

    return Case(" and ".join(f"{part} a {kind}" for part, kind in zip(chosen, kinds, strict=True)), make, READERS[:1])


GROUP = Group("20 special files", _fixed, _mutated)
