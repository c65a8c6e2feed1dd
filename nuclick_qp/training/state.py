"""The state of a training run, and its checkpoints."""

import copy
import io
import json
import pickle
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from nuclick_qp.errors import WeightsError
from nuclick_qp.model.network import NuClickNet
from nuclick_qp.model.network_settings import NetworkSettings
from nuclick_qp.storage.atomic import replace_atomically
from nuclick_qp.storage.plain_files import read_file
from nuclick_qp.training.config import TrainingConfig
from nuclick_qp.training.lesson import Lesson, NuClickLesson

PARTS = ("net", "average", "optimizer")
# What reading a damaged file raises, or one that holds something else.
BROKEN = (OSError, RuntimeError, ValueError, LookupError, TypeError, AttributeError, EOFError, AssertionError, pickle.UnpicklingError)


@dataclass(slots=True)
class TrainingState:
    """What changes from step to step, and all that a checkpoint holds.

    There is no state of random numbers: batch k is drawn from (seed, k), and the network draws none.

    Attributes
    ----------
    step
        Steps taken so far.
    net, average
        The network in training, and the exponential moving average of its weights: the result.
    """

    config: TrainingConfig
    device: torch.device
    step: int
    net: nn.Module
    average: nn.Module
    optimizer: torch.optim.AdamW
    lesson: Lesson

    @classmethod
    def new(cls, config: TrainingConfig, device: torch.device, lesson: Lesson | None = None) -> "TrainingState":
        """Give the state before the first step; the weights follow from the seed. What is taught is NuClick where nothing else is."""
        lesson = lesson or NuClickLesson.of(config)
        torch.manual_seed(config.seed)
        net = _channels_last(lesson.network(config).to(device))
        average = copy.deepcopy(net).eval()
        decay = [p for p in net.parameters() if p.ndim > 1]
        rest = [p for p in net.parameters() if p.ndim <= 1]  # biases and batch norm are not decayed
        groups = [{"params": decay, "weight_decay": config.weight_decay}, {"params": rest, "weight_decay": 0.0}]
        optimizer = torch.optim.AdamW(groups, lr=config.learning_rate, fused=device.type == "cuda" or None)
        return cls(config, device, 0, net, average, optimizer, lesson)

    def begin_with(self, start: NuClickNet) -> None:
        """Take over the weights of another model of the same settings."""
        asked = NetworkSettings(width=self.config.width, ms_blocks=self.config.ms_blocks)
        if start.settings != asked:
            raise WeightsError(f"--init has a network of {start.settings}, the configuration asks for {asked}; change one")
        self.net.load_state_dict(start.state_dict())
        self.average.load_state_dict(start.state_dict())

    def store(self, path: Path) -> None:
        """Write a checkpoint; a kill at any moment leaves the old one or the new one."""
        parts = {name: getattr(self, name).state_dict() for name in PARTS}
        with replace_atomically(path) as file:
            torch.save({**parts, "step": self.step, "config": self.config.model_dump_json()}, file)

    def restore(self, path: Path) -> None:
        """Go on from a checkpoint.

        Raises
        ------
        WeightsError
            If it comes from another configuration, or is no checkpoint. More `steps` are no other
            configuration: the run goes on, with the learning rate of the longer one.
        """
        try:
            stored = torch.load(io.BytesIO(read_file(path)), map_location=self.device, weights_only=True)
            config = json.loads(stored["config"])
            self._refuse_other_run(path, config, step := int(stored["step"]))
            for name in PARTS:
                getattr(self, name).load_state_dict(stored[name])
        except BROKEN as err:
            reason = (str(err) or type(err).__name__).splitlines()[0]
            raise WeightsError(f"{path} is not a checkpoint ({reason}); remove it to start anew") from err
        self.step = step

    def _refuse_other_run(self, path: Path, stored: dict[str, Any], step: int) -> None:
        """Refuse a checkpoint whose configuration has other values, and name their keys."""
        ours = self.config.model_dump(mode="json")
        other = sorted(key for key in ours.keys() | stored.keys() if key != "steps" and ours.get(key) != stored.get(key))
        if other:
            remedy = "choose another output folder, or remove it to start anew"
            raise WeightsError(f"{path} comes from another configuration ({', '.join(other)}); {remedy}")
        if step > self.config.steps:
            raise WeightsError(f"{path} has taken {step} steps, the configuration asks for {self.config.steps}; raise `steps`")

    def follow(self) -> None:
        """Move the average of weights and batch norm statistics towards the network."""
        move_towards(self.average, self.net, share=1 - min(self.config.ema_decay, self.step / (self.step + 10)))


@torch.no_grad()
def move_towards(net: nn.Module, other: nn.Module, *, share: float) -> None:
    """Mix a share of another network into the weights and batch norm statistics of one, in place; counters stay."""
    for kept, new in zip(net.state_dict().values(), other.state_dict().values(), strict=True):
        if kept.is_floating_point():
            kept.lerp_(new, share)


def _channels_last(net: nn.Module) -> nn.Module:
    """Lay the weights out as oneDNN and cuDNN are fastest with."""
    return net.to(memory_format=torch.channels_last)  # type: ignore[call-overload,no-any-return]  # torch lacks this overload
