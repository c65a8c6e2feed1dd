"""What the methods teach their networks that are prompted by the box of an object, or by its extreme points.

Prompts come from the mask of the wanted object as far as it is seen in its patch: the box that holds it, and the middle
pixel of those that touch each side of the box. They are exact in training as they are in use, where the paper takes them from
the truth [1]_; the originals loosen boxes and points in training, for users who are less exact. The originals start
from weights of ImageNet (BIFSeg does not); here all start from random ones.

References
----------
.. [1] Koohbanani et al., NuClick, Med. Image Anal. 65 (2020) 101771: section 4.5, Table 4.
.. [2] Xu et al., Deep GrabCut for object selection, BMVC 2017.
.. [3] Yang et al., Object contour detection with a fully convolutional encoder-decoder network (CEDN), CVPR 2016.
.. [4] Maninis et al., Deep extreme cut (DEXTR), CVPR 2018.
.. [5] Wang et al., Interactive medical image segmentation with image-specific fine tuning (BIFSeg), IEEE Trans. Med.
   Imaging 37 (2018) 1562.
"""

import math
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn
from torch.nn import functional

from nuclick_qp.evaluation.baselines.networks import RESNET_101, PNet, PyramidResNet, SegNet
from nuclick_qp.training.config import TrainingConfig
from nuclick_qp.training.losses import overlap_loss
from nuclick_qp.training.patches import Batch

GREATEST = 255.0  # of the distance map of Deep GrabCut, whose box lies at 128


@dataclass(frozen=True, slots=True)
class DeepGrabCut:
    """Deep GrabCut [2]_: the distance to the box is a fourth channel of the image.

    The paper: "converts the bounding box provided by the user into a distance map that is concatenated to RGB image as
    the input of a deep learning model". The network is SegNet, an encoder-decoder that puts values back where its poolings
    found them, like the CEDN [3]_ of the original, whose decoder is thinner. The loss is cross entropy, as in the original.

    Attributes
    ----------
    fill
        Share of the side of a patch that the longer side of the box takes. The original has whole images instead.
    """

    fill: float = 0.6

    def network(self, config: TrainingConfig) -> nn.Module:
        """Make a SegNet."""
        return SegNet(4, config.width)

    def prepare(self, batch: Batch, generator: torch.Generator) -> Batch:  # nothing is left to chance
        """Put the distance map behind the image: 128 on the box, less inside and more outside by each pixel, from 0 to 255; over 255."""
        down, across = beyond_box(bounding_boxes(batch.wanted), batch.wanted.shape[-1])
        outside = torch.hypot(down.clamp(min=0), across.clamp(min=0))
        distance = outside + torch.maximum(down, across).clamp(max=0)
        shown = (128 + distance).clamp(0, GREATEST) / GREATEST
        return replace(batch, inputs=torch.cat([batch.inputs[:, :3], shown], dim=1))

    def loss(self, net: nn.Module, batch: Batch) -> Tensor:
        """Give the mean cross entropy."""
        return functional.binary_cross_entropy_with_logits(net(batch.inputs).float(), batch.wanted)

    def probability(self, net: nn.Module, batch: Batch) -> Tensor:
        """Give what the network says."""
        return torch.sigmoid(net(batch.inputs).float())


@dataclass(frozen=True, slots=True)
class Dextr:
    """DEXTR [4]_: the object is cropped with a margin, and its four extreme points are a fourth channel of the image.

    The paper: "accepts four extreme points of glands as input (extreme points are extracted based on each object GT mask)".
    The network is the ResNet-101 with pyramid pooling of the original, the loss its class-balanced cross entropy.

    Attributes
    ----------
    fill
        Share of the side of a patch that the longer side of the box takes. The original crops with 50 pixels round the
        box, of images of about 500.
    spot_px
        Width of the Gaussian of a point at half its height: 10 in the authors' code, which calls it sigma. Their patches
        have 512 pixels along each side.
    bottlenecks
        As of `PyramidResNet`.
    """

    fill: float = 0.7
    spot_px: float = 10.0
    bottlenecks: tuple[int, int, int, int] = RESNET_101

    def network(self, config: TrainingConfig) -> nn.Module:
        """Make a ResNet with pyramid pooling."""
        return PyramidResNet(4, config.width, bottlenecks=self.bottlenecks)

    def prepare(self, batch: Batch, generator: torch.Generator) -> Batch:  # nothing is left to chance
        """Put the heat map behind the image: 1 on the extreme points, falling off as Gaussians, the highest of which counts."""
        row, col = extreme_points(batch.wanted)[..., None].unbind(dim=2)  # (N, 4, 1) each
        along = torch.arange(batch.wanted.shape[-1], device=row.device)
        down, across = (torch.exp(-4 * math.log(2) * ((along - place) / self.spot_px) ** 2) for place in (row, col))
        heat = (down[:, :, :, None] * across[:, :, None, :]).amax(dim=1, keepdim=True)
        return replace(batch, inputs=torch.cat([batch.inputs[:, :3], heat], dim=1))

    def loss(self, net: nn.Module, batch: Batch) -> Tensor:
        """Give the mean cross entropy, object and ground weighted so that either has as much weight in the whole batch."""
        share = batch.wanted.mean()
        weights = torch.where(batch.wanted > 0, 1 - share, share)
        return functional.binary_cross_entropy_with_logits(net(batch.inputs).float(), batch.wanted, weights)

    def probability(self, net: nn.Module, batch: Batch) -> Tensor:
        """Give what the network says."""
        return torch.sigmoid(net(batch.inputs).float())


