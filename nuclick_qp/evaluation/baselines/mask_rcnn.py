"""The Mask R-CNN that the paper sets beside NuClick for glands: all boxes of an image are given, and their regions compete.

References
----------
.. [1] Koohbanani et al., NuClick, Med. Image Anal. 65 (2020) 101771: section 4.5, Table 4.
.. [2] Agustsson, Uijlings and Ferrari, Interactive full image segmentation by considering all regions jointly,
   CVPR 2019, 11622.
.. [3] He et al., Mask R-CNN, ICCV 2017, 2980.
.. [4] Lin et al., Feature pyramid networks for object detection, CVPR 2017, 936.
.. [5] He et al., Deep residual learning for image recognition, CVPR 2016, 770.
.. [6] Wu and He, Group normalization, ECCV 2018, 3.
"""

import math
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn
from torch.nn import functional

from nuclick_qp.evaluation.baselines.networks import resnet_stage
from nuclick_qp.model.network import conv_bn_relu
from nuclick_qp.model.network_settings import NetworkSettings
from nuclick_qp.training.config import TrainingConfig
from nuclick_qp.training.patches import Batch

STAGES, RESNET_50 = (64, 128, 256, 512), (3, 4, 6, 3)  # inner channels, and number of bottlenecks, of a ResNet-50 [5]_
PYRAMID = 256  # channels of the feature pyramid [4]_ and of the mask head [3]_
ROI_SIDE = 14  # features that are cut out of a box, in each direction; the mask has twice as many pixels [3]_
HEAD_GROUPS = 4


@dataclass(frozen=True, slots=True)
class Boxes:
    """The boxes of K objects in each of N patches: the wanted one first, then the nearest others.

    Attributes
    ----------
    edges
        (N, K, 4) float32: left, top, right, bottom as shares of the side of the patch.
    there
        (N, K) bool: a patch may have fewer objects than K; what stands in for those is the whole patch.
    number
        (N, K) their labels, 0 where there is none. For the loss alone.
    """

    edges: Tensor
    there: Tensor
    number: Tensor


@dataclass(frozen=True, slots=True)
class InteractiveMaskRcnn:
    """Interactive Mask R-CNN [2]_ from the boxes of all objects in a patch.

    The features of the patch are cut out by each box, a small head makes a mask of each, these are resized back to their
    boxes on the common canvas, and at each pixel a softmax decides between all regions and the background. The boxes of
    the others are prompts, too: a user of this method draws all of them, and so the probability of the wanted object
    depends on them. Nothing but boxes is taken from the truth.

    It differs from the original in this: boxes are given, as in [1]_, not extreme points, so no map of points goes to the
    head; the background is a region that has no box and the logit 0, where the original has boxes of all that there is,
    the "stuff" as well; the backbone is the ResNet-50 with a feature pyramid of [3]_, whose finest level alone is used, in
    place of a dilated ResNet-101; masks have 28 x 28 pixels, as in [3]_, not 33 x 33; the head has group norm [6]_, without which
    it is slow to learn from random weights, and all start from these in place of weights of ImageNet; there are no
    scribbles; and a patch is seen in place of the image: of what its border cuts, the box of the visible part is given.
    Of the text of [2]_ no more than the introduction was at hand: its weights of pixels and its 33 x 33 masks are told from memory.

    Attributes
    ----------
    fill
        Each object is brought to half of the side of its patch: its neighbours are seen with it.
    most
        How many boxes of a patch are used, the wanted one among them; the others are those nearest to it.
    """

    fill: float | None = 0.5
    most: int = 16

    def network(self, config: TrainingConfig) -> "RegionNet":
        """Make backbone and mask head."""
        return RegionNet(NetworkSettings(width=config.width))

    def prepare(self, batch: Batch, generator: torch.Generator) -> Batch:
        """Leave the image alone in the inputs; the boxes are those of the labels."""
        return replace(batch, inputs=batch.inputs[:, :3])

    def loss(self, net: nn.Module, batch: Batch) -> Tensor:
        """Give the cross entropy over regions, at each pixel weighted by 1 / the area of the smallest box that holds it.

        So a small object counts as much as a large one; that is what is instance-aware about it.
        """
        boxes = boxes_of(batch, self.most)
        inside = covered(boxes, batch.wanted.shape[-1])
        cost = functional.cross_entropy(canvas(net, batch, boxes), regions(boxes, batch.labels), reduction="none")  # (N, P, P)
        weight = (inside / area(boxes)[..., None, None]).amax(dim=1)
        return ((weight * cost).sum((1, 2)) / weight.sum((1, 2)).clamp(min=1)).mean()

    def probability(self, net: nn.Module, batch: Batch) -> Tensor:
        """Give the (N, 1, P, P) probability of the wanted region against the best of all others: 0.5 or more where it wins."""
        background, wanted, *others = canvas(net, batch, boxes_of(batch, self.most)).unbind(dim=1)
        best = torch.stack([background, *others]).amax(dim=0)
        return torch.sigmoid(wanted - best)[:, None]


