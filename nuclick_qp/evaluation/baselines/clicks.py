"""The two networks with a click inside and a click outside that the paper sets beside NuClick: iFCN and Latent Diversity.

Both see the image and, for each click, how far each pixel is from it. The click inside is the one that the batch has: a
random pixel of the object in training, its centroid in use. The click outside is a random pixel of the patch that is not
of the object: all that the paper says of it is "a random point outside the desired object" [1]_.

The originals start from weights that were learned on ImageNet; here all start from random ones.

References
----------
.. [1] Koohbanani et al., NuClick, Med. Image Anal. 65 (2020) 101771: section 4.5, Tables 2 and 3.
.. [2] Xu et al., Deep interactive object selection, CVPR 2016, 373.
.. [3] Li, Chen and Koltun, Interactive image segmentation with latent diversity, CVPR 2018, 577; code: isl-org/Intseg.
.. [4] Chen, Xu and Koltun, Fast image processing with fully-convolutional networks, ICCV 2017, 2516.
"""

from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn
from torch.nn import functional

from nuclick_qp.evaluation.baselines.networks import FCN8
from nuclick_qp.model.inputs import INCLUSION
from nuclick_qp.model.network import conv_bn
from nuclick_qp.model.network_settings import NetworkSettings
from nuclick_qp.training.config import TrainingConfig
from nuclick_qp.training.losses import overlap_loss
from nuclick_qp.training.patches import Batch

FARTHEST_PX = 255  # where distances end [2]_, a byte in the original
CHANNELS = 5  # R, G, B, distance from the click inside, distance from the click outside
INSIDE, OUTSIDE = 3, 4
DILATIONS = (1, 2, 4, 8, 16, 32, 1)
SLOPE = 0.2  # of the leaky ReLU [3]_
OVER_PIXELS = (2, 3)


@dataclass(frozen=True, slots=True)
class Ifcn:
    """Interactive FCN [2]_: an FCN-8s whose input has the distance maps of the clicks beside the image.

    It differs from the original in this: one click of each kind, as in [1]_, in place of up to ten drawn by three
    strategies; FCN-8s at once, in place of FCN-32s, FCN-16s and FCN-8s one after the other; no graph cut at the end,
    which [1]_ does not speak of either.

    Attributes
    ----------
    fill
        The scale is left as it is.
    """

    fill: float | None = None

    def network(self, config: TrainingConfig) -> FCN8:
        """Make an FCN-8s of five channels."""
        return FCN8(CHANNELS, config.width)

    def prepare(self, batch: Batch, generator: torch.Generator) -> Batch:
        """Draw the distance maps of both clicks."""
        return with_distances(batch, generator)

    def loss(self, net: nn.Module, batch: Batch) -> Tensor:
        """Give the mean cross entropy over all pixels."""
        return functional.binary_cross_entropy_with_logits(net(batch.inputs).float(), batch.wanted)

    def probability(self, net: nn.Module, batch: Batch) -> Tensor:
        """Give the (N, 1, P, P) probability of the wanted object."""
        return torch.sigmoid(net(batch.inputs).float())


@dataclass(frozen=True, slots=True)
class LatentDiversity:
    """Latent Diversity [3]_: one network draws several hypotheses, a second one selects among them.

    It differs from the original in this: the features of VGG-19 that the first network is given beside image and clicks
    are left out, since there are no weights for it, and nothing stands in for them; so are the maps of the clicks
    themselves, as these are where the distance is 0; the layers of dilation 64 and 128 in the published code are left
    out, which would see little but the padding of a patch of 128 px; batch norm stands for the mixture of it and the
    identity, which was made for batches of one; a sigmoid stands for the clipped hyperbolic tangent; and both networks
    learn together from the first step, the second from what is the best hypothesis at the time, in place of one after
    the other.

    Attributes
    ----------
    fill
        The scale is left as it is.
    hypotheses
        How many are drawn; 6 [3]_.
    """

    fill: float | None = None
    hypotheses: int = 6

    def network(self, config: TrainingConfig) -> "DiverseNet":
        """Make both networks, as one."""
        return DiverseNet(NetworkSettings(width=config.width).channels(64), self.hypotheses)

    def prepare(self, batch: Batch, generator: torch.Generator) -> Batch:
        """Draw the distance maps of both clicks."""
        return with_distances(batch, generator)

    def loss(self, net: nn.Module, batch: Batch) -> Tensor:
        """Give the cost of the hypotheses, of missed clicks, and of the selection."""
        logits, votes = net(batch.inputs)
        drawn, votes = torch.sigmoid(logits.float()), votes.float()
        costs = relaxed_jaccard(drawn, batch.wanted)
        selection = functional.cross_entropy(votes, costs.detach().argmin(dim=1))
        return hindsight(costs) + missed_clicks(drawn, batch.inputs) + selection

    def probability(self, net: nn.Module, batch: Batch) -> Tensor:
        """Give the (N, 1, P, P) probability of the wanted object: the hypothesis with most votes."""
        logits, votes = net(batch.inputs)
        rows = torch.arange(len(votes), device=votes.device)
        return torch.sigmoid(logits[rows, votes.argmax(dim=1)].float())[:, None]


