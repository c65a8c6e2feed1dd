"""Tests of `nuclick_qp.shapes.polygons`."""

import numpy as np
import pytest
import shapely
from shapely import MultiPolygon, Point, Polygon, box

from nuclick_qp.shapes.polygons import snap_outline


def _star(rng: np.random.Generator, radius: float) -> Polygon | MultiPolygon:
    """Draw a star with a hole, so thin that rounding to 0.01 px makes it touch itself."""
    angles = np.sort(rng.uniform(0, 2 * np.pi, 40))
    reach = radius * rng.uniform(0.05, 1, 40)
    shape = shapely.make_valid(Polygon(np.column_stack([np.cos(angles), np.sin(angles)]) * reach[:, None] + rng.uniform(0, 1e5, 2)))
    holed = shape.difference(shape.centroid.buffer(radius / 20))
    return MultiPolygon([part for part in shapely.get_parts(holed) if isinstance(part, Polygon)])


def test_snapped_outlines_are_valid_and_within_a_hundredth_of_a_pixel() -> None:
    """Rounding each number alone breaks some of them; snapping breaks none and moves nothing far."""
    rng = np.random.default_rng(0)
    broken = 0
    for _ in range(300):
        outline = _star(rng, 10 ** rng.uniform(-1.5, 1.5))
        broken += not shapely.transform(outline, lambda xy: np.round(xy, 2)).is_valid

        snapped = snap_outline(outline)

        if snapped is None:
            assert outline.buffer(-0.02).is_empty
            continue
        xy = shapely.get_coordinates(snapped)
        assert snapped.is_valid
        assert np.array_equal(xy, np.round(xy, 2))
        assert shapely.distance(shapely.points(xy), outline.boundary).max() <= 0.01
        assert outline.symmetric_difference(snapped).difference(outline.boundary.buffer(0.0101)).is_empty
        assert snap_outline(snapped) == snapped
    assert broken > 10


def test_holes_and_parts_stay() -> None:
    """As drawn, to 0.01 px."""
    ring = Polygon(Point(50.123456, 50).buffer(9).exterior, [Point(50, 50).buffer(3).exterior])

    snapped = snap_outline(MultiPolygon([ring, box(0, 0, 1.00123, 2)]))

    assert isinstance(snapped, MultiPolygon)
    assert sorted(len(part.interiors) for part in snapped.geoms) == [0, 1]
    assert snapped.area == pytest.approx(ring.area + 2, abs=0.2)


def test_outline_on_the_grid_stays_as_it_is_but_for_its_direction() -> None:
    """The ring of the one that runs clockwise is turned round, and no vertex is lost or added."""
    outline = Polygon([(0, 0), (0, 1.25), (0, 2), (2, 2), (2, 0)])

    snapped = snap_outline(outline)

    assert snapped is not None
    assert snapped.exterior.is_ccw  # type: ignore[union-attr]  # one part stays one
    assert set(snapped.exterior.coords) == set(outline.exterior.coords)  # type: ignore[union-attr]


def test_crossing_outline_is_cut_and_heights_go() -> None:
    """A bow tie becomes two triangles, a polygon in space one in the plane."""
    tie = snap_outline(Polygon([(0, 0), (4, 4), (4, 0), (0, 4)]))
    tall = snap_outline(Polygon([(0, 0, 7), (4, 0, 7), (4, 4, 7)]))

    assert tie is not None
    assert tie.is_valid
    assert tie.area == 8
    assert tall is not None
    assert not tall.has_z


@pytest.mark.parametrize("outline", [Polygon(), MultiPolygon(), box(0.001, 0.001, 0.003, 5), Polygon([(0, 0), (5, 5), (9, 9)])])
def test_outline_without_area_on_the_grid_is_none(outline: Polygon) -> None:
    """Empty, narrower than the grid, or flat."""
    assert snap_outline(outline) is None


@pytest.mark.parametrize(
    "ring",
    [
        [(0.02, 0.01), (0.06, 0.05), (0.03, 0.02), (0.01, 0.04), (0.01, 0.03)],  # a spike
        [(0.05, 0.02), (0.03, 0.03), (0.01, 0.04)],  # nothing but a line
        [(0.04, 0.03), (0.02, 0.03), (0.03, 0.04), (0.01, 0.02)],  # touches itself
    ],
)
def test_outlines_that_are_valid_by_rounding_only_are_mended(ring: list[tuple[float, float]]) -> None:
    """To a computer 0.06 - 0.05 is not 0.01: these look valid, and QuPath 0.6 imports nothing of a file with the first."""
    outline = Polygon(ring)
    assert outline.is_valid

    snapped = snap_outline(outline)

    assert snapped is None or shapely.transform(snapped, lambda xy: np.round(xy * 100)).is_valid
