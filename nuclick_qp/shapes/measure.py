"""Measurements of an outline, under the names that QuPath gives them."""

import math

import numpy as np
import shapely
from shapely import MultiPolygon, Polygon


def measure(outline: Polygon | MultiPolygon, *, mpp: float) -> tuple[tuple[str, float], ...]:
    """Measure area and shape.

    Parameters
    ----------
    outline
        In the slide frame.
    mpp
        Micrometres per level-0 pixel.

    Returns
    -------
    tuple of (name, value)
        Area (without holes) in µm^2, length of the outline with its holes in µm, circularity
        (4 pi area / length^2), solidity (area / area of the convex hull), greatest and smallest
        distance between two parallel lines that enclose the outline, in µm.
    """
    area, length = outline.area * mpp**2, outline.length * mpp
    largest, smallest = _diameters(outline)
    return (
        ("Area µm^2", area),
        ("Length µm", length),
        ("Circularity", min(1.0, 4 * math.pi * area / length**2)),
        ("Solidity", outline.area / outline.convex_hull.area),
        ("Max diameter µm", largest * mpp),
        ("Min diameter µm", smallest * mpp),
    )


def _diameters(outline: Polygon | MultiPolygon) -> tuple[float, float]:
    """Give the greatest and smallest Feret diameter, from the edges of the convex hull."""
    hull = shapely.get_coordinates(outline.convex_hull)
    apart = hull[:, None] - hull[None]
    edges = np.diff(hull, axis=0)
    normals = np.column_stack([edges[:, 1], -edges[:, 0]]) / np.hypot(*edges.T)[:, None]
    widths = np.ptp(hull @ normals.T, axis=0)
    return float(np.sqrt((apart**2).sum(axis=-1)).max()), float(widths.min())
