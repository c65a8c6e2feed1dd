"""Any brightfield pixels -> 8-bit RGB."""

import logging
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

logger = logging.getLogger(__name__)

WHITE = (255, 255, 255)


def flatten(image: Image.Image, background: tuple[int, int, int] = WHITE) -> NDArray[np.uint8]:
    """Lay an RGBA image on a background and give (H, W, 3) uint8 RGB."""
    canvas = Image.new("RGB", image.size, background)
    canvas.paste(image, mask=image)
    return np.asarray(canvas)


def to_rgb(samples: NDArray[np.uint8], *, premultiplied: bool = False) -> NDArray[np.uint8]:
    """Give (H, W, 3) RGB of (H, W, C) samples: 1 grey, 3 RGB, 4 RGBA (laid on white).

    Parameters
    ----------
    premultiplied
        Whether the colours of RGBA samples have been multiplied by alpha already.
    """
    channels = samples.shape[-1]
    assert channels in (1, 3, 4)
    if channels == 1:
        return np.repeat(samples, 3, axis=-1)
    if channels == 3:
        return samples
    if premultiplied:
        see_through = 255 - samples[..., 3:]
        return samples[..., :3] + np.minimum(see_through, 255 - samples[..., :3])
    return flatten(Image.fromarray(samples))


def to_eight_bits(samples: NDArray[np.uint16], bits: int = 16) -> NDArray[np.uint8]:
    """Scale 0 .. 2**bits - 1 to 0 .. 255, rounded; what lies above is 255.

    The range is that of the format, never that of the pixels at hand: those differ from window to
    window.
    """
    return _eight_bit_table(bits)[samples]


def warn_of_sixteen_bits(path: Path) -> None:
    """Log that 16-bit pixels are shown over their full range, which may leave them dark."""
    logger.warning("%s has 16-bit pixels; 0 to 65535 becomes 0 to 255. If that is too dark, export it as 8-bit RGB", path)


@lru_cache
def _eight_bit_table(bits: int) -> NDArray[np.uint8]:
    """Give the 8-bit value of every 16-bit value."""
    largest = (1 << bits) - 1
    values = np.minimum(np.arange(2**16, dtype=np.uint32), largest)
    return ((values * 255 + largest // 2) // largest).astype(np.uint8)