@dataclass(frozen=True, slots=True)
class BifSeg:
    """BIFSeg [5]_: the network sees what is in the box, and nothing else.

    The paper: "needs user to crop the object of interest by drawing bounding box around it. The cropped region is then resized
    and fed into a resolution-preserving CNN". That is P-Net. The crop keeps its aspect and lies in a black patch, since the
    patches of a batch have one size. There is no refinement and no fine-tuning to the image, as in the paper [1]_. The loss is
    soft Dice.

    Attributes
    ----------
    fill
        Share of the side of a patch that the longer side of the box takes; the rest is the margin of the crop, the same
        on all sides, but in training less on some, where the object is off centre. The original crops with a random
        margin of up to 10 pixels and brings the shorter side to 96.
    """

    fill: float = 0.9

    def network(self, config: TrainingConfig) -> nn.Module:
        """Make a P-Net."""
        return PNet(3, config.width)

    def prepare(self, batch: Batch, generator: torch.Generator) -> Batch:  # nothing is left to chance
        """Blacken the image outside of the box and its margin."""
        side = batch.wanted.shape[-1]
        inside = torch.maximum(*beyond_box(bounding_boxes(batch.wanted), side)) <= side * (1 - self.fill) / 2
        return replace(batch, inputs=batch.inputs[:, :3] * inside)

    def loss(self, net: nn.Module, batch: Batch) -> Tensor:
        """Give the mean soft Dice loss."""
        return overlap_loss(torch.sigmoid(net(batch.inputs).float()), batch.wanted, "dice").mean()

    def probability(self, net: nn.Module, batch: Batch) -> Tensor:
        """Give what the network says."""
        return torch.sigmoid(net(batch.inputs).float())


def bounding_boxes(masks: Tensor) -> Tensor:
    """Give the boxes that hold masks.

    Parameters
    ----------
    masks
        (N, 1, P, P), above 0 inside.

    Returns
    -------
    (N, 4) int64
        First and last row, first and last column; of an empty mask those of the patch.
    """
    there = masks[:, 0] > 0
    return torch.stack([end for line in (there.any(dim=2), there.any(dim=1)) for end in _ends(line)], dim=1)


def extreme_points(masks: Tensor) -> Tensor:
    """Give the pixels of masks that touch their boxes: of several on one side the middle one.

    Parameters
    ----------
    masks
        (N, 1, P, P), above 0 inside.

    Returns
    -------
    (N, 4, 2) int64
        Row and column of the uppermost, the lowest, the leftmost and the rightmost pixel.
    """
    there, number = masks[:, 0] > 0, torch.arange(len(masks), device=masks.device)
    top, bottom, left, right = bounding_boxes(masks).unbind(dim=1)
    rows = [torch.stack([row, _middle(there[number, row])], dim=1) for row in (top, bottom)]
    cols = [torch.stack([_middle(there[number, :, col]), col], dim=1) for col in (left, right)]
    return torch.stack(rows + cols, dim=1)


def beyond_box(boxes: Tensor, side: int) -> tuple[Tensor, Tensor]:
    """Say how far each row and each column of patches lies outside of its box, in pixels.

    Parameters
    ----------
    boxes
        As `bounding_boxes` gives them.

    Returns
    -------
    (N, 1, side, 1) and (N, 1, 1, side) float32
        0 for the first and the last line that is in the box, negative between them.
    """
    along = torch.arange(side, device=boxes.device)
    first_row, last_row, first_col, last_col = boxes.view(-1, 4, 1, 1, 1).unbind(dim=1)
    down = torch.maximum(first_row - along.view(-1, 1), along.view(-1, 1) - last_row)
    across = torch.maximum(first_col - along, along - last_col)
    return down.float(), across.float()


def _ends(line: Tensor) -> tuple[Tensor, Tensor]:
    """Give the first and the last place of (N, P) bool lines that is set; of empty ones those of the line."""
    first, after = line.int().argmax(dim=1), line.flip(1).int().argmax(dim=1)
    return first, line.shape[1] - 1 - after


def _middle(line: Tensor) -> Tensor:
    """Give the middle one, of two the first, of the places of (N, P) bool lines that are set; of empty ones the first of all."""
    half = (line.sum(dim=1, keepdim=True) + 1) // 2
    return ((line.cumsum(dim=1) == half) & line).int().argmax(dim=1)
