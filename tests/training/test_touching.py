"""Tests of `nuclick_qp.training.touching`."""

import numpy as np
import pytest
from scipy import ndimage
from skimage.draw import disk

from nuclick_qp.errors import TrainingDataError
from nuclick_qp.training.config import TouchingCells
from nuclick_qp.training.images import LabelledImage, labelled_image
from nuclick_qp.training.touching import clear_background, cut_out_cells, deform, touching_cells

GREY, PURPLE = (200, 190, 210), (110, 50, 150)
AREA = np.pi * 15**2


@pytest.fixture
def image() -> LabelledImage:
    """Draw one cell of radius 15 on grey."""
    return _image((50, 60))


def _image(centre: tuple[int, int]) -> LabelledImage:
    pixels, labels = np.full((100, 120, 3), GREY, np.uint8), np.zeros((100, 120), np.int32)
    place = disk(centre, 15, shape=labels.shape)
    pixels[place], labels[place] = PURPLE, 1
    return labelled_image("drawn", pixels, labels, zoom=1.0, weight=1.0)


def test_cells_touch_and_are_whole(image: LabelledImage) -> None:
    """Every cell is one part, touches another, and is where its colour is."""
    settings = TouchingCells(images=3, canvas_px=300, cells=(10, 12), weight=2.0)

    made = touching_cells([image], settings, share=1.0, rng=np.random.default_rng(0))

    assert len(made) == 3
    assert sum(canvas.weight for canvas in made) == pytest.approx(2.0)
    for canvas in made:
        assert 10 <= len(canvas.centroids) <= 12
        assert (canvas.pixels[ndimage.binary_erosion(canvas.labels > 0, iterations=3)][:, 1] < 100).mean() > 0.9
        assert np.median(canvas.pixels[canvas.labels == 0], axis=0) == pytest.approx(GREY, abs=2)
        for number in canvas.centroids[:, 0].tolist():
            mask = canvas.labels == number
            ring = ndimage.binary_dilation(mask, iterations=3) & ~mask
            assert ndimage.label(mask)[1] == 1
            assert (canvas.labels[ring] > 0).any()
            assert 0.4 * AREA < np.count_nonzero(mask) < 1.8 * AREA


def test_the_same_seed_makes_the_same_images(image: LabelledImage) -> None:
    """A run that goes on sees the canvases that it started with."""
    settings = TouchingCells(images=1, canvas_px=200, cells=(3, 3))
    one, two, other = (touching_cells([image], settings, share=1.0, rng=np.random.default_rng(s))[0] for s in (1, 1, 2))

    assert np.array_equal(one.pixels, two.pixels)
    assert not np.array_equal(one.pixels, other.pixels)


def test_cells_are_deformed(image: LabelledImage) -> None:
    """No two are alike; their size stays within the stated range."""
    (cell,) = cut_out_cells(image)
    rng = np.random.default_rng(0)

    areas = [np.count_nonzero(deform(cell, rng).mask) for _ in range(20)]

    assert len(set(areas)) > 10
    assert 0.5 * AREA < min(areas) < max(areas) < 1.8 * AREA


def test_the_background_shows_no_cell(image: LabelledImage) -> None:
    """What was a cell takes the colours of its surroundings, on any size of canvas."""
    canvas = clear_background(image, 250, np.random.default_rng(0))

    assert canvas.shape == (250, 250, 3)
    assert np.abs(canvas.astype(int) - GREY).max() <= 1


def test_cells_cut_by_the_image_are_left_out(image: LabelledImage) -> None:
    """Half a cell would teach straight edges; without any whole one there is nothing to make."""
    cut = _image((5, 60))

    assert cut_out_cells(cut) == []
    with pytest.raises(TrainingDataError, match="lies inside its image"):
        touching_cells([cut], TouchingCells(images=1), share=1.0, rng=np.random.default_rng(0))
