"""Measurements of an outline, under the names that QuPath gives them."""

import math
from collections.abc import Sequence

import numpy as np
import shapely
from shapely import MultiPolygon, Polygon
from shapely.geometry.base import BaseGeometry

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
    diameters = np.array([_diameters(hull) for hull in hulls]).reshape(-1, 2) * size
    values = np.column_stack([area, length, circularity, solidity, diameters])
    return [tuple(zip(names, row, strict=True)) for row in values.tolist()]


def _diameters(convex: BaseGeometry) -> tuple[float, float]:
    """Give the greatest and smallest Feret diameter of a convex shape, from its edges."""
    hull = shapely.get_coordinates(convex)
    apart = hull[:, None] - hull[None]
    edges = np.diff(hull, axis=0)
    normals = np.column_stack([edges[:, 1], -edges[:, 0]]) / np.hypot(*edges.T)[:, None]
    widths = np.ptp(hull @ normals.T, axis=0)
    return float(np.sqrt((apart**2).sum(axis=-1)).max()), float(widths.min())
