"""Tests of `nuclick_qp.segmentation.object_scale`: objects of known size tell the scale of their image."""

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from drawn_cells import CELLS, draw_smear
from fakes import DarkIsObject, make_card
from nuclick_qp.errors import NoPixelSizeError
from nuclick_qp.model.predictor import Predictor
from nuclick_qp.prompts import Prompt, click_at
from nuclick_qp.segmentation.object_scale import MOST_CLICKS, estimate_mpp
from nuclick_qp.slides import open_slide
from nuclick_qp.slides.array_reader import open_array
from nuclick_qp.stopping import Stopped
from nuclick_qp.storage.labels import find_pairs, read_pair

DrawDiscs = Callable[..., Path]
OBJECT_PX = 24.0
# On a canvas of 2400 x 1200, far enough apart to be seen alone at each scale
PLACES = [(200.0 + 400 * column, 200.0 + 400 * row) for row in range(3) for column in range(6)]


@pytest.fixture(scope="module")
def cells() -> Predictor:
    """Load the shipped model for cells."""
    return Predictor.load("cells", device="cpu", precision="float32")


@pytest.fixture
def dark() -> Predictor:
    """Give the model that takes dark pixels for objects, and says that its objects have `OBJECT_PX`."""
    return Predictor(make_card(object_px=OBJECT_PX), DarkIsObject(), device="cpu", precision="float32")


def _estimate(draw_discs: DrawDiscs, predictor: Predictor, radii: list[float], *more: Prompt) -> float:
    """Estimate the scale of an image of discs, with a click in each, and more clicks."""
    discs = [(x, y, radius) for (x, y), radius in zip(PLACES, radii, strict=False)]
    with open_slide(draw_discs(discs, size=(2400, 1200))) as slide:
        return estimate_mpp([*(click_at(x, y) for x, y, _ in discs), *more], slide, predictor=predictor)


@pytest.mark.parametrize("radius", [6, 9, 17, 60, 150])
def test_discs_tell_the_scale_at_which_they_have_the_size_of_the_model(draw_discs: DrawDiscs, dark: Predictor, radius: float) -> None:
    """Diameter times scale is object_px of 0.25 um; two digits are within 5 %."""
    assert _estimate(draw_discs, dark, [radius]) == pytest.approx(0.25 * OBJECT_PX / (2 * radius), rel=0.06)


@pytest.mark.parametrize("zoom", [0.25, 0.5, 2, 3])
def test_a_smear_of_another_magnification_tells_another_scale(cells: Predictor, zoom: float) -> None:
    """Resized by a factor, its pixel size is divided by it: the shipped model on drawn cells, 12 % at most for two roundings."""

    def estimate(zoom: float) -> float:
        pixels, places = draw_smear(zoom)
        with open_array(pixels) as slide:
            return estimate_mpp([click_at(x, y) for x, y in places], slide, predictor=cells)

    assert estimate(zoom) * zoom == pytest.approx(estimate(1), rel=0.12)


def test_an_odd_one_among_clicks_changes_little(draw_discs: DrawDiscs, dark: Predictor) -> None:
    """The scale is that of the image: the median of its objects tells it."""
    assert _estimate(draw_discs, dark, [10, 10, 10, 10, 45]) == _estimate(draw_discs, dark, [10, 10, 10])


