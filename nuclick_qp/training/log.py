"""The log of a training run: a table to compute with, a curve to look at."""

import csv
import importlib.util
import io
import logging
from dataclasses import astuple, dataclass, fields
from pathlib import Path
from typing import Self

from nuclick_qp.errors import TrainingDataError
from nuclick_qp.storage.atomic import write_atomically
from nuclick_qp.storage.plain_files import read_file

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class LogRow:
    """One validation.

    Attributes
    ----------
    step
        Steps taken so far.
    loss
        Mean training loss since the last row.
    dice
        Mean Dice of the averaged network on the validation patches.
    seconds_per_step
        Since the last row, waiting for batches included, validation not.
    waiting_share
        Share of that time in which the device waited for a batch.
    """

    step: int
    loss: float
    dice: float
    seconds_per_step: float
    waiting_share: float

    @classmethod
    def of_text(cls, row: dict[str, str]) -> Self:
        """Read a row of the CSV file."""
        loss, dice, seconds, waiting = (float(row[field.name]) for field in fields(cls)[1:])
        return cls(int(row["step"]), loss, dice, seconds, waiting)


class TrainingLog:
    """``log.csv`` and ``curve.png`` in the folder of a run, whole after every row.

    The curve needs matplotlib, an extra of the installation; without it there is a warning and no curve.

    Raises
    ------
    TrainingDataError
        If the folder holds a log.csv that is none of ours, or cannot be read.
    """

    def __init__(self, folder: Path, *, name: str) -> None:
        self._folder, self._name = folder, name
        self._draws = importlib.util.find_spec("matplotlib") is not None
        if not self._draws:
            logger.warning("%s will not be drawn: matplotlib is missing; pip install 'nuclick-qp[train]' brings it", folder / "curve.png")
        self.rows = read_log(folder / "log.csv")

    def drop_after(self, step: int) -> None:
        """Forget rows beyond the checkpoint that a run goes on from; they will be made anew."""
        self.rows = [row for row in self.rows if row.step <= step]

    def add(self, row: LogRow) -> None:
        """Put a row into the table, and draw the curve anew."""
        self.rows.append(row)
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow([field.name for field in fields(LogRow)])
        writer.writerows(astuple(row) for row in self.rows)
        write_atomically(self._folder / "log.csv", text.getvalue().encode())
        if self._draws:
            write_atomically(self._folder / "curve.png", _draw_curve(self.rows, self._name))


def read_log(path: Path) -> list[LogRow]:
    """Read the rows of a log; none where there is no file.

    Raises
    ------
    TrainingDataError
        If it is none of ours, or cannot be read.
    """
    try:
        text = read_file(path).decode()
        return [LogRow.of_text(row) for row in csv.DictReader(io.StringIO(text, newline=""))]
    except FileNotFoundError:
        return []
    except OSError as err:
        raise TrainingDataError(f"{path} cannot be read ({err.strerror}); choose another output folder, or check its permissions") from err
    except (KeyError, ValueError, TypeError, csv.Error) as err:
        raise TrainingDataError(f"{path} is not the log of a training run; choose another output folder or remove it") from err


def _draw_curve(rows: list[LogRow], name: str) -> bytes:
    """Draw loss and Dice over the steps, as a PNG."""
    from matplotlib.figure import Figure  # noqa: PLC0415  # costs half a second that only training should pay

    figure = Figure(figsize=(7, 4), layout="constrained")
    left = figure.subplots()
    right = left.twinx()
    steps = [row.step for row in rows]
    (loss,) = left.plot(steps, [row.loss for row in rows], color="tab:orange", marker=".", label="training loss")
    (dice,) = right.plot(steps, [row.dice for row in rows], color="tab:blue", marker=".", label="validation Dice")
    left.set(xlabel="step", ylabel="training loss", title=name, ylim=(0, None))
    right.set(ylabel="validation Dice", ylim=(min(0.5, *(row.dice for row in rows)), 1))
    left.grid(alpha=0.3)
    left.legend(handles=[loss, dice], loc="lower left")
    png = io.BytesIO()
    figure.savefig(png, format="png", dpi=120)
    return png.getvalue()
