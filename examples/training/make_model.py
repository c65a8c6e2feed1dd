"""Make a shipped model: train it part by part, put it into the package, measure it, write the figures into its card.

    python examples/training/make_model.py NAME DATA [--runs runs] [--device auto] [--measure-only] [--dry-run]

NAME is one of nuclei, nuclei-monuseg, cells, glands. DATA holds nuclei, pap, cells and glands, each with the folders
train and test of NAME.png|jpg with NAME_label.png. A training that was stopped goes on; its learning curve lies in
curves. With --measure-only the model in the package is measured; with --dry-run its figures are only printed. Test
images were never trained on, and nothing is chosen by their figures.
"""

import argparse
import os
import re
import shutil
from dataclasses import dataclass
from pathlib import Path

from nuclick_qp.evaluation.evaluation_options import EvaluationOptions
from nuclick_qp.evaluation.prompting import evaluate_folders
from nuclick_qp.evaluation.summary import MeanScores, summarise
from nuclick_qp.kinds import Scale
from nuclick_qp.model.cards import Card, list_cards, read_card, weights_folder, write_card
from nuclick_qp.model.devices import Precision
from nuclick_qp.model.predictor import Predictor
from nuclick_qp.training.config import read_config
from nuclick_qp.training.loop import train
from nuclick_qp.training.training_run import TrainingRun

PRECISION: Precision = "float32"  # the same figures on every machine
CONFIGS = Path(__file__).parent
CURVES = CONFIGS / "curves"


@dataclass(frozen=True, slots=True)
class TestSet:
    """Labelled images that a model is measured on.

    Attributes
    ----------
    name
        What its figures are called in the card.
    folder, pattern
        Folder in DATA, and glob of its images.
    mpp
        Micrometres per pixel of the images; None lets the objects tell it.
    jitter_px
        How far prompts are moved from centroids and skeletons (Table 8 of the paper).
    """

    name: str
    folder: str
    pattern: str
    mpp: float | None
    jitter_px: float = 0.0


@dataclass(frozen=True, slots=True)
class Recipe:
    """The configurations that make a model, each going on from the last, and what it is measured on.

    The last parts were made on a GPU, which gives other bits each time. Of `nuclei-8` only 637 steps were taken, and the
    last part of `nuclei` began with .5 of it, .3 of `nuclei-6` and .2 of `nuclei-5`, as its card says; here each part
    begins with the whole of the part before.

    Attributes
    ----------
    init
        Model that the first part starts from; None starts from random weights.
    """

    parts: tuple[str, ...]
    init: str | None
    tests: tuple[TestSet, ...]


TNBC = TestSet("tnbc_test", "nuclei/test", "tnbc_*", 0.25)
MONUSEG = TestSet("monuseg_test", "nuclei/test", "monuseg_*", 0.25)
RECIPES = {
    "nuclei": Recipe(
        ("nuclei-1", "nuclei-2", "nuclei-3", "nuclei-4", "nuclei-5", "nuclei-6", "nuclei-7", "nuclei-8", "gpu/nuclei"),
        None,
        (
            TNBC,
            MONUSEG,
            TestSet("nuins_test", "nuclei/test", "nuins_*", 0.22),  # organs that no training has seen; pixel size from lymphocytes
            TestSet("tnbc_test_moved_1_px", "nuclei/test", "tnbc_*", 0.25, 1.0),
            TestSet("tnbc_test_moved_5_px", "nuclei/test", "tnbc_*", 0.25, 5.0),
            TestSet("deepliif_test", "ihc/test", "deepliif_*", 0.25),
            TestSet("lbc_test", "pap/test", "lbc_*", 0.5),  # down-scaled fields: nuclei have half their width at 0.25
        ),
    ),
    "nuclei-monuseg": Recipe(("nuclei-monuseg", "nuclei-monuseg-2"), "nuclei", (MONUSEG,)),
    "cells": Recipe(
        ("cells", "gpu/cells"),
        "nuclei",
        (
            TestSet("wbc1_test", "cells/test", "wbc1_*", 0.2),
            TestSet("bccd_test", "cells/test", "bccd_*", 0.083),
            TestSet("segpc_test", "cells/test", "segpc_*", 0.2),
            TestSet("wbc1_test_no_pixel_size", "cells/test", "wbc1_*", None),
            TestSet("bccd_test_no_pixel_size", "cells/test", "bccd_*", None),
            TestSet("segpc_test_no_pixel_size", "cells/test", "segpc_*", None),
        ),
    ),
    "glands": Recipe(("glands", "gpu/glands"), "nuclei", (TestSet("glas_test", "glands/test", "glas_*", 0.62),)),
}


