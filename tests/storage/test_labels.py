"""Label images of all bit depths beside their pictures."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tifffile
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
