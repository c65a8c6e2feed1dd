"""Tests of `nuclick_qp.evaluation.tables.paper_figures` and `paper_reading`: figures agree where they must, and with the paper's text."""

import os
import re
from itertools import pairwise
from pathlib import Path

import pytest

from nuclick_qp.evaluation.metrics import Scores
from nuclick_qp.evaluation.tables.paper_figures import IN_PX, PAPER_TABLES, TITLES, PaperRow, all_figures, paper_figure
from nuclick_qp.evaluation.tables.paper_protocols import DIFFERENCES
from nuclick_qp.evaluation.tables.paper_reading import READINGS
from nuclick_qp.evaluation.tables.table_options import TABLES

ROUNDING = 0.0005  # of a figure that is printed with three decimals
FIGURES: dict[PaperRow, dict[str, float]] = {}
for paper_row, name, figure in all_figures():
    FIGURES.setdefault(paper_row, {})[name] = figure


def test_all_nine_tables_are_there() -> None:
    """With a title, data, a difference of protocol and a leading figure that each of their methods has."""
    assert tuple(PAPER_TABLES) == tuple(DIFFERENCES) == TABLES
    assert len(list(all_figures())) == 207
    assert TITLES.keys() == Scores.model_fields.keys()
    for number in (1, 2, 3, 4, 7, 8, 9):
        table = PAPER_TABLES[number]
        assert all(table.leading in part.metrics for part in table.parts.values())
        assert table.leading not in IN_PX


def test_every_row_has_a_figure_in_every_column() -> None:
    """Shares between 0 and 1, distances above 1 px."""
    for table in PAPER_TABLES.values():
        for part in table.parts.values():
            assert all(len(values) == len(part.metrics) for values in part.rows.values())
    assert all(value > 1 if metric in IN_PX else 0 < value <= 1 for _, metric, value in all_figures())


def test_panoptic_quality_is_the_product_of_its_factors() -> None:
    """To what rounding of all three, and a mean over images, allow; so DQ is F1 and not its half."""
    both = [row for row in FIGURES.values() if "dq" in row]

    assert len(both) == 3
    for row in both:
        assert row["sq"] * row["dq"] == pytest.approx(row["pq"], abs=0.0012)
        assert row["dq"] > 0.5
    assert all(row["pq"] <= row["sq"] + ROUNDING for row in FIGURES.values() if {"pq", "sq"} <= row.keys())


@pytest.mark.parametrize(
    "same",
    [
        (PaperRow(1, "NuClick, 3 MS"), PaperRow(2, "NuClick")),
        (PaperRow(9, "with exclusion map"), PaperRow(2, "NuClick")),
        (PaperRow(8, "sigma 1", "nuclei"), PaperRow(2, "NuClick")),
        (PaperRow(8, "sigma 1", "cells"), PaperRow(3, "NuClick")),
    ],
)
def test_one_experiment_has_one_figure(same: tuple[PaperRow, PaperRow]) -> None:
    """NuClick on MoNuSeg, or on cells, stands in several tables."""
    one, other = (FIGURES[row] for row in same)

    shared = one.keys() & other.keys()
    assert len(shared) >= 3
    assert {metric: one[metric] for metric in shared} == {metric: other[metric] for metric in shared}


def test_differences_are_those_of_the_text() -> None:
    """Sections 4.5 and 5.3: .645 AJI over the watershed; 2.8, 3.4, 5.6 points over iFCN; 7.9, 8.7 and 17 px over BIFSeg; ..."""

    def less(one: PaperRow, other: PaperRow, *metrics: str) -> list[float]:
        return [round(FIGURES[one][metric] - FIGURES[other][metric], 3) for metric in metrics]

    nuclick, gland = PaperRow(2, "NuClick"), PaperRow(4, "NuClick", "B")
    assert less(nuclick, PaperRow(2, "Watershed"), "aji") == [0.645]
    assert less(nuclick, PaperRow(2, "iFCN"), "aji", "dice", "pq") == [0.028, 0.034, 0.056]
    assert less(gland, PaperRow(4, "BIFSeg", "B"), "f1", "dice_obj", "hausdorff") == [0.079, 0.087, -17]
    assert less(gland, PaperRow(4, "GrabCut", "B"), "f1", "dice_obj") == [0.553, 0.539]
    masks, truth = (PaperRow(7, f"FCN-8, {teacher}", "MoNuSeg") for teacher in ("NuClick of CPM", "truth"))
    assert less(masks, truth, "dice", "sq") == [0.01, 0.006]


def test_jitter_never_helps() -> None:
    """Table 8 falls with sigma, or stays."""
    for part in ("nuclei", "cells"):
        for nearer, farther in pairwise(PAPER_TABLES[8].parts[part].rows.values()):
            assert all(later <= earlier for earlier, later in zip(nearer, farther, strict=True))


def test_a_figure_that_the_paper_does_not_have_is_none() -> None:
    """A row without a counterpart, or a column that its table lacks."""
    assert paper_figure(None, "aji") is None
    assert paper_figure(PaperRow(2, "NuClick"), "dq") is None
    assert paper_figure(PaperRow(2, "NuClick"), "aji") == 0.834


def test_readings_count_the_rows_that_cannot_be() -> None:
    """AJI above the Jaccard index of the foreground, and SQ below .5: as many as the page says, in the tables that it names."""
    above = [row for row, has in FIGURES.items() if "aji" in has and has["aji"] > has["dice"] / (2 - has["dice"]) + ROUNDING]
    below = sorted(has["sq"] for has in FIGURES.values() if has.get("sq", 1) < 0.5)

    [on_aji] = [one for one in READINGS if "Jaccard" in one.problem]
    [on_sq] = [one for one in READINGS if "0.431" in one.problem]
    assert (len(above), {row.table for row in above}) == (11, {1, 2, 6, 8, 9})
    assert "Eleven rows" in on_aji.problem
    assert "Tables 1, 2, 6, 8 and 9" in on_aji.source
    most = max(above, key=lambda row: FIGURES[row]["aji"] - FIGURES[row]["dice"] / (2 - FIGURES[row]["dice"]))
    assert f"{most.name} most: AJI {FIGURES[most]['aji']:.3f}".replace("0.", ".") in on_aji.problem
    assert below == [0.414, 0.431, 0.453, 0.459]
    assert all(f"{value:.3f}" in on_sq.problem for value in below)


def test_readings_name_their_places() -> None:
    """Each has a section or a table of the paper, what is open, and what is done here."""
    assert len({one.source for one in READINGS}) == len(READINGS) > 12
    assert all(re.search(r"Section \d|Table", one.source) and one.problem and one.here for one in READINGS)


@pytest.mark.shared
@pytest.mark.skipif("NUCLICK_SHARED" not in os.environ, reason="the text of the paper is needed; set NUCLICK_SHARED to its folder")
def test_figures_are_those_of_the_papers_text() -> None:
    """The figures of each row stand in one line of the text, in their order."""
    text = Path(os.environ["NUCLICK_SHARED"], "paper", "nuclick-2020.txt").read_text("utf-8")
    lines = [numbers(line) for line in text.splitlines()]

    for row, figures in FIGURES.items():
        wanted = list(figures.values())
        assert any(wanted == line[at : at + len(wanted)] for line in lines for at in range(len(line))), row


def numbers(line: str) -> list[float]:
    """Give the numbers that stand by themselves in a line."""
    return [float(word) for word in line.split() if re.fullmatch(r"\d+(\.\d+)?", word)]
