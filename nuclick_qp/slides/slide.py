"""One `Slide` for the pixels of a window, whatever the file."""

import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from nuclick_qp.errors import SlideSizeMismatchError, UnreadableSlideError
from nuclick_qp.geometry import Window
from nuclick_qp.slides.colour import WHITE
from nuclick_qp.slides.reader import Box, Reader
from nuclick_qp.slides.resample import Axis, best_level, nominal_downsample, resample_block
from nuclick_qp.slides.view import Step, View

LARGEST_SOURCE = 2**24  # level px held at once while a window is read (48 MB), unless one block needs more


class Slide:
    """An open slide: size, pixel size, and the pixels of any window; a context manager.

    Several threads may read from it, at once where its reader lets them, else in turn; closing waits for them.

    Parameters
    ----------
    path
        Of the file, for messages.
    reader
        The open file; closed together with the slide.
    steps
        What makes the image out of the file, first step first; none for the file as it is.

    Attributes
    ----------
    width, height
        Level-0 pixels of the image, cropped to the scanned bounds where the file states them, as QuPath shows it.
    file_size
        (width, height) before any step: those of the image, unless it is cropped or turned.
    mpp
        Micrometres per level-0 pixel, mean of x and y; None when the file does not say.
    view
        Which part of the file the image is, and how it lies there.
    bounds_origin
        (x, y) of that part's top left corner in the uncropped level 0 of the file.
    levels
        Level-0 pixels per pixel of each pyramid level, 1.0 first.

    Raises
    ------
    UnreadableSlideError
        If the file states no positive size.
    SlideSizeMismatchError
        If a step crops to more than there is.
    """

    def __init__(self, path: Path, reader: Reader, *, steps: tuple[Step, ...] = ()) -> None:
        left, top, right, bottom = reader.bounds
        sizes = reader.level_sizes
        if right <= left or bottom <= top:
            raise UnreadableSlideError(f"{path} is damaged: it says it has {right - left} x {bottom - top} pixels; copy the file anew")
        self.path = path
        self.file_size = (right - left, bottom - top)
        self.view = View.of(steps, width=right - left, height=bottom - top, source=path)
        self.width, self.height = self.view.size
        self.mpp = reader.mpp
        part = self.view.box
        bounds = (left + part[0], top + part[1], left + part[2], top + part[3])
        self.bounds_origin = bounds[:2]
        self.levels = tuple(nominal_downsample(sizes[0], size) for size in sizes)
        self._shown = tuple(_shown_part(bounds, d, size) for d, size in zip(self.levels, sizes, strict=True))
        self._reader = reader
        self._turn: AbstractContextManager[object] = nullcontext() if reader.is_shareable else threading.Lock()
        self._state = threading.Condition()
        self._is_open, self._reading = True, 0  # under `_state`; the latter counts threads

    def read(self, window: Window) -> NDArray[np.uint8]:
        """Read the pixels of a window; what lies outside the slide is white.

        The centre of pixel [row, col] is sampled at slide-frame x = ``window.x + (col + 0.5) *
        window.scale``, y alike, from the coarsest pyramid level that has the detail. A window that
        falls on whole pixels of a level gives them unchanged. The pixels of a place depend on the
        grid (scale, and fraction of a pixel), not on the rest of the window.

        Returns
        -------
        (H, W, 3) uint8 array
            RGB; transparent parts lie on the slide's background colour, white where it has none.

        Raises
        ------
        UnreadableSlideError
            If the pixels cannot be decoded.
        """
        return self.view.arranged(self._read_part(self.view.window_in_box(window)))

    def source_of(self, window: Window) -> tuple[int, Box | None]:
        """Give the level that `read` takes a window from, and the box of level pixels; None for a window beside the slide."""
        level, axes = self._axes(self.view.window_in_box(window))
        if all(axis.is_aligned for axis in axes):
            spans = [(round(axis.edge(axis.first)), round(axis.edge(axis.first)) + axis.count) for axis in axes]
        else:
            spans = [(axis.source(axis.blocks[0])[0], axis.source(axis.blocks[-1])[1]) for axis in axes]
        (left, right), (top, bottom) = spans
        return level, _overlap((left, top, right, bottom), self._shown[level])

    def close(self) -> None:
        """Close the file."""
        with self._state:
            if self._is_open:
                self._is_open = False
                self._state.wait_for(lambda: not self._reading)
                self._reader.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def _read_part(self, window: Window) -> NDArray[np.uint8]:
        """Read a window of the part of the file, as it lies in the file."""
        level, (x, y) = self._axes(window)
        with self._kept_open(), self._turn:
            if x.is_aligned and y.is_aligned:
                left, top = round(x.edge(x.first)), round(y.edge(y.first))
                return self._read_padded(level, (left, top, left + x.count, top + y.count))
            canvas = Image.new("RGB", (x.count, y.count), WHITE)
            self._resample_into(canvas, level, (x, y), (x.blocks, y.blocks))
        return np.array(canvas)

    @contextmanager
    def _kept_open(self) -> Iterator[None]:
        """Keep the file from being closed."""
        with self._state:
            if not self._is_open:
                raise ValueError(f"{self.path} was closed; open it anew to read from it")
            self._reading += 1
        try:
            yield
        finally:
            with self._state:
                self._reading -= 1
                self._state.notify_all()

    def _axes(self, window: Window) -> tuple[int, tuple[Axis, Axis]]:
        """Place a window of the part of the file on the level that it is read from."""
        level = best_level(self.levels, window.scale)
        x, y = (
            Axis.of_window(start, count, scale=window.scale, downsample=self.levels[level], origin=origin)
            for start, count, origin in zip((window.x, window.y), (window.width, window.height), self.bounds_origin, strict=True)
        )
        return level, (x, y)

    def _resample_into(self, canvas: Image.Image, level: int, axes: tuple[Axis, Axis], blocks: tuple[range, range]) -> None:
        """Resample a rectangle of blocks; a large one in halves, so that memory stays bounded."""
        spans = [(axis.source(b[0])[0], axis.source(b[-1])[1]) for axis, b in zip(axes, blocks, strict=True)]
        (left, right), (top, bottom) = spans
        across, down = blocks
        if (right - left) * (bottom - top) > LARGEST_SOURCE and len(across) * len(down) > 1:
            for half in _halves(across, down):
                self._resample_into(canvas, level, axes, half)
            return
        if _overlap((left, top, right, bottom), self._shown[level]) is None:
            return
        source = Image.fromarray(self._read_padded(level, (left, top, right, bottom)))
        for row in down:
            for col in across:
                place = (col * axes[0].block - axes[0].first, row * axes[1].block - axes[1].first)
                canvas.paste(resample_block(source, (left, top), axes, (col, row)), place)

    def _read_padded(self, level: int, box: Box) -> NDArray[np.uint8]:
        """Read level pixels, with white where the slide does not reach."""
        left, top, right, bottom = box
        pixels = np.full((bottom - top, right - left, 3), 255, np.uint8)
        inside = _overlap(box, self._shown[level])
        if inside is not None:
            rows, cols = slice(inside[1] - top, inside[3] - top), slice(inside[0] - left, inside[2] - left)
            pixels[rows, cols] = self._reader.read_level(level, inside)
        return pixels


