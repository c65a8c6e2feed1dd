"""Marked patches to the input of a network, drawn on the device that the network is on."""

import numpy as np
import torch
from numpy.typing import NDArray

from nuclick_qp.guidance.signals import MarkedPatches

INCLUSION, EXCLUSION = 3, 4  # channels of the input, behind red, green and blue


def draw_inputs(patches: MarkedPatches, *, channels: int, device: torch.device) -> torch.Tensor:
    """Draw the inclusion and exclusion maps of patches, and put them behind their pixels.

    Only bytes and places go to the device: 49 kB a patch of 128 px and its marks, in place of 328 kB.

    Parameters
    ----------
    channels
        5; or 4 for a network that was made without exclusion maps.
    device
        Where the input is wanted.

    Returns
    -------
    (N, channels, P, P) float32 tensor
        R, G, B in [0, 1], inclusion, exclusion; channels last in memory.

    References
    ----------
    Koohbanani et al., NuClick, Med. Image Anal. 65 (2020) 101771, section 3.3.
    """
    inputs = torch.zeros((len(patches), patches.side, patches.side, channels), device=device)
    inputs[..., :INCLUSION] = _sent(patches.pixels, device).float() / 255
    _mark(inputs[..., INCLUSION], patches.inclusion)
    if channels > EXCLUSION:
        _mark(inputs[..., EXCLUSION], patches.exclusion)
        # Two clicks in one pixel would tell the network to want and not to want the same object.
        inputs[..., EXCLUSION] *= 1 - inputs[..., INCLUSION]
    return inputs.permute(0, 3, 1, 2)


def _mark(maps: torch.Tensor, places: NDArray[np.intp]) -> None:
    """Set pixels of (N, P, P) maps to 1."""
    patch, row, col = _sent(places, maps.device).unbind(1)
    maps[patch, row, col] = 1


def _sent(array: NDArray[np.uint8] | NDArray[np.intp], device: torch.device) -> torch.Tensor:
    """Send an array to a device; to a GPU from pinned memory, so that this thread need not wait for it."""
    tensor = torch.from_numpy(np.ascontiguousarray(array))
    return tensor.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else tensor.to(device)
