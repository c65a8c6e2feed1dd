"""Tests of `nuclick_qp.annotations.parents`."""

import pytest
from shapely import LineString, MultiLineString, Point, Polygon, box
from shapely.geometry.base import BaseGeometry

from nuclick_qp.annotations.objects import ResultObject
from nuclick_qp.annotations.parents import Region, find_holders
from nuclick_qp.prompts import Plane

INSIDE = ResultObject(box(4, 4, 6, 6), "detection", None, Plane(), nested=True, anchor=(5, 5), key="k")
SQUARE = box(0, 0, 10, 10)
BOW_TIE = Polygon([(0, 0), (40, 40), (40, 0), (0, 40)])  # of 800 px^2, but 0 by the formula for polygons


def held_by(*shapes: BaseGeometry | None) -> int | None:
    """Give which of the regions holds the prompt."""
    (holder,) = find_holders([Region(shape, Plane()) for shape in shapes], [INSIDE])
    return holder


def test_the_smallest_region_holds() -> None:
    """Of two that are the same the later one, which lies inside."""
    assert held_by(box(0, 0, 20, 20), SQUARE, box(-5, -5, 30, 30)) == 1
    assert held_by(SQUARE, SQUARE) == 1


@pytest.mark.parametrize(
    "shape",
    [None, Polygon(), Point(5, 5), LineString([(5, 5), (9, 9)]), MultiLineString([[(0, 0), (5, 5)], [(1, 0), (9, 0)]]), box(5, 0, 5, 9)],
)
def test_what_encloses_nothing_holds_nothing(shape: BaseGeometry | None) -> None:
    """Several lines that the user merged are the prompt itself, which lies on them; a box can be drawn without a width."""
    assert held_by(shape) is None
    assert held_by(SQUARE, shape) == 0


def test_crossing_outlines_are_as_large_as_their_parts() -> None:
    """A bow tie is larger than a square in one of its wings."""
    assert held_by(box(3, 4, 8, 8), BOW_TIE) == 0
    assert held_by(BOW_TIE, box(-50, -50, 50, 50)) == 0
