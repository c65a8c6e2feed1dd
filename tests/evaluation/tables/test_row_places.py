"""Tests of `nuclick_qp.evaluation.tables.row_places`: every row of the paper has its place beside one of ours."""

import pytest

from nuclick_qp.evaluation.tables.paper_figures import PAPER_TABLES, PaperRow, all_figures, paper_figure
from nuclick_qp.evaluation.tables.row_places import IMPOSSIBLE, block_of, metrics_of, paper_row, reference
from nuclick_qp.evaluation.tables.rows import RowKey
from nuclick_qp.evaluation.tables.table_plan import plan_rows

PLANNED = [row.key for row in plan_rows()]
EVERY = [*PLANNED, *IMPOSSIBLE]


def test_every_figure_of_the_paper_has_one_of_ours_beside_it() -> None:
    """Or a row that says why there is none; no figure is left out because we have nothing like it."""
    assert {row for row, _, _ in all_figures()} == {paper_row(key) for key in EVERY} - {None}


def test_every_row_of_ours_stands_beside_one_of_the_paper_but_for_some() -> None:
    """Real cells, which the paper does not have, and an exclusion map that is there and left empty; in every column there is a figure."""
    alone = {(key.table, key.data if key.table == 3 else key.name) for key in EVERY if paper_row(key) is None}

    assert alone == {(3, "BCCD and set 1"), (3, "SegPC"), (9, "exclusion map left empty")}
    for key in EVERY:
        assert PAPER_TABLES[key.table].leading in metrics_of(key) or key in IMPOSSIBLE
        if paper_row(key) is not None:
            assert all(paper_figure(paper_row(key), metric) is not None for metric in metrics_of(key))


def test_rows_are_compared_with_rows_that_are_planned() -> None:
    """On the same data, and never with themselves."""
    for key in PLANNED:
        other = reference(key)
        assert other is None or (other in PLANNED and other != key and other.data == key.data)


@pytest.mark.parametrize(
    ("key", "other"),
    [
        (RowKey(1, "U-Net", "MoNuSeg"), RowKey(1, "NuClick, 3 MS", "MoNuSeg")),
        (RowKey(3, "LD", "SegPC"), RowKey(3, "NuClick", "SegPC")),
        (RowKey(4, "GrabCut", "GlaS B", "fair"), RowKey(4, "NuClick", "GlaS B")),
        (RowKey(4, "NuClick", "GlaS B"), None),
        (RowKey(5, "TNBC -> MoNuSeg", "MoNuSeg"), RowKey(2, "NuClick", "MoNuSeg")),
        (RowKey(5, "MoNuSeg -> TNBC", "TNBC"), None),
        (RowKey(7, "SegNet, NuClick of MoNuSeg", "TNBC"), RowKey(7, "SegNet, truth", "TNBC")),
        (RowKey(7, "SegNet, truth", "TNBC"), None),
        (RowKey(8, "sigma 50", "touching cells"), RowKey(3, "NuClick", "touching cells")),
        (RowKey(9, "exclusion map left empty", "MoNuSeg"), RowKey(9, "with exclusion map", "MoNuSeg")),
    ],
)
def test_a_row_is_compared_with_what_it_is_about(key: RowKey, other: RowKey | None) -> None:
    """NuClick for its rivals, the truth for what learned from masks, the centroid for a moved click."""
    assert reference(key) == other


def test_a_substitute_stands_beside_what_it_stands_for() -> None:
    """TNBC and NuInsSeg for CPM, test sets of GlaS for those of the paper."""
    assert paper_row(RowKey(5, "MoNuSeg -> NuInsSeg", "NuInsSeg")) == PaperRow(5, "MoNuSeg -> CPM", "nuclei")
    assert paper_row(RowKey(7, "U-Net, NuClick of MoNuSeg", "TNBC")) == PaperRow(7, "U-Net, NuClick of MoNuSeg", "CPM")
    assert paper_row(RowKey(7, "U-Net, NuClick of TNBC", "MoNuSeg")) == PaperRow(7, "U-Net, NuClick of CPM", "MoNuSeg")
    assert paper_row(RowKey(4, "DEXTR", "GlaS A")) == PaperRow(4, "DEXTR", "A")


def test_a_method_of_somebodys_own_has_no_row_in_the_paper_and_is_compared_with_nuclick() -> None:
    """It joins the block of its data."""
    mine = RowKey(2, "mine", "MoNuSeg")

    assert paper_row(mine) is None
    assert reference(mine) == RowKey(2, "NuClick", "MoNuSeg")
    assert block_of(mine) == "MoNuSeg"


def test_rows_that_cannot_be_made_are_those_of_another_set_of_glands() -> None:
    """Each has the figures of the paper, and says what is missing."""
    assert [paper_row(key) for key in IMPOSSIBLE] == [PaperRow(5, key.name, "glands") for key in IMPOSSIBLE]
    assert {block_of(key) for key in IMPOSSIBLE} == {"glands"}
    assert all("CRAG" in why for why in IMPOSSIBLE.values())