def test_a_click_more_and_another_order_tell_the_same(draw_discs: DrawDiscs, dark: Predictor) -> None:
    """A later run finds what the first has found; of many clicks the same few are looked at."""
    radii = [9.0, 10, 11] * (len(PLACES) // 3)
    discs = [(x, y, radius) for (x, y), radius in zip(PLACES, radii, strict=True)]
    clicks = [click_at(x, y) for x, y, _ in discs]
    assert len(clicks) > MOST_CLICKS + 1

    with open_slide(draw_discs(discs, size=(2400, 1200))) as slide:
        found = {estimate_mpp(given, slide, predictor=dark) for given in (clicks, clicks[::-1], clicks[1:])}

    assert len(found) == 1


def test_clicks_beside_the_slide_and_on_the_background_tell_nothing(draw_discs: DrawDiscs, dark: Predictor) -> None:
    """Neither has an object: the click in a disc of 45 px is one on the background here."""
    x, y = PLACES[1]
    more = [click_at(-50, 10), click_at(9000, 10), click_at(x, y, class_name="Ignore*")]

    assert _estimate(draw_discs, dark, [10], *more) == _estimate(draw_discs, dark, [10])


def test_no_object_under_any_click_is_refused(draw_discs: DrawDiscs, dark: Predictor) -> None:
    """With what to do; nothing is made up."""
    with open_slide(draw_discs([])) as slide, pytest.raises(NoPixelSizeError, match="no object under the clicks that tells it; pass --mpp"):
        estimate_mpp([click_at(50, 50)], slide, predictor=dark)


def test_objects_that_differ_too_much_are_told(draw_discs: DrawDiscs, dark: Predictor, caplog: pytest.LogCaptureFixture) -> None:
    """The size that most agree on is taken, but somebody should look."""
    _estimate(draw_discs, dark, [10, 10, 10, 11])
    assert caplog.messages == []

    found = _estimate(draw_discs, dark, [5, 10.5, 22, 46, 96])

    [line] = caplog.messages
    assert "of 5 points have objects of one size" in line
    assert found == pytest.approx(0.25 * OBJECT_PX / 21, rel=1.2)  # one of the sizes that are there


def test_clicks_outvote_one_on_something_else(draw_discs: DrawDiscs, dark: Predictor) -> None:
    """Magnification is a property of the image: of two clicks and one, the scale is that of the two, whatever the third has."""
    for radius in (30, 60, 120):
        assert _estimate(draw_discs, dark, [10, 10, radius]) == _estimate(draw_discs, dark, [10, 10])


def test_a_stop_is_heeded(draw_discs: DrawDiscs, dark: Predictor) -> None:
    """Between two scales as within one."""
    with open_slide(draw_discs([(60, 60, 10)])) as slide, pytest.raises(Stopped):
        estimate_mpp([click_at(60, 60)], slide, predictor=dark, stopped=lambda: True)


@pytest.mark.skipif(not os.environ.get("NUCLICK_SHARED"), reason="set NUCLICK_SHARED to a folder with data/cells/train")
@pytest.mark.parametrize("zoom", [0.3, 1.0, 2.5])
def test_real_cells_tell_their_scale(cells: Predictor, zoom: float) -> None:
    """Of cells that training held out: nobody states a size, and each is shown within a factor of 1.2 of the size of the model."""
    folder = Path(os.environ["NUCLICK_SHARED"], "data", "cells", "train")
    for path, label_path in [*find_pairs(folder, "bccd_*1.jpg")[:3], *find_pairs(folder, "wbc1_*1.png")[:3]]:
        pixels, labels = read_pair(path, label_path)
        rows, cols = np.argwhere(labels == 1).mean(axis=0) + 0.5
        diameter = 2 * np.sqrt((labels == 1).sum() / np.pi) * zoom
        size = round(pixels.shape[1] * zoom), round(pixels.shape[0] * zoom)
        with open_array(np.asarray(Image.fromarray(pixels).resize(size, Image.Resampling.BICUBIC))) as slide:
            mpp = estimate_mpp([click_at(cols * zoom, rows * zoom)], slide, predictor=cells)

        assert cells.card.object_px is not None
        assert diameter * mpp / cells.card.mpp == pytest.approx(cells.card.object_px, rel=0.2), path.name


def test_cells_are_found_at_the_scale_that_they_tell(cells: Predictor) -> None:
    """No figure of the drawing is known to the model; each cell is shown with about as many pixels as it was trained on."""
    pixels, places = draw_smear()
    with open_array(pixels) as slide:
        mpp = estimate_mpp([click_at(x, y) for x, y in places], slide, predictor=cells)

    assert cells.card.object_px is not None
    assert 2 * np.median([r for _, _, r in CELLS]) * mpp / cells.card.mpp == pytest.approx(cells.card.object_px, rel=0.1)
