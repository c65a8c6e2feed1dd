"""Label images of all bit depths beside their pictures."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from numpy.typing import NDArray
from PIL import Image

from nuclick_qp.errors import LabelsError
from nuclick_qp.storage.labels import find_pairs, read_pair


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.uint32])
@pytest.mark.parametrize("suffix", [".tif", ".tiff"])
def test_label_images_may_be_tiff(draw_pair: Callable[..., Path], dtype: type[np.generic], suffix: str) -> None:
    """Of 8, 16 and unsigned 32 bits; the numbers are the same as in a PNG."""
    folder = draw_pair("one/discs", [(60.0, 60.0, 12.0), (200.0, 150.0, 12.0)])
    old = folder / "discs_label.png"
    numbers = np.asarray(Image.open(old))
    tifffile.imwrite(folder / f"discs_label{suffix}", numbers.astype(dtype), compression="zlib")
    old.unlink()

    ((image, labels),) = find_pairs(folder)

    assert labels.suffix == suffix
    assert np.array_equal(read_pair(image, labels)[1], numbers)


def test_broken_label_tiff_is_named(draw_pair: Callable[..., Path]) -> None:
    """One line with the file, as for a broken PNG."""
    folder = draw_pair("one/discs", [(60.0, 60.0, 12.0)])
    (folder / "discs_label.png").rename(folder / "discs_label.tif")

    with pytest.raises(LabelsError, match=r"discs_label\.tif cannot be read as an image"):
        read_pair(*find_pairs(folder)[0])


def labelled(folder: Path, numbers: NDArray[Any]) -> tuple[Path, Path]:
    """Write a picture, and labels as a TIFF beside it."""
    image, labels = folder / "drawn.png", folder / "drawn_label.tif"
    Image.new("RGB", (numbers.shape[1], numbers.shape[0])).save(image)
    tifffile.imwrite(labels, numbers)
    return image, labels


@pytest.mark.parametrize(("large", "dtype"), [(2**40 + 7, np.int64), (2**31, np.uint32), (2**63, np.uint64), (500_000_000, np.int32)])
def test_labels_that_are_too_large_are_numbered_anew(tmp_path: Path, large: int, dtype: type[np.generic]) -> None:
    """They stay objects of their own, in their order: nothing wraps to the number of another, and no table grows with them."""
    numbers = np.zeros((20, 20), dtype)
    numbers[2:6, 2:6], numbers[10:14, 10:14] = 7, large

    _, read = read_pair(*labelled(tmp_path, numbers))

    assert np.unique(read).tolist() == [0, 1, 2]
    assert np.array_equal(read == 2, numbers == large)


def test_large_labels_without_background_start_at_one(tmp_path: Path) -> None:
    """Else the first object would become background."""
    numbers = np.full((20, 20), 2**30, np.int32)
    numbers[:, 10:] = 2**30 + 1

    _, read = read_pair(*labelled(tmp_path, numbers))

    assert np.unique(read).tolist() == [1, 2]


@pytest.mark.parametrize("wrong", [-1, 1.5, float("nan"), 1e30, 1j])
def test_what_is_no_label_is_refused(tmp_path: Path, wrong: complex) -> None:
    """Negative, broken, endless or complex numbers cannot be told to be one object or another."""
    numbers = np.zeros((20, 20), np.array(wrong).dtype)
    numbers[5:10, 5:10] = wrong

    with pytest.raises(LabelsError, match=r"drawn_label\.tif holds"):
        read_pair(*labelled(tmp_path, numbers))


def test_whole_numbers_may_be_stored_as_floats(tmp_path: Path) -> None:
    """Several programs write all images so."""
    numbers = np.zeros((20, 20), np.float32)
    numbers[5:10, 5:10] = 3

    assert np.array_equal(read_pair(*labelled(tmp_path, numbers))[1], numbers)


def test_an_image_too_large_to_hold_is_refused_by_its_header(tmp_path: Path) -> None:
    """Before a pixel is decoded."""
    image, labels = labelled(tmp_path, np.ones((4, 4), np.uint8))
    Image.new("1", (16384, 8192)).save(image)

    with pytest.raises(LabelsError, match="134,217,728 px"):
        read_pair(image, labels)


@pytest.mark.parametrize("place", range(8, 200, 4))
def test_a_damaged_label_tiff_is_one_clear_line(draw_pair: Callable[..., Path], place: int) -> None:
    """Whatever byte is damaged: it is read all the same, or refused with its name; decoders raise errors of many kinds."""
    folder = draw_pair("one/discs", [(60.0, 60.0, 12.0), (200.0, 150.0, 12.0)])
    numbers = np.asarray(Image.open(folder / "discs_label.png"))
    (folder / "discs_label.png").unlink()
    path = folder / "discs_label.tif"
    tifffile.imwrite(path, numbers, compression="zlib")
    data = bytearray(path.read_bytes())
    data[-place : -place + 3] = b"\xff\x7f\xff"
    path.write_bytes(data)

    try:
        read_pair(folder / "discs.png", path)
    except LabelsError as err:
        assert str(path) in str(err)  # noqa: PT017  # an image that can be read in spite of it is well, too


@pytest.mark.parametrize("pattern", ["", "/etc/*", "**x"])
def test_what_is_no_pattern_is_told(draw_pair: Callable[..., Path], pattern: str) -> None:
    """An empty one, one of a whole path, and two stars inside a name."""
    folder = draw_pair("one/discs", [(60.0, 60.0, 12.0)])

    with pytest.raises(LabelsError, match=r"match|is no pattern of file names"):
        find_pairs(folder, pattern)


def test_a_folder_whose_name_is_too_long_is_not_there() -> None:
    """No disk takes such a name; `Path.is_dir` raises."""
    with pytest.raises(LabelsError, match="does not exist"):
        find_pairs(Path("n" * 300), "*_label.png")


def test_a_folder_that_is_not_there_is_told_as_such(tmp_path: Path) -> None:
    """It does not "hold no images"; neither does a file."""
    (tmp_path / "file").touch()

    with pytest.raises(LabelsError, match="gone does not exist"):
        find_pairs(tmp_path / "gone")
    with pytest.raises(LabelsError, match="file is no folder"):
        find_pairs(tmp_path / "file")
