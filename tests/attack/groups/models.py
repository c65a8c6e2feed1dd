"""Cards and weights of the user's own models, mutated."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from random import Random

from attack.case import Case, Group
from attack.mutations import mutate_file
from attack.scenes import make_project
from nuclick_qp.model.cards import weights_folder

COMMANDS = (("run", "project", "--points", "nuclei-own", "--device", "cpu"), ("models", "list"))


def _own_model(folder: Path) -> None:
    """Copy a model of the package into the user's folder."""
    make_project(folder)
    (folder / "models").mkdir()
    for suffix in (".json", ".safetensors"):
        shutil.copy(weights_folder() / f"nuclei{suffix}", folder / "models" / f"nuclei-own{suffix}")


def _fixed() -> Iterator[Case]:
    yield Case("a good model", _own_model, COMMANDS, is_quick=True)


def _mutated(rng: Random) -> Case:
    part, seed = f"nuclei-own{rng.choice(('.json', '.json', '.safetensors'))}", rng.randrange(2**32)

    def make(folder: Path) -> None:
        _own_model(folder)
        mutate_file(folder / "models" / part, Random(seed))

    return Case(f"{part} mutated {seed}", make, (rng.choice(COMMANDS),))


GROUP = Group("26 models", _fixed, _mutated)
