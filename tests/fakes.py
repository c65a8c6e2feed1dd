"""Stand-ins at the border: a network that everybody can predict, and its card."""

from torch import Tensor, nn

from nuclick_qp.model.cards import Card
from nuclick_qp.model.network_settings import NetworkSettings


class DarkIsObject(nn.Module):
    """A network whose object is whatever is darker than half grey; sharp, and without borders."""

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, 5, P, P) to logits (N, 1, P, P)."""
        return (0.5 - x[:, :3].mean(dim=1, keepdim=True)) * 40


def make_card(**changes: object) -> Card:
    """Give a card for tests: 0.25 um/px, patches of 64 px."""
    facts = NetworkSettings(width=0.25, ms_blocks=3, in_channels=5, ms3_dilation=3)
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
