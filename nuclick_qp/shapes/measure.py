"""Measurements of an outline, under the names that QuPath gives them."""

import math
from collections.abc import Sequence

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely import MultiPolygon, Polygon

AT_ONCE = 64  # outlines whose vertices are compared at once; 1 MB where they have 30
NAMES_UM = ("Area µm^2", "Length µm", "Circularity", "Solidity", "Max diameter µm", "Min diameter µm")
NAMES_PX = ("Area px^2", "Length px", "Circularity", "Solidity", "Max diameter px", "Min diameter px")


def measure(outlines: Sequence[Polygon | MultiPolygon], *, mpp: float | None) -> list[tuple[tuple[str, float], ...]]:
    """Measure area and shape of outlines.

    Parameters
    ----------
    outlines
        In the slide frame.
    mpp
        Micrometres per level-0 pixel; None where nothing states it: lengths are in pixels then, as in QuPath.

    Returns
    -------
    list of tuple of (name, value)
        Area (without holes) in µm^2, length of the outline with its holes in µm, circularity
        (4 pi area / length^2), solidity (area / area of the convex hull), greatest and smallest
        distance between two parallel lines that enclose the outline, in µm.
    """
    size, names = (1.0, NAMES_PX) if mpp is None else (mpp, NAMES_UM)
    shapes = np.array(outlines, np.object_)
    hulls = shapely.convex_hull(shapes)
    area, length = shapely.area(shapes) * size**2, shapely.length(shapes) * size
    circularity = np.minimum(1.0, 4 * math.pi * area / length**2)
    solidity = shapely.area(shapes) / shapely.area(hulls)
    diameters = np.concatenate([np.empty((0, 2)), *(_diameters(hulls[at : at + AT_ONCE]) for at in range(0, len(hulls), AT_ONCE))]) * size
    values = np.column_stack([area, length, circularity, solidity, diameters])
    return [tuple(zip(names, row, strict=True)) for row in values.tolist()]


def _diameters(hulls: NDArray[np.object_]) -> NDArray[np.float64]:
    """Give the greatest and smallest Feret diameter of each of N convex shapes, from their edges: (N, 2)."""
    xy, owners = shapely.get_coordinates(hulls, return_index=True)
    counts = np.bincount(owners, minlength=len(hulls))
    longest = np.minimum(np.arange(counts.max()), counts[:, None] - 1)  # the last vertex again, where a shape has fewer
    vertices = xy[np.cumsum(counts)[:, None] - counts[:, None] + longest]  # (N, K, 2)
    apart = vertices[:, :, None] - vertices[:, None]
    edges = np.diff(vertices, axis=1)
    lengths = np.hypot(edges[..., 0], edges[..., 1])
    across = np.abs(apart[:, :, :-1, 0] * edges[:, None, :, 1] - apart[:, :, :-1, 1] * edges[:, None, :, 0]).max(axis=1)
    widths = np.where(lengths > 0, across / np.where(lengths > 0, lengths, 1), np.inf)  # an edge of no length has none
    return np.column_stack([np.sqrt((apart**2).sum(axis=-1)).max(axis=(1, 2)), widths.min(axis=1)])
