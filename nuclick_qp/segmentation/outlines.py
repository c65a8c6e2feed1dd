"""Masks with their probabilities to polygons in the slide frame."""

from itertools import pairwise
from typing import cast

import contourpy
import numpy as np
import shapely
from numpy.typing import NDArray
from shapely import MultiPolygon, Polygon

from nuclick_qp.geometry import Window
from nuclick_qp.shapes.polygons import clean_polygons

SIMPLIFY_PX = 0.1  # greatest deviation allowed when vertices are dropped, in pixels of the network
OuterOffset = tuple[list[NDArray[np.float64]], list[NDArray[np.uint32]]]


def trace_outline(
    probability: NDArray[np.float32], mask: NDArray[np.bool_], *, threshold: float, window: Window
) -> Polygon | MultiPolygon | None:
    """Give the outline of a mask, placed between pixels by the probabilities on both sides.

    Parameters
    ----------
    probability, mask
        (H, W), of the window. Pixels above the threshold outside the mask count as background, and
        pixels below it inside the mask (filled holes) as object.
    window
        Ties array to slide.

    Returns
    -------
    Polygon or MultiPolygon
        Valid, with holes, in the slide frame, rounded to 0.01 px, exterior rings counter-clockwise
        in the frame's numbers. None when rounding leaves no area.
    """
    below = np.nextafter(np.float32(threshold), np.float32(0))
    above = np.nextafter(np.float32(threshold), np.float32(1))
    outside = np.where(probability < threshold, np.minimum(probability, below), 0)
    field = np.where(mask, np.where(probability >= threshold, np.maximum(probability, above), 1), outside)
    field = np.pad(field.astype(np.float64), 1)
    generator = contourpy.contour_generator(z=field, fill_type=contourpy.FillType.OuterOffset)
    rings, offsets = cast("OuterOffset", generator.filled(threshold, np.inf))  # the type follows from fill_type
    parts = [_polygon(points, starts, window) for points, starts in zip(rings, offsets, strict=True)]
    return clean_polygons(parts)


def _polygon(points: NDArray[np.float64], starts: NDArray[np.uint32], window: Window) -> Polygon:
    """Build one polygon from contourpy's points and ring offsets.

    contourpy puts samples at whole numbers, so [row, col] = (0, 0) is the *centre* of the first
    (padding) pixel: half a pixel is added for the centre and a whole one taken off for the padding.
    """
    xy = window.to_slide(points - 0.5)
    rings = [xy[a:b] for a, b in pairwise(starts)]
    return shapely.simplify(Polygon(rings[0], rings[1:]), SIMPLIFY_PX * window.scale, preserve_topology=True)