class ContextAggregation(nn.Sequential):
    """The network of [4]_ as in [3]_: dilated 3 x 3 convolutions at full resolution between two of 1 x 1."""

    def __init__(self, c_in: int, c: int, c_out: int) -> None:
        layers = [conv_bn(c_in, c, kernel=1), *(conv_bn(c, c, dilation=dilation) for dilation in DILATIONS)]
        super().__init__(*(nn.Sequential(*layer, nn.LeakyReLU(SLOPE)) for layer in layers), nn.Conv2d(c, c_out, kernel_size=1))


class DiverseNet(nn.Module):
    """The two networks of Latent Diversity; what the second one learns does not reach the first.

    Parameters
    ----------
    channels
        Of each layer; 64 as published.
    hypotheses
        How many the first network draws.
    """

    def __init__(self, channels: int, hypotheses: int) -> None:
        super().__init__()
        self.drawing = ContextAggregation(CHANNELS, channels, hypotheses)
        self.selecting = ContextAggregation(CHANNELS + hypotheses, channels, hypotheses)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Give the (N, M, P, P) logits of the hypotheses and their (N, M) votes, for (N, 5, P, P) inputs."""
        logits = self.drawing(x)
        seen = torch.cat([x, torch.sigmoid(logits).detach()], dim=1)
        return logits, self.selecting(seen).mean(dim=OVER_PIXELS)


def with_distances(batch: Batch, generator: torch.Generator) -> Batch:
    """Put the distances from the click inside and from one outside in the place of all that is behind the image.

    Parameters
    ----------
    batch
        With a single pixel of inclusion in each patch.
    generator
        Draws the click outside; on the device of the batch.
    """
    side = batch.wanted.shape[-1]
    inside = batch.inputs[:, INCLUSION].flatten(1).argmax(dim=1)
    free = batch.wanted.flatten(1) == 0
    chance = torch.rand(free.shape, generator=generator, device=free.device)
    outside = chance.masked_fill(~free, -1).argmax(dim=1)
    away = distances(outside, side).masked_fill(~free.any(dim=1).view(-1, 1, 1, 1), 1)  # an object may fill its patch
    return replace(batch, inputs=torch.cat([batch.inputs[:, :3], distances(inside, side), away], dim=1))


def distances(pixel: Tensor, side: int) -> Tensor:
    """Give the (N, 1, side, side) Euclidean distances from one pixel of each patch, 1 where they are `FARTHEST_PX` or more.

    Parameters
    ----------
    pixel
        (N,) int64 index, row by row.
    """
    along = torch.arange(side, device=pixel.device)
    rows, cols = ((along - place[:, None]) ** 2 for place in (pixel // side, pixel % side))
    away = torch.sqrt((rows[:, :, None] + cols[:, None, :]).float())  # (N, side, side)
    return (away / FARTHEST_PX).clamp(max=1)[:, None]


def relaxed_jaccard(drawn: Tensor, wanted: Tensor) -> Tensor:
    """Give the (N, M) costs of (N, M, P, P) hypotheses in [0, 1]: 1 less the sum of minima over the sum of maxima.

    With a mask these are soft intersection and union.
    """
    each, its_mask = (part.flatten(0, 1)[:, None] for part in (drawn, wanted.expand_as(drawn)))
    return overlap_loss(each, its_mask, "iou").view(drawn.shape[:2])


def hindsight(costs: Tensor) -> Tensor:
    """Give the mean cost of the best of M hypotheses, and a small part of all others'.

    A hypothesis that was never the best would never learn. How small the part is falls from the first to the last, as in
    the published code: 0.08 of the first, then always half of it.

    Parameters
    ----------
    costs
        (N, M).
    """
    parts = 0.08 * 0.5 ** torch.arange(costs.shape[1], device=costs.device)
    return costs.amin(dim=1).mean() + (parts * costs).sum(dim=1).mean()


def missed_clicks(drawn: Tensor, inputs: Tensor) -> Tensor:
    """Give how far, on average, (N, M, P, P) hypotheses are from what was said by the clicks: 1 inside, 0 outside."""
    inside, outside = ((inputs[:, channel, None] == 0).float() for channel in (INSIDE, OUTSIDE))
    missed = (inside * (1 - drawn)).sum(OVER_PIXELS) + (outside * drawn).sum(OVER_PIXELS)
    return missed.mean() / 2
