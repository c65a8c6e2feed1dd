"""The page `docs/benchmarks.md`, filled with the figures of one commit."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from benchmarks.figures import Figures, Runs, exponent, name_of
from benchmarks.one_run import RunFigures
from benchmarks.synthetic_slide import DENSE_PER_MM2, SIDE

BEFORE = Path(__file__).with_name("before.json")  # figures of the commit before runs overlapped their stages
GPU = Path(__file__).with_name("gpu.md")
PAGE = Path(__file__).with_name("page.md")
PEERS_STAGES = ("read slide", "inputs", "network", "masks", "outlines")


def page(figures: Figures) -> str:
    """Write the page."""
    before = Figures.model_validate_json(BEFORE.read_text("utf-8"))
    return PAGE.read_text("utf-8").format(
        source=_source(figures),
        runs=_runs_table(figures),
        exponents="\n\n".join(filter(None, (_exponents(figures), figures.remark))),
        slide_seconds=figures.slide_seconds,
        side=SIDE,
        dense=DENSE_PER_MM2,
        network=_network_table(figures),
        share=_share_of_network(figures),
        warm_clicks=figures.warm_click.clicks if figures.warm_click else 0,
        warm=_warm_table(figures, before),
        busy=_busy(figures),
        peers_clicks=f"{figures.peers.clicks if figures.peers else 0:,}",
        likeness=_likeness(figures),
        peers=_peers_table(figures),
        stages=_stages_table(figures, before),
        gpu=GPU.read_text("utf-8").strip(),
    )


def _source(figures: Figures) -> str:
    source = figures.source
    versions = ", ".join(f"{name} {version}" for name, version in source.versions.items())
    return (
        f"Measured on {figures.day} at commit `{source.commit}`, on {source.processor} with {source.cores} cores and "
        f"{source.memory_gb:.0f} GB of memory, {source.system}; {versions}. Mean load of the system before each part: "
        f"{min(figures.load.values()):.1f} to {max(figures.load.values()):.1f}, the part before it included."
    )


def _runs_table(figures: Figures) -> str:
    head = ("clicks", "number", "outlines", "clicks/s", "s", "first outline, s", "network busy", "peak MB", "runs")
    return table(head, [_row(one) for runs in figures.kinds() for one in runs])


def _row(runs: Runs) -> tuple[object, ...]:
    one = runs.median
    rates = f"{runs.clicks_per_second:.0f}", f"{one.seconds:.1f}", f"{one.first_outline_seconds or 0:.1f}", f"{one.network_busy:.0%}"
    return (name_of(runs.kind), f"{one.clicks:,}", f"{one.outlines:,}", *rates, f"{one.peak_mb:,.0f}", runs.repeats)


def _exponents(figures: Figures) -> str:
    """Say with which power of the clicks the time grows, over all, and over the last step, where what a start costs has faded."""
    told = []
    for runs in figures.kinds():
        if len(runs) > 1:
            name = name_of(runs[0].kind)
            clicks, seconds = [one.median.clicks for one in runs], [one.median.seconds for one in runs]
            told.append(f"{name} {exponent(clicks, seconds):.2f} (last step {exponent(clicks[-2:], seconds[-2:]):.2f})")
    return f"Time grows with clicks to the power of: {'; '.join(told)}."


def _network_table(figures: Figures) -> str:
    rows = [
        (size, f"{one.now:.0f}", f"{one.plain:.0f}", f"{one.now / one.plain:.2f}") for size, one in sorted(figures.network_alone.items())
    ]
    return table(("batch", "clicks/s now", "plain forward pass", "ratio"), rows)


def _share_of_network(figures: Figures) -> str:
    """Say what share of the network's own throughput whole runs reach."""
    told = [
        f"{one.clicks_per_second / one.median.network_per_second:.2f} at {one.median.clicks:,} clicks, {name_of(one.kind)}"
        for runs in figures.kinds()
        for one in runs
        if one.network == "nuclei" and one.median.network_per_second
    ]
    return f"From disk to disk, runs reach this share of what the network alone does right before and after them: {'; '.join(told)}."


