"""What tests share: drawn slides, and a network that everybody can predict."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from skimage.draw import disk
from torch import Tensor, nn

from nuclick_qp.model.cards import Card, NetworkFacts
from nuclick_qp.segment.predictor import Predictor

DARK, LIGHT = 40, 230


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


@pytest.fixture
def dark_predictor() -> Predictor:
    """Give a predictor on the CPU that takes dark pixels for objects."""
    return Predictor(make_card(), DarkIsObject(), device="cpu", precision="float32")


@pytest.fixture
def draw_discs(tmp_path: Path) -> Callable[..., Path]:
    """Give a function that draws dark discs, (x, y, radius) each, on a light PNG."""

    def draw(discs: list[tuple[float, float, float]], *, size: tuple[int, int] = (400, 300), name: str = "discs.png") -> Path:
        width, height = size
        pixels: NDArray[np.uint8] = np.full((height, width, 3), LIGHT, np.uint8)
        for x, y, radius in discs:
            pixels[disk((y - 0.5, x - 0.5), radius, shape=(height, width))] = DARK
        path = tmp_path / name
        Image.fromarray(pixels).save(path)
        return path

    return draw


@pytest.fixture(autouse=True)
def one_thread() -> None:
    """Keep torch to one thread: tests are small, and two cores share them."""
    torch.set_num_threads(1)
