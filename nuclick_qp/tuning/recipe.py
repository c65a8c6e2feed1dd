"""How a model is tuned to some outlines in some minutes."""

import time
from pathlib import Path

import torch

from nuclick_qp.model.cards import Card
from nuclick_qp.model.devices import choose_device
from nuclick_qp.training.config import TrainingConfig
from nuclick_qp.training.lanes import Lanes, choose_lanes, get_ready
from nuclick_qp.training.patches import Batch
from nuclick_qp.training.state import TrainingState
from nuclick_qp.training.step import take_step
from nuclick_qp.tuning.tune_options import TuneOptions

HELD_OUT = 0.25  # of the outlines
LEAST_STEPS, MOST_STEPS = 10, 60  # more steps forget other images, and gain nothing
TIMED_STEPS = 2
VALIDATIONS, STEPS_OF_ONE = 2, 5  # a validation takes as long as some steps


def config_for(card: Card, project: Path, options: TuneOptions, *, name: str, steps: int) -> TrainingConfig:
    """Give the configuration that tunes a model to the outlines of a project; figures in the design notes."""
    source = {"project": project, "classes": options.classes, "mpp": options.mpp, "hold_out": HELD_OUT}
    return TrainingConfig.model_validate(
        {
            "name": name,
            "prompt": card.prompt,
            "description": f"{card.name}, tuned to the outlines of {project.parent.name}",
            "licence": f"as {card.name} ({card.licence}), and that of your own images",
            "sources": [source],
            "mpp": card.mpp,
            "patch_px": card.patch_px,
            "click_radius_px": card.click_radius_px,
            "threshold": card.threshold,
            "min_object_px": card.min_object_px,
            "max_hole_px": card.max_hole_px,
            "tells_scale": card.object_px is not None,
            "width": card.network.width,
            "ms_blocks": card.network.ms_blocks,
            "steps": steps,
            "batch_size": 16,
            "learning_rate": 2e-4,
            "warmup_steps": 10,
            "ema_decay": 0.95,
            "keep_statistics": True,
            "validate_every": max(1, steps // VALIDATIONS),
        }
    )


def steps_within(seconds: float, config: TrainingConfig, options: TuneOptions) -> int:
    """Give the number of steps that take so long, from the time of two of them on noise; no fewer and no more than are of use."""
    device = choose_device(options.device)
    get_ready(device)
    state = TrainingState.new(config, device)
    lanes = Lanes(state.net, choose_lanes(options.threads, batch_size=config.batch_size, device=device))
    side = config.patch_px
    inputs = torch.rand((config.batch_size, 5, side, side), generator=torch.Generator().manual_seed(0))
    wanted = (inputs[:, :1] > 0.5).float()
    since = 0.0
    for number in range(1 + TIMED_STEPS):
        if number == 1:  # the first makes plans for all
            since = time.monotonic()
        float(take_step(state, Batch(inputs, wanted, 1 - wanted, wanted.int()), lanes))  # a GPU is waited for
    each = (time.monotonic() - since) / TIMED_STEPS
    return int(min(MOST_STEPS, max(LEAST_STEPS, seconds / each - VALIDATIONS * STEPS_OF_ONE)))
