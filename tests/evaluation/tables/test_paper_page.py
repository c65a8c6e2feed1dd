"""The pages on the paper's tables: the examples of `docs/paper.md` run, and `docs/paper/tables.md` says what its rows say."""

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from nuclick_qp.evaluation.tables.budgets import BUDGETS
from nuclick_qp.evaluation.tables.row_making import write_tables
from nuclick_qp.evaluation.tables.rows import RowStore
from nuclick_qp.evaluation.tables.table_lines import sections
from nuclick_qp.evaluation.tables.table_page import csv_of, page
from nuclick_qp.evaluation.tables.table_plan import plan_rows
from nuclick_qp.evaluation.tables.workshop import RECIPES, config_for
from nuclick_qp.model.network import NuClickNet, count_parameters
from nuclick_qp.model.network_settings import NetworkSettings

DOCS = Path(__file__).parents[3] / "docs"
DISCS = [(150.0, 110.0, 10.0), (250.0, 110.0, 10.0), (200.0, 180.0, 10.0)]  # in the middle, where the quick budget looks


def test_the_examples_put_methods_into_a_table(tmp_path: Path, draw_pair: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> None:
    """As they stand, one after the other, on drawn discs and with a training of two steps."""
    for name in ("train/monuseg_a", "train/monuseg_b", "test/monuseg_c", "test/monuseg_d"):
        draw_pair(f"nuclei/{name}", DISCS)
    monkeypatch.setitem(BUDGETS, "quick", replace(BUDGETS["quick"], patches=64))
    names: dict[str, Any] = {"DATA": tmp_path, "OUT": tmp_path / "out", "__name__": "paper"}

    for number, code in enumerate(re.findall(r"```python\n(.*?)```", (DOCS / "paper.md").read_text("utf-8"), re.DOTALL)):
        exec(compile(code, f"paper.md, example {number + 1}", "exec"), names)

    by_name = {row.settings.name: row for row in RowStore(tmp_path / "out").rows()}
    assert by_name.keys() == {"Discs", "SoftSpot"}
    assert min(by_name["Discs"].values("dice")) > 0.8
    assert (by_name["SoftSpot"].settings.samples, by_name["SoftSpot"].settings.width) == (64, 0.125)
    written = write_tables(tmp_path / "out", "quick", []).read_text("utf-8")
    assert "| Discs | **0." in written
    assert "| SoftSpot | **0." in written


def test_the_page_tells_how_large_each_network_is() -> None:
    """In millions of parameters, at the width of the full budget."""
    text, told = (DOCS / "paper.md").read_text("utf-8"), dict[str, float]()
    for line in text.split("## How rivals differ")[1].split("\n## ")[0].splitlines():
        if found := re.match(r"\| ([^|]+) \| (\d[\d., ]*) \|", line):
            told |= dict(zip(found[1].split(", "), map(float, found[2].split(", ")), strict=True))

    networks = {
        "iFCN": "nuclei/iFCN", "Latent Diversity (LD)": "nuclei/LD", "Deep GrabCut": "glands/Deep GrabCut", "DEXTR": "glands/DEXTR",
        "Mask R-CNN": "glands/Mask R-CNN", "BIFSeg": "glands/BIFSeg",
        **{name: f"students/{name}, TNBC" for name in ("U-Net", "SegNet", "FCN-8")},
    }  # fmt: skip
    assert told == {name: millions(key) for name, key in networks.items()}
    nuclick = NuClickNet(NetworkSettings(width=BUDGETS["full"].width))
    assert f"NuClick has {count_parameters(nuclick) / 1e6:.2f} million" in text


def millions(key: str) -> float:
    """Count the parameters of a rival's network."""
    recipe = RECIPES[key]
    assert recipe.lesson is not None
    return round(count_parameters(recipe.lesson.network(config_for(key, recipe, BUDGETS["full"]))) / 1e6, 2)


def test_the_published_page_is_what_its_rows_say() -> None:
    """No figure in it was written by hand: page and table follow from the rows that lie beside them."""
    folder = DOCS / "paper"
    rows = RowStore(folder).rows()
    tables = sections(rows, "full", [row.key for row in plan_rows()])
    plots = [path.name for path in folder.glob("*.svg")]

    assert (folder / "tables.md").read_text("utf-8") == page(tables, "full", plots=plots, kept=len(rows))
    assert (folder / "tables.csv").read_bytes() == csv_of(tables)
