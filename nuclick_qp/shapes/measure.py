"""Measurements of an outline, under the names that QuPath gives them."""

import math

import numpy as np
import shapely
from shapely import MultiPolygon, Polygon
from shapely.geometry.base import BaseGeometry

NAMES_UM = ("Area µm^2", "Length µm", "Circularity", "Solidity", "Max diameter µm", "Min diameter µm")
NAMES_PX = ("Area px^2", "Length px", "Circularity", "Solidity", "Max diameter px", "Min diameter px")


def measure(outline: Polygon | MultiPolygon, *, mpp: float | None) -> tuple[tuple[str, float], ...]:
    """Measure area and shape.

    Parameters
    ----------
    outline
        In the slide frame.
    mpp
        Micrometres per level-0 pixel; None where nothing states it: lengths are in pixels then, as in QuPath.

    Returns
    -------
    tuple of (name, value)
        Area (without holes) in µm^2, length of the outline with its holes in µm, circularity
        (4 pi area / length^2), solidity (area / area of the convex hull), greatest and smallest
        distance between two parallel lines that enclose the outline, in µm.
    """
    size = 1.0 if mpp is None else mpp
    hull = outline.convex_hull
    area, length = outline.area * size**2, outline.length * size
    largest, smallest = _diameters(hull)
    circularity, solidity = min(1.0, 4 * math.pi * area / length**2), outline.area / hull.area
    values = (area, length, circularity, solidity, largest * size, smallest * size)
    return tuple(zip(NAMES_PX if mpp is None else NAMES_UM, values, strict=True))


def _diameters(convex: BaseGeometry) -> tuple[float, float]:
    """Give the greatest and smallest Feret diameter of a convex shape, from its edges."""
    hull = shapely.get_coordinates(convex)
    apart = hull[:, None] - hull[None]
    edges = np.diff(hull, axis=0)
    normals = np.column_stack([edges[:, 1], -edges[:, 0]]) / np.hypot(*edges.T)[:, None]
    widths = np.ptp(hull @ normals.T, axis=0)
    return float(np.sqrt((apart**2).sum(axis=-1)).max()), float(widths.min())
