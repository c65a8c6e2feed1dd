"""The tables as pictures: figures with their intervals beside the paper's, and learning curves."""

import io
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from nuclick_qp.errors import TrainingDataError
from nuclick_qp.evaluation.tables.paper_figures import IN_PX, TITLES
from nuclick_qp.evaluation.tables.row_places import IMPOSSIBLE
from nuclick_qp.evaluation.tables.rows import MASKS_BY, Row
from nuclick_qp.evaluation.tables.table_lines import Block, Line, Section
from nuclick_qp.training.log import LogRow, read_log

if TYPE_CHECKING:  # importing it costs half a second
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

OURS, PAPER = "#5e35b1", "#ff8f00"
ROW_INCHES, COLUMN_INCHES = 0.24, 2.1
TICKS_PX = (0, 1, 3, 10, 30, 100, 300)


def figure_of(section: Section) -> bytes | None:
    """Draw all figures of a table as SVG: a column for each metric, a line for each row; None where nothing is made."""
    blocks = [block for block in section.blocks if any(line.row for line in block.lines)]
    if not blocks:
        return None
    with _style():
        return _svg(_draw_blocks(section, blocks))


def _draw_blocks(section: Section, blocks: Sequence[Block]) -> "Figure":
    from matplotlib.figure import Figure  # noqa: PLC0415

    columns = max(len(block.metrics) for block in blocks)
    heights = [len(block.lines) for block in blocks]
    size = 2.2 + COLUMN_INCHES * columns, 0.5 + sum(0.7 + ROW_INCHES * height for height in heights)
    figure = Figure(figsize=size, layout="constrained")
    grid = figure.subplots(len(blocks), columns, squeeze=False, gridspec_kw={"height_ratios": heights})
    for axes_row, block in zip(grid, blocks, strict=True):
        for column, axes in enumerate(axes_row):
            if column < len(block.metrics):
                _draw_column(axes, block, block.metrics[column], is_first=column == 0)
            else:
                axes.set_axis_off()
    handles, labels = grid[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower right", ncols=2, frameon=False)
    figure.suptitle(f"Table {section.number}: {section.paper.title}", x=0.01, ha="left", fontsize=9)
    return figure


def _draw_column(axes: "Axes", block: Block, metric: str, *, is_first: bool) -> None:
    """Draw one metric of all lines, the first on top."""
    for place, line in enumerate(block.lines):
        _draw_line(axes, line, metric, place)
    axes.plot([], [], "o-", ms=4, lw=1.5, color=OURS, label="ours, 95 % interval")
    axes.plot([], [], "D", ms=4, mfc="none", color=PAPER, label="paper")
    axes.set_ylim(len(block.lines) - 0.5, -0.5)
    axes.set_yticks(range(len(block.lines)), [_label(line) for line in block.lines] if is_first else [""] * len(block.lines))
    if metric in IN_PX:
        axes.set_xscale("symlog", linthresh=1)  # from 4 px to 300, and 0 for those that are perfect
        axes.set_xticks(TICKS_PX, [f"{tick}" for tick in TICKS_PX])
        axes.set_xlim(0, 1.5 * max(axes.dataLim.xmax, 1))  # after the ticks, which would widen it
    axes.set_xlabel(f"{TITLES[metric]}{', less is better' if metric in IN_PX else ''}")
    if is_first and block.title:
        axes.set_title(block.title, loc="left", fontsize=9)
    axes.grid(axis="x", alpha=0.3)


def _draw_line(axes: "Axes", line: Line, metric: str, place: int) -> None:
    cell = line.cells[metric]
    if cell.paper is not None:
        axes.plot(cell.paper, place, "D", ms=4, mfc="none", color=PAPER)
    if cell.value is None:
        return
    if cell.value.low is not None and cell.value.high is not None:
        axes.plot([cell.value.low, cell.value.high], [place, place], "-", lw=1.5, color=OURS)
    axes.plot(cell.value.mean, place, "o", ms=4, color=OURS)


def _label(line: Line) -> str:
    text = line.key.label.replace("$", r"\$")  # matplotlib takes a pair of them for mathematics
    return text if line.row is not None else f"{text} ({'cannot be made' if line.key in IMPOSSIBLE else 'not made yet'})"


def curves_of(section: Section, out: Path) -> bytes | None:
    """Draw validation Dice over the samples seen, for each training of a table, as SVG; None where nothing was trained.

    Parameters
    ----------
    out
        Folder of the tables, which the paths of the logs are relative to.

    Raises
    ------
    TrainingDataError
        If a log is missing or cannot be read.
    """
    trainings = {row.curve: row for row in reversed(section.rows) if row.curve is not None}
    if not trainings:
        return None
    with _style():
        return _svg(_draw_curves(section, trainings, out))


def _draw_curves(section: Section, trainings: Mapping[str, Row], out: Path) -> "Figure":
    from matplotlib.figure import Figure  # noqa: PLC0415

    figure = Figure(figsize=(7.5, 4), layout="constrained")
    axes = figure.subplots()
    for number, (path, row) in enumerate(sorted(trainings.items(), key=lambda item: item[1].settings.name)):
        log = _log(out / path)
        samples = [one.step * row.settings.batch for one in log]
        label = _curve_label(row)
        style = "-" if number < 10 else "--"  # the colours begin again
        axes.plot(samples, [one.dice for one in log], style, marker=".", ms=3, lw=1, color=f"C{number % 10}", label=label)
    axes.set(xlabel="samples: patches seen", ylabel="validation Dice", xlim=(0, None), ylim=(None, 1))
    axes.xaxis.set_major_formatter("{x:,.0f}")
    axes.set_title(f"Table {section.number}: learning curves", loc="left", fontsize=9)
    axes.grid(alpha=0.3)
    figure.legend(loc="outside right upper", frameon=False, fontsize=7)
    return figure


def _curve_label(row: Row) -> str:
    """Name a training and its set; names of students say themselves whose masks they learned from."""
    images = row.settings.training.partition(MASKS_BY)[0]
    return ", from ".join(filter(None, (row.key.label, images))).replace("$", r"\$")


def _log(path: Path) -> Sequence[LogRow]:
    rows = read_log(path)
    if not rows:
        raise TrainingDataError(f"{path} is missing or empty, and a row names it as its learning curve; put it back, or remove that row")
    return rows


@contextmanager
def _style() -> Iterator[None]:
    """Let all that is drawn look alike, and equal pictures have equal bytes."""
    import matplotlib as mpl  # noqa: PLC0415

    with mpl.rc_context({"svg.hashsalt": "nuclick-qp", "font.size": 8, "axes.spines.top": False, "axes.spines.right": False}):
        yield


def _svg(figure: "Figure") -> bytes:
    picture = io.BytesIO()
    figure.savefig(picture, format="svg", metadata={"Date": None})
    return picture.getvalue()
