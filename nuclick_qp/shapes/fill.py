"""Outlines to pixels: those whose centres lie inside."""

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely import MultiPolygon, Polygon
from skimage.draw import polygon as draw_polygon

from nuclick_qp.geometry import Window

Box = tuple[slice, slice]


class Painted(NamedTuple):
    """Outlines as a label image.

    Attributes
    ----------
    labels
        (H, W) int32: i + 1 where outline i is seen, 0 where none is.
    sizes
        Pixels of each outline, hidden ones included.
    """

    labels: NDArray[np.int32]
    sizes: tuple[int, ...]


def paint_outlines(outlines: Iterable[Polygon | MultiPolygon | None], window: Window) -> Painted:
    """Paint outlines in the slide frame into a window, later ones on top; None paints nothing."""
    labels = np.zeros((window.height, window.width), np.int32)
    sizes = []
    for number, outline in enumerate(outlines, start=1):
        box, mask = fill_outline(Polygon() if outline is None else outline, window)
        labels[box][mask] = number
        sizes.append(int(np.count_nonzero(mask)))
    return Painted(labels, tuple(sizes))


def fill_outline(outline: Polygon | MultiPolygon, window: Window) -> tuple[Box, NDArray[np.bool_]]:
    """Give the pixels of a window whose centres lie inside an outline.

    Every ring turns what it holds from outside to inside or back, so holes, several parts, and a part
    in the hole of another need no care.

    Parameters
    ----------
    outline
        Valid, in the slide frame.

    Returns
    -------
    box, mask
        Rows and columns of the window that the outline may reach, and the (H, W) mask of this box.
        Both have no pixels when it does not reach any.
    """
    rings = [window.to_window(shapely.get_coordinates(ring)) for ring in shapely.get_rings(shapely.get_parts(outline))]
    if not rings:
        return (slice(0, 0), slice(0, 0)), np.zeros((0, 0), np.bool_)
    xy = np.concatenate(rings)
    box = (_pixels(xy[:, 1], window.height), _pixels(xy[:, 0], window.width))
    mask = np.zeros([part.stop - part.start for part in box], np.bool_)
    corner = np.array([box[1].start, box[0].start]) + 0.5  # skimage puts the centres of pixels at whole numbers, we at + 0.5
    for ring in rings:
        x, y = (ring - corner).T
        inside = draw_polygon(y, x, mask.shape)
        mask[inside] = ~mask[inside]
    return box, mask


def _pixels(along: NDArray[np.float64], limit: int) -> slice:
    """Give the pixels of one axis whose centres lie between the least and the greatest coordinate."""
    first, stop = np.clip([np.ceil(along.min() - 0.5), np.floor(along.max() + 0.5)], 0, limit).astype(int).tolist()
    return slice(first, stop)
