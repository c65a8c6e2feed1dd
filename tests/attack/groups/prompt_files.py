"""Files of prompts, mutated."""

from collections.abc import Iterator
from pathlib import Path
from random import Random

from attack.case import Case, Group
from attack.mutations import mutate_file
from attack.scenes import make_asap, make_geojson, make_slide

MAKERS = {"prompts.geojson": make_geojson, "prompts.xml": make_asap}


def _fixed() -> Iterator[Case]:
    for name in MAKERS:
        yield _case(name, f"{name} that is good", None)


def _case(name: str, title: str, seed: int | None) -> Case:
    def make(folder: Path) -> None:
        make_slide(folder)
        MAKERS[name](folder / name)
        if seed is not None:
            mutate_file(folder / name, Random(seed))

    words = ("segment", "slide.png", "--prompts", name, "-o", f"out{Path(name).suffix}", "--mpp", "0.25", "--device", "cpu")
    return Case(title, make, (words,), is_quick=seed is None)


def _mutated(rng: Random) -> Case:
    name, seed = rng.choice(list(MAKERS)), rng.randrange(2**32)
    return _case(name, f"{name} mutated {seed}", seed)


GROUP = Group("22 files of prompts", _fixed, _mutated)