class RegionNet(nn.Module):
    """Features of a patch, and logits of the regions in given boxes.

    Parameters
    ----------
    settings
        Its width is the factor on all channel counts.
    """

    def __init__(self, settings: NetworkSettings) -> None:
        super().__init__()
        c, p = [settings.channels(full) for full in STAGES], settings.channels(PYRAMID)
        self.stem = nn.Sequential(conv_bn_relu(3, c[0], kernel=7, stride=2), nn.MaxPool2d(3, stride=2, padding=1))
        shapes = zip((c[0], *(4 * inner for inner in c[:-1])), c, RESNET_50, (1, 2, 2, 2), strict=True)
        self.stages = nn.ModuleList(resnet_stage(start, inner, count=count, stride=stride) for start, inner, count, stride in shapes)
        self.lateral = nn.ModuleList(nn.Conv2d(4 * inner, p, 1) for inner in c)
        self.smooth = nn.Conv2d(p, p, 3, padding=1)
        self.head = nn.Sequential(
            *(nn.Sequential(nn.Conv2d(p, p, 3, padding=1, bias=False), nn.GroupNorm(HEAD_GROUPS, p), nn.ReLU()) for _ in range(4)),
            nn.Sequential(nn.ConvTranspose2d(p, p, 2, stride=2), nn.ReLU()),
            nn.Conv2d(p, 1, 1),
        )

    def forward(self, x: Tensor, edges: Tensor) -> Tensor:
        """Give the (N, K, 28, 28) logits of K boxes in each of N patches, for (N, 3, P, P) images and (N, K, 4) edges."""
        masks: Tensor = self.head(roi_align(self.features(x), edges, ROI_SIDE))  # (N * K, 1, 28, 28)
        return masks.view(*edges.shape[:2], *masks.shape[-2:]).float()

    def features(self, x: Tensor) -> Tensor:
        """Give the (N, C, P / 4, P / 4) finest level of the feature pyramid."""
        x, levels = self.stem(x), []
        for stage in self.stages:
            x = stage(x)
            levels.append(x)
        merged = self.lateral[-1](levels[-1])
        for level, lateral in zip(levels[-2::-1], self.lateral[-2::-1], strict=True):
            merged = lateral(level) + functional.interpolate(merged, scale_factor=2.0, mode="nearest")
        smooth: Tensor = self.smooth(merged)
        return smooth


def canvas(net: nn.Module, batch: Batch, boxes: Boxes) -> Tensor:
    """Give the (N, 1 + K, P, P) logits of background and regions; minus infinity outside the box of a region."""
    side = batch.wanted.shape[-1]
    scores = paste(net(batch.inputs, boxes.edges), boxes.edges, side).masked_fill(~covered(boxes, side), -math.inf)
    return torch.cat([torch.zeros_like(scores[:, :1]), scores], dim=1)


def regions(boxes: Boxes, labels: Tensor) -> Tensor:
    """Give for each pixel of (N, 1, P, P) labels the box whose object it belongs to, from 1; 0 for none: (N, P, P) int64."""
    mine = (labels == boxes.number[..., None, None]) & boxes.there[..., None, None]
    order = torch.arange(1, mine.shape[1] + 1, device=labels.device).view(1, -1, 1, 1)
    return (mine * order).sum(dim=1)


def boxes_of(batch: Batch, most: int) -> Boxes:
    """Give the boxes of the wanted object and of those nearest to it, by the gap between boxes, of equals by their middles."""
    side, number, edges = _all_boxes(batch.labels[:, 0])
    wanted = (batch.labels * (batch.wanted > 0)).flatten(1).amax(dim=1, keepdim=True)
    own = (number == wanted).int().argmax(dim=1, keepdim=True)  # 0 where nothing is wanted, in the place of the background
    mine = edges.gather(1, own[..., None].expand(-1, -1, 4))
    gap = torch.maximum(edges[..., :2] - mine[..., 2:], mine[..., :2] - edges[..., 2:]).clamp(min=0).sum(dim=-1)
    apart = (edges[..., :2] + edges[..., 2:] - mine[..., :2] - mine[..., 2:]).abs().sum(dim=-1)
    distance = (gap + apart / (8 * side)).masked_fill(number == 0, math.inf).scatter(1, own, -1.0)  # gaps are whole numbers
    near = distance.topk(most, largest=False).indices
    number = number.gather(1, near)
    there = number > 0
    shares = edges.gather(1, near[..., None].expand(-1, -1, 4)) / side
    whole = torch.tensor([0.0, 0.0, 1.0, 1.0]).to(shares.device, non_blocking=True)  # else a GPU would be waited for
    return Boxes(torch.where(there[..., None], shares, whole), there, number)


