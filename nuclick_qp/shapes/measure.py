"""Measurements of an outline, under the names that QuPath gives them."""

import math

import numpy as np
import shapely
from shapely import MultiPolygon, Polygon


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
    unit, size = ("px", 1.0) if mpp is None else ("µm", mpp)
    area, length = outline.area * size**2, outline.length * size
    largest, smallest = _diameters(outline)
    return (
        (f"Area {unit}^2", area),
        (f"Length {unit}", length),
        ("Circularity", min(1.0, 4 * math.pi * area / length**2)),
        ("Solidity", outline.area / outline.convex_hull.area),
        (f"Max diameter {unit}", largest * size),
        (f"Min diameter {unit}", smallest * size),
    )


def _diameters(outline: Polygon | MultiPolygon) -> tuple[float, float]:
    """Give the greatest and smallest Feret diameter, from the edges of the convex hull."""
    hull = shapely.get_coordinates(outline.convex_hull)
    apart = hull[:, None] - hull[None]
    edges = np.diff(hull, axis=0)
    normals = np.column_stack([edges[:, 1], -edges[:, 0]]) / np.hypot(*edges.T)[:, None]
    widths = np.ptp(hull @ normals.T, axis=0)
    return float(np.sqrt((apart**2).sum(axis=-1)).max()), float(widths.min())
