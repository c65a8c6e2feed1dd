"""Stand-ins at the border: a network that everybody can predict, its card, and a slide with bounds."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn

from nuclick_qp.model.cards import Card, NetworkFacts
from nuclick_qp.slides.reader import Box

BOUNDS = (1000, 600, 1400, 900)  # of the scanned part on the canvas


class DarkIsObject(nn.Module):
    """A network whose object is whatever is darker than half grey; sharp, and without borders."""

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, 5, P, P) to logits (N, 1, P, P)."""
        return (0.5 - x[:, :3].mean(dim=1, keepdim=True)) * 40


def make_card(**changes: object) -> Card:
    """Give a card for tests: 0.25 um/px, patches of 64 px."""
    facts = NetworkFacts(width=0.25, ms_blocks=3, in_channels=5, ms3_dilation=3)
    fields: dict[str, object] = {
        "name": "dark",
        "description": "what is darker than half grey",
        "prompt": "point",
        "mpp": 0.25,
        "patch_px": 64,
        "network": facts,
        "licence": "GPL-3.0-or-later",
        "sha256": "0" * 64,
        "parameters": 0,
        "training": {},
    }
    return Card.model_validate(fields | changes)


class BoundedReader:
    """Stands in for OpenSlide on an MRXS slide: a picture on a canvas that is white around it."""

    def __init__(self, picture: Path) -> None:
        self.level_sizes: tuple[tuple[int, int], ...] = ((3000, 2000),)
        self.bounds: Box = BOUNDS
        self.mpp: float | None = 0.25
        self.canvas: NDArray[np.uint8] = np.full((2000, 3000, 3), 255, np.uint8)
        self.canvas[BOUNDS[1] : BOUNDS[3], BOUNDS[0] : BOUNDS[2]] = np.array(Image.open(picture))

    def read_level(self, level: int, box: Box) -> NDArray[np.uint8]:
        left, top, right, bottom = box
        return self.canvas[top:bottom, left:right]

    def close(self) -> None:
        pass
