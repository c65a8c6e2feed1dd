"""Tests of `nuclick_qp.segmentation.tiling`."""

import numpy as np
import pytest

from nuclick_qp.prompts import Prompt, click_at
from nuclick_qp.segmentation.tiling import patch_window, plan_tiles


def _random_clicks(count: int) -> list[Prompt]:
    rng = np.random.default_rng(5)
    return [click_at(float(x), float(y)) for x, y in rng.uniform(0, 4000, (count, 2))]


@pytest.mark.parametrize("scale", [0.5, 1.0, 1.7])
def test_click_lies_in_the_middle_pixel(scale: float) -> None:
    """The click of a patch of P px is in pixel [P/2, P/2], at every scale."""
    for prompt in _random_clicks(50):
        window = patch_window(prompt, patch_px=64, scale=scale)

        assert window.to_array(prompt.anchor).tolist() == [32, 32]


@pytest.mark.parametrize("tile_px", [64, 300, 5000])
def test_every_prompt_is_in_exactly_one_tile(tile_px: int) -> None:
    """Whatever the size of the tiles."""
    prompts = _random_clicks(200)

    tiles = plan_tiles(prompts, patch_px=64, scale=1.3, tile_px=tile_px)

    assert sorted(patch.index for tile in tiles for patch in tile.patches) == list(range(200))


def test_patches_do_not_depend_on_the_tiles() -> None:
    """The same prompt has the same window under every plan."""
    prompts = _random_clicks(100)

    plans = [plan_tiles(prompts, patch_px=64, scale=1.3, tile_px=tile_px) for tile_px in (64, 900)]
    windows = [{patch.index: patch.window for tile in plan for patch in tile.patches} for plan in plans]

    assert windows[0] == windows[1]


def test_cut_gives_the_pixels_of_each_patch() -> None:
    """A tile whose pixels tell their place is cut at the right places."""
    tiles = plan_tiles(_random_clicks(60), patch_px=32, scale=2.0, tile_px=200)

    for tile in tiles:
        row, col = np.mgrid[: tile.window.height, : tile.window.width]
        pixels = np.stack([row % 256, col % 256, row // 256], axis=-1).astype(np.uint8)
        for patch, cut in zip(tile.patches, tile.cut(pixels), strict=True):
            first = tile.window.to_array((patch.window.x + 1e-6, patch.window.y + 1e-6))
            assert cut.shape == (32, 32, 3)
            seen_row, seen_col, rows_256 = (int(v) for v in cut[0, 0])
            assert (seen_row + 256 * rows_256, seen_col) == (first[0], first[1] % 256)


def test_tile_is_no_larger_than_its_patches_need() -> None:
    """One click reads one patch."""
    (tile,) = plan_tiles([click_at(1000, 1000)], patch_px=64, scale=1.0)

    assert (tile.window.width, tile.window.height) == (64, 64)


def test_long_squiggle_gets_a_coarser_patch_that_holds_it() -> None:
    """A squiggle of 1000 px in a patch of 512 px is seen at a coarser scale, with a margin."""
    prompt = Prompt("line", (((100.0, 200.0), (1100.0, 260.0)),))

    window = patch_window(prompt, patch_px=512, scale=1.0)

    left, top, right, bottom = window.slide_box
    assert window.scale == pytest.approx(1000 / (512 * 0.8))
    assert left < 100 - 90
    assert right > 1100 + 90
    assert (top + bottom) / 2 == pytest.approx(230, abs=2 * window.scale)
