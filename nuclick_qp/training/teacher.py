"""A larger network that shows a smaller one how sure it is of each pixel."""

from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor

from nuclick_qp.errors import OptionError
from nuclick_qp.model.cards import Card, find_card
from nuclick_qp.model.checkpoints import load_network
from nuclick_qp.model.network import NuClickNet
from nuclick_qp.training.config import TrainingConfig

MUST_AGREE = ("prompt", "mpp", "patch_px", "click_radius_px")  # else it answers another question than the student


@dataclass(frozen=True)
class Teacher:
    """The network of a model that is done, and the share that its word has beside the labels.

    References
    ----------
    Hinton, Vinyals & Dean, Distilling the Knowledge in a Neural Network, arXiv 1503.02531 (2015). The
    temperature is 1: of two classes there are no small probabilities among many that it would have to lift.
    """

    card: Card
    net: NuClickNet
    share: float

    @classmethod
    def of(cls, config: TrainingConfig, device: torch.device) -> Self | None:
        """Read the teacher that a configuration names, if it names one.

        Raises
        ------
        ModelNotFoundError, WeightsError
            If there is no such model, or its files are damaged.
        OptionError
            If it is for other prompts, or sees them in another way.
        """
        if config.teacher is None:
            return None
        card, weights = find_card(config.teacher.model)
        for key in MUST_AGREE:
            theirs, ours = getattr(card, key), getattr(config, key)
            if theirs != ours:
                raise OptionError(f"the teacher {card.name} has {key} {theirs}, the configuration {ours}; change one")
        net = load_network(card, weights).to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch lacks this overload
        return cls(card, net.requires_grad_(False), config.teacher.share)

    def targets(self, inputs: Tensor, wanted: Tensor) -> Tensor:
        """Mix masks with what the teacher thinks of the same inputs.

        Parameters
        ----------
        inputs, wanted
            (N, 5, H, W) and (N, 1, H, W) float, of one batch, on the device of the teacher; the precision is
            that of the autocast at hand.

        Returns
        -------
        (N, 1, H, W) float in [0, 1]
            (1 - share) * mask + share * probability.
        """
        with torch.no_grad():
            return wanted.lerp(torch.sigmoid(self.net(inputs).float()), self.share)
