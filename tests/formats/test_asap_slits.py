"""Tests of `nuclick_qp.formats.asap.slits`."""

import numpy as np
import pytest
from shapely import MultiPolygon, Point, Polygon, affinity, box, union_all

from nuclick_qp.formats.asap.slits import SLIT_WIDTH, without_holes

TOUCHING = Polygon([(0, 0), (20, 0), (20, 20), (0, 20)], [[(0, 10), (5, 5), (5, 15)]])  # the hole meets the ring in one point
TWO = Polygon(box(0, 0, 40, 20).exterior, [Point(8, 10).buffer(4).exterior, Point(30, 11).buffer(5).exterior])
BEHIND = Polygon(box(0, 0, 60, 60).exterior, [Point(x, 30).buffer(4).exterior for x in (10, 20, 30, 40, 50)])


@pytest.mark.parametrize("outline", [TOUCHING, TWO, BEHIND, MultiPolygon([TWO, Polygon(affinity.translate(TOUCHING, 100))])])
def test_holes_open_and_the_area_stays(outline: Polygon | MultiPolygon) -> None:
    """Valid polygons without holes, inside the outline; only the slits are lost."""
    assert outline.is_valid

    parts = without_holes(outline)

    together = union_all(parts)
    assert len(parts) == (2 if isinstance(outline, MultiPolygon) else 1)
    assert all(part.is_valid and not part.interiors for part in parts)
    assert together.difference(outline).area < 1e-9  # floats
    assert 0 < outline.difference(together).area < 100 * SLIT_WIDTH  # slits shorter than 100 px in all


def test_many_holes_open_by_the_shortest_way() -> None:
    """From hole to hole across the gaps between them, in whatever order they are listed: no long slits through the tissue."""
    gap, holes = 4, [box(x, y, x + 6, y + 6) for x in range(4, 200, 10) for y in range(4, 200, 10)]
    order = np.random.default_rng(1).permutation(len(holes))
    sheet = Polygon(box(0, 0, 204, 204).exterior, [holes[n].exterior for n in order])

    (cut,) = without_holes(sheet)

    assert cut.is_valid
    assert sheet.area - cut.area == pytest.approx(len(holes) * gap * SLIT_WIDTH, rel=0.01)


def test_hole_between_holes_that_touch_it_is_opened() -> None:
    """All its corners are those of others."""
    others = [[(10, 10), (4, 12), (4, 6)], [(20, 10), (26, 6), (26, 12)], [(15, 18), (18, 24), (12, 24)]]
    sheet = Polygon(box(0, 0, 30, 30).exterior, [[(10, 10), (20, 10), (15, 18)], *others])
    assert sheet.is_valid

    parts = without_holes(sheet)

    assert all(part.is_valid and not part.interiors for part in parts)
    assert union_all(parts).area == pytest.approx(sheet.area, abs=5)


def test_outline_without_holes_is_given_back() -> None:
    """Nothing is cut where nothing has to be."""
    assert without_holes(box(0, 0, 4, 4)) == [box(0, 0, 4, 4)]


def test_slit_lasts_through_32_bit_floats() -> None:
    """Far from the corner of a large canvas the slit still is one."""
    (cut,) = without_holes(Polygon(affinity.translate(TWO, 131_000.37, 80_000.13)))

    stored = Polygon(np.array(cut.exterior.coords, np.float32))

    assert stored.is_valid
    assert stored.area == pytest.approx(TWO.area, abs=3)
