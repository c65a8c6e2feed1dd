"""Rows that are made, put beside the paper's and beside one another: what pages, tables and plots show.

A row that is planned and not made has a line as well; one that is made and not planned, as of a method of your own, comes
after the planned ones of its block.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from nuclick_qp.evaluation.tables.intervals import Interval, difference_interval, mean_interval
from nuclick_qp.evaluation.tables.paper_figures import PAPER_TABLES, PaperTable, paper_figure
from nuclick_qp.evaluation.tables.row_places import IMPOSSIBLE, UNORDERED, block_of, metrics_of, paper_row, reference
from nuclick_qp.evaluation.tables.rows import Row, RowKey
from nuclick_qp.evaluation.tables.table_options import BudgetName


@dataclass(frozen=True, slots=True)
class Cell:
    """One figure of a row.

    Attributes
    ----------
    value
        Mean over images; None where the row is not made.
    paper
        The paper's figure; None where it has none.
    difference
        To the row that it is compared with, image by image; None where there is none on the same images.
    """

    value: Interval | None
    paper: float | None
    difference: Interval | None


@dataclass(frozen=True, slots=True)
class Line:
    """A row that is planned, made, or both.

    Attributes
    ----------
    row
        None where it is not made.
    cells
        By metric, in the order of the columns.
    """

    key: RowKey
    row: Row | None
    cells: Mapping[str, Cell]

    @property
    def status(self) -> str:
        """Say whether it is made, and if not, whether it can be."""
        if self.row is not None:
            return "made"
        return f"cannot be made: {IMPOSSIBLE[self.key]}" if self.key in IMPOSSIBLE else "not made yet"


@dataclass(frozen=True, slots=True)
class Block:
    """Lines of one table that stand together.

    Attributes
    ----------
    title
        What stands above them; empty where they are all of a table.
    reference
        The row among them that the others are compared with; None where there is none.
    is_ordered
        Whether it says something which line is better.
    """

    title: str
    metrics: tuple[str, ...]
    lines: tuple[Line, ...]
    reference: RowKey | None
    is_ordered: bool


@dataclass(frozen=True, slots=True)
class Section:
    """One table: ours and the paper's."""

    number: int
    paper: PaperTable
    blocks: tuple[Block, ...]

    @property
    def rows(self) -> list[Row]:
        """All that is made."""
        return [line.row for block in self.blocks for line in block.lines if line.row is not None]


def sections(rows: Sequence[Row], budget: BudgetName, planned: Iterable[RowKey]) -> list[Section]:
    """Give all nine tables, filled with the rows of one budget.

    Rows of several seeds are a line each; of those that differ in other settings the last one counts.

    Parameters
    ----------
    planned
        Rows that there are to be; those that nobody can make are added.
    """
    last = {(row.key, row.settings.seed): row for row in sorted(rows, key=lambda row: row.made_at) if row.settings.budget == budget}
    made: dict[RowKey, list[Row]] = {}
    for (key, _), row in sorted(last.items(), key=lambda item: item[0][1]):
        made.setdefault(key, []).append(row)
    keys = list(dict.fromkeys([*planned, *IMPOSSIBLE, *made]))
    return [Section(number, table, _blocks([key for key in keys if key.table == number], made)) for number, table in PAPER_TABLES.items()]


def _blocks(keys: Sequence[RowKey], made: Mapping[RowKey, Sequence[Row]]) -> tuple[Block, ...]:
    titles = list(dict.fromkeys(map(block_of, keys)))
    return tuple(_block(title, [key for key in keys if block_of(key) == title], made, is_only=len(titles) == 1) for title in titles)


def _block(title: str, keys: Sequence[RowKey], made: Mapping[RowKey, Sequence[Row]], *, is_only: bool) -> Block:
    metrics = metrics_of(keys[0])
    lines = [_line(key, row, made, metrics) for key in keys for row in made.get(key, [None])]
    against = next((other for key in keys if (other := reference(key)) in keys), None)
    is_common = against is not None and all(reference(key) in (against, None) for key in keys)
    return Block("" if is_only else title, metrics, tuple(lines), against if is_common else None, keys[0].table not in UNORDERED)


def _line(key: RowKey, row: Row | None, made: Mapping[RowKey, Sequence[Row]], metrics: Sequence[str]) -> Line:
    against, beside = reference(key), paper_row(key)
    other = None if row is None or against is None else _partner(row, made.get(against, ()))
    cells = {}
    for metric in metrics:
        value = None if row is None else mean_interval(row.values(metric))
        apart = None if row is None or other is None else difference(row, other, metric)
        cells[metric] = Cell(value, paper_figure(beside, metric), apart)
    return Line(key, row, cells)


def _partner(row: Row, candidates: Sequence[Row]) -> Row | None:
    """Choose what a row is compared with: measured on the same images, with the same seed if there is one."""
    same = [one for one in candidates if one.scores.keys() == row.scores.keys()]
    return min(same, key=lambda one: one.settings.seed != row.settings.seed, default=None)


def difference(row: Row, other: Row, metric: str) -> Interval:
    """Give how much greater a figure of one row is than of another that was measured on the same images."""
    pairs = [(getattr(row.scores[image], metric), getattr(other.scores[image], metric)) for image in row.settings.images]
    return difference_interval([one for one, _ in pairs], [two for _, two in pairs])
