"""Tests of `nuclick_qp.slides.slide`: several threads on one slide."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from nuclick_qp.geometry import Window
from nuclick_qp.slides import Slide, open_slide
from nuclick_qp.slides.reader import Box
from written_slides import write_generic, write_ome

LONG = 20.0  # seconds after which a test does not wait any more


class _Meeting:
    """A reader that notes how many threads are in it, and waits for a second one where it may come."""

    mpp: float | None = None

    def __init__(self, *, is_shareable: bool) -> None:
        self.is_shareable = is_shareable
        self.level_sizes: tuple[tuple[int, int], ...] = ((64, 64),)
        self.bounds: Box = (0, 0, 64, 64)
        self.inside, self.most, self.is_closed = 0, 0, False
        self.met, self.gate = threading.Barrier(2), threading.Event()

    def read_level(self, level: int, box: Box) -> NDArray[np.uint8]:
        self.inside += 1
        self.most = max(self.most, self.inside)
        if self.is_shareable:
            self.met.wait(LONG)
        self.gate.wait(LONG)
        assert not self.is_closed
        self.inside -= 1
        return np.zeros((box[3] - box[1], box[2] - box[0], 3), np.uint8)

    def close(self) -> None:
        self.is_closed = True


@pytest.mark.parametrize("is_shareable", [False, True])
def test_threads_read_at_once_where_the_reader_lets_them(is_shareable: bool) -> None:
    """Else one after the other; closing waits for those that read, and whoever comes later is told."""
    reader = _Meeting(is_shareable=is_shareable)
    slide = Slide(Path("slide"), reader)
    with ThreadPoolExecutor(3) as pool:
        reads = [pool.submit(slide.read, Window(0, 0, 8, 8)) for _ in range(2)]
        while reader.inside < 1 + is_shareable:
            threading.Event().wait(0.01)
        closing = pool.submit(slide.close)
        assert not closing.done()
        reader.gate.set()
        assert all(read.result(LONG).shape == (8, 8, 3) for read in reads)
        closing.result(LONG)

    assert reader.is_closed
    assert reader.most == 1 + is_shareable
    with pytest.raises(ValueError, match="was closed"):
        slide.read(Window(0, 0, 8, 8))


@pytest.mark.parametrize("write", [write_generic, write_ome])
def test_what_threads_read_at_once_is_what_one_reads(tmp_path: Path, write: Callable[[Path, NDArray[np.uint8]], None]) -> None:
    """Of a pyramid through OpenSlide, and of one through tifffile."""
    path = tmp_path / "slide.tif"
    write(path, np.random.default_rng(0).integers(0, 256, (512, 640, 3), np.uint8))
    windows = [Window(x, y, 90, 70, scale) for x in range(0, 300, 50) for y in range(0, 200, 50) for scale in (1.0, 1.7, 4.0)]
    with open_slide(path) as slide:
        expected = [slide.read(window) for window in windows]

    with open_slide(path) as slide, ThreadPoolExecutor(8) as pool:
        found = list(pool.map(slide.read, windows))

    assert all(np.array_equal(one, other) for one, other in zip(found, expected, strict=True))