def main() -> None:
    """Train, install, measure, write."""
    parser = argparse.ArgumentParser(description="Make a shipped model, and write its figures into its card.")
    shared = os.environ.get("NUCLICK_SHARED")
    default = Path(shared) / "data" if shared else None
    parser.add_argument("name", choices=RECIPES, help="which model")
    parser.add_argument("data", type=Path, nargs="?", default=default, help="default: the folder data of NUCLICK_SHARED")
    parser.add_argument("--runs", type=Path, default=Path("runs"), help="folder for checkpoints and logs")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:N or mps")
    parser.add_argument("--measure-only", action="store_true", help="measure the model in the package")
    parser.add_argument("--dry-run", action="store_true", help="do not write the figures into the card")
    arguments = parser.parse_args()
    if arguments.data is None:
        parser.error("name the folder that holds the data, or set NUCLICK_SHARED")
    recipe = RECIPES[arguments.name]
    if not arguments.measure_only:
        trained = make(recipe, arguments.data, arguments.runs, device=arguments.device)
        install(arguments.name, trained, weights_folder())
    measure(arguments.name, recipe, arguments.data, write=not arguments.dry_run)


def make(recipe: Recipe, data: Path, runs: Path, *, device: str) -> Path:
    """Train the parts of a recipe, and give the folder of the last."""
    init = recipe.init
    CURVES.mkdir(exist_ok=True)
    for part in recipe.parts:
        config = read_config(CONFIGS / f"{part}.toml")
        run = TrainingRun(data, runs / part, device=device, init=init)
        train(config, run, on_step=lambda progress: print(f"\r{progress.step} of {progress.steps}", end="", flush=True))
        init = str(runs / part / f"{config.name}.json")
        shutil.copyfile(runs / part / "curve.png", CURVES / f"{part.replace('/', '-')}.png")
    return runs / recipe.parts[-1]


def install(name: str, trained: Path, package: Path) -> None:
    """Put weights and card of a finished training where the package has them; the model of before stays, as NAME-v1, NAME-v2..."""
    new, place = read_card(trained / f"{name}.json"), package / f"{name}.json"
    if place.exists():
        old = read_card(place)
        previous = old.previous if old.sha256 == new.sha256 else _keep(old, package)
        new = new.model_copy(update={"previous": previous})
    shutil.copyfile(trained / f"{name}.safetensors", package / f"{name}.safetensors")
    write_card(place, new)


def _keep(card: Card, package: Path) -> str:
    """Copy a model of the package to the next version that is free, and give its name."""
    versions = [one.name for one in list_cards(package) if re.fullmatch(rf"{re.escape(card.name)}-v\d+", one.name)]
    kept = f"{card.name}-v{len(versions) + 1}"
    shutil.copyfile(package / f"{card.name}.safetensors", package / f"{kept}.safetensors")
    write_card(package / f"{kept}.json", card.model_copy(update={"name": kept}))
    return kept


def measure(name: str, recipe: Recipe, data: Path, *, write: bool) -> None:
    """Print the tables of a model's test sets, and write their means into its card."""
    predictor = Predictor.load(name, precision=PRECISION)
    metrics = {}
    for test in recipe.tests:
        print(test.name)
        metrics[test.name] = {
            "prompts": "centroids" if predictor.card.prompt == "point" else "skeletons",
            "moved_px": test.jitter_px,
            "mpp": test.mpp,
            "precision": PRECISION,
            **measure_set(predictor, test, data).model_dump(),
        }
    if write:
        write_card(weights_folder() / f"{name}.json", predictor.card.model_copy(update={"metrics": metrics}))


def measure_set(predictor: Predictor, test: TestSet, data: Path) -> MeanScores:
    """Print the table of one test set, and give its means."""
    scale: Scale = "auto" if test.mpp is None else "given"
    options = EvaluationOptions(pattern=test.pattern, mpp=test.mpp, scale=scale, jitter_px=test.jitter_px)
    scores = evaluate_folders([data / test.folder], predictor=predictor, options=options)
    summary = summarise(predictor.card.short_id, scores)
    print("\n".join(summary.lines()))
    return summary.overall


if __name__ == "__main__":
    main()
