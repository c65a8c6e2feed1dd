"""A trained network to weights and card."""

import subprocess
from collections.abc import Iterable, Sequence
from pathlib import Path

import torch
from torch import nn

from nuclick_qp.model.cards import Card
from nuclick_qp.model.checkpoints import store_model
from nuclick_qp.model.network import NuClickNet, count_parameters
from nuclick_qp.model.network_settings import NetworkSettings
from nuclick_qp.model.predictor import Predictor
from nuclick_qp.training.calibration import Curve, fit_curve, measure_fits
from nuclick_qp.training.config import TrainingConfig
from nuclick_qp.training.images import LabelledImage, median_diameter


def finish(
    net: nn.Module,
    config: TrainingConfig,
    out: Path,
    *,
    images: Iterable[LabelledImage],
    validation: Sequence[LabelledImage] = (),
    start: Card | None = None,
    teacher: Card | None = None,
) -> Card:
    """Write the weights and the card of a trained network.

    Parameters
    ----------
    images, validation
        What it was trained on, and what was kept back: there it is measured how well its outlines fit.
        Without the latter the card has no calibration.
    start
        The model that the training started from; its own training goes into the card.
    teacher
        The model that it learned from beside the labels; likewise.
    """
    training: dict[str, object] = {
        "config": config.model_dump(mode="json"),
        "commit": git_commit(),
        "torch": torch.__version__,
        "init": None if start is None else _past(start),
        "teacher": None if teacher is None else _past(teacher),
    }

    assert isinstance(net, NuClickNet)  # no other network is kept as a model
    object_px = round(median_diameter(images), 1) if config.tells_scale else None
    card = describe(config, net, net.settings, training=training, object_px=object_px)
    told = {"calibration": _calibration(card, net, validation, seed=config.seed)}
    return store_model(net, out / f"{config.name}.safetensors", lambda checksum: card.model_copy(update={**told, "sha256": checksum}))


def describe(
    config: TrainingConfig, net: nn.Module, settings: NetworkSettings, *, training: dict[str, object], object_px: float | None = None
) -> Card:
    """Give the card of a network that was trained by a configuration; it has no checksum and no calibration yet."""
    return Card(
        name=config.name,
        description=config.description,
        prompt=config.prompt,
        mpp=config.mpp,
        patch_px=config.patch_px,
        click_radius_px=config.click_radius_px,
        threshold=config.threshold,
        min_object_px=config.min_object_px,
        max_hole_px=config.max_hole_px,
        object_px=object_px,
        network=settings,
        licence=config.licence,
        sha256="",
        parameters=count_parameters(net),
        training=training,
    )


def _calibration(card: Card, net: NuClickNet, images: Sequence[LabelledImage], *, seed: int) -> Curve:
    """Measure how well the outlines of a network fit by what it says of them."""
    fits = measure_fits(images, Predictor(card, net, device=str(next(net.parameters()).device)), seed=seed)
    return fit_curve(fits.told, fits.measured)


def _past(card: Card) -> dict[str, object]:
    """Give what a card keeps of another model."""
    return {"name": card.name, "sha256": card.sha256, "training": card.training}


def git_commit() -> str:
    """Give the commit of the source tree, with a + when it has changes; `unknown` outside one."""
    here = Path(__file__).parent
    try:
        commit = subprocess.run(["git", "rev-parse", "HEAD"], cwd=here, capture_output=True, text=True, check=True).stdout.strip()
        changed = subprocess.run(["git", "status", "--porcelain", "--", "."], cwd=here, capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return commit + ("+" if changed else "")
