"""The networks of the methods that NuClick is compared with; each gives one logit per pixel and class.

Of each, `width` is the factor on all channel counts, 1 being the published network. They differ from the originals in
three ways, so that they can be trained here: convolutions are padded, so that the output has the size of the input;
batch norm is behind every convolution, since all start from random weights (those of U-Net, FCN and VGG-16 have none);
and none has dropout, since a run that goes on after a stop must not depend on a state of random numbers.

References
----------
.. [1] Ronneberger et al., U-Net, MICCAI 2015.
.. [2] Badrinarayanan et al., SegNet, IEEE Trans. Pattern Anal. 39 (2017) 2481.
.. [3] Long et al., Fully convolutional networks for semantic segmentation, CVPR 2015.
.. [4] Simonyan and Zisserman, Very deep convolutional networks (VGG), ICLR 2015.
.. [5] Wang et al., Interactive medical image segmentation with image-specific fine tuning (BIFSeg), IEEE Trans. Med.
   Imaging 37 (2018) 1562; its P-Net is that of Wang et al., DeepIGeoS, IEEE Trans. Pattern Anal. 41 (2019) 1559.
.. [6] He et al., Deep residual learning, CVPR 2016.
.. [7] Zhao et al., Pyramid scene parsing network, CVPR 2017.
.. [8] Maninis et al., Deep extreme cut (DEXTR), CVPR 2018.
"""

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

from nuclick_qp.model.network import UpJoin, conv_bn, conv_bn_relu
from nuclick_qp.model.network_settings import NetworkSettings

VGG_16 = ((64, 64), (128, 128), (256, 256, 256), (512, 512, 512), (512, 512, 512))  # channels of the convolutions before each pooling [4]
P_NET = ((1, 2), (2, 2), (4, 3), (8, 3), (16, 3))  # dilation and number of the convolutions of each block [5]
RESNET_101 = (3, 4, 23, 3)  # bottlenecks of each stage [6]
PYRAMID_BINS = (1, 2, 3, 6)  # along each side [7]


class UNet(nn.Module):
    """U-Net [1]_: four poolings, and four transposed convolutions with the skips behind them.

    Parameters
    ----------
    in_channels, out_channels
        Of the input, and of the logits.
    width
        Factor on all channel counts in between.
    """

    def __init__(self, in_channels: int, width: float, out_channels: int = 1) -> None:
        super().__init__()
        c = NetworkSettings(width=width).channels
        stages = [c(full) for full in (64, 128, 256, 512, 1024)]
        self.down = nn.ModuleList(_chain(before, after, after) for before, after in pairwise([in_channels, *stages]))
        self.up = nn.ModuleList(UpJoin(below, above) for above, below in pairwise(stages))
        self.joined = nn.ModuleList(_chain(2 * stage, stage, stage) for stage in stages[:-1])
        self.head = nn.Conv2d(stages[0], out_channels, kernel_size=1)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, in_channels, H, W) to (N, out_channels, H, W) logits; H and W are multiples of 16."""
        skips: list[Tensor] = []
        for number, stage in enumerate(self.down):
            x = stage(functional.max_pool2d(x, 2) if number else x)
            skips.append(x)  # (N, 64 * 2^number, H / 2^number, W / 2^number), at width 1
        for up, joined, skip in zip(reversed(self.up), reversed(self.joined), reversed(skips[:-1]), strict=True):
            x = joined(up(x, skip))
        logits: Tensor = self.head(x)
        return logits


class SegNet(nn.Module):
    """SegNet [2]_: the convolutions of VGG-16 and their mirror image, which puts values back where the poolings found them.

    Parameters
    ----------
    in_channels, width, out_channels
        As of `UNet`.
    """

    def __init__(self, in_channels: int, width: float, out_channels: int = 1) -> None:
        super().__init__()
        c = NetworkSettings(width=width).channels
        self.down = _vgg_16(in_channels, width)
        mirrored = zip(reversed(VGG_16[1:]), (512, 256, 128, 64), strict=True)  # the last has the channels of the stage above
        self.up = nn.ModuleList(_chain(*map(c, (*stage, above))) for stage, above in mirrored)
        self.up.append(nn.Sequential(conv_bn_relu(c(64), c(64)), nn.Conv2d(c(64), out_channels, 3, padding=1)))

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, in_channels, H, W) to (N, out_channels, H, W) logits; H and W are multiples of 32."""
        places: list[Tensor] = []
        for stage in self.down:
            x, place = functional.max_pool2d(stage(x), 2, return_indices=True)
            places.append(place)
        for stage, place in zip(self.up, reversed(places), strict=True):
            x = stage(functional.max_unpool2d(x, place, [2, 2]))
        return x


