"""Images to training patches: where a patch lies, and the signals drawn into it; a batch at once and on any device.

Nothing here asks the device for a value: on a GPU the next batch is on its way while the last is learned
from. Step k of a run draws its batch from the generator seeded with (seed, k): a run that was stopped
goes on with the very batches it would have seen, and no generator state needs to be stored.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from nuclick_qp.training.config import TrainingConfig
from nuclick_qp.training.flat_images import FlatImages
from nuclick_qp.training.marks import click_in_each, discs, mark, nearest_pixel, thinned
from nuclick_qp.training.squiggles import SQUIGGLES_EACH
from nuclick_qp.training.warp import Placed, inverse, random_turns, sample_labels, sample_pixels, turned

BACKGROUND = -1  # the "label" of a click that hits nothing: no pixel has it, so nothing is wanted
BACKGROUND_MARGIN_PX = 4  # from the nearest object: a click on its rim may well mean the object
BACKGROUND_TRIES = 20  # an image full of objects has no such place; an object is clicked instead
LARGEST_SHARE = 0.9  # of the side of a patch that a gland may fill; a larger one is shown at a coarser scale


@dataclass(frozen=True, slots=True)
class Batch:
    """N training patches; all tensors are float32 but for the labels.

    Attributes
    ----------
    inputs
        (N, 5, P, P): R, G, B, inclusion, exclusion in [0, 1].
    wanted, others
        (N, 1, P, P): mask of the wanted object, mask of all others.
    labels
        (N, 1, P, P) int32: a number for each object, 0 for none.
    """

    inputs: Tensor
    wanted: Tensor
    others: Tensor
    labels: Tensor


@dataclass(frozen=True, slots=True)
class _Prompted:
    """Objects to be learned, and where their patches lie.

    Attributes
    ----------
    target
        (N,) int64 index of the object among all; where the click hits nothing, of one in the image.
    number
        (N,) its label in its image, or `BACKGROUND`.
    click
        (N, 2) int64 row and col of the click in the patch; for squiggles the middle.
    """

    placed: Placed
    target: Tensor
    number: Tensor
    click: Tensor

    def take(self, rows: Tensor) -> "_Prompted":
        return _Prompted(self.placed.take(rows), self.target[rows], self.number[rows], self.click[rows])


def draw_batch(images: FlatImages, config: TrainingConfig, generator: torch.Generator, *, fill: float | None = None) -> Batch:
    """Draw `config.batch_size` patches, turned, mirrored and scaled; colours are as in the images.

    Parameters
    ----------
    generator
        Source of all random numbers; on the device of the images.
    fill
        Share of the side of its patch that each object is brought to, for lines; None leaves the scale.
    """
    side = config.patch_px
    prompted = _place_clicks(images, config, generator) if config.prompt == "point" else _place_squiggles(images, config, generator, fill)
    labels = sample_labels(images, prompted.placed, side)
    wanted = labels == prompted.number[:, None, None]
    # An object of few pixels may be missed by the grid; its patch becomes another one of the batch.
    hit = wanted.flatten(1).any(dim=1) | (prompted.number == BACKGROUND)
    rows = torch.where(hit, torch.arange(len(hit), device=hit.device), hit.int().argmax())
    prompted, labels, wanted = prompted.take(rows), labels[rows], wanted[rows]
    if config.prompt == "point":
        inclusion = _click_map(prompted, wanted)
        excluded = _centroids_of_others(images, prompted, side)
    else:
        inclusion = _squiggle_map(images, prompted, wanted, config, generator)
        excluded = click_in_each(labels, prompted.number, images.most_objects, generator)
    exclusion = _keep_some(excluded, config, generator)
    inclusion, exclusion = discs(torch.cat([inclusion, exclusion]), config.click_radius_px).chunk(2)
    coarsest = config.augmentation.zoom if config.prompt == "point" else math.inf
    pixels = sample_pixels(images, prompted.placed, side, coarsest=coarsest)
    signals = torch.stack([inclusion, exclusion & ~inclusion], dim=1).float()
    others = (labels > 0) & ~wanted
    return Batch(torch.cat([pixels, signals], dim=1), wanted[:, None].float(), others[:, None].float(), labels[:, None])


def _uniform(generator: torch.Generator, *shape: int, low: float = 0.0, high: float = 1.0, dtype: torch.dtype = torch.float32) -> Tensor:
    return low + (high - low) * torch.rand(shape, generator=generator, device=generator.device, dtype=dtype)


def _draw_objects(images: FlatImages, config: TrainingConfig, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Draw N images by their weights, and in each an object; gives their indices."""
    of_image, of_object = _uniform(generator, 2, config.batch_size, dtype=torch.float64)
    image = torch.searchsorted(images.cumulative, of_image * images.cumulative[-1], right=True).clamp(max=len(images.first) - 1)
    return image, images.first_object[image] + (of_object * images.centroids.count[image]).long()