def _warm_table(figures: Figures, before: Figures) -> str:
    rows = [
        (name, *(f"{value:.0f}" for spread in (one.warm_click.quiet, one.warm_click.busy) for value in (spread.p50_ms, spread.p95_ms)))
        for name, one in (("now", figures), (f"`{before.source.commit}`", before))
        if one.warm_click
    ]
    return table(("commit", "quiet: p50, ms", "p95", "beside a busy core: p50, ms", "p95"), rows)


def _busy(figures: Figures) -> str:
    """Say what runs and training steps lose to a program that keeps a core busy."""
    told = []
    for one in figures.of("dense", "nuclei", busy=True):
        for quiet in figures.of("dense", "nuclei"):
            if quiet.median.clicks == one.median.clicks:
                longer = one.median.seconds / quiet.median.seconds
                told.append(f"a run over {one.median.clicks:,} dense clicks takes {longer:.2f} times as long")
    if figures.training is not None:
        steps = figures.training
        longer = steps.quiet / steps.busy
        told.append(f"a training step of {steps.batch_size} patches {longer:.2f} times as long as {1 / steps.quiet:.2f} s")
    return f"Beside the same program, {', and '.join(told)}." if told else ""


def _peers_table(figures: Figures) -> str:
    theirs = figures.peers
    if theirs is None:
        return ""
    rows = [
        (
            size, f"{theirs.clicks / one.seconds:.1f}", f"{theirs.clicks / one.our_seconds:.1f}",
            f"**{one.seconds / one.our_seconds:.1f}**", *(f"{1000 * one.stages[stage] / theirs.clicks:.1f}" for stage in PEERS_STAGES),
        )
        for size, one in sorted(theirs.taken.items())
    ]  # fmt: skip
    return table(("peers' way, batch", "clicks/s", "ours", "ratio", *(f"its {stage}, ms" for stage in PEERS_STAGES)), rows)


def _likeness(figures: Figures) -> str:
    """Say how much the outlines of both ways have in common."""
    theirs = figures.peers
    if theirs is None:
        return ""
    return (
        f"Intersection over union of its polygon and ours, click by click: median {theirs.iou_median:.4f}, mean {theirs.iou_mean:.4f}, "
        f"and {theirs.iou_undisputed_mean:.4f} in the mean of those {theirs.undisputed:,} of {theirs.compared:,} that meet no other; "
        f"{theirs.outlines:,} clicks have an outline there, and {theirs.our_outlines:,} here."
    )


def _stages_table(figures: Figures, before: Figures) -> str:
    """Compare the largest runs of each kind that both commits have."""
    columns: list[tuple[str, Runs]] = []
    for runs in figures.kinds():
        name, earlier = name_of(runs[0].kind), {one.median.clicks: one for one in before.runs if one.kind == runs[0].kind}
        shared = [one for one in runs if one.median.clicks in earlier]
        if shared:
            label = f"{shared[-1].median.clicks:,} {name}"
            columns += [(f"{label}: `{before.source.commit}`", earlier[shared[-1].median.clicks]), ("now", shared[-1])]
    if not columns:
        return ""
    names = list(dict.fromkeys(stage for _, one in columns for stage in one.median.stages))
    rows: list[tuple[object, ...]] = [
        (stage, *(f"{1000 * one.median.stages.get(stage, 0) / one.median.clicks:.2f}" for _, one in columns)) for stage in names
    ]
    rows.append(("all else", *(f"{1000 * _rest(one.median) / one.median.clicks:.2f}" for _, one in columns)))
    rows.append(("**a click, wall time**", *(f"**{1000 * one.median.seconds / one.median.clicks:.2f}**" for _, one in columns)))
    return table(("stage", *(label for label, _ in columns)), rows)


def _rest(one: RunFigures) -> float:
    """Give the processor time that no stage accounts for."""
    return one.processor_seconds - sum(one.stages.values())


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Give a table in Markdown, its first column to the left and all others to the right.

    Examples
    --------
    >>> print(table(("a", "b"), [("x", 1)]))
    | a | b |
    |---|--:|
    | x | 1 |
    """
    rule = "|---|" + "--:|" * (len(head) - 1)
    first, *others = ["| " + " | ".join(str(cell) for cell in line) + " |" for line in (head, *rows)]
    return "\n".join([first, rule, *others])
