"""Which annotation of the user a nested result becomes a child of; the same rule for every engine."""

from collections.abc import Sequence
from dataclasses import dataclass

import shapely
from shapely import STRtree
from shapely.geometry.base import BaseGeometry

from nuclick_qp.annotations.objects import ResultObject
from nuclick_qp.prompts import Plane
from nuclick_qp.shapes.polygons import valid_polygons


@dataclass(frozen=True, slots=True)
class Region:
    """A closed annotation of the user.

    Attributes
    ----------
    shape
        In the slide frame, as it was drawn; None when there is none.
    """

    shape: BaseGeometry | None
    plane: Plane


def find_holders(regions: Sequence[Region], results: Sequence[ResultObject]) -> list[int | None]:
    """Find for each nested result the smallest region on its plane that holds its prompt.

    Parameters
    ----------
    regions
        In the order of the hierarchy; of two of one area the later one, which is the inner one, is
        taken. Lines, and what encloses nothing, hold nothing.

    Returns
    -------
    list of int or None
        For each result the index of its region; None for the root: no region, or not nested.
    """
    holders: list[int | None] = [None] * len(results)
    nested = [i for i, result in enumerate(results) if result.nested]
    if not nested or not regions:
        return holders
    # Merged lines are a geometry as well, and the area of an outline that crosses itself is not that of its parts.
    shapes = [valid_polygons(region.shape) for region in regions]
    areas = shapely.area(shapes)
    pairs = STRtree(shapes).query(shapely.points([results[i].anchor for i in nested]), predicate="intersects")
    for nth, place in pairs.T.tolist():
        i = nested[nth]
        if regions[place].plane == results[i].plane:
            best = holders[i]
            holders[i] = place if best is None else min(best, place, key=lambda j: (areas[j], -j))
    return holders
