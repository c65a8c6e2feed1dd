"""The two frames, and the one type that converts between them.

*Slide frame*: level-0 pixels as QuPath shows them, x right, y down, floats; pixel (0, 0) covers
[0, 1) x [0, 1). *Window frame*: the same convention on the pixels of an array, so the array element
``[row, col]`` covers x in [col, col + 1), y in [row, row + 1), and its centre lies at + 0.5.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray


@dataclass(frozen=True, slots=True)
class Window:
    """A rectangle of the slide together with the scale at which it is sampled.

    Attributes
    ----------
    x, y
        Top left corner in the slide frame (level-0 pixels).
    width, height
        Size of the array, in pixels of the window frame.
    scale
        Level-0 pixels per window pixel; 1 is full resolution, 2 is half of it.
    """

    x: float
    y: float
    width: int
    height: int
    scale: float = 1.0

    def __post_init__(self) -> None:
        if self.width < 1 or self.height < 1:
            raise ValueError(f"a window of {self.width} x {self.height} pixels is empty")
        if not self.scale > 0:
            raise ValueError(f"scale must be positive, not {self.scale}")

    @property
    def slide_box(self) -> tuple[float, float, float, float]:
        """Left, top, right, bottom in the slide frame."""
        right = self.x + self.width * self.scale
        return self.x, self.y, right, self.y + self.height * self.scale

    def to_window(self, xy: ArrayLike) -> NDArray[np.float64]:
        """Convert (..., 2) slide-frame coordinates into the window frame."""
        return (np.asarray(xy, np.float64) - (self.x, self.y)) / self.scale

    def to_slide(self, xy: ArrayLike) -> NDArray[np.float64]:
        """Convert (..., 2) window-frame coordinates into the slide frame."""
        return np.asarray(xy, np.float64) * self.scale + (self.x, self.y)

    def to_array(self, xy: ArrayLike) -> NDArray[np.intp]:
        """Give the (..., 2) array indices (row, col) of slide-frame coordinates.

        Indices may lie outside the array; `contains` tells.
        """
        col_row = np.floor(self.to_window(xy)).astype(np.intp)
        return col_row[..., ::-1]

    def contains(self, xy: ArrayLike) -> NDArray[np.bool_]:
        """Tell for (..., 2) slide-frame coordinates whether they fall on an array pixel."""
        inside = self.to_window(xy)
        limits = np.array([self.width, self.height], np.float64)
        return np.asarray(((inside >= 0) & (inside < limits)).all(axis=-1))

    def part(self, col: int, row: int, width: int, height: int) -> "Window":
        """Give the sub-window that starts at array element [row, col], at the same scale."""
        x, y = self.to_slide((col, row))
        return Window(float(x), float(y), width, height, self.scale)
