"""All that `make bench` measures, as the JSON beside its page, and what it was measured on."""

import json
import os
import platform
import subprocess
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Self

import numpy as np
from pydantic import BaseModel

from benchmarks.drawn_answers import DISCS
from benchmarks.network_alone import NetworkSpeed
from benchmarks.one_run import RunFigures
from benchmarks.peers_way import Compared
from benchmarks.training_steps import TrainingSteps
from benchmarks.warm_click import WarmClicks
from nuclick_qp.model.devices import usable_cores

ROOT = Path(__file__).parents[2]
PACKAGES = ("torch", "numpy", "scipy", "scikit-image", "shapely", "contourpy", "openslide-python", "openslide-bin", "tifffile")
WRITTEN = ("docs/benchmarks.md", "docs/benchmarks.json", "docs/images")  # by the benchmark itself


Kind = tuple[str, str, bool]


class Source(BaseModel):
    """What was measured, and on what."""

    commit: str
    processor: str
    cores: int
    memory_gb: float
    system: str
    versions: dict[str, str]

    @classmethod
    def here(cls) -> Self:
        """Look at this machine and this checkout."""
        pages, size = (os.sysconf(name) if hasattr(os, "sysconf") else 0 for name in ("SC_PHYS_PAGES", "SC_PAGE_SIZE"))
        return cls(
            commit=_commit(),
            processor=_processor(),
            cores=usable_cores(),
            memory_gb=round(pages * size / 1e9, 1),
            system=f"{platform.system()} {platform.machine()}, Python {platform.python_version()}",
            versions={name: version(name) for name in PACKAGES},
        )


class Runs(BaseModel):
    """Runs over one project, each in a process of its own on a fresh project, and the one of median duration.

    Attributes
    ----------
    busy
        Whether a program beside it kept a core busy.
    """

    spread: str
    network: str
    busy: bool = False
    batch_size: int
    repeats: int
    median: RunFigures

    @property
    def kind(self) -> Kind:
        """What is the same for runs that differ in the number of clicks."""
        return (self.spread, self.network, self.busy)

    @property
    def clicks_per_second(self) -> float:
        """Clicks from the project on disk to the written file."""
        return self.median.clicks / self.median.seconds


class Figures(BaseModel):
    """All figures of one commit on one machine.

    Attributes
    ----------
    load
        Of the system in the minute before, by the part that was measured: 0 is a quiet machine.
    network_alone
        By batch size.
    runs
        With the shipped network, and with discs for its answers.
    peers
        On dense clicks.
    remark
        What a reader has to know of these figures, written into the file by hand.
    """

    source: Source
    day: str
    load: dict[str, float] = {}
    slide_seconds: float = 0.0
    network_alone: dict[int, NetworkSpeed] = {}
    warm_click: WarmClicks | None = None
    training: TrainingSteps | None = None
    runs: list[Runs] = []
    peers: Compared | None = None
    remark: str = ""

    @classmethod
    def begun(cls, earlier: Path) -> Self:
        """Go on with figures of the same commit and machine; else begin anew."""
        source = Source.here()
        if earlier.exists():
            there = json.loads(earlier.read_text("utf-8"))
            if there["source"] == source.model_dump():  # else it may be of another form, too
                return cls.model_validate(there)
        return cls(source=source, day=f"{datetime.now(UTC):%Y-%m-%d}")

    def of(self, spread: str, network: str, *, busy: bool = False) -> list[Runs]:
        """Give the runs of a kind, by the number of clicks."""
        chosen = [runs for runs in self.runs if runs.kind == (spread, network, busy)]
        return sorted(chosen, key=lambda runs: runs.median.clicks)

    def kinds(self) -> list[list[Runs]]:
        """Give all runs, kind by kind: with the network first, dense before sparse, quiet before busy."""
        kinds = sorted({runs.kind for runs in self.runs}, key=lambda kind: (kind[1] == DISCS, kind[0], kind[2]))
        return [self.of(spread, network, busy=busy) for spread, network, busy in kinds]

    def put(self, new: Runs) -> None:
        """Put runs in, in the place of equal ones."""
        same = (new.kind, new.median.clicks)
        self.runs = [runs for runs in self.runs if (runs.kind, runs.median.clicks) != same] + [new]


def name_of(kind: Kind) -> str:
    """Name a kind of runs."""
    spread, network, busy = kind
    return spread + (", without the network" if network == DISCS else "") + (", beside a busy core" if busy else "")


def exponent(clicks: list[int], seconds: list[float]) -> float:
    """Give k of seconds = c * clicks ** k, fitted on logarithms.

    Examples
    --------
    >>> round(exponent([100, 1000, 10_000], [2.0, 20.0, 200.0]), 3)
    1.0
    """
    return float(np.polyfit(np.log(clicks), np.log(seconds), 1)[0])


def load_now() -> float:
    """Give how many programs wanted a core in the last minute, in the mean."""
    return round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else 0.0


def _commit() -> str:
    """Name the commit, and say so where files differ from it."""

    def git(*arguments: str) -> str:
        return subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=False).stdout.strip()

    commit = git("rev-parse", "--short=10", "HEAD") or "unknown"
    excluded = (f":(exclude){path}" for path in WRITTEN)
    return f"{commit} with changes" if git("status", "--porcelain", "--", ".", *excluded) else commit


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or "unknown"
