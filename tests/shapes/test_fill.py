"""Outlines become the pixels whose centres they hold."""

import numpy as np
import pytest
import shapely
from numpy.typing import NDArray
from shapely import MultiPolygon, Point, Polygon, box

from nuclick_qp.geometry import Window
from nuclick_qp.shapes.fill import fill_outline


def filled(outline: Polygon | MultiPolygon, window: Window) -> NDArray[np.bool_]:
    """Give the mask of the whole window."""
    whole = np.zeros((window.height, window.width), np.bool_)
    place, mask = fill_outline(outline, window)
    whole[place] = mask
    return whole


def star(x: float, y: float, rng: np.random.Generator, *, corners: int = 40) -> Polygon:
    """Give a polygon with radii from 4 to 20 px."""
    angles = np.sort(rng.uniform(0, 2 * np.pi, corners))
    radii = rng.uniform(4, 20, corners)
    return Polygon(np.column_stack([x + radii * np.cos(angles), y + radii * np.sin(angles)]))


@pytest.mark.parametrize("seed", range(5))
def test_pixels_are_those_whose_centres_lie_inside(seed: int) -> None:
    """The same as shapely says of each centre; holes, parts and what the window cuts off included."""
    rng = np.random.default_rng(seed)
    window = Window(7.3, -4.1, 60, 50, scale=0.7)
    shape = shapely.make_valid(star(25, 12, rng)).symmetric_difference(shapely.make_valid(star(40, 20, rng)))
    outline = MultiPolygon([part for part in shapely.get_parts(shape) if isinstance(part, Polygon)])
    cols, rows = np.meshgrid(np.arange(60), np.arange(50))
    x, y = np.moveaxis(window.to_slide(np.stack([cols, rows], axis=-1) + 0.5), -1, 0)

    mask = filled(outline, window)

    assert (mask == shapely.contains_xy(outline, x, y)).all()
    assert 100 < mask.sum() < 2900


def test_island_in_a_hole_is_filled() -> None:
    """Whatever the order of the parts: the hole of one does not wipe out another."""
    centre = Point(20, 20)
    island, ring = centre.buffer(4), Polygon(centre.buffer(15).exterior, [centre.buffer(9).exterior])

    one, other = (filled(MultiPolygon(parts), Window(0, 0, 40, 40)) for parts in ([island, ring], [ring, island]))

    assert (one == other).all()
    assert one[20, 20]
    assert not one[20, 27]


def test_a_box_on_whole_pixels_is_these_pixels() -> None:
    """At the resolution of the slide and at half of it; moved by less than half a pixel it stays."""
    for outline, window in ((box(2, 3, 5, 7), Window(0, 0, 9, 9)), (box(14, 26, 20, 34), Window(10, 20, 9, 9, scale=2)),
                            (box(2.4, 3.4, 5.4, 7.4), Window(0, 0, 9, 9))):
        expected = np.zeros((9, 9), np.bool_)
        expected[3:7, 2:5] = True

        assert (filled(outline, window) == expected).all()


def test_outlines_elsewhere_and_empty_ones_have_no_pixels() -> None:
    """On each side of the window, between two pixel centres, and nothing at all."""
    window = Window(0, 0, 9, 9)
    places = [box(-9, 2, -3, 5), box(12, 2, 15, 5), box(2, -9, 5, -3), box(2, 12, 5, 15), box(2.6, 2.6, 3.4, 3.4), Polygon()]

    assert [int(filled(outline, window).sum()) for outline in places] == [0] * 6
