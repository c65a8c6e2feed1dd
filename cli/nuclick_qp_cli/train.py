"""`nuclick-qp train`: train a model from a configuration."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from nuclick_qp.stopping import Stopped
from nuclick_qp.training.config import TrainingRun
from nuclick_qp_cli.shared import EXIT_STOPPED
from nuclick_qp_cli.terminal import note, say

DEFAULTS = TrainingRun(Path(), Path())


def train(
    config: Annotated[Path, typer.Argument(help="TOML file; see examples/training.", show_default=False)],
    data: Annotated[Path, typer.Option(help="Folder that the folders in the configuration are relative to.", show_default=False)],
    out: Annotated[Path, typer.Option(help="Folder for checkpoint, log and weights; a stopped run in it continues.", show_default=False)],
    init: Annotated[str | None, typer.Option(help="Model to start from: name, or path of its card, weights or folder.")] = DEFAULTS.init,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:N or mps.")] = "auto",
    workers: Annotated[int, typer.Option(help="Processes that make training patches.", min=0)] = DEFAULTS.workers,
    threads: Annotated[int | None, typer.Option(help="Cores that train; all, or OMP_NUM_THREADS.", min=1)] = DEFAULTS.threads,
    minutes: Annotated[float | None, typer.Option(help="Stop after so long, as on Ctrl-C.", min=0)] = DEFAULTS.minutes,
) -> None:
    """Train a model on images with instance labels, or on a QuPath project; Ctrl-C stops, the same command continues."""
    from nuclick_qp.training.config import read_config
    from nuclick_qp.training.loop import train as run_training
    from nuclick_qp_cli.progress import show_training

    settings = read_config(config)
    run = TrainingRun(data, out, device=device, workers=workers, threads=threads, minutes=minutes, init=init)
    try:
        with show_training() as on_step:
            card = run_training(settings, run, on_step=on_step)
    except (KeyboardInterrupt, Stopped):
        note("stopped; the same command goes on from here")
        sys.exit(EXIT_STOPPED)
    say(f"{out / card.name}.safetensors ({card.parameters:,} parameters, sha256 {card.sha256[:12]})")
