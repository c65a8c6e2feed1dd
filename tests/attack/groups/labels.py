"""Label images with numbers that no image has, mutated images, and mutated training files."""

from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray

from attack.case import Case, Ended, Group
from attack.mutations import mutated_bytes
from attack.scenes import drawn_labels, make_training

TRAIN = ("train", "training.toml", "--data", ".", "--out", "trained", "--workers", "0", "--device", "cpu")
NO_LABELS = ((-1, "int32"), (-5, "int8"), (-(2**40), "int64"), (1.5, "float32"), (float("nan"), "float64"), (1e30, "float64"))
LARGE_LABELS = ((500_000_000, "int32"), (2**31, "uint32"), (2**32 - 1, "uint32"), (2**40 + 7, "int64"), (2**63, "uint64"), (3, "float32"))
EVALUATE = ("evaluate", "images", "--device", "cpu")


def _labels(change: Callable[[NDArray[Any]], NDArray[Any]]) -> Callable[[Path], None]:
    """Make a training whose first label image is a TIFF of changed numbers."""

    def make(folder: Path) -> None:
        make_training(folder)
        (folder / "images" / "one_label.png").unlink()
        tifffile.imwrite(folder / "images" / "one_label.tif", change(drawn_labels()))

    return make


def _first(value: float, dtype: str) -> Callable[[NDArray[Any]], NDArray[Any]]:
    return lambda labels: np.where(labels == 1, np.array(value, dtype), labels.astype(dtype))


def _refused(folder: Path, runs: list[Ended]) -> str | None:
    """Insist that numbers which cannot be kept are refused, not wrapped."""
    return None if all(ended.code == 3 for ended in runs) else f"exit codes {[ended.code for ended in runs]} instead of 3"


def _done(folder: Path, runs: list[Ended]) -> str | None:
    """Insist that numbers which can be told apart are taken."""
    return None if all(ended.code == 0 for ended in runs) else f"exit codes {[ended.code for ended in runs]} instead of 0"


def _fixed() -> Iterator[Case]:
    yield Case("good labels", make_training, (TRAIN, EVALUATE))
    for value, dtype in NO_LABELS:
        yield Case(f"labels of {value} as {dtype}", _labels(_first(value, dtype)), (TRAIN, EVALUATE), check=_refused, is_quick=value == -1)
    for value, dtype in LARGE_LABELS:
        yield Case(f"labels of {value} as {dtype}", _labels(_first(value, dtype)), (TRAIN, EVALUATE), check=_done)
    yield Case("labels that are complex", _labels(lambda labels: labels.astype(np.complex64)), (TRAIN, EVALUATE), check=_refused)
    yield Case("labels in three channels", _labels(lambda labels: np.stack([labels] * 3, axis=-1)), (TRAIN, EVALUATE))
    yield Case("labels in seven dimensions", _labels(lambda labels: labels[None, None, None, None, None]), (TRAIN, EVALUATE))


def _mutated(rng: Random) -> Case:
    part = rng.choice(("images/one.png", "images/one_label.png", "training.toml", "images/one_label.tif"))
    seed = rng.randrange(2**32)

    def make(folder: Path) -> None:
        _labels(_first(1, "int32"))(folder) if part.endswith(".tif") else make_training(folder)
        path = folder / part
        path.write_bytes(mutated_bytes(path.read_bytes(), Random(seed)))

    return Case(f"{part} mutated {seed}", make, (rng.choice((TRAIN, EVALUATE)) if part != "training.toml" else TRAIN,))


GROUP = Group("23 labels", _fixed, _mutated)
