"""Tests of `nuclick_qp.evaluation.tables.labelled_sets`: what the tables read, and at which size."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from nuclick_qp.errors import LabelsError
from nuclick_qp.evaluation.tables.labelled_sets import Folder, Size, joined, read_set, touching_set

DISCS = [(60, 60, 9), (340, 60, 9), (200, 150, 12), (60, 240, 9), (340, 240, 9)]  # of 300 x 400 px


@pytest.fixture
def data(tmp_path: Path, draw_pair: Callable[..., Path]) -> Path:
    """Draw five images of 300 x 400 px with five discs each."""
    for number in range(5):
        draw_pair(f"discs/image_{number}", DISCS)
    return tmp_path


def test_a_set_has_all_images_at_one_resolution(data: Path) -> None:
    """Areas change with the square of the pixel size; numbers of objects stay."""
    finer, same = (read_set("discs", [Folder("discs", "*", 0.25)], data, mpp=mpp, size=Size()) for mpp in (0.125, 0.25))

    assert len(finer.pairs) == len(finer.names) == 5
    for (pixels, truth), (small, small_truth) in zip(finer.pairs, same.pairs, strict=True):
        assert pixels.shape == (600, 800, 3)
        assert small.shape == (300, 400, 3)
        assert np.array_equal(np.unique(truth), np.unique(small_truth))
        assert np.bincount(truth.ravel())[1:] == pytest.approx(4 * np.bincount(small_truth.ravel())[1:], rel=0.02)


def test_a_small_budget_takes_images_from_all_over_and_their_middles(data: Path) -> None:
    """The first and the last are among them; objects of which the cut leaves hardly a pixel are none."""
    small = read_set("discs", [Folder("discs", "*", 0.25)], data, mpp=0.25, size=Size(3, 44))

    assert small.names == ("image_0.png", "image_2.png", "image_4.png")
    for pixels, truth in small.pairs:
        assert pixels.shape == (44, 44, 3)
        assert set(np.unique(truth).tolist()) == {0, 3}


def test_images_that_then_show_no_object_are_left_out(data: Path, draw_pair: Callable[..., Path]) -> None:
    """Settings would be chosen on nothing; where none shows one, that is said."""
    draw_pair("corners/image_0", [(20, 20, 9)])
    draw_pair("corners/image_1", DISCS)
    whole = read_set("corners", [Folder("corners", "*", 0.25)], data, mpp=0.25, size=Size())

    assert whole.taken(Size(2, 44)).names == ("image_1.png",)
    with pytest.raises(LabelsError, match="corners: no image shows an object in the 44 px in its middle"):
        whole.taken(Size(1, 44))


def test_cells_of_single_images_come_to_touch(data: Path) -> None:
    """The same canvases for the same seed, others for another."""
    single = read_set("discs", [Folder("discs", "*", 0.25)], data, mpp=0.25, size=Size())

    made, again, other = (touching_set("touching", single, images=2, canvas_px=160, cells=(6, 6), seed=seed) for seed in (1, 1, 2))

    assert made.names == ("discs canvas 001", "discs canvas 002")
    for (pixels, truth), (same, _), (different, _) in zip(made.pairs, again.pairs, other.pairs, strict=True):
        assert pixels.shape == (160, 160, 3)
        assert len(np.unique(truth)) > 4
        assert np.array_equal(pixels, same)
        assert not np.array_equal(pixels, different)
        touching = (truth[:, 1:] != truth[:, :-1]) & (truth[:, 1:] > 0) & (truth[:, :-1] > 0)
        assert touching.any()


def test_other_masks_go_with_the_same_images_and_sets_go_together(data: Path) -> None:
    """A student learns from the one or the other."""
    given = read_set("discs", [Folder("discs", "*", 0.25)], data, mpp=0.25, size=Size(2))

    other = given.with_truth("ours", [truth * 2 for _, truth in given.pairs])
    both = joined("both", [given, other])

    assert (other.name, other.names) == ("ours", given.names)
    assert all(np.array_equal(one[0], two[0]) for one, two in zip(given.pairs, other.pairs, strict=True))
    assert (both.name, both.names, len(both.pairs)) == ("both", given.names * 2, 4)


def test_a_square_that_shows_nothing_is_told(tmp_path: Path, draw_pair: Callable[..., Path]) -> None:
    """In one line, before anything is trained."""
    draw_pair("apart/image", DISCS[:2])

    with pytest.raises(LabelsError, match="no image shows an object in the 40 px"):
        read_set("apart", [Folder("apart", "*", 0.25)], tmp_path, mpp=0.25, size=Size(crop_px=40))


def test_a_folder_that_is_not_there_is_named(data: Path) -> None:
    """With what to give."""
    with pytest.raises(LabelsError, match="nowhere does not exist"):
        read_set("x", [Folder("nowhere", "*", 0.25)], data, mpp=0.25, size=Size())