class FCN8(nn.Module):
    """FCN-8s [3]_: VGG-16 with convolutions for its dense layers, and scores of two earlier stages beside its own.

    The originals pad the image by 100 pixels before the first layer; here the 7 x 7 convolution is padded instead.
    Scores are enlarged by fixed bilinear interpolation, as in the authors' code.

    Parameters
    ----------
    in_channels, width, out_channels
        As of `UNet`.
    """

    def __init__(self, in_channels: int, width: float, out_channels: int = 1) -> None:
        super().__init__()
        c = NetworkSettings(width=width).channels
        self.stages = _vgg_16(in_channels, width)
        self.dense = nn.Sequential(conv_bn_relu(c(512), c(4096), kernel=7), conv_bn_relu(c(4096), c(4096), kernel=1))
        self.scores = nn.ModuleList(nn.Conv2d(c(full), out_channels, kernel_size=1) for full in (4096, 512, 256))

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, in_channels, H, W) to (N, out_channels, H, W) logits; H and W are multiples of 32."""
        pooled: list[Tensor] = []
        for stage in self.stages:
            x = functional.max_pool2d(stage(x), 2)
            pooled.append(x)
        logits: Tensor = self.scores[0](self.dense(x))  # (N, out, H/32, W/32)
        for score, skip in zip(self.scores[1:], (pooled[3], pooled[2]), strict=True):
            logits = _enlarge(logits, 2) + score(skip)  # (N, out, H/16, W/16), then (N, out, H/8, W/8)
        return _enlarge(logits, 8)


class PNet(nn.Module):
    """P-Net [5]_: blocks of ever greater dilation at the resolution of the image, and a classifier that sees all of them.

    Parameters
    ----------
    in_channels, width, out_channels
        As of `UNet`.
    """

    def __init__(self, in_channels: int, width: float, out_channels: int = 1) -> None:
        super().__init__()
        c = NetworkSettings(width=width).channels(64)
        starts = [in_channels, *[c] * (len(P_NET) - 1)]
        self.blocks = nn.ModuleList(
            _chain(start, *[c] * count, dilation=dilation) for start, (dilation, count) in zip(starts, P_NET, strict=True)
        )
        self.classifier = nn.Sequential(conv_bn_relu(len(P_NET) * c, c, kernel=1), nn.Conv2d(c, out_channels, kernel_size=1))

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, in_channels, H, W) to (N, out_channels, H, W) logits."""
        seen: list[Tensor] = []
        for block in self.blocks:
            x = block(x)
            seen.append(x)
        logits: Tensor = self.classifier(torch.cat(seen, dim=1))  # of (N, 320, H, W), at width 1
        return logits


