"""The tables as a page in Markdown and as a CSV file."""

from collections.abc import Iterable, Iterator, Sequence

from nuclick_qp.evaluation.tables.intervals import Interval
from nuclick_qp.evaluation.tables.order_words import order_of
from nuclick_qp.evaluation.tables.paper_figures import IN_PX, TITLES
from nuclick_qp.evaluation.tables.paper_protocols import DIFFERENCES, SHARED
from nuclick_qp.evaluation.tables.paper_reading import READINGS
from nuclick_qp.evaluation.tables.row_places import IMPOSSIBLE, reference
from nuclick_qp.evaluation.tables.rows import RowKey
from nuclick_qp.evaluation.tables.table_lines import Block, Cell, Line, Section
from nuclick_qp.evaluation.tables.table_options import BudgetName
from nuclick_qp.export.csv_text import csv_bytes
from nuclick_qp.plain_text import one_line

HEAD = """\
---
hide: [toc]
---

# The paper's tables, on open data

Made by `nuclick-qp tables --budget {budget}`: {made} of {wanted} rows{missing}. \
The page *The paper's tables* of the documentation says what this is, and how a method of your own gets into it.

In a cell: **our mean over images**, its 95 % bootstrap interval over images, and below it *the figure of the paper*. The paper states no \
intervals. An interval over few images is too narrow: with 7 images it holds the true mean in about 88 of 100 cases, not 95. *Difference* \
is paired by image. In an order, `A > B` means that the interval of the difference excludes 0, `A ~ B` that it does not.

{shared}
"""
MADE_WITH = ("learned from", "images", "µm/px", "samples", "batch", "width", "training, s", "test images, s", "seed", "device", "commit")
MADE_COLUMNS = (
    *("learned_from", "images", "mpp", "samples", "batch", "width"),
    *("train_seconds", "segment_seconds", "seed", "budget", "device", "commit", "made_at", "chosen"),
)
COLUMNS = (
    *("table", "data", "row", "variant", "status", "metric", "value", "low", "high", "paper"),
    *("difference", "difference_low", "difference_high", "against"),
    *MADE_COLUMNS,
)


def page(tables: Sequence[Section], budget: BudgetName, *, plots: Sequence[str] = (), kept: int = 0) -> str:
    """Give the page of all tables.

    Parameters
    ----------
    plots
        Names of the picture files that lie beside the page; a table shows those that there are for it.
    kept
        How many rows there are, with those that are not shown: of the other budget, or with earlier settings.
    """
    lines = [line for section in tables for block in section.blocks for line in block.lines]
    made, impossible = sum(line.row is not None for line in lines), sum(line.row is None and line.key in IMPOSSIBLE for line in lines)
    left = len(lines) - made - impossible
    missing = [f"{left} are not made yet"] if left else []
    missing += [f"{impossible} cannot be made"] if impossible else []
    missing += [f"{kept - made} kept rows, of the other budget or with earlier settings, are not shown"] if kept > made else []
    said = "".join(f"; {words}" for words in missing)
    head = HEAD.format(budget=budget, made=made, wanted=len(lines), missing=said, shared=SHARED)
    return "\n".join([head, *(text for section in tables for text in _section(section, plots)), *_readings()])


def csv_of(tables: Sequence[Section]) -> bytes:
    """Give the tables as CSV: one line for each row and metric, those that are not made as well."""
    lines = ((section, line) for section in tables for block in section.blocks for line in block.lines)
    return csv_bytes([COLUMNS, *(record for section, line in lines for record in _records(section, line))])[0]


def _section(section: Section, plots: Sequence[str]) -> Iterator[str]:
    number, paper = section.number, section.paper
    yield f"## Table {number} {{ #table-{number} }}\n\n**{paper.title}.** The paper: {paper.data}. {DIFFERENCES[number]}\n"
    for block in section.blocks:
        if block.title:
            yield f"### {_cell_text(block.title)} {{ #table-{number}-{_anchor(block.title)} }}\n"
        yield from _block(block, order_of(block, paper.leading))
    for name, what in ((figure_name(number), "our figures with intervals, and the paper's"), (curves_name(number), "learning curves")):
        if name in plots:
            yield f"![Table {number}: {what}]({name})\n"


def _block(block: Block, order: Sequence[str]) -> Iterator[str]:
    if order:
        yield "\n".join(f"- {_cell_text(sentence)}" for sentence in order) + "\n"
    metrics = block.metrics
    titles = [TITLES[metric] for metric in metrics]
    yield _table(("", *titles), [(_name(line), *(_value(metric, line.cells[metric]) for metric in metrics)) for line in block.lines])
    compared = [line for line in block.lines if any(cell.difference for cell in line.cells.values())]
    if compared:
        rows = [(_difference_name(line), *(_difference(metric, line.cells[metric]) for metric in metrics)) for line in compared]
        yield _table(("difference", *titles), rows)
    made = [line for line in block.lines if line.row is not None]
    if made:
        yield _table(("made with", *MADE_WITH), [(_cell_text(line.key.label), *_made_with(line)) for line in made])
    chosen = [f"- Chosen for {_cell_text(line.key.label)}: {_cell_text(line.row.chosen)}" for line in made if line.row and line.row.chosen]
    if chosen:
        yield "\n".join(chosen) + "\n"


