"""Outlines for files that know no holes: each hole is opened to the outside by a slit."""

import shapely
from shapely import MultiPolygon, Polygon

SLIT_WIDTH = 0.1  # level-0 px: ten times what 32-bit coordinates tell apart at 100,000 px


def without_holes(outline: Polygon | MultiPolygon) -> list[Polygon]:
    """Give the parts of an outline as valid polygons without holes.

    A slit runs from each hole to the nearest place outside, and takes its width times its length
    off the area. Where it parts the outline all parts are given.

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
        slit = shapely.shortest_line(polygon.exterior, polygon.interiors[0]).buffer(SLIT_WIDTH / 2, cap_style="square")
        cut = shapely.get_parts(polygon.difference(slit))
        assert sum(len(part.interiors) for part in cut) < len(polygon.interiors)
        todo += [part for part in cut if isinstance(part, Polygon)]
    return done
