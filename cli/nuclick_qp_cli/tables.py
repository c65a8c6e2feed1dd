"""`nuclick-qp tables`: make the tables of the paper on open data."""

import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nuclick_qp.errors import OptionError
from nuclick_qp.evaluation.tables.table_options import FIRST, LAST, TABLES, TableOptions
from nuclick_qp.plain_text import first_lines
from nuclick_qp.stopping import Stopped
from nuclick_qp_cli.progress import Lines
from nuclick_qp_cli.shared import EXIT_STOPPED, DeviceOption
from nuclick_qp_cli.terminal import note, say

if TYPE_CHECKING:  # importing them loads torch
    from nuclick_qp.evaluation.tables.row_making import RowDone
    from nuclick_qp.evaluation.tables.rows import RowKey

DEFAULTS = TableOptions()
ALL = ",".join(map(str, TABLES))


class BudgetChoice(StrEnum):
    """How much is learned, and looked at."""

    QUICK = "quick"
    FULL = "full"


def tables(
    data: Annotated[Path, typer.Argument(help="Folder with nuclei, cells, glands and pap, each with train and test.", show_default=False)],
    only: Annotated[str, typer.Option(help="Numbers of tables, separated by commas.")] = ALL,
    budget: Annotated[
        BudgetChoice, typer.Option(help="quick: all rows in minutes, to see that all works; full: in hours.")
    ] = BudgetChoice.QUICK,
    out: Annotated[
        Path, typer.Option(help="Folder for rows, trainings and pages; what is finished in it is not made again.")
    ] = DEFAULTS.out,
    device: DeviceOption = DEFAULTS.device,
    threads: Annotated[int | None, typer.Option(help="Cores that train; all, or OMP_NUM_THREADS.", min=1)] = DEFAULTS.threads,
) -> None:
    """Make Tables 1 to 9 of the paper on open data; Ctrl-C stops, the same command continues after the last finished row."""
    options = TableOptions(_numbers(only), budget.value, out, device, threads)
    from nuclick_qp.evaluation.paper_tables import make_tables

    lines = Lines()
    try:
        made = make_tables(
            data,
            options,
            on_row=lambda done: lines.say(_line(done)),
            on_training=lambda name, at: lines.say_now_and_then(lambda: f"training {name}: step {at.step} of {at.steps}"),
        )
    except (KeyboardInterrupt, Stopped):
        note(f"stopped; finished rows are in {out}, and the same command goes on after them")
        sys.exit(EXIT_STOPPED)
    say(f"{made.page}")
    for line in first_lines([f"not made: {_words(key)}" for key in made.missing], rest="the page lists all"):
        say(f"  {line}")
    sys.exit(1 if made.missing else 0)


def _numbers(text: str) -> tuple[int, ...]:
    """Read a list of numbers; whether there are such tables the options know."""
    words = [word.strip() for word in text.split(",")]
    if not all(word.isascii() and word.isdigit() for word in words):
        raise OptionError(f"--only {text!r} is no list of tables; give numbers from {FIRST} to {LAST}, as in --only 2,3")
    return tuple(sorted({int(word) for word in words}))


def _line(done: "RowDone") -> str:
    """Say what a row has come to, in one line."""
    row = done.row
    took = f"{row.train_seconds:.0f} s of training, {row.segment_seconds:.1f} s for {len(row.scores)} images"
    return f"{done.number} of {done.of}: {_words(row.key)}: {done.leading}; {'kept from before' if done.was_kept else took}"


def _words(key: "RowKey") -> str:
    return f"Table {key.table}, {key.label}, {key.data}"