class PyramidResNet(nn.Module):
    """ResNet-101 [6]_ whose last two stages have dilations in place of strides, and pyramid pooling [7]_, as in DEXTR [8]_.

    Batch norm learns here; that of DEXTR is frozen, since its weights come from elsewhere.

    Parameters
    ----------
    in_channels, width, out_channels
        As of `UNet`.
    bottlenecks
        Number of each stage; fewer for a smaller network.
    """

    def __init__(
        self, in_channels: int, width: float, out_channels: int = 1, *, bottlenecks: tuple[int, int, int, int] = RESNET_101
    ) -> None:
        super().__init__()
        c = NetworkSettings(width=width).channels
        self.stem = nn.Sequential(conv_bn_relu(in_channels, c(64), kernel=7, stride=2), nn.MaxPool2d(3, stride=2, padding=1))
        inner = [c(full) for full in (64, 128, 256, 512)]
        starts = [c(64), *(4 * channels for channels in inner[:-1])]
        shapes = zip(starts, inner, bottlenecks, (1, 2, 1, 1), (1, 1, 2, 4), strict=True)
        self.stages = nn.Sequential(
            *(
                resnet_stage(start, channels, count=count, stride=stride, dilation=dilation)
                for start, channels, count, stride, dilation in shapes
            )
        )
        features = 4 * inner[-1]
        self.pyramid = nn.ModuleList(
            nn.Sequential(nn.AdaptiveAvgPool2d(bins), conv_bn_relu(features, c(512), kernel=1)) for bins in PYRAMID_BINS
        )
        joined = features + len(PYRAMID_BINS) * c(512)
        self.classifier = nn.Sequential(conv_bn_relu(joined, c(512), kernel=1), nn.Conv2d(c(512), out_channels, kernel_size=1))

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, in_channels, H, W) to (N, out_channels, H, W) logits; H and W are multiples of 8."""
        x = self.stages(self.stem(x))  # (N, 2048, H/8, W/8), at width 1
        pooled = [functional.interpolate(part(x), x.shape[-2:], mode="bilinear") for part in self.pyramid]
        return _enlarge(self.classifier(torch.cat([x, *pooled], dim=1)), 8)


class Bottleneck(nn.Module):
    """ReLU(x + branch x) with three convolutions in the branch; where sizes change, x passes one of its own."""

    def __init__(self, c_in: int, c_inner: int, *, stride: int = 1, dilation: int = 1) -> None:
        super().__init__()
        self.branch = nn.Sequential(
            conv_bn_relu(c_in, c_inner, kernel=1, stride=stride),
            conv_bn_relu(c_inner, c_inner, dilation=dilation),
            conv_bn(c_inner, 4 * c_inner, kernel=1),
        )
        same = (c_in, stride) == (4 * c_inner, 1)
        self.shortcut = nn.Identity() if same else conv_bn(c_in, 4 * c_inner, kernel=1, stride=stride)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, c_in, H, W) to (N, 4 * c_inner, H / stride, W / stride)."""
        return torch.relu(self.shortcut(x) + self.branch(x))


def resnet_stage(c_in: int, c_inner: int, *, count: int, stride: int, dilation: int = 1) -> nn.Sequential:
    """Give the bottlenecks of one stage of a ResNet [6]_; the first has its stride."""
    first = Bottleneck(c_in, c_inner, stride=stride, dilation=dilation)
    return nn.Sequential(first, *(Bottleneck(4 * c_inner, c_inner, dilation=dilation) for _ in range(count - 1)))


def _chain(*channels: int, dilation: int = 1) -> nn.Sequential:
    """Give 3 x 3 convolutions, one after the other, between these numbers of channels."""
    return nn.Sequential(*(conv_bn_relu(before, after, dilation=dilation) for before, after in pairwise(channels)))


def _vgg_16(in_channels: int, width: float) -> nn.ModuleList:
    """Give the convolutions of VGG-16, those between two poolings together."""
    c = NetworkSettings(width=width).channels
    starts = [in_channels, *(c(stage[-1]) for stage in VGG_16[:-1])]
    return nn.ModuleList(_chain(start, *map(c, stage)) for start, stage in zip(starts, VGG_16, strict=True))


def _enlarge(x: Tensor, factor: int) -> Tensor:
    return functional.interpolate(x, scale_factor=factor, mode="bilinear", align_corners=False)
