"""All images of a training in a few flat tensors, on the device that makes the patches."""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nuclick_qp.errors import TrainingDataError
from nuclick_qp.guidance.simulated import click_places
from nuclick_qp.training.config import TrainingConfig
from nuclick_qp.training.images import LabelledImage
from nuclick_qp.training.ragged import Ragged
from nuclick_qp.training.squiggles import Squiggles, make_squiggles

WHITE = 255  # what lies outside an image, in training as in use


@dataclass(frozen=True, slots=True)
class FlatImages:
    """Images and their objects; all tensors are on one device.

    Every image has a border of one pixel, white and without a label: any place outside is read from
    the nearest pixel of the border. Objects of an image are numbered from 1 in the order of its
    centroids; what is too small to be clicked on comes after them.

    Attributes
    ----------
    pixels
        (T,) int32, a pixel of uint8 in each: red, green and blue from the lowest byte up. One word is
        read three times as fast as three bytes.
    labels
        (T,) int32.
    first, height, width
        (I,) int64: index of the first pixel of each image, border included; sides without the border.
    zoom
        (I,) float32 patch pixels per image pixel.
    cumulative
        (I,) float64 shares of the samples, summed up.
    first_object
        (I,) int64 index of the first object of each image among all that are sampled.
    centroids
        For each image the x and y of its objects, float32, pixel centres at + 0.5.
    clicks
        For each object the index in its image, border included, of every pixel that may be clicked;
        None for squiggles.
    squiggles
        For lines, else None.
    most_objects, largest_zoom
        The greatest label, and the greatest zoom, of any image.
    """

    pixels: Tensor
    labels: Tensor
    first: Tensor
    height: Tensor
    width: Tensor
    zoom: Tensor
    cumulative: Tensor
    first_object: Tensor
    centroids: Ragged
    clicks: Ragged | None
    squiggles: Squiggles | None
    most_objects: int
    largest_zoom: float

    @property
    def device(self) -> torch.device:
        """Give the device of the tensors."""
        return self.pixels.device

    def to(self, device: torch.device) -> "FlatImages":
        """Give the same images on a device."""
        parts = {field.name: getattr(self, field.name) for field in fields(self)}
        return replace(self, **{name: part.to(device) for name, part in parts.items() if hasattr(part, "to")})

    def stride(self, image: Tensor) -> Tensor:
        """Give (N, 1, 1) int32: how far apart two pixels of one column are, in each of N images."""
        return (self.width[image] + 2).int().view(-1, 1, 1)

    def index(self, image: Tensor, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Find the pixels at whole coordinates at or before (N, P, Q) places.

        Returns
        -------
        index, right, down
            (N, P, Q) each: int32 index into `pixels` and `labels`, of the border for places outside
            the image; and float32 how far the place lies to the right of and below the pixel, less than 1.
        """
        height, width, first = (part[image].view(-1, 1, 1) for part in (self.height, self.width, self.first))
        x, y = x.clamp(min=-1).minimum(width.float()), y.clamp(min=-1).minimum(height.float())
        col, row = torch.floor(x), torch.floor(y)
        stride = self.stride(image)
        index = row.int() * stride
        index += col.int()
        index += first.int() + stride + 1
        return index, x.sub_(col), y.sub_(row)


def flatten_images(images: Sequence[LabelledImage], config: TrainingConfig) -> FlatImages:
    """Lay images out for `draw_batch`, on the CPU."""
    sizes = torch.tensor([image.labels.shape for image in images])
    areas = (sizes + 2).prod(dim=1)
    first = areas.cumsum(0) - areas
    length = int(areas.sum()) + int(sizes[:, 1].max()) + 4  # what lies beyond the last border is read, with a weight of 0
    if length >= 2**31:
        raise TrainingDataError(f"the images have {length:,} px at the resolution of the network, more than {2**31:,}; train on fewer")
    pixels, labels = (torch.zeros(length, dtype=torch.int32) for _ in range(2))
    clicks: list[NDArray[np.int32]] = []
    most_objects = 0
    for image, start, area in zip(images, first.tolist(), areas.tolist(), strict=True):
        numbers = _numbered(image)
        most_objects = max(most_objects, int(numbers.max()))
        pixels[start : start + area] = torch.from_numpy(_packed(image.pixels).ravel())
        labels[start : start + area] = torch.from_numpy(numbers.ravel())
        if config.prompt == "point":
            clicks += _clicks_of(numbers, len(image.centroids))
    counts = torch.tensor([len(image.centroids) for image in images])
    return FlatImages(
        pixels=pixels,
        labels=labels,
        first=first,
        height=sizes[:, 0].contiguous(),
        width=sizes[:, 1].contiguous(),
        zoom=torch.tensor([image.zoom for image in images]),
        cumulative=torch.tensor([image.weight for image in images], dtype=torch.float64).cumsum(0),
        first_object=counts.cumsum(0) - counts,
        centroids=Ragged.of([(image.centroids[:, [2, 1]] + 0.5).astype(np.float32) for image in images]),
        clicks=Ragged.of(clicks) if clicks else None,
        squiggles=make_squiggles(images, seed=config.seed) if config.prompt == "line" else None,
        most_objects=most_objects,
        largest_zoom=max(image.zoom for image in images),
    )


def _numbered(image: LabelledImage) -> NDArray[np.int32]:
    """Give the labels with a border, numbered as `FlatImages` says."""
    found = np.flatnonzero(np.bincount(image.labels.ravel()))
    objects = image.centroids[:, 0]
    rest = np.setdiff1d(found[found > 0], objects)
    numbers = np.zeros(int(found[-1]) + 1, np.int32)
    numbers[np.concatenate([objects, rest])] = np.arange(1, len(objects) + len(rest) + 1)
    return np.pad(numbers[image.labels], 1)


def _packed(pixels: NDArray[np.uint8]) -> NDArray[np.int32]:
    """Give (H + 2, W + 2) words of (H, W, 3) pixels, a white border round them."""
    words = np.full((pixels.shape[0] + 2, pixels.shape[1] + 2, 4), WHITE, np.uint8)
    words[1:-1, 1:-1, :3] = pixels
    words[..., 3] = 0  # the sign stays out of it
    return np.ascontiguousarray(words).view("<i4")[..., 0].astype(np.int32)


def _clicks_of(numbers: NDArray[np.int32], objects: int) -> list[NDArray[np.int32]]:
    """Give for each object the indices, in the image with its border, of the pixels that may be clicked."""
    places = click_places(numbers)
    places = places[places[:, 0] <= objects]
    index = (places[:, 1] * numbers.shape[1] + places[:, 2]).astype(np.int32)
    return np.split(index, np.searchsorted(places[:, 0], np.arange(2, objects + 1)))
