"""What a network is taught: NuClick's own lesson, and the form that those of other methods have."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal, Protocol, Self

import torch
from torch import Tensor, nn

from nuclick_qp.model.network import NuClickNet
from nuclick_qp.model.network_settings import NetworkSettings
from nuclick_qp.training.config import TrainingConfig
from nuclick_qp.training.losses import LossTerms, hybrid_loss
from nuclick_qp.training.patches import Batch
from nuclick_qp.training.teacher import Teacher


class Lesson(Protocol):
    """How a network is made, what it is shown of a batch, what its answer costs, and what the answer is.

    Lessons travel to the processes that make batches, so they can be pickled.
    """

    @property
    def fill(self) -> float | None:
        """Give the share of the side of its patch that each object is brought to, for lines; None leaves the scale."""
        ...

    def network(self, config: TrainingConfig) -> nn.Module:
        """Make the network, with random weights; the seed is set."""
        ...

    def prepare(self, batch: Batch, generator: torch.Generator) -> Batch:
        """Turn a batch as it is drawn into one that the network is shown, with its own prompt in the place of NuClick's.

        Parameters
        ----------
        batch
            Its inputs are R, G, B, the inclusion and the exclusion map. The inclusion map has one pixel where a point is prompted
            for: anywhere inside the object in training, its centroid in use.
        generator
            Source of all random numbers; on the device of the batch.
        """
        ...

    def loss(self, net: nn.Module, batch: Batch) -> Tensor:
        """Give the mean loss of a prepared batch, a scalar; inside the autocast of its device."""
        ...

    def probability(self, net: nn.Module, batch: Batch) -> Tensor:
        """Give the probability of belonging to the wanted object, (N, 1, P, P) float32, of a prepared batch; likewise."""
        ...


@dataclass(frozen=True)
class NuClickLesson:
    """Outline the object that the inclusion map marks, and none that the exclusion map marks.

    Attributes
    ----------
    terms
        Of the loss.
    teacher
        A model to learn from beside the labels; on the device of the network.
    make
        Makes the network from its settings; another one than that of the paper for its Table 1.
    in_channels
        5; 4 without exclusion maps (its Table 9).
    """

    terms: LossTerms
    teacher: Teacher | None = None
    make: Callable[[NetworkSettings], nn.Module] = NuClickNet
    in_channels: Literal[4, 5] = 5

    @classmethod
    def of(cls, config: TrainingConfig, teacher: Teacher | None = None) -> Self:
        """Give the lesson of a configuration."""
        return cls(LossTerms(max_ratio=config.max_ratio, **config.loss.model_dump()), teacher)

    @property
    def fill(self) -> float | None:
        """Leave the scale."""
        return None

    def network(self, config: TrainingConfig) -> nn.Module:
        """Make the network of a configuration."""
        settings = NetworkSettings(width=config.width, ms_blocks=config.ms_blocks, in_channels=self.in_channels)
        return self.make(settings)

    def prepare(self, batch: Batch, generator: torch.Generator) -> Batch:
        """Leave out the maps that the network does not see."""
        return batch if self.in_channels == batch.inputs.shape[1] else replace(batch, inputs=batch.inputs[:, : self.in_channels])

    def loss(self, net: nn.Module, batch: Batch) -> Tensor:
        """Give the hybrid loss."""
        targets = None if self.teacher is None else self.teacher.targets(batch.inputs, batch.wanted)
        return hybrid_loss(net(batch.inputs), batch.wanted, batch.others, terms=self.terms, targets=targets)

    def probability(self, net: nn.Module, batch: Batch) -> Tensor:
        """Give what the network says."""
        return torch.sigmoid(net(batch.inputs).float())