def _random_matrices(images: FlatImages, image: Tensor, config: TrainingConfig, generator: torch.Generator) -> Tensor:
    """Draw turn, mirror and zoom of N patches."""
    zoom = images.zoom[image] * torch.exp(_uniform(generator, len(image), low=-1) * math.log(config.augmentation.zoom))
    return random_turns(len(image), generator) / zoom.view(-1, 1, 1)


def _place_clicks(images: FlatImages, config: TrainingConfig, generator: torch.Generator) -> _Prompted:
    """Place patches round random clicks."""
    assert images.clicks is not None
    image, target = _draw_objects(images, config, generator)
    index = images.clicks.pick(target, _uniform(generator, len(target), dtype=torch.float64)).long()
    stride = images.width[image] + 2
    row, col = index // stride - 1, index % stride - 1
    number = target - images.first_object[image] + 1
    if config.background_share:
        beside, free_row, free_col = _draw_free_places(images, image, generator)
        beside &= _uniform(generator, len(image)) < config.background_share
        number = torch.where(beside, BACKGROUND, number)
        row, col = torch.where(beside, free_row, row), torch.where(beside, free_col, col)
    matrix = _random_matrices(images, image, config, generator)
    off_px, off = config.augmentation.off_centre_px, _uniform(generator, len(image), 1) < 0.5
    off_centre = _uniform(generator, len(image), 2, low=-off_px, high=off_px) * off
    centre_xy = torch.stack([col, row], dim=1) + 0.5 + turned(off_centre[:, None], matrix)[:, 0]
    click = torch.floor(config.patch_px / 2 - off_centre).long().flip(1)
    return _Prompted(Placed(image, centre_xy, matrix), target, number, click)


