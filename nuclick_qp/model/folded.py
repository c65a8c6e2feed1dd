"""A trained network as it is used: each batch norm folded into the convolution before it."""

import copy
from itertools import pairwise
from typing import TypeVar

from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

Net = TypeVar("Net", bound=nn.Module)


def fold_batch_norm(net: Net) -> Net:
    """Give a copy of a network for use, in which convolutions do what the batch norms behind them did.

    A batch norm that no longer learns only scales and shifts each channel. The outputs stay the same but for the
    rounding of float32, and the network that was given stays as it is. One with nothing to fold comes back itself.

    Parameters
    ----------
    net
        Any network; pairs are looked for in its `Sequential` modules, one right behind the other.
    """
    if not any(_pairs(module) for module in net.modules()):
        return net.eval()
    folded = copy.deepcopy(net).eval()
    for module in list(folded.modules()):
        for index in _pairs(module):
            module[index], module[index + 1] = fuse_conv_bn_eval(module[index], module[index + 1]), nn.Identity()  # type: ignore[index,operator]  # a Sequential
    return folded


def _pairs(module: nn.Module) -> list[int]:
    """Give the places in a chain at which a convolution has a batch norm behind it; none in what is no chain."""
    if not isinstance(module, nn.Sequential):
        return []
    return [n for n, (one, other) in enumerate(pairwise(module)) if isinstance(one, nn.Conv2d) and isinstance(other, nn.BatchNorm2d)]
