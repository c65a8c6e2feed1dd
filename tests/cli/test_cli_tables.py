"""Tests of `nuclick-qp tables`: what it asks for, prints and refuses; the making of rows is a stand-in, of which all rows are drawn."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from nuclick_qp.evaluation.tables.row_making import RowTask, TablesMade, make_rows
from nuclick_qp.evaluation.tables.rows import Row, RowKey
from nuclick_qp.evaluation.tables.table_options import TableOptions
from nuclick_qp.stopping import Stopped
from paper_rows import NUCLICK, row_of

CommandLine = Callable[..., int]
Capture = pytest.CaptureFixture[str]
IFCN = RowKey(2, "iFCN", "MoNuSeg")


class Making:
    """Makes two rows in place of `make_tables`, unless it is to stop at the second."""

    def __init__(self) -> None:
        self.asked: list[tuple[Path, TableOptions]] = []
        self.planned: Sequence[RowKey] = (NUCLICK, IFCN)
        self.stop: BaseException | None = None

    def __call__(self, data: Path, options: TableOptions, *, on_row: Any, on_training: Any) -> TablesMade:
        self.asked.append((data, options))

        rows = [row_of(key, budget=options.budget) for key in (NUCLICK, IFCN)]

        def second() -> Row:
            if self.stop is not None:
                raise self.stop
            return rows[1]

        tasks = [RowTask(rows[0].settings, lambda: rows[0]), RowTask(rows[1].settings, second)]
        return make_rows(tasks, options, planned=self.planned, on_row=on_row)


@pytest.fixture
def making(monkeypatch: pytest.MonkeyPatch) -> Making:
    """Put the stand-in where rows are made."""
    making = Making()
    monkeypatch.setattr("nuclick_qp.evaluation.paper_tables.make_tables", making)
    return making


def test_a_finished_command_names_its_page(command_line: CommandLine, making: Making, tmp_path: Path, capsys: Capture) -> None:
    """One line on stderr for each row, the page on stdout; all tables of the quick budget unless more is said."""
    out = tmp_path / "out"

    assert command_line("tables", tmp_path / "data", "--out", out) == 0

    captured = capsys.readouterr()
    assert captured.out == f"{out / 'tables.md'}\n"
    first, second = captured.err.splitlines()
    assert first == "1 of 2: Table 2, NuClick, MoNuSeg: AJI 0.800; 60 s of training, 1.5 s for 3 images"
    assert second.startswith("2 of 2: Table 2, iFCN, MoNuSeg: AJI 0.800")
    assert making.asked == [(tmp_path / "data", TableOptions(tuple(range(1, 10)), "quick", out))]


def test_options_reach_the_work(command_line: CommandLine, making: Making, tmp_path: Path) -> None:
    """Numbers in any order, with spaces, each once."""
    arguments = ("--only", "3, 2,3", "--budget", "full", "--out", tmp_path, "--device", "cuda:1", "--threads", "2")

    assert command_line("tables", "data", *arguments) == 0

    assert making.asked == [(Path("data"), TableOptions((2, 3), "full", tmp_path, "cuda:1", 2))]


def test_rows_of_before_are_kept_and_said_to_be(command_line: CommandLine, making: Making, tmp_path: Path, capsys: Capture) -> None:
    """The second command makes nothing."""
    assert command_line("tables", "data", "--out", tmp_path) == 0
    capsys.readouterr()

    assert command_line("tables", "data", "--out", tmp_path) == 0

    assert [line.rpartition("; ")[2] for line in capsys.readouterr().err.splitlines()] == ["kept from before"] * 2


@pytest.mark.parametrize("stop", [KeyboardInterrupt(), Stopped()])
def test_a_stop_keeps_finished_rows(
    command_line: CommandLine, making: Making, tmp_path: Path, capsys: Capture, stop: BaseException
) -> None:
    """Exit code 130, a line that says how to go on, and the next command does."""
    making.stop = stop

    assert command_line("tables", "data", "--out", tmp_path) == 130
    assert capsys.readouterr().err.splitlines()[-1] == f"stopped; finished rows are in {tmp_path}, and the same command goes on after them"
    assert "iFCN: **not made yet**" in (tmp_path / "tables.md").read_text("utf-8")

    making.stop = None
    assert command_line("tables", "data", "--out", tmp_path) == 0
    assert [line.rpartition("; ")[2] == "kept from before" for line in capsys.readouterr().err.splitlines()] == [True, False]


def test_rows_that_are_missing_make_it_incomplete(command_line: CommandLine, making: Making, tmp_path: Path, capsys: Capture) -> None:
    """Exit code 1, and which they are."""
    making.planned = (NUCLICK, IFCN, RowKey(4, "GrabCut", "GlaS A", "fair"))

    assert command_line("tables", "data", "--out", tmp_path) == 1

    assert capsys.readouterr().out.splitlines()[1:] == ["  not made: Table 4, GrabCut (fair settings), GlaS A"]


@pytest.mark.parametrize("only", ["12", "0", "2,x", "", "2,,3", "-1", "²"])
def test_a_table_that_the_paper_does_not_have_is_refused(command_line: CommandLine, making: Making, capsys: Capture, only: str) -> None:
    """In one line that names what can be given, with exit code 2, before any work."""
    assert command_line("tables", "data", f"--only={only}") == 2

    captured = capsys.readouterr()
    (line,) = captured.err.splitlines()
    assert line.startswith("nuclick-qp: ")
    assert "numbers from 1 to 9, as in --only 2,3" in line
    assert captured.out == ""
    assert making.asked == []


@pytest.mark.parametrize("arguments", [["--budget", "huge"], ["--threads", "0"]], ids=str)
def test_wrong_usage_exits_with_2(command_line: CommandLine, making: Making, arguments: list[str]) -> None:
    """A budget that there is not, no core at all."""
    assert command_line("tables", "data", *arguments) == 2
    assert making.asked == []


def test_a_damaged_row_is_one_line(command_line: CommandLine, making: Making, tmp_path: Path, capsys: Capture) -> None:
    """With exit code 3, the file, and what to do; the other row stays."""
    assert command_line("tables", "data", "--out", tmp_path) == 0
    damaged, sound = sorted((tmp_path / "rows").iterdir())
    damaged.write_bytes(damaged.read_bytes()[:100])
    before = sound.read_bytes()
    capsys.readouterr()

    assert command_line("tables", "data", "--out", tmp_path) == 3

    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"nuclick-qp: {damaged} is damaged")
    assert "remove it" in line
    assert sound.read_bytes() == before


def test_data_that_is_not_there_is_named(command_line: CommandLine, tmp_path: Path, capsys: Capture) -> None:
    """By the real thing: exit code 3, before anything is trained."""
    assert command_line("tables", tmp_path / "nowhere", "--only", "2", "--out", tmp_path / "out", "--device", "cpu") == 3

    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"nuclick-qp: {tmp_path / 'nowhere'}")
    assert not (tmp_path / "out" / "rows").exists()
