"""The pixels of a request as a slide: pieces of pyramid levels, and what is missing of them."""

import io
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from nuclick_qp.errors import UnreadableSlideError
from nuclick_qp.geometry import Window
from nuclick_qp.serve.schema import ImageFacts, PixelRegion, WantedRegion
from nuclick_qp.slides.array_reader import NAME
from nuclick_qp.slides.reader import Box
from nuclick_qp.slides.resample import nominal_downsample
from nuclick_qp.slides.slide import Slide

LARGEST_REGIONS = 2**26  # px of one request: 200 MB
FORMATS = {"png": "PNG", "jpeg": "JPEG"}


class RegionReader:
    """A `Reader` of the pixels that came with a request.

    Parameters
    ----------
    pieces
        Level, corner (x, y) in level pixels, and (H, W, 3) uint8 RGB of each region.
    """

    mpp: float | None = None
    is_shareable = True

    def __init__(self, level_sizes: Sequence[tuple[int, int]], pieces: Sequence[tuple[int, tuple[int, int], NDArray[np.uint8]]]) -> None:
        self.level_sizes: tuple[tuple[int, int], ...] = tuple(level_sizes)
        self.bounds: Box = (0, 0, *self.level_sizes[0])
        self.missed: list[tuple[int, Box]] = []  # level and box of what was read and had not come
        self._pieces = pieces

    def find(self, level: int, box: Box) -> NDArray[np.uint8] | None:
        """Cut a box out of the region that holds it; None when none does."""
        left, top, right, bottom = box
        for on, (x, y), pixels in self._pieces:
            height, width = pixels.shape[:2]
            if on == level and x <= left and y <= top and right <= x + width and bottom <= y + height:
                return pixels[top - y : bottom - y, left - x : right - x]
        return None

    def read_level(self, level: int, box: Box) -> NDArray[np.uint8]:
        """Give a box of level pixels; white, and a note in `missed`, where no region holds it: so all that is missing is known at once."""
        pixels = self.find(level, box)
        if pixels is None:
            self.missed.append((level, box))
            left, top, right, bottom = box
            return np.full((bottom - top, right - left, 3), 255, np.uint8)
        return pixels

    def close(self) -> None:
        """Do nothing: the pixels go with the request."""


def read_regions(image: ImageFacts, regions: Iterable[PixelRegion]) -> RegionReader:
    """Decode the regions of a request.

    Raises
    ------
    UnreadableSlideError
        If a region is damaged, is not of the size it states, lies outside the image, or all of them
        have more than `LARGEST_REGIONS` pixels.
    """
    regions = list(regions)
    if sum(region.width * region.height for region in regions) > LARGEST_REGIONS:
        raise UnreadableSlideError(f"the regions have more than {LARGEST_REGIONS} pixels; ask for fewer prompts at once")
    return RegionReader(image.levels, [(r.level, (r.x, r.y), _pixels(r, image)) for r in regions])


def missing_regions(image: ImageFacts, reader: RegionReader, windows: Iterable[Window]) -> list[WantedRegion]:
    """List what reading some windows needs and the regions of a request lack, one region per window."""
    slide = Slide(NAME, reader)
    needed = [slide.source_of(window) for window in windows]
    return [wanted_region(image, level, box) for level, box in needed if box is not None and reader.find(level, box) is None]


def wanted_region(image: ImageFacts, level: int, box: Box) -> WantedRegion:
    """Describe a box of level pixels, so that QuPath can be asked for it."""
    left, top, right, bottom = box
    downsample = nominal_downsample(image.levels[0], image.levels[level])
    return WantedRegion(level=level, x=left, y=top, width=right - left, height=bottom - top, downsample=downsample)


def _pixels(region: PixelRegion, image: ImageFacts) -> NDArray[np.uint8]:
    """Decode a region; its size is looked at before its pixels are."""
    where = f"region of {region.width} x {region.height} px at ({region.x}, {region.y}) of level {region.level}"
    if region.level >= len(image.levels):
        raise UnreadableSlideError(f"{where}: the image has {len(image.levels)} levels")
    width, height = image.levels[region.level]
    if region.x + region.width > width or region.y + region.height > height:
        raise UnreadableSlideError(f"{where}: the level has {width} x {height} px")
    if region.encoding == "rgb":
        if len(region.data) != region.width * region.height * 3:
            raise UnreadableSlideError(f"{where}: {len(region.data)} bytes came, and it takes three for each pixel")
        return np.frombuffer(region.data, np.uint8).reshape(region.height, region.width, 3)
    try:
        with Image.open(io.BytesIO(region.data), formats=[FORMATS[region.encoding]]) as picture:
            if picture.size != (region.width, region.height):
                raise UnreadableSlideError(f"{where}: the picture has {picture.width} x {picture.height} px")
            return np.asarray(picture.convert("RGB"))
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as err:
        raise UnreadableSlideError(f"{where}: it is no whole {region.encoding.upper()} picture ({err})") from err
