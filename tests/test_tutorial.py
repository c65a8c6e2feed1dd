"""The tutorial notebook does what it says, from the first cell to the last."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from nuclick_qp.training.config import read_config
from nuclick_qp.training.sources import load_images

NOTEBOOK = Path(__file__).parents[1] / "docs" / "tutorial.ipynb"


def read_cells() -> list[dict[str, Any]]:
    """Give the cells with code."""
    cells: list[dict[str, Any]] = json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]
    return [cell for cell in cells if cell["cell_type"] == "code"]


def test_the_tutorial_runs_from_top_to_bottom(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every cell runs as it stands, and the two parts end with labels and with a training set."""
    monkeypatch.chdir(NOTEBOOK.parent)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))  # where the notebook puts its folder
    monkeypatch.setattr(sys, "path", [*sys.path])  # the notebook adds to it

    names: dict[str, Any] = {}
    for cell in read_cells():
        exec(compile("".join(cell["source"]), f"{NOTEBOOK.name}, {cell['id']}", "exec"), names)

    assert set(names["labels"].ravel()) == set(range(len(names["points"]) + 1))
    assert names["gland"].status == "ok"
    assert names["tile_labels"].max() == names["report"].new_outlines > 0
    training, validation = load_images(read_config(names["folder"] / "mine.toml"), names["folder"])
    assert [len(images) for images in (training, validation)] == [1, 1]


def test_the_tutorial_is_kept_without_outputs() -> None:
    """What a run prints is not part of the file: it would change with every run."""
    cells = read_cells()

    assert all(cell["outputs"] == [] and cell["execution_count"] is None for cell in cells)
