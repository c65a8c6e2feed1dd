"""Cut squares out of images, turned, mirrored and scaled in one sampling, a batch at once and on any device."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from nuclick_qp.training.flat_images import FlatImages

OVERSAMPLE_FROM = 1.4  # image pixels per patch pixel from which single samples would skip what lies between


@dataclass(frozen=True, slots=True)
class Placed:
    """Where patches lie: pixel offset o (x, y) from the middle of patch n shows its image at centre_xy[n] + matrix[n] @ o.

    Attributes
    ----------
    image
        (N,) int64, which image.
    centre_xy
        (N, 2) float32 x and y in the image, pixel centres at + 0.5.
    matrix
        (N, 2, 2) float32; a turn, mirrored or not, times a scale.
    """

    image: Tensor
    centre_xy: Tensor
    matrix: Tensor

    def take(self, rows: Tensor) -> "Placed":
        """Give patches in another order."""
        return Placed(self.image[rows], self.centre_xy[rows], self.matrix[rows])

    def to_patch(self, xy: Tensor, side: int) -> Tensor:
        """Convert (N, K, 2) places in the images to places in the patches, x and y."""
        return turned(xy - self.centre_xy[:, None], inverse(self.matrix)) + side / 2

    def to_image(self, side: int, shift: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Give x and y, (N, side, side) each, of the pixel centres in the images, moved by (N, 2) in the patches."""
        along = torch.arange(side, device=self.matrix.device) + 0.5 - side / 2
        centre = self.centre_xy if shift is None else self.centre_xy + turned(shift[:, None], self.matrix)[:, 0]
        (x_col, x_row), (y_col, y_row) = self.matrix.permute(1, 2, 0)[..., None]  # (N, 1) each
        x = (centre[:, :1] + x_col * along)[:, None, :] + (x_row * along)[:, :, None]
        y = (centre[:, 1:] + y_col * along)[:, None, :] + (y_row * along)[:, :, None]
        return x, y


def random_turns(count: int, generator: torch.Generator) -> Tensor:
    """Give (N, 2, 2) rotations by any angle, mirrored half of the time."""
    share, mirrored = torch.rand((2, count), generator=generator, device=generator.device)
    angle = 2 * math.pi * share
    cos, sin, mirror = torch.cos(angle), torch.sin(angle), torch.where(mirrored < 0.5, 1.0, -1.0)
    return torch.stack([cos * mirror, -sin, sin * mirror, cos], dim=1).view(-1, 2, 2)


def inverse(matrix: Tensor) -> Tensor:
    """Invert (N, 2, 2) matrices; unlike `torch.linalg.inv` without asking the device whether it can be done."""
    (a, b), (c, d) = matrix.permute(1, 2, 0)
    adjugate = torch.stack([d, -b, -c, a], dim=1).view(-1, 2, 2)
    return torch.div(adjugate, (a * d - b * c).view(-1, 1, 1))


def turned(xy: Tensor, matrix: Tensor) -> Tensor:
    """Give matrix[n] @ xy[n, k] for (N, K, 2) places; as sums, for reduced precision of matrix products is a setting of the device."""
    return torch.sum(matrix[:, None] * xy[:, :, None], dim=-1)


def sample_labels(images: FlatImages, placed: Placed, side: int) -> Tensor:
    """Give the (N, side, side) int32 labels nearest to the pixel centres of patches; 0 outside the image."""
    x, y = placed.to_image(side)
    return _look_up(images.labels, images.index(placed.image, x, y)[0])


def sample_pixels(images: FlatImages, placed: Placed, side: int, *, coarsest: float) -> Tensor:
    """Give the (N, 3, side, side) float32 pixels of patches in [0, 1], bilinear; white outside the image.

    Parameters
    ----------
    coarsest
        The greatest scale that a patch may have, as far as is known without asking the device.
    """
    if coarsest > OVERSAMPLE_FROM and images.device.type != "cpu":
        return mean_of_four(images, placed, side)
    pixels = _bilinear(images, placed.image, *placed.to_image(side))
    if coarsest > OVERSAMPLE_FROM:  # a CPU can tell at no cost which patches are meant
        rows = torch.nonzero(_is_coarse(placed))[:, 0]
        pixels[rows] = mean_of_four(images, placed.take(rows), side)
    return pixels


def mean_of_four(images: FlatImages, placed: Placed, side: int) -> Tensor:
    """Do as `sample_pixels`, with four samples for each pixel; those of a patch that is not coarse fall together."""
    spread = torch.where(_is_coarse(placed), 0.25, 0.0)[:, None]
    ways = torch.ones_like(spread), -torch.ones_like(spread)
    shifts = [torch.cat([spread * x, spread * y], dim=1) for x in ways for y in ways]
    samples = [_bilinear(images, placed.image, *placed.to_image(side, shift)) for shift in shifts]
    return (samples[0] + samples[1] + samples[2] + samples[3]) / 4


def _is_coarse(placed: Placed) -> Tensor:
    """Tell for each patch whether single samples would skip pixels; the sum of the squares is twice that of the scale."""
    return placed.matrix.square().sum(dim=(1, 2)) > 2 * OVERSAMPLE_FROM**2


def _bilinear(images: FlatImages, image: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """Sample pixels at (N, P, P) places; gives (N, 3, P, P)."""
    index, right, down = images.index(image, x - 0.5, y - 0.5)
    below = index + images.stride(image)
    corners = [_look_up(images.pixels[over:], rows) for rows in (index, below) for over in (0, 1)]
    channels = []
    for bits in (0, 8, 16):
        upper_left, upper_right, lower_left, lower_right = (((words >> bits) & 255).float() for words in corners)
        channels.append(torch.lerp(upper_left.lerp_(upper_right, right), lower_left.lerp_(lower_right, right), down))
    return torch.stack(channels, dim=1).div_(255)


def _look_up(flat: Tensor, index: Tensor) -> Tensor:
    # Three times as fast on a CPU as flat[index].
    return flat.index_select(0, index.view(-1)).view(index.shape)
