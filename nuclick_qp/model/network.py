"""The NuClick network: an encoder-decoder with residual and multi-scale blocks.

Koohbanani et al., NuClick, Med. Image Anal. 65 (2020) 101771, Fig. 2; channel counts, kernels and
dilations as in the authors' published layer table. C below is convolution, batch norm, ReLU.
"""

import torch
from torch import Tensor, nn

from nuclick_qp.model.network_settings import NetworkSettings

BATCH_NORM_EPS = 1.001e-5  # the Keras default that the authors trained with
SIDE_MULTIPLE = 32  # five 2 x 2 poolings


def conv_bn(c_in: int, c_out: int, *, kernel: int = 3, dilation: int = 1, stride: int = 1) -> nn.Sequential:
    """Give a convolution and its batch norm; at stride 1 the output has the size of the input."""
    pad = dilation * (kernel - 1) // 2
    return nn.Sequential(
        nn.Conv2d(c_in, c_out, kernel, stride, pad, dilation, bias=False),
        nn.BatchNorm2d(c_out, eps=BATCH_NORM_EPS),
    )


def conv_bn_relu(c_in: int, c_out: int, *, kernel: int = 3, dilation: int = 1, stride: int = 1) -> nn.Sequential:
    """Give what is C in the table: convolution, batch norm, ReLU."""
    return nn.Sequential(*conv_bn(c_in, c_out, kernel=kernel, dilation=dilation, stride=stride), nn.ReLU())


class Residual(nn.Module):
    """ReLU(a + b) with a = BN(conv x) and b = BN(conv a): the skip starts after the first one."""

    def __init__(self, c_in: int, c_out: int) -> None:
        super().__init__()
        self.first = conv_bn(c_in, c_out)
        self.second = conv_bn(c_out, c_out)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, c_in, H, W) to (N, c_out, H, W)."""
        a = self.first(x)
        return torch.relu(a + self.second(a))


class MultiScale(nn.Module):
    """Four parallel convolutions of different reach on one input, concatenated."""

    def __init__(self, c_in: int, c_branch: int, *, kernels: tuple[int, ...], dilations: tuple[int, ...]) -> None:
        super().__init__()
        self.branches = nn.ModuleList(
            conv_bn_relu(c_in, c_branch, kernel=k, dilation=d) for k, d in zip(kernels, dilations, strict=True)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, c_in, H, W) to (N, 4 * c_branch, H, W)."""
        return torch.cat([branch(x) for branch in self.branches], dim=1)


class UpJoin(nn.Module):
    """Upsample by a transposed convolution, then put the skip connection behind it."""

    def __init__(self, c_in: int, c_out: int) -> None:
        super().__init__()
        self.up = nn.ConvTranspose2d(c_in, c_out, kernel_size=2, stride=2)

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        """Map (N, c_in, H, W) and (N, c_skip, 2H, 2W) to (N, c_out + c_skip, 2H, 2W)."""
        return torch.cat([self.up(x), skip], dim=1)


class NuClickNet(nn.Module):
    """The network; its output is one logit per pixel.

    Parameters
    ----------
    settings
        Width, multi-scale blocks and input channels. The default has 66,800,321 parameters.
    """

    def __init__(self, settings: NetworkSettings | None = None) -> None:
        super().__init__()
        s = self.settings = settings or NetworkSettings()
        c = s.channels
        self.pool = nn.MaxPool2d(2)
        self.enc1 = nn.Sequential(
            conv_bn_relu(s.in_channels, c(64), kernel=7), conv_bn_relu(c(64), c(32), kernel=5), conv_bn_relu(c(32), c(32))
        )
        self.enc2 = nn.Sequential(Residual(c(32), c(64)), Residual(c(64), c(64)))
        self.enc3 = nn.Sequential(Residual(c(64), c(128)), *self._multi_scale(1), Residual(c(128), c(128)))
        self.enc4 = nn.Sequential(Residual(c(128), c(256)), *(Residual(c(256), c(256)) for _ in range(2)))
        self.enc5 = nn.Sequential(Residual(c(256), c(512)), *(Residual(c(512), c(512)) for _ in range(2)))
        self.bottleneck = nn.Sequential(Residual(c(512), c(1024)), Residual(c(1024), c(1024)))
        self.up5 = UpJoin(c(1024), c(512))
        self.dec5 = nn.Sequential(Residual(2 * c(512), c(512)), Residual(c(512), c(256)))
        self.up4 = UpJoin(c(256), c(256))
        self.dec4 = nn.Sequential(Residual(2 * c(256), c(256)), *self._multi_scale(2), Residual(c(256), c(256)))
        self.up3 = UpJoin(c(256), c(128))
        self.dec3 = nn.Sequential(Residual(2 * c(128), c(128)), *self._multi_scale(4), Residual(c(128), c(128)))
        self.up2 = UpJoin(c(128), c(64))
        self.dec2 = nn.Sequential(Residual(2 * c(64), c(64)), *self._multi_scale(3), Residual(c(64), c(64)))
        self.up1 = UpJoin(c(64), c(32))
        self.dec1 = nn.Sequential(conv_bn_relu(2 * c(32), c(64)), conv_bn_relu(c(64), c(32)), conv_bn_relu(c(32), c(32)))
        self.head = nn.Conv2d(c(32), 1, kernel_size=1)

    def _multi_scale(self, number: int) -> list[MultiScale]:
        """Give the multi-scale block of this number, or nothing when the settings stop before it.

        Blocks 1 to 3 are those of the authors' code. The fourth of Table 1 is described nowhere;
        it takes the one decoder stage that has none, with the branches of the second.
        """
        full, kernels, dilations = {
            1: (128, (3, 3, 5, 5), (1, 3, 3, 6)),
            2: (256, (3, 3, 5, 5), (1, 3, 2, 3)),
            3: (64, (3, 3, 5, 7), (1, 3, self.settings.ms3_dilation, 6)),
            4: (128, (3, 3, 5, 5), (1, 3, 2, 3)),
        }[number]
        if number > self.settings.ms_blocks:
            return []
        c_in = self.settings.channels(full)
        return [MultiScale(c_in, c_in // 4, kernels=kernels, dilations=dilations)]

    def forward(self, x: Tensor) -> Tensor:
        """Give the logits of a batch.

        Parameters
        ----------
        x
            (N, 5, H, W) float: R, G, B, inclusion, exclusion, each in [0, 1]; H and W multiples of 32.

        Returns
        -------
        (N, 1, H, W) float
            Logit of belonging to the wanted object.
        """
        e1 = self.enc1(x)  # (N, 32, H, W), at width 1
        e2 = self.enc2(self.pool(e1))  # (N, 64, H/2, W/2)
        e3 = self.enc3(self.pool(e2))  # (N, 128, H/4, W/4)
        e4 = self.enc4(self.pool(e3))  # (N, 256, H/8, W/8)
        e5 = self.enc5(self.pool(e4))  # (N, 512, H/16, W/16)
        x = self.bottleneck(self.pool(e5))  # (N, 1024, H/32, W/32)
        x = self.dec5(self.up5(x, e5))
        x = self.dec4(self.up4(x, e4))
        x = self.dec3(self.up3(x, e3))
        x = self.dec2(self.up2(x, e2))
        x = self.dec1(self.up1(x, e1))
        logits: Tensor = self.head(x)
        return logits


def count_parameters(net: nn.Module) -> int:
    """Count the trainable numbers of a network."""
    return sum(p.numel() for p in net.parameters() if p.requires_grad)
