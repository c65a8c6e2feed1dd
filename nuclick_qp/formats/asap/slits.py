"""Outlines for files that know no holes: each hole is opened to the outside by a slit."""

import numpy as np
import shapely
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import minimum_spanning_tree
from scipy.spatial import Delaunay
from shapely import MultiPolygon, Polygon

SLIT_WIDTH = 0.1  # level-0 px: ten times what 32-bit coordinates tell apart at 100,000 px


def without_holes(outline: Polygon | MultiPolygon) -> list[Polygon]:
    """Give the parts of an outline as valid polygons without holes.

    A slit runs from each hole to the outside, or to a hole that is open already, whichever is near;
    it takes its width times its length off the area. Where it parts the outline all parts are given.

    Examples
    --------
    >>> ring = shapely.Point(0, 0).buffer(20).difference(shapely.Point(3, 0).buffer(10))
    >>> (cut,) = without_holes(ring)
    >>> len(cut.interiors), round(ring.area - cut.area, 1)
    (0, 0.7)
    """
    done: list[Polygon] = []
    todo = [*shapely.get_parts(outline)]
    while todo:
        polygon = todo.pop()
        if not polygon.interiors:
            done.append(polygon)
            continue
        cut = shapely.get_parts(polygon.difference(shapely.union_all(_slits(polygon))))
        assert sum(len(part.interiors) for part in cut) < len(polygon.interiors)
        todo += [part for part in cut if isinstance(part, Polygon)]
    return done


def _slits(polygon: Polygon) -> NDArray[np.object_]:
    """Give slits that tie all rings of a polygon together, as few as can be, and short."""
    rings = np.array([polygon.exterior, *polygon.interiors], dtype=object)
    shapely.prepare(rings)
    first, second = _pairs(rings).T
    lines: NDArray[np.object_] = shapely.buffer(shapely.shortest_line(rings[first], rings[second]), SLIT_WIDTH / 2, cap_style="square")
    return lines


def _pairs(rings: NDArray[np.object_]) -> NDArray[np.intp]:
    """Choose the (N, 2) pairs of rings that slits join: the shortest tree between their vertices.

    Nearest neighbours among points are always joined in the Delaunay triangulation, so that nothing
    else has to be measured. It may leave out a ring that shares its vertices with others; such a
    hole stays, and is the next one to be cut.
    """
    if len(rings) == 2:
        return np.array([[0, 1]])
    xy, ring = shapely.get_coordinates(rings, return_index=True)
    triangles = Delaunay(xy - xy.mean(axis=0)).simplices
    ends = np.concatenate([triangles[:, [0, 1]], triangles[:, [1, 2]], triangles[:, [2, 0]]])
    ends = ends[ring[ends[:, 0]] != ring[ends[:, 1]]]
    lengths = np.hypot(*(xy[ends[:, 0]] - xy[ends[:, 1]]).T)
    pairs = np.sort(ring[ends], axis=1)
    order = np.lexsort((lengths, pairs[:, 1], pairs[:, 0]))
    pairs, kept = np.unique(pairs[order], axis=0, return_index=True)
    tree = minimum_spanning_tree(coo_array((lengths[order][kept], pairs.T), shape=(len(rings), len(rings)))).tocoo()
    return np.stack([tree.row, tree.col], axis=1).astype(np.intp)
