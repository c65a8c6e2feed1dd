"""Tests of `nuclick_qp.evaluation.tables.row_plan`: every row of the paper has its place in our tables."""

from nuclick_qp.evaluation.tables.paper_figures import PAPER_TABLES, PaperRow, all_figures, paper_figure
from nuclick_qp.evaluation.tables.row_plan import PLAN, planned_rows
from nuclick_qp.evaluation.tables.rows import RowKey


def test_every_figure_of_the_paper_has_one_of_ours_beside_it() -> None:
    """Or a row that says why there is none; no figure is left out because we have nothing like it."""
    beside = {row.beside for row in planned_rows()}

    assert {row for row, _, _ in all_figures()} <= beside


def test_every_planned_row_stands_beside_a_row_that_there_is() -> None:
    """And its columns are those of the paper's row, where the paper has one."""
    keys = [row.key for row in planned_rows()]

    assert len(keys) == len(set(keys)) == 84
    for number, parts in PLAN.items():
        for part in parts:
            assert all(row.key.table == number and row.key.part == part.name for row in part.rows)
            assert PAPER_TABLES[number].leading in part.metrics or not part.is_ordered
            for row in part.rows:
                if row.beside is not None:
                    assert all(paper_figure(row.beside, metric) is not None for metric in part.metrics)


def test_what_rows_are_compared_with_is_planned() -> None:
    """No row is compared with itself, and rows of Tables 2 to 4 with NuClick on the same images."""
    keys = {row.key for row in planned_rows()}

    assert all(row.against in keys and row.against != row.key for row in planned_rows() if row.against)
    for row in planned_rows((2, 3, 4)):
        assert row.against == (None if row.key.name == "NuClick" else RowKey(row.key.table, "NuClick", row.key.part))
    for row in planned_rows((7,)):
        assert (row.against is None) == row.key.name.endswith("truth")


def test_classic_methods_have_two_columns_of_settings() -> None:
    """Those of the paper and fair ones, both beside the same figures."""
    variants = {(row.key.name, row.key.variant) for row in planned_rows((2,)) if row.key.variant}

    assert variants == {(name, variant) for name in ("Watershed", "Region growing", "Active contour") for variant in ("paper", "fair")}


def test_rows_that_cannot_be_made_say_why() -> None:
    """All of them are those of glands of another data set."""
    impossible = [row for row in planned_rows() if row.impossible]

    assert [row.beside for row in impossible] == [PaperRow(5, name, "glands") for name in ("GlaS → CRAG", "CRAG → GlaS A", "CRAG → GlaS B")]
    assert all("CRAG" in row.impossible for row in impossible)
