"""The files of a project, mutated."""

from collections.abc import Iterator
from pathlib import Path
from random import Random

from attack.case import Case, Group
from attack.mutations import mutate_file
from attack.scenes import RUN, make_project

DATA = "project/data/1/data.qpdata"
PARTS = (
    "project/project.qpproj",
    DATA,
    "project/data/1/server.json",
    "project/data/1/summary.json",
    "project/classifiers/classes.json",
    f"{DATA}.nuclick-backup",
    f"{DATA}.bkp",
)
READERS = (
    RUN,
    ("export", "project", "-o", "exported", "--format", "table"),
    ("export", "project", "-o", "tiles", "--format", "labels"),
    ("restore", "project", "--dry-run"),
)


def _fixed() -> Iterator[Case]:
    yield Case("a good project", make_project, (RUN,), is_quick=True)


def _mutated(rng: Random) -> Case:
    part = rng.choice(PARTS[:5])
    seed = rng.randrange(2**32)

    def make(folder: Path) -> None:
        make_project(folder)
        if (folder / part).exists():
            mutate_file(folder / part, Random(seed))

    return Case(f"{part} mutated {seed}", make, (rng.choice(READERS),))


GROUP = Group("16 files of projects", _fixed, _mutated)
