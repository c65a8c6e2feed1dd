"""Levels and blocks: the arithmetic below `Slide.read`."""

import pytest

from nuclick_qp.slides.resample import Axis, best_level, nominal_downsample


def axis(start: float, count: int, *, scale: float = 1.0, downsample: float = 1.0, origin: int = 0) -> Axis:
    """Place an axis."""
    return Axis.of_window(start, count, scale=scale, downsample=downsample, origin=origin)


@pytest.mark.parametrize(
    ("base", "level", "expected"),
    [
        ((4443, 3567), (2221, 1783), 2.0),  # rounded down
        ((601, 433), (301, 217), 2.0),  # rounded up
        ((1000, 1000), (1000, 1000), 1.0),
        ((300, 250), (37, 31), 8.0),
        ((1000, 1000), (300, 300), 1000 / 300),
        ((1000, 1000), (1500, 1500), 1000 / 1500),
    ],
)
def test_downsample_is_the_whole_number_that_explains_the_sizes(
    base: tuple[int, int], level: tuple[int, int], expected: float
) -> None:
    """Rounded level sizes do not make 2 into 2.0005."""
    assert nominal_downsample(base, level) == pytest.approx(expected)


@pytest.mark.parametrize(("scale", "level"), [(0.5, 0), (1, 0), (3.9, 0), (3.97, 1), (4, 1), (15.9, 2), (100, 2)])
def test_best_level_is_the_coarsest_that_is_fine_enough(scale: float, level: int) -> None:
    """One per cent too coarse is fine enough."""
    assert best_level((1.0, 4.0, 16.0), scale) == level


@pytest.mark.parametrize("scale", [0.3, 0.501, 1.0, 2.004, 17.3])
def test_axes_of_parts_lie_on_the_same_grid(scale: float) -> None:
    """Window positions that were summed in another order name the same grid pixels."""
    whole = axis(1234.56, 500, scale=scale)
    for offset in range(0, 400, 7):
        part = axis(1234.56 + offset * scale, 50, scale=scale)

        assert (part.first, part.phase) == (whole.first + offset, whole.phase)


def test_edges_lie_where_the_window_says() -> None:
    """First edge = window start in level pixels, up to the step of the grid."""
    placed = axis(37.3, 20, scale=1.7, downsample=4.0, origin=101)

    assert placed.edge(placed.first) == pytest.approx((37.3 + 101) / 4, abs=1.7 / 4 / 4096)
    assert placed.edge(placed.first + 20) == pytest.approx((37.3 + 20 * 1.7 + 101) / 4, abs=1.7 / 4 / 4096)


@pytest.mark.parametrize(
    ("start", "scale", "downsample", "origin", "aligned"),
    [
        (5, 1, 1, 0, True),
        (5.5, 1, 1, 0, False),
        (8, 4, 4, 0, True),
        (9, 4, 4, 0, False),
        (8, 4, 4, 101, False),
        (9, 4, 4, 103, True),
        (0, 2, 1, 0, False),
    ],
)
def test_axis_knows_when_pixels_need_no_change(start: float, scale: float, downsample: float, origin: int, aligned: bool) -> None:
    """Equal pixel size, and starts at a whole pixel of the level."""
    assert axis(start, 10, scale=scale, downsample=downsample, origin=origin).is_aligned is aligned


@pytest.mark.parametrize("scale", [0.3, 1.7, 20.0, 300.0])
def test_blocks_cover_the_window(scale: float) -> None:
    """No pixel is left out, and no source is larger than it must be for memory's sake."""
    placed = axis(-250.0, 333, scale=scale)
    numbers = placed.blocks

    assert numbers[0] * placed.block <= placed.first < (numbers[0] + 1) * placed.block
    assert numbers[-1] * placed.block < placed.first + 333 <= (numbers[-1] + 1) * placed.block
    low, high = placed.source(numbers[0])
    assert high - low <= max(1024, 8 * scale) + 2 * scale + 6
