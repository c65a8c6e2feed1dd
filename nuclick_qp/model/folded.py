"""A trained network as it is used: each batch norm folded into the convolution before it."""

import copy
from typing import TypeVar

from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

Net = TypeVar("Net", bound=nn.Module)


def fold_batch_norm(net: Net) -> Net:
    """Give a copy of a network for use, in which convolutions do what the batch norms behind them did.

    A batch norm that no longer learns only scales and shifts each channel. The outputs stay the same but for the
    rounding of float32; the network that was given stays as it is.

    Parameters
    ----------
    net
        Any network; pairs are looked for in its `Sequential` modules, one right behind the other.
    """
    folded = copy.deepcopy(net).eval()
    for module in list(folded.modules()):
        if isinstance(module, nn.Sequential):
            _fold_pairs(module)
    return folded


def _fold_pairs(chain: nn.Sequential) -> None:
    for index in range(len(chain) - 1):
        convolution, norm = chain[index], chain[index + 1]
        if isinstance(convolution, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
            chain[index], chain[index + 1] = fuse_conv_bn_eval(convolution, norm), nn.Identity()
