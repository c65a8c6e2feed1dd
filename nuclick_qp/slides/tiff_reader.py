"""OME-TIFF, and TIFF that OpenSlide refuses, through tifffile: one tile or strip at a time."""

from collections import OrderedDict
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple, Self

import numpy as np
import tifffile
from numpy.typing import NDArray

from nuclick_qp.errors import UnreadableSlideError
from nuclick_qp.slides.colour import to_eight_bits, to_rgb, warn_of_sixteen_bits
from nuclick_qp.slides.ome import OmeImage, read_ome
from nuclick_qp.slides.pixel_size import MICROMETRES, mean_mpp
from nuclick_qp.slides.reader import Box
from nuclick_qp.slides.tiff_layout import REMEDY, Layout, is_direct, layout_of, pick_series, segment_bytes
from nuclick_qp.storage.damaged_images import DAMAGED

LARGEST_SEGMENT = 600_000_000  # bytes of one decoded tile or strip; an image of 200 megapixels may be one
CACHE_BYTES = 2**27  # decoded segments that are kept; neighbouring windows share them


class _Segment(NamedTuple):
    """A decoded tile or strip: (H, W, C) samples, and where its first row and column lie on the level."""

    samples: NDArray[Any]
    row: int
    col: int


class TiffReader:
    """Pyramid levels of one series of a TIFF; see `nuclick_qp.slides.reader.Reader`.

    Segments are decoded as they are needed, by tifffile's own decoder: through a zarr store the
    same read takes five times as long. Segments that were never written are white.

    Parameters
    ----------
    path
        Of the file, for messages.
    file
        The open file; closed together with the reader.
    series
        Which of its images.
    """

    is_shareable = False  # one place in the file, and one cache

    def __init__(self, path: Path, file: tifffile.TiffFile, series: int) -> None:
        image = pick_series(path, file, series)
        self._path = path
        self._file = file
        self._levels = tuple(image.levels)
        self._layout = _checked_layout(path, self._levels)
        self.level_sizes: tuple[tuple[int, int], ...] = tuple(_size(level.keyframe) for level in self._levels)
        width, height = self.level_sizes[0]
        self.bounds: Box = (0, 0, width, height)
        ome = read_ome(file.ome_metadata or "", series, (width, height)) if file.is_ome else None
        if self._layout.planes_are_pages and not (ome and ome.is_stained):
            raise UnreadableSlideError(f"{path} has 3 separate channels that are not red, green and blue; {REMEDY}")
        self.mpp = ome.mpp if ome else _tagged_mpp(image.keyframe)
        self._bits = (ome or OmeImage()).significant_bits or self._layout.bits
        if self._layout.bits == self._bits == 16:
            warn_of_sixteen_bits(path)
        self._premultiplied = tifffile.EXTRASAMPLE.ASSOCALPHA in image.keyframe.extrasamples
        self._has_alpha = self._premultiplied or tifffile.EXTRASAMPLE.UNASSALPHA in image.keyframe.extrasamples
        self._cache: OrderedDict[tuple[int, int, int], _Segment | None] = OrderedDict()
        self._cached_bytes = 0

    @classmethod
    def open(cls, path: Path, *, series: int = 0) -> Self:
        """Open a file and decode one pixel of it.

        Raises
        ------
        UnreadableSlideError
            If tifffile cannot read the series, or it is no brightfield picture.
        """
        try:
            file = tifffile.TiffFile(path)
        except DAMAGED as err:
            raise _damaged(path, err) from err
        try:
            reader = cls(path, file, series)
            reader.read_level(len(reader.level_sizes) - 1, (0, 0, 1, 1))
        except BaseException as err:
            file.close()
            if isinstance(err, DAMAGED):
                raise _damaged(path, err) from err
            raise
        return reader

    def read_level(self, level: int, box: Box) -> NDArray[np.uint8]:
        """Read a box of level pixels as (H, W, 3) uint8 RGB.

        Raises
        ------
        UnreadableSlideError
            If the pixels cannot be decoded.
        """
        try:
            return self._as_rgb(self._samples(level, box))
        except DAMAGED as err:
            raise _damaged(self._path, err) from err

    def close(self) -> None:
        """Close the file and let go of decoded segments."""
        self._cache.clear()
        self._file.close()

    def _samples(self, level: int, box: Box) -> NDArray[Any]:
        """Read a box as (H, W, channels) samples of the file's own type."""
        left, top, right, bottom = box
        layout = self._layout
        dtype = np.uint8 if layout.bits == 8 else np.uint16
        samples = np.full((bottom - top, right - left, layout.channels), np.iinfo(dtype).max, dtype)
        for plane in range(layout.planes):
            channel = slice(None) if layout.planes == 1 else slice(plane, plane + 1)
            for part in self._segments(level, plane, box):
                rows = slice(max(part.row, top), min(part.row + part.samples.shape[0], bottom))
                cols = slice(max(part.col, left), min(part.col + part.samples.shape[1], right))
                inner = part.samples[rows.start - part.row : rows.stop - part.row, cols.start - part.col : cols.stop - part.col]
                samples[rows.start - top : rows.stop - top, cols.start - left : cols.stop - left, channel] = inner
        return samples

    def _as_rgb(self, samples: NDArray[Any]) -> NDArray[np.uint8]:
        narrow = samples if samples.dtype == np.uint8 else to_eight_bits(samples, self._bits)
        if narrow.shape[-1] == 4 and not self._has_alpha:
            narrow = narrow[..., :3]  # a fourth sample that the file does not call alpha
        return to_rgb(narrow, premultiplied=self._premultiplied)

    def _segments(self, level: int, plane: int, box: Box) -> Iterator[_Segment]:
        """Give the decoded segments of a plane that a box touches."""
        left, top, right, bottom = box
        page = self._levels[level].keyframe
        if page.is_tiled:
            height, width = page.tilelength, page.tilewidth
        else:
            height, width = min(page.rowsperstrip, page.imagelength), page.imagewidth
        across, down = -(-page.imagewidth // width), -(-page.imagelength // height)
        first = 0 if self._layout.planes_are_pages else plane * across * down
        for row in range(top // height, (bottom - 1) // height + 1):
            for col in range(left // width, (right - 1) // width + 1):
                segment = self._segment(level, plane, first + row * across + col)
                if segment is not None:
                    yield segment

    def _segment(self, level: int, plane: int, index: int) -> _Segment | None:
        """Give one decoded segment, None when the file has nothing there; keeps the latest."""
        key = (level, plane, index)
        if key in self._cache:
            self._cache.move_to_end(key)
            return self._cache[key]
        segment = self._decode(level, plane, index)
        self._cache[key] = segment
        self._cached_bytes += segment.samples.nbytes if segment else 0
        while self._cached_bytes > CACHE_BYTES and len(self._cache) > 1:
            _, oldest = self._cache.popitem(last=False)
            self._cached_bytes -= oldest.samples.nbytes if oldest else 0
        return segment

    def _decode(self, level: int, plane: int, index: int) -> _Segment | None:
        """Read and decode one segment."""
        image = self._levels[level]
        page = image.pages[plane if self._layout.planes_are_pages else 0]
        assert page is not None  # `layout_of` refuses series that lack pages
        size = page.databytecounts[index]
        if size == 0:
            return None
        handle = page.parent.filehandle
        if page.dataoffsets[index] + size > handle.size:
            raise ValueError(f"it ends {page.dataoffsets[index] + size - handle.size} bytes too early")
        handle.seek(page.dataoffsets[index])
        data = handle.read(size)
        samples, (_, _, row, col, _), shape = image.keyframe.decode(data, index, jpegtables=page.jpegtables)
        assert samples is not None  # only for segments without data
        short = min(shape[1], image.keyframe.imagelength - row) - samples.shape[1]
        if short > 0:
            raise ValueError(f"{short} rows of pixels are missing")
        return _Segment(samples[0], row, col)


def _checked_layout(path: Path, levels: tuple[tifffile.TiffPageSeries, ...]) -> Layout:
    """Give the layout that all levels share, in samples that need no palette."""
    layout = layout_of(path, levels[0])
    if not layout.bits or layout.bits > 16:
        raise UnreadableSlideError(f"{path} has pixels of type {levels[0].dtype}; {REMEDY}, 8 bits a channel")
    if not is_direct(levels[0].keyframe):
        raise UnreadableSlideError(f"{path} has colours of kind {levels[0].keyframe.photometric!s}; {REMEDY}")
    for page in (level.keyframe for level in levels):
        if segment_bytes(page) > LARGEST_SEGMENT:
            raise UnreadableSlideError(f"{path} holds {segment_bytes(page):,} bytes in one tile or strip; {REMEDY}, in tiles")
    if any(layout_of(path, level) != layout for level in levels[1:]):
        raise UnreadableSlideError(f"{path} changes its channels from one pyramid level to the next; {REMEDY}")
    return layout


def _size(page: tifffile.TiffPage) -> tuple[int, int]:
    """Give width and height of a level."""
    return page.imagewidth, page.imagelength


def _tagged_mpp(page: tifffile.TiffPage) -> float | None:
    """Read the resolution tags, where their unit is a length."""
    unit = {int(tifffile.RESUNIT.INCH): "in", int(tifffile.RESUNIT.CENTIMETER): "cm"}.get(page.resolutionunit)
    per_unit = page.resolution
    if unit is None or not all(value > 0 for value in per_unit):
        return None
    return mean_mpp(*(MICROMETRES[unit] / value for value in per_unit))


def _damaged(path: Path, err: Exception) -> UnreadableSlideError:
    detail = " ".join(str(err).split()) or type(err).__name__
    return UnreadableSlideError(f"{path} cannot be read by tifffile ({detail}); copy the file anew, or export it as RGB OME-TIFF")
