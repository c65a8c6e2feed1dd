"""The plots of the benchmark's page."""

from pathlib import Path

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from benchmarks.figures import Figures, Runs, name_of

COLOURS = {
    "dense": "#5e35b1",
    "sparse": "#d81b60",
    "dense, without the network": "#9575cd",
    "sparse, without the network": "#f48fb1",
}


def draw(figures: Figures, folder: Path) -> None:
    """Draw time and memory over the number of clicks, and what a click costs by stage."""
    folder.mkdir(exist_ok=True)
    series = [runs for runs in figures.kinds() if not runs[0].busy]
    with mpl.rc_context({"svg.hashsalt": "nuclick-qp", "font.size": 9, "axes.spines.top": False, "axes.spines.right": False}):
        figure = Figure(figsize=(11, 3.4), layout="constrained")
        time, memory, stages = figure.subplots(1, 3)
        for runs in series:
            _over_clicks(time, runs, [one.median.seconds for one in runs])
            _over_clicks(memory, runs, [one.median.peak_mb for one in runs])
        if figures.peers is not None:
            for size, theirs in figures.peers.taken.items():
                time.plot(figures.peers.clicks, theirs.seconds, "x", color="#616161", label=f"the peers' way, batches of {size}")
        time.set(xscale="log", yscale="log", xlabel="clicks", ylabel="seconds, project on disk to data.qpdata")
        memory.set(xscale="log", xlabel="clicks", ylabel="most memory of the process, MB", ylim=(0, None))
        _stages(stages, [runs[-1] for runs in series])
        time.legend(frameon=False, fontsize=7)
        figure.savefig(folder / "benchmarks.svg", metadata={"Date": None})


def _over_clicks(axes: Axes, runs: list[Runs], values: list[float]) -> None:
    name = name_of(runs[0].kind)
    axes.plot([one.median.clicks for one in runs], values, "o-", ms=3, color=COLOURS[name], label=name)


def _stages(axes: Axes, largest: list[Runs]) -> None:
    """Draw the milliseconds of a click by stage, one bar for the largest run of each kind."""
    names = list(largest[0].median.stages) if largest else []
    left = [0.0] * len(largest)
    labels = [f"{name_of(runs.kind)}\n{runs.median.clicks:,} clicks" for runs in largest]
    for number, name in enumerate(names):
        widths = [1000 * runs.median.stages[name] / runs.median.clicks for runs in largest]
        axes.barh(labels, widths, left=left, color=mpl.colormaps["tab20"](number), label=name)
        left = [a + b for a, b in zip(left, widths, strict=True)]
    axes.invert_yaxis()
    axes.set(xlabel="ms of a core per click")
    axes.legend(frameon=False, fontsize=6, ncols=2)
