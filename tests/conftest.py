"""What tests share: drawn slides, a network that everybody can predict, and the command line."""

import logging
import shutil
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from skimage.draw import disk

from drawn_objects import Drawn, fill_project
from drawn_projects import DISCS
from fakes import DarkIsObject, make_card
from file_modes import modes_heeded
from fixture_projects import DATA
from nuclick_qp.model.predictor import Predictor, Predictors
from nuclick_qp.qupath.folder.create import NewImage, create_project
from nuclick_qp.qupath.qpdata.new_objects import NewAnnotation
from nuclick_qp_cli.main import main

DARK, LIGHT = 40, 230


@pytest.fixture
def dark_predictor() -> Predictor:
    """Give a predictor on the CPU that takes dark pixels for objects."""
    return Predictor(make_card(), DarkIsObject(), device="cpu", precision="float32")


@pytest.fixture
def draw_discs(tmp_path: Path) -> Callable[..., Path]:
    """Give a function that draws dark discs, (x, y, radius) each, on a light PNG."""

    def draw(discs: list[tuple[float, float, float]], *, size: tuple[int, int] = (400, 300), name: str = "discs.png") -> Path:
        width, height = size
        pixels: NDArray[np.uint8] = np.full((height, width, 3), LIGHT, np.uint8)
        for x, y, radius in discs:
            pixels[disk((y - 0.5, x - 0.5), radius, shape=(height, width))] = DARK
        path = tmp_path / name
        Image.fromarray(pixels).save(path)
        return path

    return draw


@pytest.fixture
def draw_pair(tmp_path: Path, draw_discs: Callable[..., Path]) -> Callable[..., Path]:
    """Give a function that draws discs as FOLDER/NAME.png, with FOLDER/NAME_label.png, and gives FOLDER.

    Discs are numbered from 1; those in `unseen` are labelled, but not in the image.
    """

    def draw(name: str, discs: list[tuple[float, float, float]], *, unseen: tuple[tuple[float, float, float], ...] = ()) -> Path:
        labels: NDArray[np.uint8] = np.zeros((300, 400), np.uint8)
        for number, (x, y, radius) in enumerate((*discs, *unseen), start=1):
            labels[disk((y - 0.5, x - 0.5), radius, shape=labels.shape)] = number
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True, parents=True)
        Image.fromarray(labels).save(path.with_name(f"{path.name}_label.png"))
        return draw_discs(discs, name=f"{name}.png").parent

    return draw


@pytest.fixture
def make_drawn_project(tmp_path: Path, draw_discs: Callable[..., Path]) -> Callable[..., Path]:
    """Give a function that makes a project of one image of two discs for each list of objects."""

    def make(*images: Sequence[Drawn], mpp: float | None = 0.25, names: Sequence[str] = ()) -> Path:
        slides = [draw_discs([(60, 60, 12), (300, 200, 9)], name=f"slide {i}.png") for i in range(len(images))]
        return fill_project(tmp_path / "study", slides, images, mpp=mpp, names=names)

    return make


@pytest.fixture
def study(tmp_path: Path) -> Path:
    """Copy a project that QuPath 0.6 wrote, to be written to."""
    return Path(shutil.copytree(DATA / "0.6.0" / "ihc", tmp_path / "study"))


@pytest.fixture
def command_line(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., int]]:
    """Give a function that runs the command line in this process, and gives its exit code."""

    def call(*arguments: str | Path) -> int:
        monkeypatch.setattr(sys, "argv", ["nuclick-qp", *map(str, arguments)])
        with pytest.raises(SystemExit) as done:
            main()
        return int(done.value.code or 0)

    yield call
    logging.getLogger().handlers.clear()  # the one that `main` adds holds the captured stream of its test


@pytest.fixture(autouse=True)
def own_models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Name a folder for the user's models that is empty: tests see nothing of the one who runs them."""
    folder = tmp_path / "own-models"
    monkeypatch.setenv("NUCLICK_MODELS", str(folder))
    return folder


@pytest.fixture(autouse=True)
def one_thread() -> None:
    """Keep torch to one thread: tests are small, and two cores share them."""
    torch.set_num_threads(1)


@pytest.fixture
def modes_hold() -> Iterator[None]:
    """Let modes of files hold for the administrator too, whom containers run tests as."""
    with modes_heeded():
        yield


@pytest.fixture
def heed_ctrl_c() -> Iterator[None]:
    """Undo what a shell and `nohup` do to programs in the background: they, and what they start, ignore stops."""
    heeded = {signal.SIGINT: signal.default_int_handler} | ({signal.SIGHUP: signal.SIG_DFL} if hasattr(signal, "SIGHUP") else {})
    before = {number: signal.signal(number, handler) for number, handler in heeded.items()}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture
def predictors(dark_predictor: Predictor) -> Predictors:
    """Give a model for points, and none for lines."""
    return {"point": dark_predictor}


@pytest.fixture
def make_project(tmp_path: Path, draw_discs: Callable[..., Path]) -> Callable[..., Path]:
    """Give a function that makes a project of one image, `DISCS`, with annotations."""

    def make(*annotations: NewAnnotation, mpp: float | None = 0.25, images: int = 1) -> Path:
        made = [NewImage(draw_discs(DISCS, name=f"discs-{n}.png"), f"discs-{n}.png", 400, 300, mpp, annotations) for n in range(images)]
        return create_project(tmp_path / "project", made)

    return make
