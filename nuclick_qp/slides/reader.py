"""What every kind of slide file has to offer."""

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Box = tuple[int, int, int, int]  # left, top, right, bottom


class Reader(Protocol):
    """An open file that gives whole pixels of its pyramid levels.

    Attributes
    ----------
    level_sizes
        (width, height) of every level in pixels of that level, largest first, before cropping.
    bounds
        The part of level 0 that is shown, as left, top, right, bottom in level-0 pixels of the file.
    mpp
        Micrometres per level-0 pixel, mean of x and y; None when the file does not say.
    is_shareable
        Whether several threads may read at once.
    """

    level_sizes: tuple[tuple[int, int], ...]
    bounds: Box
    mpp: float | None
    is_shareable: bool

    def read_level(self, level: int, box: Box) -> NDArray[np.uint8]:
        """Read a box of level pixels, which lies inside the level, as (H, W, 3) uint8 RGB.

        Raises
        ------
        UnreadableSlideError
            If the pixels cannot be decoded.
        """
        ...

    def close(self) -> None:
        """Close the file."""
        ...
