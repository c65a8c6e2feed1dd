"""A trained network to weights and card."""

import subprocess
from collections.abc import Iterable
from pathlib import Path

import torch

from nuclick_qp.model.cards import Card
from nuclick_qp.model.checkpoints import store_model
from nuclick_qp.model.network import NuClickNet, count_parameters
from nuclick_qp.training.config import TrainingConfig
from nuclick_qp.training.images import LabelledImage, median_diameter


def finish(
    net: NuClickNet,
    config: TrainingConfig,
    out: Path,
    *,
    images: Iterable[LabelledImage],
    start: Card | None = None,
    teacher: Card | None = None,
) -> Card:
    """Write the weights and the card of a trained network.

    Parameters
    ----------
    images
        What it was trained on.
    start
        The model that the training started from; its own training goes into the card.
    teacher
        The model that it learned from beside the labels; likewise.
    """
    training = {
        "config": config.model_dump(mode="json"),
        "commit": _git_commit(),
        "torch": torch.__version__,
        "init": None if start is None else _past(start),
        "teacher": None if teacher is None else _past(teacher),
    }

    object_px = round(median_diameter(images), 1) if config.tells_scale else None

    def describe(checksum: str) -> Card:
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
            network=net.settings,
            licence=config.licence,
            sha256=checksum,
            parameters=count_parameters(net),
            training=training,
        )

    return store_model(net, out / f"{config.name}.safetensors", describe)


def _past(card: Card) -> dict[str, object]:
    """Give what a card keeps of another model."""
    return {"name": card.name, "sha256": card.sha256, "training": card.training}


def _git_commit() -> str:
    """Give the commit of the source tree, with a + when it has changes; `unknown` outside one."""
    here = Path(__file__).parent
    try:
        commit = subprocess.run(["git", "rev-parse", "HEAD"], cwd=here, capture_output=True, text=True, check=True).stdout.strip()
        changed = subprocess.run(["git", "status", "--porcelain", "--", "."], cwd=here, capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return commit + ("+" if changed else "")
