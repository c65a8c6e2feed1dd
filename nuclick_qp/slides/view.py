"""An image that is a part of its file, turned or mirrored, as QuPath makes them when it imports or crops.

The steps are those of QuPath's `CroppedImageServer`, `RotatedImageServer` and `FlippedImageServer`
(0.2 to 0.7, from their source). Any number of them comes down to one rectangle of the file, which is
perhaps mirrored and then turned: whole pixels throughout, so nothing is resampled or shifted.
"""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nuclick_qp.errors import SlideSizeMismatchError
from nuclick_qp.geometry import Window
from nuclick_qp.slides.reader import Box


@dataclass(frozen=True, slots=True)
class Crop:
    """Show a rectangle only, in pixels of the image so far."""

    x: int
    y: int
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class Turn:
    """Turn clockwise by `quarters` of a full turn."""

    quarters: int


@dataclass(frozen=True, slots=True)
class Mirror:
    """Exchange left and right."""


Step = Crop | Turn | Mirror


@dataclass(frozen=True, slots=True)
class View:
    """The part of a file that an image shows, and how it lies there.

    Attributes
    ----------
    box
        Left, top, right, bottom of the part, in level-0 pixels of the file as it is.
    is_mirrored
        Whether left and right of the part are exchanged.
    quarters
        Quarter turns clockwise that follow, 0 to 3.
    """

    box: Box
    is_mirrored: bool = False
    quarters: int = 0

    @classmethod
    def of(cls, steps: tuple[Step, ...], *, width: int, height: int, source: Path) -> Self:
        """Put steps together, the first of them first, for a file of a size in level-0 pixels; messages name `source`.

        Raises
        ------
        SlideSizeMismatchError
            If a part reaches beyond the file: it was cut out of another one.
        """
        view = cls((0, 0, width, height))
        for step in steps:
            view = view._then(step, source)
        return view

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the image, level-0 pixels."""
        left, top, right, bottom = self.box
        return (bottom - top, right - left) if self.quarters % 2 else (right - left, bottom - top)

    def to_box(self, xy: ArrayLike) -> NDArray[np.float64]:
        """Convert (..., 2) coordinates of the image into those of the part, whose corner is (0, 0)."""
        x, y = np.moveaxis(np.asarray(xy, np.float64), -1, 0)
        width, height = self.size
        if self.quarters == 1:
            x, y = y, width - x
        elif self.quarters == 2:
            x, y = width - x, height - y
        elif self.quarters == 3:
            x, y = height - y, x
        if self.is_mirrored:
            x = self.box[2] - self.box[0] - x
        return np.stack([x, y], axis=-1)

    def window_in_box(self, window: Window) -> Window:
        """Give the window of the part that has the pixels of a window of the image, in another order."""
        left, top, right, bottom = window.slide_box
        (x, y), (x2, y2) = self.to_box([(left, top), (right, bottom)]).tolist()
        across, down = (window.height, window.width) if self.quarters % 2 else (window.width, window.height)
        return Window(min(x, x2), min(y, y2), across, down, window.scale)

    def arranged(self, pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Put (H, W, ...) pixels of the part in the order of the image."""
        if self.is_mirrored:
            pixels = pixels[:, ::-1]
        return np.ascontiguousarray(np.rot90(pixels, -self.quarters))

    def _then(self, step: Step, source: Path) -> Self:
        if isinstance(step, Turn):
            return replace(self, quarters=(self.quarters + step.quarters) % 4)
        if isinstance(step, Mirror):  # mirroring after a turn is mirroring before the opposite turn
            return replace(self, is_mirrored=not self.is_mirrored, quarters=-self.quarters % 4)
        width, height = self.size
        if min(step.x, step.y, step.width - 1, step.height - 1) < 0 or step.x + step.width > width or step.y + step.height > height:
            raise SlideSizeMismatchError(
                f"{source} has {width} x {height} pixels, but the image of the project is the part of {step.width} x {step.height} "
                f"at ({step.x}, {step.y}); give the file that the project was made with"
            )
        (x, y), (x2, y2) = self.to_box([(step.x, step.y), (step.x + step.width, step.y + step.height)]).astype(int).tolist()
        left, top = self.box[:2]
        return replace(self, box=(left + min(x, x2), top + min(y, y2), left + max(x, x2), top + max(y, y2)))
