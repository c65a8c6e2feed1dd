"""Brown rings round nuclei: membranous immunohistochemistry made from H&E, of which there are open masks."""

import torch
from torch import Tensor
from torch.nn import functional

from nuclick_qp.training.augment import STAIN_OD

FARTHEST_PX = 8  # of a ring from its nucleus, at the resolution of the network; 2 um of cytoplasm
THINNEST_PX, THICKEST_PX = 2, 5
GRAIN_PX = 16  # size of the stretches over which a membrane is stained evenly
FAINTEST, STRONGEST = 0.4, 1.6  # optical density of DAB, along its unit vector


def draw_rings(images: Tensor, nuclei: Tensor, probability: float, generator: torch.Generator) -> Tensor:
    """Lay a ring of DAB round the nuclei of some patches, patchy and of random distance, thickness and strength.

    Parameters
    ----------
    images, nuclei
        (N, 3, H, W) float in [0, 1], and (N, 1, H, W) with 1 on nuclei, else 0.
    probability
        That a patch gets rings.
    generator
        Source of all random numbers; on the device of the images.

    Returns
    -------
    (N, 3, H, W) float in [0, 1]
        New tensor. Nuclei keep their pixels; density is added in the way of Lambert and Beer.
    """
    near = torch.floor(_uniform(images, generator, 0, FARTHEST_PX - THICKEST_PX + 1))
    thick = _uniform(images, generator, THINNEST_PX, THICKEST_PX)
    away = _steps_away(nuclei, FARTHEST_PX)
    ring = ((away > near) & (away <= near + thick)).float()
    ring = functional.avg_pool2d(ring, 3, stride=1, padding=1) * (1 - nuclei)
    amount = ring * _patchiness(images, generator) * _uniform(images, generator, FAINTEST, STRONGEST)
    amount = amount * (_uniform(images, generator, 0, 1) < probability)
    brown = torch.tensor(STAIN_OD[2]).view(1, 3, 1, 1)
    brown = (brown / brown.norm()).to(images.device, non_blocking=True)  # else a GPU would be waited for
    return images * torch.exp(-amount * brown)


def _steps_away(nuclei: Tensor, farthest: int) -> Tensor:
    """Give the distance to the nearest nucleus in steps to a neighbour, the diagonal ones too; farther is farthest + 1."""
    away, reached = torch.full_like(nuclei, farthest + 1), nuclei
    for step in range(farthest + 1):
        away = torch.where(reached > 0, away.clamp(max=step), away)
        reached = functional.max_pool2d(reached, 3, stride=1, padding=1)
    return away


def _patchiness(images: Tensor, generator: torch.Generator) -> Tensor:
    """Give (N, 1, H, W) smooth random factors in [0, 1]: complete membranes are rare."""
    n, _, height, width = images.shape
    grains = torch.rand((n, 1, height // GRAIN_PX + 2, width // GRAIN_PX + 2), generator=generator, device=images.device)
    smooth = functional.interpolate(grains, size=(height, width), mode="bilinear", align_corners=False)
    return (3 * smooth - 0.75).clamp(0, 1)


def _uniform(images: Tensor, generator: torch.Generator, low: float, high: float) -> Tensor:
    """Draw (N, 1, 1, 1) numbers."""
    return low + (high - low) * torch.rand((len(images), 1, 1, 1), generator=generator, device=images.device)
