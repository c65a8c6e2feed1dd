"""Tests of `nuclick_qp.shapes.measure`."""

import math

import pytest
from shapely import Point, Polygon, box

from nuclick_qp.shapes.measure import measure


def _measure(outline: Polygon, *, mpp: float | None) -> dict[str, float]:
    (found,) = measure([outline], mpp=mpp)
    return dict(found)


def test_measurements_of_a_rectangle_are_its_sides() -> None:
    """8 x 4 px at 0.5 um/px: 4 x 2 um."""
    found = _measure(box(0, 0, 8, 4), mpp=0.5)

    assert found["Area µm^2"] == pytest.approx(8)
    assert found["Length µm"] == pytest.approx(12)
    assert found["Solidity"] == pytest.approx(1)
    assert found["Max diameter µm"] == pytest.approx(math.hypot(4, 2))
    assert found["Min diameter µm"] == pytest.approx(2)
    assert found["Circularity"] == pytest.approx(4 * math.pi * 8 / 12**2)


def test_disc_is_round_and_ring_is_less_solid() -> None:
    """Circularity 1 for a disc; a hole takes from area and solidity."""
    disc = Point(50, 50).buffer(20, quad_segs=64)
    ring = Polygon(disc.exterior.coords, [list(Point(50, 50).buffer(10, quad_segs=64).exterior.coords)])

    assert _measure(disc, mpp=1)["Circularity"] == pytest.approx(1, abs=1e-3)
    assert _measure(ring, mpp=1)["Solidity"] == pytest.approx(0.75, abs=1e-3)


def test_without_a_pixel_size_lengths_are_in_pixels() -> None:
    """Under the names that QuPath gives them in such an image; shape has no unit."""
    found = _measure(box(0, 0, 8, 4), mpp=None)

    assert found["Area px^2"] == pytest.approx(32)
    assert found["Length px"] == pytest.approx(24)
    assert found["Max diameter px"] == pytest.approx(math.hypot(8, 4))
    assert found["Min diameter px"] == pytest.approx(4)
    assert found["Solidity"] == pytest.approx(1)
    assert not any("µm" in name for name in found)


def test_several_are_measured_as_each_alone() -> None:
    """In their order; none gives none."""
    outlines = [box(0, 0, 8, 4), Point(50, 50).buffer(20), box(1, 1, 2, 9), *(Point(9, 9).buffer(n, quad_segs=n) for n in range(1, 90))]

    assert measure(outlines, mpp=0.25) == [measure([one], mpp=0.25)[0] for one in outlines]
    assert measure([], mpp=0.25) == []