def check_size(slide: Slide, *, width: int, height: int, image_name: str) -> None:
    """Refuse a file that is not the one of which the project speaks.

    Parameters
    ----------
    width, height
        Of the file in level-0 pixels, before any step that makes the image.

    Raises
    ------
    SlideSizeMismatchError
        If they differ from those of the slide.
    """
    if slide.file_size != (width, height):
        raise SlideSizeMismatchError(
            f"{slide.path} has {slide.file_size[0]} x {slide.file_size[1]} pixels but image {image_name} of the project has "
            f"{width} x {height}; give the file that the project was made with, or add this one to QuPath as a new image"
        )


def _shown_part(bounds: Box, downsample: float, size: tuple[int, int]) -> Box:
    """Give the pixels of a level whose centres lie inside the bounds, and inside the level."""
    left, top, right, bottom = (int(np.ceil(edge / downsample - 0.5)) for edge in bounds)
    return max(left, 0), max(top, 0), min(right, size[0]), min(bottom, size[1])


def _overlap(a: Box, b: Box) -> Box | None:
    """Give what two boxes share, None when that is nothing."""
    left, top, right, bottom = max(a[0], b[0]), max(a[1], b[1]), min(a[2], b[2]), min(a[3], b[3])
    return (left, top, right, bottom) if left < right and top < bottom else None


def _halves(across: range, down: range) -> tuple[tuple[range, range], tuple[range, range]]:
    """Cut a rectangle of blocks in two on its longer side."""
    if len(across) >= len(down):
        middle = len(across) // 2
        return (across[:middle], down), (across[middle:], down)
    middle = len(down) // 2
    return (across, down[:middle]), (across, down[middle:])
