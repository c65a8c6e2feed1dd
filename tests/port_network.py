"""The network of the PyTorch ports of NuClick, written anew, under the key names of their state dicts."""

from collections import OrderedDict
from itertools import pairwise

import torch
from torch import Tensor, nn


def _layer(c_in: int, c_out: int, kernel: int = 3, *, dilation: int = 1, relu: bool = True) -> nn.Module:
    norm = nn.BatchNorm2d(c_out, eps=1.001e-5)
    convolution = nn.Conv2d(c_in, c_out, kernel, padding="same", dilation=dilation, bias=False)
    layers = (convolution, norm, nn.ReLU()) if relu else (convolution, norm)
    return nn.Sequential(OrderedDict(conv_bn_relu=nn.Sequential(*layers)))


class _Skip(nn.Module):
    def __init__(self, c_in: int, c_out: int) -> None:
        super().__init__()
        self.conv_block_1 = _layer(c_in, c_out, relu=False)
        self.conv_block_2 = _layer(c_out, c_out, relu=False)

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv_block_1(x)
        return torch.relu(x + self.conv_block_2(x))


class _Fan(nn.Module):
    def __init__(self, c_in: int, branches: tuple[tuple[int, int], ...]) -> None:
        super().__init__()
        for number, (kernel, dilation) in enumerate(branches, start=1):
            self.add_module(f"conv_block_{number}", _layer(c_in, c_in // 4, kernel, dilation=dilation))

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([branch(x) for branch in self.children()], dim=1)


def _skips(*channels: int) -> nn.Module:
    return nn.Sequential(*(_Skip(a, b) for a, b in pairwise(channels)))


class PortNet(nn.Module):
    """The network of the ports, registered by kind of module as they do."""

    def __init__(self, *, ms3_dilation: int = 2) -> None:
        super().__init__()
        single = nn.Sequential(OrderedDict(conv_bn_relu=nn.Sequential(nn.Conv2d(32, 1, 1))))
        chains: dict[int, tuple[int, ...]] = {2: (64, 128), 3: (128, 128), 8: (512, 256), 9: (256, 256), 11: (128, 64), 12: (64, 64)}
        chains |= {1: (32, 64, 64), 4: (128, 256, 256, 256), 5: (256, 512, 512, 512), 6: (512, 1024, 1024)}
        chains |= {7: (1024, 512, 256), 10: (256, 128, 128)}
        self.conv_block_1 = nn.Sequential(_layer(5, 64, 7), _layer(64, 32, 5), _layer(32, 32))
        self.conv_block_2 = nn.Sequential(_layer(64, 64), _layer(64, 32), _layer(32, 32))
        self.conv_block_3 = single
        for number, channels in sorted(chains.items()):
            self.add_module(f"residual_block_{number}", _skips(*channels) if len(channels) > 2 else _Skip(channels[0], channels[1]))
        self.multiscale_block_1 = _Fan(128, ((3, 1), (3, 3), (5, 3), (5, 6)))
        self.multiscale_block_2 = _Fan(256, ((3, 1), (3, 3), (5, 2), (5, 3)))
        self.multiscale_block_3 = _Fan(64, ((3, 1), (3, 3), (5, ms3_dilation), (7, 6)))
        for number, (c_in, c_out) in enumerate([(1024, 512), (256, 256), (256, 128), (128, 64), (64, 32)], start=1):
            self.add_module(f"conv_transpose_{number}", nn.ConvTranspose2d(c_in, c_out, 2, stride=2))

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, 5, H, W) to logits (N, 1, H, W)."""
        stages = [["conv_block_1"], ["residual_block_1"], ["residual_block_2", "multiscale_block_1", "residual_block_3"]]
        stages += [["residual_block_4"], ["residual_block_5"], ["residual_block_6"]]
        skips: list[Tensor] = []
        for number, stage in enumerate(stages):
            x = self._run(x if number == 0 else nn.functional.max_pool2d(x, 2), *stage)
            skips.append(x)
        x = skips.pop()
        stages = [["residual_block_7"], ["residual_block_8", "multiscale_block_2", "residual_block_9"], ["residual_block_10"]]
        stages += [["residual_block_11", "multiscale_block_3", "residual_block_12"], ["conv_block_2", "conv_block_3"]]
        for number, stage in enumerate(stages, start=1):
            x = self._run(torch.cat([self._run(x, f"conv_transpose_{number}"), skips.pop()], dim=1), *stage)
        return x

    def _run(self, x: Tensor, *names: str) -> Tensor:
        for name in names:
            x = self.get_submodule(name)(x)
        return x


def make_lively(net: PortNet, x: Tensor) -> PortNet:
    """Give statistics of the data and uneven scales to batch norm, so that no two tensors are alike."""
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = None  # keep the statistics of the one batch
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.uniform_(module.bias, -0.5, 0.5)
    with torch.no_grad():
        net.train()(x)
        for parameter in net.parameters():
            parameter.copy_(parameter.half())  # float16 holds these exactly: storing them changes nothing
    return net.eval()


def flat_tensors() -> dict[str, Tensor]:
    """Give tensors of the right keys and shapes, of which a file stores one number each."""
    with torch.device("meta"):
        shapes = {key: tensor.shape for key, tensor in PortNet().state_dict().items()}
    return {key: torch.zeros(()).expand(shape) for key, shape in shapes.items()}
