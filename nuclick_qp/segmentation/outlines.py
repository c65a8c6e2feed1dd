"""Masks with their probabilities to polygons in the slide frame."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import cast

import contourpy
import numpy as np
import shapely
from numpy.typing import NDArray
from shapely import MultiPolygon, Polygon

from nuclick_qp.geometry import Window
from nuclick_qp.shapes.polygons import DECIMALS, clean_polygons

SIMPLIFY_PX = 0.1  # greatest deviation allowed when vertices are dropped, in pixels of the network
LARGEST_STACK_PX = 2**20  # pixels that are traced at once: 13 MB
Offsets = list[NDArray[np.uint32] | None]
Chunks = tuple[list[NDArray[np.float64] | None], Offsets, Offsets]  # of each: points, where rings begin, where polygons begin


@dataclass(frozen=True, slots=True)
class Traceable:
    """A mask, and what it takes to place its outline between pixels.

    Attributes
    ----------
    probability, mask
        (H, W), of the window. Pixels above the threshold outside the mask count as background, and
        pixels below it inside the mask (filled holes) as object.
    threshold
        Probability on the outline.
    window
        Ties array to slide.
    """

    probability: NDArray[np.float32]
    mask: NDArray[np.bool_]
    threshold: float
    window: Window


def trace_outlines(masks: Sequence[Traceable]) -> list[Polygon | MultiPolygon | None]:
    """Give the outline of each mask, placed between pixels by the probabilities on both sides.

    Masks are laid one below the other and traced at once: by itself one takes three times as long, most of it
    in going from Python to GEOS and back. What comes out does not depend on which are traced together.

    Returns
    -------
    list of Polygon, MultiPolygon or None
        Valid, with holes, in the slide frame, rounded to 0.01 px, exterior rings counter-clockwise
        in the frame's numbers. None when rounding leaves no area.
    """
    return [outline for together in _bounded(masks) for outline in _trace(together)]


def _bounded(masks: Sequence[Traceable]) -> Iterator[list[Traceable]]:
    """Cut a list where a stack of them, all as large as the largest, would have too many pixels."""
    together: list[Traceable] = []
    largest = (0, 0)
    for one in masks:
        grown = max(largest[0], one.mask.shape[0] + 2), max(largest[1], one.mask.shape[1] + 2)  # with ground on each side
        if together and grown[0] * grown[1] * (len(together) + 1) > LARGEST_STACK_PX:
            yield together
            together, grown = [], (one.mask.shape[0] + 2, one.mask.shape[1] + 2)
        together.append(one)
        largest = grown
    if together:
        yield together


def _trace(masks: Sequence[Traceable]) -> list[Polygon | MultiPolygon | None]:
    """Trace masks that are laid one below the other, each in a chunk of its own in which rows count from 0."""
    height, width = (2 + max(int(one.mask.shape[axis]) for one in masks) for axis in (0, 1))  # with ground on each side
    generator = contourpy.contour_generator(
        np.arange(width), np.tile(np.arange(height), len(masks)), _stacked(masks, height, width),
        fill_type=contourpy.FillType.ChunkCombinedOffsetOffset, chunk_size=(height, width),
    )  # fmt: skip
    points, rings, outers = cast("Chunks", generator.filled(0, np.inf))  # the type follows from fill_type
    counts = [0 if starts is None else len(starts) - 1 for starts in outers]  # of polygons
    simple = _polygons(points, rings, outers, owners=np.arange(len(masks)).repeat(counts), masks=masks)
    rounded = shapely.orient_polygons(shapely.set_precision(simple, 10.0**-DECIMALS))
    is_whole = (shapely.get_type_id(rounded) == shapely.GeometryType.POLYGON) & ~shapely.is_empty(rounded)
    outlines: list[Polygon | MultiPolygon | None] = []
    for first, last in pairwise(np.cumsum([0, *counts])):
        alone = last - first == 1 and is_whole[first]
        outlines.append(rounded[first] if alone else clean_polygons(list(simple[first:last])))
    return outlines


def _stacked(masks: Sequence[Traceable], height: int, width: int) -> NDArray[np.float64]:
    """Lay masks one below the other: above 0 inside of them, below 0 outside, 0 where the outline goes."""
    shape = (len(masks), height, width)
    probability, inside = np.zeros(shape, np.float32), np.zeros(shape, np.bool_)
    for number, one in enumerate(masks):
        place = (number, slice(1, 1 + one.mask.shape[0]), slice(1, 1 + one.mask.shape[1]))  # with ground on each side
        probability[place], inside[place] = one.probability, one.mask
    threshold = np.array([one.threshold for one in masks], np.float32)[:, None, None]
    below, above = np.nextafter(threshold, np.float32(0)), np.nextafter(threshold, np.float32(1))
    is_object = probability >= threshold
    outside = np.where(is_object, 0, np.minimum(probability, below))
    field = np.where(inside, np.where(is_object, np.maximum(probability, above), 1), outside)
    return np.subtract(field, threshold, dtype=np.float64).reshape(-1, width)


def _polygons(
    points: Sequence[NDArray[np.float64] | None],
    rings: Sequence[NDArray[np.uint32] | None],
    outers: Sequence[NDArray[np.uint32] | None],
    *,
    owners: NDArray[np.intp],
    masks: Sequence[Traceable],
) -> NDArray[np.object_]:
    """Build simplified polygons in the slide frame from the points of each mask, and where rings and polygons begin among them.

    contourpy puts samples at whole numbers, so [row, col] = (0, 0) is the *centre* of the first
    pixel, which is ground: half a pixel is added for the centre and a whole one taken off for the ground.

    Parameters
    ----------
    owners
        Which mask each polygon belongs to.
    """
    parts = zip(points, rings, outers, masks, strict=True)
    seen = [(p, r, o, one.window) for p, r, o, one in parts if p is not None and r is not None and o is not None]
    if not seen:
        return np.empty(0, np.object_)
    xy = np.concatenate([window.to_slide(part - 0.5) for part, _, _, window in seen])
    in_ring = np.concatenate([np.diff(starts) for _, starts, _, _ in seen])
    in_polygon = np.concatenate([np.diff(starts) for _, _, starts, _ in seen])
    lines = np.asarray(shapely.linearrings(xy, indices=np.arange(len(in_ring)).repeat(in_ring)))
    polygons = shapely.polygons(lines, indices=np.arange(len(in_polygon)).repeat(in_polygon))
    scales = np.array([one.window.scale for one in masks])[owners]
    simple: NDArray[np.object_] = shapely.simplify(polygons, SIMPLIFY_PX * scales, preserve_topology=True)
    return simple
