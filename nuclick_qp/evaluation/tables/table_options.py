"""What of the paper's tables is made, and on what; apart from the work, so that the command line starts without it."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from nuclick_qp.errors import OptionError

BudgetName = Literal["quick", "full"]
TABLES = tuple(range(1, 10))  # of the paper
FIRST, LAST = TABLES[0], TABLES[-1]


@dataclass(frozen=True, slots=True)
class TableOptions:
    """What of the paper's tables is made, and on what.

    Attributes
    ----------
    only
        Numbers of tables.
    budget
        ``quick`` fills every row in minutes, with networks that have seen little; ``full`` trains for hours on two cores.
    out
        Folder of rows, trainings and pages; what is finished in it is not made again.
    device
        ``auto``, ``cpu``, ``cuda``, ``cuda:1``, ``mps``.
    threads
        Cores of a CPU that train, as for `TrainingRun`.
    """

    only: tuple[int, ...] = TABLES
    budget: BudgetName = "quick"
    out: Path = Path("paper-tables")
    device: str = "auto"
    threads: int | None = None

    def __post_init__(self) -> None:
        unknown = [str(number) for number in self.only if number not in TABLES]
        if unknown:
            raise OptionError(f"the paper has no table {', '.join(unknown)}; --only takes numbers from {FIRST} to {LAST}, as in --only 2,3")
        if not self.only:
            raise OptionError(f"--only names no table; it takes numbers from {FIRST} to {LAST}, as in --only 2,3")
