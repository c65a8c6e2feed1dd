"""Pixels of a pyramid level -> pixels of a window, the same ones whichever window asks.

The pixels of a window are a stretch of an endless grid, fixed by its scale and by the fraction of a
pixel at which it starts. The grid is cut into blocks at places that depend on the grid alone, and
every block is resampled by itself from a source crop that depends on the block alone. So a pixel
never knows which window it was read for: what is cut from a large window equals, to the bit, what a
small one gives.

The kernel is Pillow's BILINEAR: a triangle as wide as the larger of source and target pixel. It
averages when it shrinks (no aliasing), interpolates when it enlarges, and, unlike bicubic or
Lanczos, never makes values that are darker or brighter than the tissue around them.
"""

import math
from dataclasses import dataclass
from typing import Self

from PIL import Image

STEPS = 4096  # a window starts on a multiple of 1/4096 of its pixels, which hides the noise of float sums
LARGEST_BLOCK, SMALLEST_BLOCK = 128, 8  # window px
BLOCK_SOURCE = 1024  # level px that a block should not exceed, margin aside
LEVEL_TOLERANCE = 1.01  # a level may be this much coarser than the window: scanners round their sizes


@dataclass(frozen=True, slots=True)
class Axis:
    """One axis of a window on one pyramid level.

    Attributes
    ----------
    first, count
        The window's pixels are `first` to `first + count` of the grid.
    phase
        Left edge of grid pixel 0 in grid pixels, 0 to 1.
    step
        Level pixels per window pixel.
    offset
        Where the slide frame begins on the level, in level pixels.
    """

    first: int
    count: int
    phase: float
    step: float
    offset: float

    @classmethod
    def of_window(cls, start: float, count: int, *, scale: float, downsample: float, origin: int) -> Self:
        """Place an axis that starts at slide-frame `start` on a level; `origin` is that of the bounds."""
        first, rest = divmod(round(start / scale * STEPS), STEPS)
        step = scale / downsample
        return cls(first, count, rest / STEPS, 1.0 if math.isclose(step, 1.0, rel_tol=1e-9) else step, origin / downsample)

    @property
    def is_aligned(self) -> bool:
        """Whether every window pixel is exactly one level pixel."""
        return self.step == 1.0 and (self.phase + self.offset).is_integer()

    @property
    def block(self) -> int:
        """Window pixels per block: fewer when each stands for many level pixels."""
        wanted = int(2.0 ** math.floor(math.log2(BLOCK_SOURCE / self.step)))
        return max(SMALLEST_BLOCK, min(LARGEST_BLOCK, wanted))

    @property
    def blocks(self) -> range:
        """Numbers of the blocks that the window touches."""
        return range(self.first // self.block, (self.first + self.count - 1) // self.block + 1)

    def edge(self, index: int) -> float:
        """Give the left edge of a grid pixel in level pixels."""
        return (index + self.phase) * self.step + self.offset

    def source(self, block: int) -> tuple[int, int]:
        """Give the whole level pixels that a block needs, from, to."""
        margin = math.ceil(max(self.step, 1.0)) + 1  # reach of the kernel
        return math.floor(self.edge(block * self.block)) - margin, math.ceil(self.edge((block + 1) * self.block)) + margin


def nominal_downsample(base: tuple[int, int], level: tuple[int, int]) -> float:
    """Give the level-0 pixels per pixel of a level, from the (width, height) of both.

    Levels are made by a whole factor and lose or gain the last row and column in rounding; that
    factor is given back where it explains both sizes, else the mean ratio.
    """
    ratios = [big / small for big, small in zip(base, level, strict=True)]
    factor = max(1, round(ratios[0]))
    explains = all(big // factor <= small <= -(-big // factor) for big, small in zip(base, level, strict=True))
    return float(factor) if explains else sum(ratios) / 2


def best_level(downsamples: tuple[float, ...], scale: float) -> int:
    """Give the coarsest level that still has the detail of a scale (0 when none has)."""
    fine_enough = [i for i, d in enumerate(downsamples) if d <= scale * LEVEL_TOLERANCE]
    return max(fine_enough, key=lambda i: downsamples[i], default=0)


def resample_block(source: Image.Image, corner: tuple[int, int], axes: tuple[Axis, Axis], block: tuple[int, int]) -> Image.Image:
    """Give all pixels of one block.

    Parameters
    ----------
    source
        RGB pixels of the level that hold at least `Axis.source` of the block.
    corner
        Level pixel (x, y) of the source's top left.
    axes
        x and y axis of the window.
    block
        Number of the block on x and y.
    """
    spans = [axis.source(number) for axis, number in zip(axes, block, strict=True)]
    (left, right), (top, bottom) = ((a - c, b - c) for (a, b), c in zip(spans, corner, strict=True))
    # The box counts from the crop, never from the window: Pillow keeps it in single precision.
    x0, y0 = (axis.edge(n * axis.block) - span[0] for axis, n, span in zip(axes, block, spans, strict=True))
    x1, y1 = (axis.edge((n + 1) * axis.block) - span[0] for axis, n, span in zip(axes, block, spans, strict=True))
    crop = source.crop((left, top, right, bottom))
    return crop.resize((axes[0].block, axes[1].block), Image.Resampling.BILINEAR, box=(x0, y0, x1, y1))
