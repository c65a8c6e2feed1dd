"""`nuclick-qp train`: tune a model to the outlines of a project, or train one from a configuration."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nuclick_qp.errors import OptionError
from nuclick_qp.stopping import Stopped
from nuclick_qp.training.training_run import TrainingRun
from nuclick_qp.tuning.tune_options import TuneOptions
from nuclick_qp_cli.shared import EXIT_STOPPED, split_names
from nuclick_qp_cli.terminal import note, say

if TYPE_CHECKING:  # importing it loads torch
    from nuclick_qp.tuning.tune import Tuned

DEFAULTS = TuneOptions()


def train(
    what: Annotated[Path, typer.Argument(help="A project.qpproj, its folder, or a TOML file as in examples/training.", show_default=False)],
    data: Annotated[
        Path | None, typer.Option(help="Folder that the folders of a TOML file are relative to; where moved slides are searched.")
    ] = DEFAULTS.image_root,
    out: Annotated[
        Path | None, typer.Option(help="Folder for checkpoint, figures and weights; a stopped run in it continues.")
    ] = DEFAULTS.out,
    init: Annotated[
        str | None, typer.Option(help="Model to start from: name, or path of its card, weights or folder; for a project nuclei.")
    ] = None,
    name: Annotated[str | None, typer.Option(help="Name of the model that a project makes.")] = DEFAULTS.name,
    classes: Annotated[str, typer.Option(help="Only outlines of these classes of a project, separated by commas.")] = "",
    minutes: Annotated[
        float | None, typer.Option(help="How long it may take: for a project about 5; from a TOML file it stops then, as on Ctrl-C.", min=0)
    ] = None,
    mpp: Annotated[float | None, typer.Option(help="um per pixel of the images of a project that do not state it.")] = DEFAULTS.mpp,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a model of that name.")] = DEFAULTS.overwrite,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:N or mps.")] = DEFAULTS.device,
    workers: Annotated[int, typer.Option(help="Processes that make patches; a CUDA GPU makes its own.", min=0)] = DEFAULTS.workers,
    threads: Annotated[int | None, typer.Option(help="Cores that train; all, or OMP_NUM_THREADS.", min=1)] = DEFAULTS.threads,
) -> None:
    """Teach a model the outlines of a QuPath project, or train one as a TOML file says; Ctrl-C stops, the same command continues."""
    try:
        if what.is_dir() or what.suffix == ".qpproj":
            given = name, split_names(classes), DEFAULTS.minutes if minutes is None else minutes, mpp, data, out, overwrite
            _tune(what, TuneOptions(init or DEFAULTS.init, *given, device, workers, threads))
        elif name is not None or classes or mpp is not None or overwrite:
            raise OptionError("--name, --classes, --mpp and --overwrite are for projects; write them into the TOML file")
        elif data is None or out is None:
            raise OptionError(f"training from {what} needs --data and --out; a project.qpproj needs neither")
        else:
            _train(what, TrainingRun(data, out, device=device, workers=workers, threads=threads, minutes=minutes, init=init))
    except (KeyboardInterrupt, Stopped):
        note("stopped; the same command goes on from here")
        sys.exit(EXIT_STOPPED)


def _train(config: Path, run: TrainingRun) -> None:
    from nuclick_qp.training.config import read_config
    from nuclick_qp.training.loop import train as run_training
    from nuclick_qp_cli.progress import show_training

    settings = read_config(config)
    with show_training() as on_step:
        card = run_training(settings, run, on_step=on_step)
    say(f"{run.out / card.name}.safetensors ({card.parameters:,} parameters, sha256 {card.sha256[:12]})")


def _tune(project: Path, options: TuneOptions) -> None:
    from nuclick_qp.tuning.tune import tune
    from nuclick_qp_cli.progress import show_training

    with show_training() as on_step:
        tuned = tune(project, options, on_step=on_step)
    for line in _lines(tuned):
        say(line)
    sys.exit(0 if tuned.installed else 1)


def _lines(tuned: "Tuned") -> list[str]:
    """Say what was learned, whether it helped, and what to do now."""
    name, width = tuned.card.name, max(len(tuned.before.model), len(tuned.after.model))
    told = [f"learned from {tuned.learned} outlines; measured on {len(tuned.before.ious)} that were held out:"]
    told += [f"  {measured.model:<{width}}  {measured}" for measured in (tuned.before, tuned.after)]
    told += [] if tuned.picture is None else [f"picture: {tuned.picture}"]
    if tuned.installed:
        here = f"in QuPath choose it in Extensions > NuClick > Settings, elsewhere say --{tuned.card.prompt}s {name}"
        return [*told, f"better, so {name} is among your models now: {here}"]
    anyway = f"nuclick-qp models import {tuned.out}"
    return [*told, f"no better, so {name} is not among your models; outline more, or take it all the same: {anyway}"]
