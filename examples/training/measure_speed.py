"""Measure how many training patches a second a machine makes, and learns from.

    python examples/training/measure_speed.py examples/training/gpu/nuclei.toml DATA [--device auto] [--batches 50]

Making batches, the step of the network on a batch that is there, and both one after the other are measured in turn,
several times: on a machine where other programs run, the ratios hold better than the figures. A GPU makes its batches
itself; on a CPU other processes make them beside the steps, so a training is as fast as the slower of the two.
"""

import argparse
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch

from nuclick_qp.errors import NuClickError
from nuclick_qp.model.devices import choose_device
from nuclick_qp.training.batches import BatchMaker
from nuclick_qp.training.config import TrainingConfig, read_config
from nuclick_qp.training.lanes import Lanes, choose_lanes, get_ready
from nuclick_qp.training.sources import load_images
from nuclick_qp.training.state import TrainingState
from nuclick_qp.training.step import take_step

ROUNDS = 3
WARM_UP = 3  # batches that are not counted: the first choose kernels and fill caches


def main() -> None:
    """Read the command line, measure, print."""
    parser = argparse.ArgumentParser(description="Measure patches per second of a training.")
    parser.add_argument("config", type=Path, help="configuration of the training")
    parser.add_argument("data", type=Path, help="folder that its sources are relative to")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:N or mps")
    parser.add_argument("--batches", type=int, default=50, help="batches in each of the three rounds")
    parser.add_argument("--compile", action="store_true", help="measure the network as torch.compile makes it")
    parser.add_argument("--batch-size", type=int, help="another one than that of the configuration")
    arguments = parser.parse_args()
    try:
        config = read_config(arguments.config)
        if arguments.batch_size is not None:
            config = config.model_copy(update={"batch_size": arguments.batch_size})
        device = choose_device(arguments.device)
        for line in measure(config, arguments.data, device, batches=arguments.batches, compiled=arguments.compile):
            print(line)
    except NuClickError as err:
        print(err, file=sys.stderr)
        sys.exit(3)


def measure(config: TrainingConfig, data: Path, device: torch.device, *, batches: int, compiled: bool) -> list[str]:
    """Give what was measured, a line each."""
    get_ready(device)
    began = time.monotonic()
    maker = BatchMaker.of(load_images(config, data)[0], config, device, seed=config.seed, augment=True)
    ready = time.monotonic() - began
    state = TrainingState.new(config, device)
    lanes = Lanes(state.net, choose_lanes(None, batch_size=config.batch_size, device=device), compiled=compiled)
    same = maker[0]
    work: dict[str, Callable[[int], object]] = {
        "batches made": lambda step: maker[step],
        "steps on one batch": lambda step: take_step(state, same, lanes),
        "both in turn": lambda step: take_step(state, maker[step], lanes),
    }
    rates: dict[str, list[float]] = {name: [] for name in work}
    for _ in range(ROUNDS):
        for name, do in work.items():
            rates[name].append(config.batch_size * batches / _seconds(do, batches, device))
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else str(device)
    lines = [f"{name}, width {config.width}, batches of {config.batch_size} patches of {config.patch_px} px; {ready:.1f} s to the first"]
    whole = statistics.median(rates["both in turn"])
    for name, found in rates.items():
        rate = statistics.median(found)
        lines.append(f"{name}: {rate:,.0f} patches/s ({min(found):,.0f} to {max(found):,.0f}), {rate / whole:.2f} of both in turn")
    return lines


def _seconds(do: Callable[[int], object], batches: int, device: torch.device) -> float:
    """Give the seconds of some batches, until the device has finished them."""
    for step in range(WARM_UP):
        do(step)
    _wait(device)
    began = time.monotonic()
    for step in range(batches):
        do(step)
    _wait(device)
    return time.monotonic() - began


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


if __name__ == "__main__":
    main()
