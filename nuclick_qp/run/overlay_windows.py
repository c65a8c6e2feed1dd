"""Which parts of an image the pictures for checking show, and how large."""

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from nuclick_qp.geometry import Window

Bounds = tuple[float, float, float, float]  # left, top, right, bottom in the slide frame

MOST_PICTURES = 16  # of one image
MOST_PX = 1856  # a side of the shown part; with frame and legend it stays below 2048
MARGIN_PX = 48  # shown beside the outermost objects
COARSENING = (1, 2, 4)  # beyond four times the resolution of the model, the border of a nucleus cannot be judged


@dataclass(frozen=True, slots=True)
class WindowPlan:
    """The windows of all pictures of an image.

    Attributes
    ----------
    windows
        In reading order; they lie inside the image.
    undrawn
        How many objects none of them was made for, as there are too many of them.
    """

    windows: tuple[Window, ...]
    undrawn: int


def plan_windows(things: Sequence[Bounds], *, size: tuple[int, int], scale: float) -> WindowPlan:
    """Plan windows round all things of an image; where they lie far apart, at a coarser scale, and then without some.

    Parameters
    ----------
    things
        The bounds of what is to be seen.
    size
        (width, height) of the image, in level-0 pixels.
    scale
        Level-0 pixels per pixel of a picture, where there is room; pictures of half the room or less get twice the size.
    """
    inside = [(left, top, right, bottom) for left, top, right, bottom in things if _is_inside((left, top, right, bottom), size)]
    groups: list[list[Bounds]] = []
    for coarsening in COARSENING:
        groups = _groups(inside, cell=(MOST_PX - 2 * MARGIN_PX) * scale * coarsening)
        if len(groups) <= MOST_PICTURES:
            break
    scale *= coarsening
    fullest = sorted(range(len(groups)), key=lambda i: -len(groups[i]))[:MOST_PICTURES]
    chosen = [groups[i] for i in sorted(fullest)]
    return WindowPlan(tuple(_window_of(group, size=size, scale=scale) for group in chosen), len(inside) - sum(map(len, chosen)))


def middle_of(bounds: Bounds) -> tuple[float, float]:
    """Give the centre of bounds."""
    left, top, right, bottom = bounds
    return (left + right) / 2, (top + bottom) / 2


def _is_inside(bounds: Bounds, size: tuple[int, int]) -> bool:
    x, y = middle_of(bounds)
    return 0 <= x < size[0] and 0 <= y < size[1]


def _groups(things: Sequence[Bounds], *, cell: float) -> list[list[Bounds]]:
    """Put things into the cells of an even grid, none larger than so many level-0 pixels, row by row."""
    if not things:
        return []
    xs, ys = zip(*map(middle_of, things), strict=True)
    cols, rows = _cells(xs, cell), _cells(ys, cell)
    groups: dict[tuple[int, int], list[Bounds]] = defaultdict(list)
    for bounds, col, row in zip(things, cols, rows, strict=True):
        groups[row, col].append(bounds)
    return [groups[place] for place in sorted(groups)]


def _cells(values: Sequence[float], largest: float) -> list[int]:
    """Give the number of the cell of each value, where their range is cut into equal cells."""
    first, extent = min(values), max(values) - min(values)
    count = math.floor(extent / largest) + 1
    return [min(int((value - first) / extent * count), count - 1) if extent else 0 for value in values]


def _window_of(group: Sequence[Bounds], *, size: tuple[int, int], scale: float) -> Window:
    """Give the window round a group, with a margin, inside the image; what is larger than a picture is cut off."""
    starts, counts = [], []
    for axis in (0, 1):
        first = max(0.0, min(b[axis] for b in group) - MARGIN_PX * scale)
        last = min(float(size[axis]), max(b[axis + 2] for b in group) + MARGIN_PX * scale)
        centres = [middle_of(b)[axis] for b in group]
        if last - first > MOST_PX * scale:
            room = MOST_PX * scale
            middle = (min(centres) + max(centres)) / 2
            first = min(max(first, middle - room / 2), last - room)
            last = first + room
        starts.append(first)
        counts.append((last - first) / scale)
    if 2 * max(counts) <= MOST_PX:
        scale, counts = scale / 2, [2 * count for count in counts]
    width, height = (max(1, math.floor(count + 1e-6)) for count in counts)
    return Window(starts[0], starts[1], width, height, scale)
