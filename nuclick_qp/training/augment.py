"""Changes of colour and sharpness of training patches, on whole batches and on any device."""

import torch
from torch import Tensor
from torch.nn import functional

from nuclick_qp.training.config import Augmentation

# Optical density of haematoxylin, eosin and DAB in R, G, B; Ruifrok & Johnston 2001.
STAIN_OD = ((0.65, 0.70, 0.29), (0.07, 0.99, 0.11), (0.27, 0.57, 0.78))
RGB_TO_YIQ = ((0.299, 0.587, 0.114), (0.596, -0.274, -0.322), (0.211, -0.523, 0.312))  # NTSC


def augment_colours(images: Tensor, settings: Augmentation, generator: torch.Generator) -> Tensor:
    """Change stain, hue, saturation, brightness, contrast, sharpness and channel order of each patch by itself.

    Parameters
    ----------
    images
        (N, 3, H, W) float in [0, 1].
    generator
        Source of all random numbers; on the device of the images.

    Returns
    -------
    (N, 3, H, W) float in [0, 1]
        New tensor.
    """
    density = -torch.log(images.clamp(min=1 / 255))
    images = torch.exp(-_mixed(density, *_stain_change(images, settings, generator))).clamp_(0, 1)
    images = _mixed(images, _hue_change(images, settings, generator)).clamp_(0, 1)
    images = _jitter_light(images, settings, generator)
    images = _blur_or_sharpen(images, settings.blur, generator)
    strength = settings.noise * _uniform(images, generator, 0, 1)
    noise = torch.randn(images.shape, generator=generator, device=images.device)
    return noise.mul_(strength).add_(images).clamp_(0, 1)


def _uniform(images: Tensor, generator: torch.Generator, low: float, high: float, channels: int = 1) -> Tensor:
    """Draw (N, channels, 1, 1) numbers."""
    shape = (len(images), channels, 1, 1)
    return low + (high - low) * torch.rand(shape, generator=generator, device=images.device)


def _mixed(images: Tensor, matrix: Tensor, offset: Tensor | None = None) -> Tensor:
    """Apply (N, 3, 3) matrices, and add (N, 3, 1) offsets, to the channels of each patch."""
    mixed = torch.bmm(matrix, images.flatten(2)).view_as(images)
    return mixed if offset is None else mixed.add_(offset[..., None])


def _stain_change(images: Tensor, settings: Augmentation, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Draw matrix and offset in optical density that scale and shift the amount of each stain, and re-stain some patches.

    A re-stained patch gets the colour of DAB, and more of it, where eosin was: blue nuclei in brown
    tissue, as in immunohistochemistry, of which there are no openly licensed masks.
    """
    stains = torch.tensor(STAIN_OD)
    stains = stains / stains.norm(dim=1, keepdim=True)
    # Without non_blocking a GPU would be waited for.
    to_density, to_amounts = (part.to(images.device, non_blocking=True) for part in (stains.T, torch.linalg.inv(stains.T)))
    factor = 1 + _uniform(images, generator, -settings.stain, settings.stain, 3)
    offset = _uniform(images, generator, -settings.stain / 10, settings.stain / 10, 3)
    brown = _uniform(images, generator, 0, 1) < settings.restain
    strength = _uniform(images, generator, 1, 3)
    shift = torch.zeros((len(images), 3, 3), device=images.device)  # of amounts: row to, column from
    shift[:, 0, 0] = shift[:, 2, 2] = 1
    shift[:, 1, 1], shift[:, 2, 1] = (~brown).flatten(), (brown * strength).flatten()
    change = to_density @ shift
    return change @ (factor[..., 0] * to_amounts), change @ offset[..., 0]


def _hue_change(images: Tensor, settings: Augmentation, generator: torch.Generator) -> Tensor:
    """Draw matrices that turn the chroma plane of YIQ and scale it (hue and saturation without the seams of HSV), then shuffle channels."""
    to_yiq = torch.tensor(RGB_TO_YIQ)
    to_yiq, to_rgb = (part.to(images.device, non_blocking=True) for part in (to_yiq, torch.linalg.inv(to_yiq)))
    angle = torch.deg2rad(_uniform(images, generator, -settings.hue, settings.hue)).flatten()
    strength = 1 + _uniform(images, generator, -settings.saturation, settings.saturation).flatten()
    cos, sin = strength * torch.cos(angle), strength * torch.sin(angle)
    turn = torch.zeros((len(images), 3, 3), device=images.device)
    turn[:, 0, 0] = 1
    turn[:, 1, 1], turn[:, 1, 2], turn[:, 2, 1], turn[:, 2, 2] = cos, -sin, sin, cos
    order = torch.rand((len(images), 3), generator=generator, device=images.device).argsort(dim=1)
    chosen = torch.rand((len(images), 1), generator=generator, device=images.device) < settings.shuffle
    order = torch.where(chosen, order, torch.arange(3, device=images.device))
    return (to_rgb @ turn @ to_yiq).gather(1, order[:, :, None].expand(-1, 3, 3))


def _jitter_light(images: Tensor, settings: Augmentation, generator: torch.Generator) -> Tensor:
    mean = images.mean(dim=(1, 2, 3), keepdim=True)
    contrast = 1 + _uniform(images, generator, -settings.contrast, settings.contrast)
    shift = _uniform(images, generator, -settings.brightness, settings.brightness)
    return (mean + (images - mean) * contrast + shift).clamp(0, 1)


def _blur_or_sharpen(images: Tensor, probability: float, generator: torch.Generator) -> Tensor:
    """Mix each chosen patch with, or away from, its smoothed self: 3 x 3 mean, or half resolution.

    The second shows the network what a slide scanned at half the magnification looks like.
    """
    mean = functional.avg_pool2d(functional.pad(images, (1, 1, 1, 1), mode="replicate"), 3, stride=1)
    halved = functional.interpolate(functional.avg_pool2d(images, 2), scale_factor=2, mode="bilinear", align_corners=False)
    smooth = torch.where(_uniform(images, generator, 0, 1) < 0.5, mean, halved)
    amount = _uniform(images, generator, -0.7, 1.0)
    chosen = (_uniform(images, generator, 0, 1) < probability).float()
    return (images + chosen * amount * (smooth - images)).clamp(0, 1)
