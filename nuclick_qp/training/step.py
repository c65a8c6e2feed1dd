"""One step of a training: forward, loss, backward, optimizer, average."""

import contextlib
import math
from dataclasses import fields
from typing import Any

import torch
from torch import Tensor, nn

from nuclick_qp.model.devices import choose_precision
from nuclick_qp.training.config import TrainingConfig
from nuclick_qp.training.lanes import Lanes
from nuclick_qp.training.patches import Batch
from nuclick_qp.training.state import TrainingState

LARGEST_GRADIENT = 5.0  # norm to which a longer gradient is cut


def take_step(state: TrainingState, batch: Batch, lanes: Lanes) -> Tensor:
    """Take one step of the optimizer and of the average, and give the loss; a GPU is not waited for.

    Parameters
    ----------
    lanes
        Of the network of the state.
    """
    config = state.config

    def mean_loss(net: nn.Module, part: Batch) -> Tensor:
        there = to_device(part, state.device)
        with autocast(state.device):
            return state.lesson.loss(net, there)

    for group in state.optimizer.param_groups:
        group["lr"] = config.learning_rate * _schedule(state.step, config)
    state.net.train(not config.keep_statistics)  # batch norm alone tells the difference
    loss = lanes.backward(batch, mean_loss)
    torch.nn.utils.clip_grad_norm_(state.net.parameters(), LARGEST_GRADIENT)
    state.optimizer.step()
    state.step += 1
    state.follow()
    return loss


def to_device(batch: Batch, device: torch.device) -> Batch:
    """Give a batch on a device, laid out as oneDNN and cuDNN are fastest with."""
    tensors = (getattr(batch, field.name) for field in fields(batch))
    return Batch(*(tensor.to(device, non_blocking=True).contiguous(memory_format=torch.channels_last) for tensor in tensors))


def autocast(device: torch.device) -> contextlib.AbstractContextManager[Any]:
    """Give the context for the network: bfloat16 where the device has it in hardware, else float32.

    Emulated, it takes 13 times as long on a CPU with AVX2 only. float16 would want its gradients scaled, and the
    autocast of MPS is still patchy.
    """
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=choose_precision(device) == "bfloat16")


def _schedule(step: int, config: TrainingConfig) -> float:
    """Give the factor of the learning rate: linear warm-up, then half a cosine down to 1 %."""
    warm = min(1.0, (step + 1) / max(config.warmup_steps, 1))
    return warm * (0.01 + 0.99 * (1 + math.cos(math.pi * step / config.steps)) / 2)
