"""Run lengths of COCO, against those of pycocotools."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray
from pycocotools import mask as coco_mask

from nuclick_qp.export.coco import run_lengths


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # of pycocotools 2.0.11
@given(
    mask=arrays(np.bool_, st.tuples(st.integers(0, 6), st.integers(0, 6))),
    place=st.tuples(st.integers(0, 3), st.integers(0, 3)),
    rest=st.tuples(st.integers(0, 3), st.integers(0, 3)),
)
def test_run_lengths_are_those_of_pycocotools(mask: NDArray[np.bool_], place: tuple[int, int], rest: tuple[int, int]) -> None:
    """Any mask at any place of a tile: runs that meet at the end of a column are one, and each pixel comes back."""
    height, width = (p + m + r for p, m, r in zip(place, mask.shape, rest, strict=True))
    whole = np.zeros((max(height, 1), max(width, 1)), np.uint8)
    box = (slice(place[0], place[0] + mask.shape[0]), slice(place[1], place[1] + mask.shape[1]))
    whole[box] = mask

    found = run_lengths(mask, box, height=whole.shape[0], width=whole.shape[1])

    encoded = coco_mask.frPyObjects({"size": list(found.size), "counts": list(found.counts)}, *whole.shape)
    assert encoded["counts"] == coco_mask.encode(np.asfortranarray(whole))["counts"]
