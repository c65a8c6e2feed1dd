"""Tests of `nuclick_qp.evaluation.tables.row_making`: commands that stop, go on, and fail."""

from pathlib import Path

import pytest

from nuclick_qp.errors import RowError, TrainingDataError
from nuclick_qp.evaluation.tables.row_making import RowDone, RowTask, make_rows, write_tables
from nuclick_qp.evaluation.tables.rows import Row, RowKey, RowStore
from nuclick_qp.evaluation.tables.table_options import TableOptions
from paper_rows import NUCLICK, row_of

IFCN, LD = RowKey(2, "iFCN", "MoNuSeg"), RowKey(2, "LD", "MoNuSeg")
PLANNED = [IFCN, LD, NUCLICK, RowKey(9, "with exclusion map", "MoNuSeg")]


class Maker:
    """Makes rows, and notes which; the one that is `broken` stops it instead."""

    def __init__(self, broken: RowKey | None = None, error: BaseException | None = None) -> None:
        self.made: list[RowKey] = []
        self._broken, self._error = broken, error

    def task(self, row: Row) -> RowTask:
        def make() -> Row:
            if row.key == self._broken and self._error is not None:
                raise self._error
            self.made.append(row.key)
            return row

        return RowTask(row.settings, make)


ROWS = [row_of(IFCN), row_of(LD), row_of(NUCLICK)]


@pytest.mark.parametrize("error", [KeyboardInterrupt(), TrainingDataError("no images")])
def test_a_stopped_command_keeps_its_rows_and_goes_on(tmp_path: Path, error: BaseException) -> None:
    """Be it by Ctrl-C or by an error: pages of what is there, and nothing made twice."""
    options, stopped, second = TableOptions(only=(2,), out=tmp_path), Maker(LD, error), Maker()
    done: list[RowDone] = []

    with pytest.raises(type(error)):
        make_rows([stopped.task(row) for row in ROWS], options, planned=PLANNED)
    page = (tmp_path / "tables.md").read_text("utf-8")
    made = make_rows([second.task(row) for row in ROWS], options, planned=PLANNED, on_row=done.append)

    assert "| LD: **not made yet** |" in page
    assert "| iFCN | **0.800**" in page
    assert (stopped.made, second.made) == ([IFCN], [LD, NUCLICK])
    assert [(one.row.key, one.number, one.of, one.was_kept) for one in done] == [
        (IFCN, 1, 3, True),
        (LD, 2, 3, False),
        (NUCLICK, 3, 3, False),
    ]
    assert made.missing == ()
    assert "not made yet** |" not in made.page.read_text("utf-8").split("## Table 3")[0]


def test_what_is_missing_is_told_of_the_tables_that_were_asked_for(tmp_path: Path) -> None:
    """A planned row that no task makes is missing; other tables are not asked for."""
    tasks = [Maker().task(row) for row in ROWS[:2]]

    assert make_rows(tasks, TableOptions(only=(2,), out=tmp_path), planned=PLANNED).missing == (NUCLICK,)
    assert make_rows(tasks, TableOptions(out=tmp_path), planned=PLANNED).missing == (NUCLICK, PLANNED[3])


def test_a_damaged_row_stops_the_command_before_any_work(tmp_path: Path) -> None:
    """Days of training would else end in an error that could have been told at once."""
    RowStore(tmp_path).keep(ROWS[2]).write_text("{")
    maker = Maker()

    with pytest.raises(RowError, match=r"table-2-monuseg-nuclick-\w+\.json is damaged"):
        make_rows([maker.task(row) for row in ROWS], TableOptions(out=tmp_path), planned=PLANNED)

    assert maker.made == []


def test_a_row_is_what_its_task_says(tmp_path: Path) -> None:
    """Else it would be made again at every start, and never be found."""
    task = RowTask(ROWS[0].settings.model_copy(update={"seed": 5}), lambda: ROWS[0])

    with pytest.raises(ValueError, match="other settings than it says"):
        make_rows([task], TableOptions(out=tmp_path), planned=PLANNED)


def test_pages_are_written_with_table_and_pictures(tmp_path: Path) -> None:
    """One picture for each table with a row, curves where something was trained; each is named on the page."""
    store = RowStore(tmp_path)
    (tmp_path / "training").mkdir()
    (tmp_path / "training" / "log.csv").write_text("step,loss,dice,seconds_per_step,waiting_share\n10,1.0,0.5,1,0\n")
    store.keep(row_of(curve="training/log.csv"))

    page = write_tables(tmp_path, "quick", PLANNED)

    assert {path.name for path in tmp_path.glob("table*")} == {"tables.md", "tables.csv", "table-2.svg", "table-2-curves.svg"}
    assert page == tmp_path / "tables.md"
    assert all(f"]({name})" in page.read_text("utf-8") for name in ("table-2.svg", "table-2-curves.svg"))


def test_pages_without_matplotlib_have_no_pictures(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """With a warning that says what brings them."""
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    RowStore(tmp_path).keep(row_of())

    page = write_tables(tmp_path, "quick", PLANNED)

    assert "nuclick-qp[tables]" in caplog.text
    assert not list(tmp_path.glob("*.svg"))
    assert ".svg" not in page.read_text("utf-8")