def _draw_free_places(images: FlatImages, image: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
    """Draw a place well outside of all objects in each of N images: whether one was found, its row and col."""
    shares = _uniform(generator, 2, len(image), BACKGROUND_TRIES, dtype=torch.float64)
    row, col = (share * sides[image][:, None] for share, sides in zip(shares, (images.height, images.width), strict=True))
    row, col = row.long(), col.long()
    margin = torch.ceil(BACKGROUND_MARGIN_PX / images.zoom[image]).long().view(-1, 1, 1)
    reach = torch.arange(-BACKGROUND_MARGIN_PX, BACKGROUND_MARGIN_PX + 1, device=images.device)  # a zoom is 1 or more
    reach = reach.clamp(min=-margin).minimum(margin)  # (N, 1, 9)
    y, x = (row[..., None] + reach)[..., :, None], (col[..., None] + reach)[..., None, :]
    x, y = ((part + 0 * other).flatten(2).float() for part, other in ((x, y), (y, x)))  # (N, tries, 81)
    free = (images.labels[images.index(image, x, y)[0]] == 0).all(dim=2)
    earliest = (free * torch.arange(BACKGROUND_TRIES, 0, -1, device=images.device)).argmax(dim=1, keepdim=True)
    found, row, col = (part.gather(1, earliest)[:, 0] for part in (free, row, col))
    return found, row, col


def _place_squiggles(images: FlatImages, config: TrainingConfig, generator: torch.Generator, fill: float | None) -> _Prompted:
    """Place patches so that each holds the whole of a random object, somewhere near its middle.

    In use the bounding box of the squiggle lies in the middle, and a squiggle that does not fit
    makes the scale coarser.

    Parameters
    ----------
    fill
        As of `draw_batch`.
    """
    assert images.squiggles is not None
    side = config.patch_px
    image, target = _draw_objects(images, config, generator)
    matrix = _random_matrices(images, image, config, generator)
    back = inverse(matrix)
    ends, there = images.squiggles.reach.padded(target)
    seen, pixel = turned(ends, back), back.abs().sum(dim=2)  # places and width of image pixels, in patch pixels
    low = seen.masked_fill(~there[..., None], math.inf).amin(dim=1) - pixel / 2
    high = seen.masked_fill(~there[..., None], -math.inf).amax(dim=1) + pixel / 2
    filled = (high - low).amax(dim=1, keepdim=True) / side
    coarser = (filled / LARGEST_SHARE).clamp(min=1) if fill is None else filled / fill
    matrix, low, high = matrix * coarser[..., None], low / coarser, high / coarser
    room = (side - (high - low)) / 2 - 1
    shift = _uniform(generator, len(image), 2, low=-1) * room.clamp(max=config.augmentation.off_centre_px)
    centre_xy = turned(((low + high) / 2 + shift)[:, None], matrix)[:, 0]
    number = target - images.first_object[image] + 1
    return _Prompted(Placed(image, centre_xy, matrix), target, number, torch.full_like(target, side // 2)[:, None].expand(-1, 2))


def _click_map(prompted: _Prompted, wanted: Tensor) -> Tensor:
    """Give (N, P, P) bool, one pixel of each patch: the click, or the wanted pixel nearest to it.

    On a thin object the click may be rounded to a pixel beside it.
    """
    allowed = wanted | (prompted.number == BACKGROUND)[:, None, None]
    return nearest_pixel(allowed, prompted.click)


def _squiggle_map(images: FlatImages, prompted: _Prompted, wanted: Tensor, config: TrainingConfig, generator: torch.Generator) -> Tensor:
    """Draw a random squiggle of each wanted object, (N, P, P) bool; where that leaves nothing, a pixel of the object."""
    assert images.squiggles is not None
    side = config.patch_px
    which = prompted.target * SQUIGGLES_EACH + (_uniform(generator, len(wanted)) * SQUIGGLES_EACH).long()
    links, there = images.squiggles.links.padded(which)
    # Neighbours are up to sqrt(2) image pixels apart; points of one link at most one patch pixel.
    parts = math.ceil(math.sqrt(2) * images.largest_zoom * config.augmentation.zoom)
    points = torch.cat([links[..., :2] + links[..., 2:] * (part / parts) for part in range(parts + 1)], dim=1)
    drawn = thinned(mark(prompted.placed.to_patch(points, side), there.repeat(1, parts + 1), side)) & wanted
    return torch.where(drawn.flatten(1).any(dim=1)[:, None, None], drawn, nearest_pixel(wanted, prompted.click))


def _centroids_of_others(images: FlatImages, prompted: _Prompted, side: int) -> Tensor:
    """Give (N, P, P) bool: the centroids of all other objects that fall into the patch."""
    xy, there = images.centroids.padded(prompted.placed.image)
    own = torch.arange(xy.shape[1], device=xy.device) == (prompted.number - 1)[:, None]
    return mark(prompted.placed.to_patch(xy, side), there & ~own, side)


def _keep_some(clicks: Tensor, config: TrainingConfig, generator: torch.Generator) -> Tensor:
    """Leave out exclusion clicks, (N, P, P) bool, as a user does who has not clicked on everything."""
    count = len(clicks)
    share = _uniform(generator, count, low=config.exclusion_keep) * (_uniform(generator, count) >= config.exclusion_drop)
    return clicks & (_uniform(generator, *clicks.shape) < share[:, None, None])
