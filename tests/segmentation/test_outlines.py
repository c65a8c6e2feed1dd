"""Tests of `nuclick_qp.segmentation.outlines`."""

import numpy as np
import pytest
import shapely
from numpy.typing import NDArray
from shapely import MultiPolygon, Polygon

from nuclick_qp.geometry import Window
from nuclick_qp.segmentation.outlines import Traceable, trace_outlines


def _trace(probability: NDArray[np.float32], mask: NDArray[np.bool_], *, threshold: float, window: Window) -> Polygon | MultiPolygon | None:
    (outline,) = trace_outlines([Traceable(probability, mask, threshold, window)])
    return outline


def _disc(centre: tuple[float, float], radius: float, size: int = 64) -> NDArray[np.float32]:
    """Give a probability that falls off over one pixel at the rim of a disc; centre is (x, y)."""
    row, col = np.mgrid[:size, :size] + 0.5
    probability: NDArray[np.float32] = np.clip(radius - np.hypot(col - centre[0], row - centre[1]) + 0.5, 0, 1).astype(np.float32)
    return probability


def test_outline_of_a_disc_has_its_area_and_centre() -> None:
    """Sub-pixel placement: area within 1 %, centre within 0.02 px, in the slide frame."""
    probability = _disc((30.3, 33.8), 12.4)
    window = Window(1000, 2000, 64, 64, scale=2.0)

    outline = _trace(probability, probability >= 0.5, threshold=0.5, window=window)

    assert isinstance(outline, Polygon)
    assert outline.area == pytest.approx(np.pi * (12.4 * 2) ** 2, rel=0.01)
    assert (outline.centroid.x, outline.centroid.y) == pytest.approx((1060.6, 2067.6), abs=0.04)


def test_holes_stay_holes() -> None:
    """A ring becomes a polygon with one interior ring, not a filled one."""
    probability = np.minimum(_disc((32, 32), 20), 1 - _disc((32, 32), 8))

    outline = _trace(probability, probability >= 0.5, threshold=0.5, window=Window(0, 0, 64, 64))

    assert isinstance(outline, Polygon)
    assert len(outline.interiors) == 1
    assert outline.area == pytest.approx(np.pi * (20**2 - 8**2), rel=0.01)


def test_other_objects_in_the_patch_are_background() -> None:
    """Only the mask is traced, though a neighbour is as probable."""
    wanted, other = _disc((20, 20), 8), _disc((40, 40), 8)

    outline = _trace(np.maximum(wanted, other), wanted >= 0.5, threshold=0.5, window=Window(0, 0, 64, 64))

    assert isinstance(outline, Polygon)
    assert outline.bounds[2] < 30


def test_object_at_the_border_of_the_array_is_closed() -> None:
    """A mask that reaches the border gets an outline along it."""
    probability = np.ones((10, 10), np.float32)

    outline = _trace(probability, probability > 0, threshold=0.5, window=Window(0, 0, 10, 10))

    assert outline is not None
    assert outline.bounds == (0, 0, 10, 10)


def test_outlines_are_valid_rounded_and_oriented() -> None:
    """What QuPath wants: valid rings at 0.01 px; noise makes no exception."""
    rng = np.random.default_rng(2)
    for _ in range(20):
        probability = rng.random((32, 32)).astype(np.float32)
        mask = probability >= 0.5

        outline = _trace(probability, mask, threshold=0.5, window=Window(100.5, 7.25, 32, 32, 1.37))

        assert outline is not None
        assert outline.is_valid
        coordinates = shapely.get_coordinates(outline)
        assert np.allclose(coordinates, np.round(coordinates, 2), atol=1e-9)
        assert all(part.exterior.is_ccw for part in shapely.get_parts(outline))


def test_two_parts_become_a_multipolygon() -> None:
    """An object of several strokes may have several parts."""
    probability = np.maximum(_disc((15, 15), 8), _disc((45, 45), 8))

    outline = _trace(probability, probability >= 0.5, threshold=0.5, window=Window(0, 0, 64, 64))

    assert isinstance(outline, MultiPolygon)
    assert len(outline.geoms) == 2


def test_nothing_gives_no_outline() -> None:
    """An empty mask has no polygon, not an empty one: QuPath would draw a dot."""
    assert _trace(np.zeros((8, 8), np.float32), np.zeros((8, 8), bool), threshold=0.5, window=Window(0, 0, 8, 8)) is None


def test_outlines_traced_together_are_those_traced_alone() -> None:
    """Of any sizes, scales and thresholds, with holes, in parts, and with none: each stays by itself."""
    rng = np.random.default_rng(3)
    masks = []
    for number in range(40):
        height, width = rng.integers(3, 40, 2)
        probability = rng.random((height, width)).astype(np.float32)
        threshold = float(rng.choice([0.05, 0.4, 0.5, 0.95]))
        mask = (probability >= threshold) & (number % 5 > 0)
        window = Window(rng.integers(0, 9000) / 4, rng.integers(0, 9000) / 4, int(width), int(height), float(rng.choice([0.5, 1, 2.2])))
        masks.append(Traceable(probability, mask, threshold, window))

    together = trace_outlines(masks)

    assert together == [trace_outlines([one])[0] for one in masks]
    assert [outline is None for outline in together] == [not one.mask.any() for one in masks]
    assert trace_outlines([]) == []
