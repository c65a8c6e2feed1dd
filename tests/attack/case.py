"""What an attack is made of: cases, groups of them, and how a command ended."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from random import Random

Command = tuple[str, ...]


@dataclass(frozen=True)
class Ended:
    """How one command ended.

    Attributes
    ----------
    code
        Exit code; negative for the number of the signal that ended it.
    is_hung
        Whether it was killed because it did not end.
    peak_mb
        Largest memory of the process or of one that it started.
    """

    code: int
    out: str
    err: str
    seconds: float
    peak_mb: float
    is_hung: bool


@dataclass(frozen=True)
class Case:
    """Hostile files, and the commands that are given them; see the package."""

    name: str
    make: Callable[[Path], object]
    commands: tuple[Command, ...]
    check: Callable[[Path, list[Ended]], str | None] = lambda folder, runs: None
    is_quick: bool = False  # whether it is one of the few that `make test` runs


@dataclass(frozen=True)
class Group:
    """Cases about one thing; the title begins with the number of the rule that they attack."""

    title: str
    fixed: Callable[[], Iterable[Case]]
    mutated: Callable[[Random], Case] | None = None