def _name(line: Line) -> str:
    label = _cell_text(line.key.label)
    if line.row is None:
        return f"{label}: **{line.status}**"
    return label


def _difference_name(line: Line) -> str:
    return f"{_cell_text(line.key.label)} less {_cell_text(_against(line.key))}"


def _against(key: RowKey) -> str:
    """Name what a row is compared with, and its table where that is another one."""
    other = reference(key)
    if other is None:
        return ""
    return other.label if other.table == key.table else f"{other.label} of Table {other.table}"


def _value(metric: str, cell: Cell) -> str:
    ours = [] if cell.value is None else [f"**{number(metric, cell.value.mean)}**", _bounds(metric, cell.value)]
    return "<br>".join([*ours, *([] if cell.paper is None else [f"*{_as_printed(metric, cell.paper)}*"])])


def _as_printed(metric: str, paper: float) -> str:
    return f"{paper:g}" if metric in IN_PX else number(metric, paper)


def _difference(metric: str, cell: Cell) -> str:
    if cell.difference is None:
        return ""
    return f"{number(metric, cell.difference.mean, sign=True)}<br>{_bounds(metric, cell.difference, sign=True)}"


def _bounds(metric: str, interval: Interval, *, sign: bool = False) -> str:
    if interval.low is None or interval.high is None:
        return f"n = {interval.n}: no interval"
    return f"{number(metric, interval.low, sign=sign)} to {number(metric, interval.high, sign=sign)}"


def number(metric: str, value: float, *, sign: bool = False) -> str:
    """Give a figure as tables print it: three digits, or all before the point.

    Examples
    --------
    >>> number("aji", 0.834), number("hausdorff", 4.05), number("hausdorff", 125), number("aji", 0.02, sign=True)
    ('0.834', '4.05', '125', '+0.020')
    """
    digits = 3 if metric not in IN_PX else 2 if abs(value) < 10 else 1 if abs(value) < 100 else 0
    return f"{value:{'+' if sign else ''}.{digits}f}"


def _made_with(line: Line) -> tuple[object, ...]:
    row = line.row
    assert row is not None
    settings = row.settings
    return (
        _cell_text(settings.training),
        len(settings.images),
        "" if settings.mpp is None else f"{settings.mpp:g}",
        f"{settings.samples:,}",
        settings.batch,
        "" if settings.width is None else f"{settings.width:g}",
        f"{row.train_seconds:,.0f}",
        f"{row.segment_seconds:,.1f}",
        settings.seed,
        _cell_text(row.device),
        f"`{_cell_text(row.short_commit)}`",
    )


def _records(section: Section, line: Line) -> Iterator[tuple[object, ...]]:
    key, row = line.key, line.row
    made: tuple[object, ...] = ("",) * len(MADE_COLUMNS)
    if row is not None:
        one = row.settings
        made = (one.training, len(one.images), one.mpp, one.samples, one.batch, one.width, row.train_seconds, row.segment_seconds, one.seed,
                one.budget, row.device, row.short_commit, row.made_at.isoformat(timespec="seconds"), row.chosen)  # fmt: skip
    for metric, cell in line.cells.items():
        named = _against(key) if cell.difference else ""
        yield (
            *(section.number, key.data, key.name, key.variant, line.status, metric, *_three(cell.value), cell.paper),
            *(*_three(cell.difference), named, *made),
        )


def _three(interval: Interval | None) -> tuple[float | None, float | None, float | None]:
    return (None, None, None) if interval is None else (interval.mean, interval.low, interval.high)


def _readings() -> Iterator[str]:
    yield "## How the paper is read { #how-the-paper-is-read }\n\nWhere it is ambiguous, or contradicts itself.\n"
    yield _table(("source", "what is wrong or open", "here"), [(one.source, one.problem, one.here) for one in READINGS])


def _table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    lines = ["| " + " | ".join(map(str, cells)) + " |" for cells in (head, *rows)]
    return "\n".join([lines[0], "|" + "---|" * len(head), *lines[1:], ""])


def _cell_text(text: str) -> str:
    r"""Give a name of somebody's as text of a cell: no line break, and nothing that Markdown or a browser would take for its own.

    Examples
    --------
    >>> _cell_text("a|b <i>")
    'a\\|b &lt;i>'
    """
    return one_line(text).replace("&", "&amp;").replace("<", "&lt;").replace("|", "\\|")


def _anchor(name: str) -> str:
    return "-".join("".join(letter if letter.isalnum() else " " for letter in name.lower()).split())


def figure_name(number: int) -> str:
    """Name the picture of a table."""
    return f"table-{number}.svg"


def curves_name(number: int) -> str:
    """Name the picture of a table's learning curves."""
    return f"table-{number}-curves.svg"
