"""Vendor formats (SVS, NDPI, MRXS, SCN, DICOM ...) and generic pyramidal TIFF through OpenSlide."""

import math
import re
from pathlib import Path
from typing import TYPE_CHECKING, Self

import numpy as np
from numpy.typing import NDArray

from nuclick_qp.errors import UnreadableSlideError
from nuclick_qp.slides.colour import WHITE, flatten
from nuclick_qp.slides.pixel_size import mean_mpp
from nuclick_qp.slides.reader import Box

if TYPE_CHECKING:
    from openslide import OpenSlide

CELL = 256  # level px; see `OpenSlideReader.read_level`


def openslide_vendor(path: Path) -> str | None:
    """Give OpenSlide's name of the format, judged by content; None when it is none of its own."""
    import openslide  # noqa: PLC0415  # loads a C library

    try:
        return openslide.OpenSlide.detect_format(str(path))
    except openslide.OpenSlideError:
        return None


class OpenSlideReader:
    """Pyramid levels of an open OpenSlide handle; see `nuclick_qp.slides.reader.Reader`.

    Parameters
    ----------
    path
        Of the file, for messages.
    handle
        The open slide; closed together with the reader.
    is_cropped
        Whether to show the scanned bounds only, where the slide states them.
    """

    is_shareable = True  # OpenSlide decodes for several threads at once since 3.3.1; only closing has to be alone

    def __init__(self, path: Path, handle: "OpenSlide", *, is_cropped: bool = True) -> None:
        self._path = path
        self._handle = handle
        self.level_sizes: tuple[tuple[int, int], ...] = tuple(handle.level_dimensions)
        self.bounds = self._read_bounds() if is_cropped else (0, 0, *self.level_sizes[0])
        self.mpp = mean_mpp(self._number("openslide.mpp-x"), self._number("openslide.mpp-y"))
        self._background = self._read_background()

    @classmethod
    def open(cls, path: Path, *, is_cropped: bool = True) -> Self:
        """Open a file and decode one pixel of it.

        Raises
        ------
        UnreadableSlideError
            If OpenSlide refuses the file.
        """
        import openslide  # noqa: PLC0415  # loads a C library

        try:
            handle = openslide.OpenSlide(str(path))
        except openslide.OpenSlideError as err:
            raise _unreadable(path, err) from err
        try:
            reader = cls(path, handle, is_cropped=is_cropped)
            reader.read_level(len(reader.level_sizes) - 1, (0, 0, 1, 1))
        except BaseException:
            handle.close()
            raise
        return reader

    def read_level(self, level: int, box: Box) -> NDArray[np.uint8]:
        """Read a box of level pixels as (H, W, 3) uint8 RGB.

        OpenSlide takes the corner in level-0 pixels. Where its downsample is no whole number that
        corner falls between level pixels, and the pixels are blended differently for every
        corner. Such levels are therefore read in cells whose corners do not depend on the box.

        Raises
        ------
        UnreadableSlideError
            If the pixels cannot be decoded.
        """
        left, top, right, bottom = box
        downsample = self._handle.level_downsamples[level]
        if float(downsample).is_integer():
            return self._read_at(level, (left, top), (right - left, bottom - top))
        pixels = np.empty((bottom - top, right - left, 3), np.uint8)
        for y in range(top - top % CELL, bottom, CELL):
            for x in range(left - left % CELL, right, CELL):
                cell = self._read_at(level, (x, y), (CELL, CELL))
                rows, cols = slice(max(y, top), min(y + CELL, bottom)), slice(max(x, left), min(x + CELL, right))
                part = cell[rows.start - y : rows.stop - y, cols.start - x : cols.stop - x]
                pixels[rows.start - top : rows.stop - top, cols.start - left : cols.stop - left] = part
        return pixels

    def close(self) -> None:
        """Close the file."""
        self._handle.close()

    def _read_at(self, level: int, corner: tuple[int, int], size: tuple[int, int]) -> NDArray[np.uint8]:
        import openslide  # noqa: PLC0415  # loads a C library

        downsample = self._handle.level_downsamples[level]
        location = (round(corner[0] * downsample), round(corner[1] * downsample))
        try:
            return flatten(self._handle.read_region(location, level, size), self._background)
        except openslide.OpenSlideError as err:
            raise _unreadable(self._path, err) from err

    def _read_bounds(self) -> Box:
        """Give the scanned part of level 0: MRXS slides are mostly emptiness around it."""
        full_width, full_height = self.level_sizes[0]
        x, y, width, height = (self._number(f"openslide.bounds-{name}") for name in ("x", "y", "width", "height"))
        if x is None or y is None or width is None or height is None:
            return 0, 0, full_width, full_height
        return int(x), int(y), int(x + width), int(y + height)

    def _read_background(self) -> tuple[int, int, int]:
        text = self._handle.properties.get("openslide.background-color", "")
        if not re.fullmatch("[0-9a-fA-F]{6}", text):
            return WHITE
        red, green, blue = bytes.fromhex(text)
        return red, green, blue

    def _number(self, name: str) -> float | None:
        """Read a property that should be a finite number."""
        try:
            value = float(self._handle.properties.get(name, ""))
        except ValueError:
            return None
        return value if math.isfinite(value) else None


def _unreadable(path: Path, err: Exception) -> UnreadableSlideError:
    return UnreadableSlideError(f"{path} cannot be read by OpenSlide ({err}); copy the slide anew, with its folder if it has one")
