"""Measure speed and scale, and write page, plots and figures: `python -m benchmarks.bench [usual|scale|large]`, see `make bench`.

`usual` is 10^2 to 10^4 clicks and all comparisons. To figures of the same commit and machine, `scale` adds 10^5 clicks without
the network, and `large` 10^5 clicks with it.
"""

import argparse
import statistics
import sys
import tempfile
import time
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks import network_alone, one_run, peers_way, training_steps, warm_click
from benchmarks.bench_page import page
from benchmarks.bench_plots import draw
from benchmarks.drawn_answers import DISCS
from benchmarks.figures import ROOT, Figures, Runs, load_now, name_of
from benchmarks.in_own_process import answer_of
from benchmarks.network_alone import NetworkSpeed
from benchmarks.one_run import RunFigures
from benchmarks.peers_way import Compared
from benchmarks.synthetic_slide import SIDE, Spread, click_on_nuclei, make_project, write_slide
from benchmarks.training_steps import TrainingSteps
from benchmarks.warm_click import WarmClicks, a_busy_core

NETWORK = "nuclei"


@dataclass(frozen=True, slots=True)
class Series:
    """Runs of one kind: how often each number of clicks is run."""

    spread: Spread
    network: str
    repeats: dict[int, int]
    busy: bool = False  # whether a program beside it keeps a core busy

    @property
    def name(self) -> str:
        """What figures of it are called."""
        return name_of((self.spread, self.network, self.busy))


@dataclass(frozen=True, slots=True)
class Plan:
    """What is measured.

    Attributes
    ----------
    patches
        For the network alone.
    """

    series: tuple[Series, ...]
    side: int = SIDE
    device: str = "cpu"
    batch_size: int = 32
    network_batches: tuple[int, ...] = ()
    patches: int = 64
    warm_clicks: int = 0
    training_steps: int = 0
    training_batch: int = 16
    training_width: float = 0.25
    peers_batches: tuple[int, ...] = ()
    peers_clicks: int = 300  # as many as one of the runs has, so that they are the same


USUAL = Plan(
    (
        Series("dense", NETWORK, {100: 5, 300: 5, 1000: 5, 10_000: 1}),
        Series("sparse", NETWORK, {100: 5, 1000: 1, 10_000: 1}),
        Series("dense", NETWORK, {1000: 3}, busy=True),
        Series("dense", DISCS, {1000: 1, 10_000: 1}),
    ),
    network_batches=(1, 8, 32),
    warm_clicks=200,
    training_steps=10,
    peers_batches=(1, 8),
)
SCALE = Plan((Series("dense", DISCS, {100_000: 1}), Series("sparse", DISCS, {100_000: 1})))
LARGE = Plan((Series("dense", NETWORK, {100_000: 1}), Series("sparse", NETWORK, {100_000: 1})))
PLANS = {"usual": USUAL, "scale": SCALE, "large": LARGE}


@dataclass(slots=True)
class Bench:
    """A plan on its way; figures are written after each step, so that a stop loses one of them only."""

    plan: Plan
    folder: Path
    docs: Path
    figures: Figures = field(init=False)

    def __post_init__(self) -> None:
        self.figures = Figures.begun(self.docs / "benchmarks.json")

    def run(self) -> None:
        """Measure all that is planned."""
        plan, figures = self.plan, self.figures
        since = time.perf_counter()
        write_slide(self.slide, side=plan.side)
        figures.slide_seconds = time.perf_counter() - since
        for size in plan.network_batches:
            self._step(f"network alone, batches of {size}")
            alone = network_alone.Request(network=NETWORK, device=plan.device, patches=plan.patches, batch_size=size)
            figures.network_alone[size] = answer_of("benchmarks.network_alone", alone, NetworkSpeed)
        if plan.warm_clicks:
            self._step("warm clicks")
            clicks = warm_click.Request(network=NETWORK, device=plan.device, clicks=plan.warm_clicks)
            figures.warm_click = answer_of("benchmarks.warm_click", clicks, WarmClicks)
        if plan.training_steps:
            self._step("training steps")
            steps = training_steps.Request(
                width=plan.training_width, device=plan.device, batch_size=plan.training_batch, steps=plan.training_steps
            )
            figures.training = answer_of("benchmarks.training_steps", steps, TrainingSteps)
        if plan.peers_batches:
            self._step("the peers' way")
            figures.peers = self._peers()
        for series in plan.series:
            for count, repeats in series.repeats.items():
                self._step(f"{count} clicks, {series.name}")
                figures.put(self._runs(series, count, repeats))
        self._keep()

    @property
    def slide(self) -> Path:
        """The whole slide."""
        return self.folder / "whole.tif"

    def _step(self, name: str) -> None:
        self._keep()
        self.figures.load[name] = load_now()
        print(f"{time.strftime('%H:%M:%S')} {name}", file=sys.stderr, flush=True)

    def _keep(self) -> None:
        (self.docs / "benchmarks.json").write_text(self.figures.model_dump_json(indent=1) + "\n", "utf-8")

    def _peers(self) -> Compared:
        plan = self.plan
        xy = click_on_nuclei(plan.peers_clicks, "dense", side=plan.side).xy.tolist()
        request = peers_way.Request(slide=self.slide, xy=xy, network=NETWORK, device=plan.device, batch_sizes=plan.peers_batches)
        return answer_of("benchmarks.peers_way", request, Compared)

    def _runs(self, series: Series, count: int, repeats: int) -> Runs:
        """Run several times over equal projects, and give the run of median duration."""
        clicks = click_on_nuclei(count, series.spread, side=self.plan.side)
        taken = []
        for number in range(repeats):
            project = make_project(self.folder / f"{series.name}-{count}-{number}", self.slide, clicks, side=self.plan.side)
            request = one_run.Request(
                project=project, network=series.network, device=self.plan.device, batch_size=self.plan.batch_size, began=time.time()
            )
            with a_busy_core() if series.busy else nullcontext():
                taken.append(answer_of("benchmarks.one_run", request, RunFigures))
        median = statistics.median_low(one.seconds for one in taken)
        chosen = next(one for one in taken if one.seconds == median)
        return Runs(
            spread=series.spread, network=series.network, busy=series.busy, batch_size=self.plan.batch_size, repeats=repeats, median=chosen
        )


def write_pages(figures: Figures, docs: Path) -> None:
    """Write the page and its plots."""
    draw(figures, docs / "images")
    (docs / "benchmarks.md").write_text(page(figures), "utf-8")


def main() -> None:
    """Measure, and write."""
    parser = argparse.ArgumentParser(description="Measure speed and scale.")
    parser.add_argument("size", nargs="?", choices=[*PLANS, "page"], default="usual", help="`page` only writes the page anew")
    parser.add_argument("--docs", type=Path, default=ROOT / "docs")
    arguments = parser.parse_args()
    if arguments.size == "page":
        write_pages(Figures.model_validate_json((arguments.docs / "benchmarks.json").read_text("utf-8")), arguments.docs)
        return
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(PLANS[arguments.size], Path(folder), arguments.docs)
        bench.run()
    write_pages(bench.figures, arguments.docs)


if __name__ == "__main__":
    main()
