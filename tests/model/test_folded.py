"""Tests of `model.folded`: batch norm folded into convolutions."""

import torch
from torch import nn

from nuclick_qp.model.folded import fold_batch_norm
from nuclick_qp.model.network import NuClickNet
from nuclick_qp.model.network_settings import NetworkSettings


def _trained() -> NuClickNet:
    """Give a network whose batch norms have seen something."""
    torch.manual_seed(0)
    net = NuClickNet(NetworkSettings(width=0.1))
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            assert module.running_mean is not None
            assert module.running_var is not None
            for tensor in (module.weight, module.running_var):
                nn.init.uniform_(tensor, 0.5, 2.0)
            for tensor in (module.bias, module.running_mean):
                nn.init.uniform_(tensor, -1.0, 1.0)
    return net.eval()


def test_a_folded_network_gives_the_same_logits() -> None:
    """But for rounding; no batch norm is left, and the network that was given keeps its own."""
    net, x = _trained(), torch.rand(2, 5, 64, 64)

    folded = fold_batch_norm(net)

    with torch.inference_mode():
        expected, found = net(x), folded(x)
    assert expected.std() > 0.03
    assert torch.allclose(found, expected, rtol=0, atol=1e-5)
    assert not [m for m in folded.modules() if isinstance(m, nn.BatchNorm2d)]
    assert len([m for m in net.modules() if isinstance(m, nn.BatchNorm2d)]) > 50


def test_a_norm_that_follows_no_convolution_stays() -> None:
    """Only pairs are folded."""
    net = nn.Sequential(nn.BatchNorm2d(5), nn.Conv2d(5, 2, 1), nn.ReLU(), nn.BatchNorm2d(2))

    assert fold_batch_norm(net) is net
    assert not net.training