def covered(boxes: Boxes, side: int) -> Tensor:
    """Tell which pixels lie in each box: (N, K, side, side) bool."""
    along = (torch.arange(side, device=boxes.edges.device) + 0.5) / side
    left, top, right, bottom = boxes.edges[..., None].unbind(dim=2)  # (N, K, 1) each
    cols, rows = ((low < along) & (along < high) for low, high in ((left, right), (top, bottom)))
    return cols[:, :, None, :] & rows[:, :, :, None] & boxes.there[..., None, None]


def area(boxes: Boxes) -> Tensor:
    """Give the (N, K) areas of boxes, as shares of the patch."""
    left, top, right, bottom = boxes.edges.unbind(dim=2)
    return (right - left) * (bottom - top)


def roi_align(features: Tensor, edges: Tensor, side: int) -> Tensor:
    """Cut boxes out of features, without rounding them to whole features [3]_.

    Parameters
    ----------
    features
        (N, C, H, W).
    edges
        (N, K, 4), as in `Boxes`.
    side
        Of what is cut out.

    Returns
    -------
    (N * K, C, side, side) float32
        Bilinear, at the middle of each of side x side parts of the box; [3]_ finds that more samples in each change little.
    """
    left, top, right, bottom = edges[..., None].unbind(dim=2)  # (N, K, 1) each
    along = (torch.arange(side, device=edges.device) + 0.5) / side
    grid = _grid(left + (right - left) * along, top + (bottom - top) * along)  # (N, K, side, side, 2)
    cut_out = _sample(features, grid.flatten(1, 2))  # (N, C, K * side, side)
    return cut_out.view(*features.shape[:2], -1, side, side).transpose(1, 2).flatten(0, 1)


def paste(logits: Tensor, edges: Tensor, side: int) -> Tensor:
    """Resize the (N, K, R, R) logits of regions to their boxes on the canvas: (N, K, side, side), of use in the box only."""
    left, top, right, bottom = edges[..., None].unbind(dim=2)  # (N, K, 1) each
    along = (torch.arange(side, device=edges.device) + 0.5) / side
    grid = _grid((along - left) / (right - left), (along - top) / (bottom - top))  # (N, K, side, side, 2)
    return _sample(logits.flatten(0, 1)[:, None], grid.flatten(0, 1)).view(*logits.shape[:2], side, side)


def _grid(x: Tensor, y: Tensor) -> Tensor:
    """Give the (N, K, Q, Q, 2) places of a grid with (N, K, Q) columns and rows."""
    side = x.shape[2]
    return torch.stack([x[:, :, None, :].expand(-1, -1, side, -1), y[:, :, :, None].expand(-1, -1, -1, side)], dim=-1)


def _sample(values: Tensor, places: Tensor) -> Tensor:
    """Sample (N, C, H, W) values at (N, Q, R, 2) places, x and y as shares of the sides; what is outside is as at the border."""
    return functional.grid_sample(values.float(), 2 * places - 1, padding_mode="border", align_corners=False)


def _all_boxes(labels: Tensor) -> tuple[int, Tensor, Tensor]:
    """Find the boxes of all labels of (N, P, P) patches, without asking the device how many there are.

    Returns
    -------
    side
        P.
    number, edges
        (N, P * P), the labels, and (N, P * P, 4) float32 left, top, right, bottom in pixels; 0 where there are no more.
    """
    side = labels.shape[-1]
    number, order = labels.flatten(1).sort(dim=1)
    which = (number.diff(dim=1, prepend=number[:, :1]) != 0).cumsum(dim=1)  # of the labels in the patch, by rising number
    edges = []
    for place in (order % side, order // side):
        low = torch.full_like(place, side).scatter_reduce_(1, which, place, "amin")
        high = torch.zeros_like(place).scatter_reduce_(1, which, place + 1, "amax")
        edges += [low, high]
    left, right, top, bottom = edges
    number = torch.zeros_like(number).scatter_(1, which, number)
    return side, number, torch.stack([left, top, right, bottom], dim=-1).float()
