"""Configurations of small trainings on drawn discs: `discs/one.png` to learn from, `discs/two.png` to validate on."""

from typing import Any

from nuclick_qp.training.config import TrainingConfig


def disc_config(**changes: Any) -> TrainingConfig:
    """Give a training of a small network in a few small steps."""
    fields: dict[str, Any] = {
        "name": "discs",
        "prompt": "point",
        "description": "drawn discs",
        "licence": "GPL-3.0-or-later",
        "sources": [{"folder": "discs", "mpp": 0.25, "validation": ["two*"]}],
        "patch_px": 32,
        "width": 0.07,
        "batch_size": 4,
    }
    return TrainingConfig.model_validate(fields | changes)
