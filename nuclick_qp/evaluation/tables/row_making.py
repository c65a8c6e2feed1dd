"""Rows made one by one, each kept when it is finished, and the pages of all that there are."""

import importlib.util
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

from nuclick_qp.errors import WriteRefusedError
from nuclick_qp.evaluation.tables.paper_figures import PAPER_TABLES, TITLES
from nuclick_qp.evaluation.tables.rows import Row, RowKey, RowSettings, RowStore
from nuclick_qp.evaluation.tables.table_lines import sections
from nuclick_qp.evaluation.tables.table_options import BudgetName, TableOptions
from nuclick_qp.evaluation.tables.table_page import csv_of, curves_name, figure_name, page
from nuclick_qp.evaluation.tables.table_plots import curves_of, figure_of
from nuclick_qp.storage.atomic import make_folder, write_atomically, write_refusal

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class RowTask:
    """A row that is to be made.

    Attributes
    ----------
    settings
        What it is made with.
    make
        Makes it, in seconds or in an hour.
    """

    settings: RowSettings
    make: Callable[[], Row]


@dataclass(frozen=True, slots=True)
class RowDone:
    """A row is there.

    Attributes
    ----------
    number, of
        Which of how many rows it is.
    was_kept
        Whether an earlier command made it.
    """

    row: Row
    number: int
    of: int
    was_kept: bool

    @property
    def leading(self) -> str:
        """Say the figure that the methods of its table are ordered by."""
        metric = PAPER_TABLES[self.row.key.table].leading
        return f"{TITLES[metric]} {fmean(self.row.values(metric)):.3f}"


@dataclass(frozen=True, slots=True)
class TablesMade:
    """What a command has made of the tables.

    Attributes
    ----------
    page
        The page in Markdown; ``tables.csv`` and the plots lie beside it.
    missing
        Planned rows of the tables that were asked for which are not made.
    """

    page: Path
    missing: tuple[RowKey, ...]


OnRow = Callable[[RowDone], None]


def make_rows(
    tasks: Sequence[RowTask], options: TableOptions, *, planned: Sequence[RowKey], on_row: OnRow = lambda done: None
) -> TablesMade:
    """Make the rows that are not there yet, and write the pages.

    The pages are written at the end, be it by a stop or an error; rows that are finished are kept in any case, and the same
    command goes on after them.

    Parameters
    ----------
    planned
        All rows that the nine tables are to have, in their order; the pages say which are missing.

    Raises
    ------
    RowError
        If a kept row is damaged; before anything is made.
    WriteRefusedError
        If the folder cannot hold files; likewise.
    """
    store = RowStore(options.out)
    make_folder(options.out, option="--out")
    store.rows()
    try:
        for number, task in enumerate(tasks, 1):
            kept = store.find(task.settings)
            row = kept or task.make()
            if kept is None:
                if row.settings != task.settings:
                    raise ValueError(f"{task.settings.key} was made with other settings than it says, and would be made again each time")
                store.keep(row)
            on_row(RowDone(row, number, len(tasks), was_kept=kept is not None))
    finally:
        written = write_tables(options.out, options.budget, planned)
    made = {row.key for row in store.rows() if row.settings.budget == options.budget}
    return TablesMade(written, tuple(key for key in planned if key.table in options.only and key not in made))


def write_tables(out: Path, budget: BudgetName, planned: Sequence[RowKey]) -> Path:
    """Write ``tables.md``, ``tables.csv`` and the plots of all rows of a budget, and give the path of the page.

    The plots need matplotlib, of an extra of the installation; without it there is a warning, and a page without plots.

    Raises
    ------
    RowError, TrainingDataError
        If a row, or the log of its training, cannot be read.
    WriteRefusedError
        If a file cannot be written.
    """
    rows = RowStore(out).rows()
    tables = sections(rows, budget, planned)
    files: dict[str, bytes] = {"tables.csv": csv_of(tables)}
    if importlib.util.find_spec("matplotlib") is None:
        logger.warning("%s gets no plots: matplotlib is missing; pip install 'nuclick-qp[tables]' brings it", out)
    else:
        drawn = [(figure_name(one.number), figure_of(one)) for one in tables]
        drawn += [(curves_name(one.number), curves_of(one, out)) for one in tables]
        files |= {name: picture for name, picture in drawn if picture is not None}
    files["tables.md"] = page(tables, budget, plots=tuple(files), kept=len(rows)).encode()
    for name, data in files.items():
        _write(out / name, data)
    return out / "tables.md"


def _write(path: Path, data: bytes) -> None:
    try:
        write_atomically(path, data)
    except OSError as err:
        raise WriteRefusedError(write_refusal(path, err)) from err
