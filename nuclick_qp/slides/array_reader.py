"""Pixels that are in memory already, as a slide of one level."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from nuclick_qp.errors import UnreadableSlideError
from nuclick_qp.slides.reader import Box
from nuclick_qp.slides.slide import Slide

NAME = Path("the array")  # what messages call it


class ArrayReader:
    """A `Reader` of an array; the array is not copied.

    Parameters
    ----------
    pixels
        (H, W, 3) uint8 RGB.
    """

    mpp: float | None = None
    is_shareable = True

    def __init__(self, pixels: NDArray[np.uint8]) -> None:
        height, width, _ = pixels.shape
        self.level_sizes: tuple[tuple[int, int], ...] = ((width, height),)
        self.bounds: Box = (0, 0, width, height)
        self._pixels = pixels

    def read_level(self, level: int, box: Box) -> NDArray[np.uint8]:
        """Give a box of pixels, as a view."""
        assert level == 0
        left, top, right, bottom = box
        return self._pixels[top:bottom, left:right]

    def close(self) -> None:
        """Do nothing: the array belongs to the caller."""


def open_array(pixels: NDArray[np.uint8]) -> Slide:
    """Give an image in memory as a slide of unknown pixel size.

    Parameters
    ----------
    pixels
        (H, W, 3) uint8 RGB. It must not change while the slide is open.

    Raises
    ------
    UnreadableSlideError
        If it has another shape or type, or no pixels.

    Examples
    --------
    >>> open_array(np.zeros((20, 30, 3), np.uint8)).width
    30
    """
    pixels = np.asarray(pixels)
    if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] != 3 or not pixels.size:
        raise UnreadableSlideError(
            f"{NAME} has type {pixels.dtype} and shape {pixels.shape}; give (H, W, 3) of uint8 in RGB, "
            "as skimage.util.img_as_ubyte and skimage.color.gray2rgb make them"
        )
    return Slide(NAME, ArrayReader(pixels))
