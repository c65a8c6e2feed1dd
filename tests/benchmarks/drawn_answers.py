"""A network that answers each click with a disc: for what a run takes beside its network, and for networks that have learned nothing.

Its names are `discs`, and `discs-after-1` where a network of random weights and that width works first, for nothing.
"""

import torch
from torch import Tensor, nn

from nuclick_qp.model.cards import find_card
from nuclick_qp.model.network import NuClickNet
from nuclick_qp.model.network_settings import NetworkSettings
from nuclick_qp.model.predictor import Predictor

DISCS = "discs"
AFTER = f"{DISCS}-after-"
FACTS = "nuclei"  # the model whose card it has
RADIUS_PX = 12.0  # of the discs; 6 um across, as nuclei


class DiscAtClick(nn.Module):
    """A network whose answer is a disc round the middle of each patch, which is where the click lies.

    Parameters
    ----------
    behind
        A network that works first; its answer is looked at by nobody.
    """

    def __init__(self, patch_px: int, behind: nn.Module | None = None) -> None:
        super().__init__()
        along = torch.arange(patch_px) - patch_px // 2
        distance = torch.hypot(along[:, None].float(), along[None].float())
        self.register_buffer("answer", (RADIUS_PX - distance)[None, None])
        self.behind = behind

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, 5, P, P) to logits (N, 1, P, P)."""
        if self.behind is not None:
            self.behind(x)
        answer: Tensor = self.answer  # type: ignore[assignment]  # a buffer
        return answer.expand(len(x), -1, -1, -1)


def load_any(name: str, *, device: str) -> tuple[Predictor, type[nn.Module]]:
    """Give the predictor of a model, or of discs, and the class of what answers in it."""
    if not name.startswith(DISCS):
        return Predictor.load(name, device=device), NuClickNet
    card = find_card(FACTS)[0]
    if name == DISCS:
        return Predictor(card, DiscAtClick(card.patch_px), device=device, precision="float32"), DiscAtClick
    torch.manual_seed(0)
    wide = NuClickNet(NetworkSettings(width=float(name.removeprefix(AFTER))))
    return Predictor(card, DiscAtClick(card.patch_px, wide), device=device), DiscAtClick
