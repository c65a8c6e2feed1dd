"""How the samples of a TIFF lie in its pages, and which reader is right for it."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import tifffile

from nuclick_qp.errors import UnreadableSlideError
from nuclick_qp.storage.damaged_images import DAMAGED, endless_parts

Route = Literal["tifffile", "openslide", "probe", "pillow"]  # probe: OpenSlide, if it survives the file

MAGIC = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")  # TIFF and BigTIFF, both byte orders
REMEDY = "nuclick-qp reads brightfield RGB; export the image from QuPath as RGB OME-TIFF"
CHECKED_VENDORS = frozenset({"aperio", "generic-tiff"})  # whose pages OpenSlide reads by tiles, or not at all
LARGEST_TILE = 2**26  # px; OpenSlide ends the whole process when a damaged file asks for more memory than there is


@dataclass(frozen=True, slots=True)
class Layout:
    """Where the channels of an image are.

    Attributes
    ----------
    channels
        1 grey, 3 RGB, 4 RGB with a fourth sample.
    planes
        1 when the samples of a pixel lie together, else one plane per channel.
    planes_are_pages
        Whether each plane has a page (IFD) of its own; else all are segments of one page.
    bits
        Per sample of an unsigned integer type; 0 for any other type.
    """

    channels: int
    planes: int
    planes_are_pages: bool
    bits: int


def pick_series(path: Path, file: tifffile.TiffFile, index: int) -> tifffile.TiffPageSeries:
    """Give the image at an index.

    Raises
    ------
    UnreadableSlideError
        If the file has fewer images.
    """
    if not file.series:  # the list of pages is the last thing that scanners write
        raise UnreadableSlideError(f"{path} holds no image, as when its end is missing; copy the file anew")
    if not 0 <= index < len(file.series):
        raise UnreadableSlideError(f"{path} holds {len(file.series)} images, there is no series {index}; add it to QuPath anew")
    return file.series[index]


def layout_of(path: Path, series: tifffile.TiffPageSeries) -> Layout:
    """Find the channels of a series.

    Raises
    ------
    UnreadableSlideError
        If it is a stack, or has channels or values that brightfield pixels do not have.
    """
    sizes = [(axis, size) for axis, size in zip(series.axes, series.shape, strict=True) if size > 1 or axis in "YX"]
    axes, shape = "".join(axis for axis, _ in sizes), tuple(size for _, size in sizes)
    stacked = [f"{size} {axis}" for axis, size in sizes if axis not in "YXSC"]
    if stacked:
        raise UnreadableSlideError(f"{path} is a stack ({', '.join(stacked)} planes); {REMEDY} with one plane")
    if axes not in {"YX", "YXS", "SYX", "CYX"}:
        raise UnreadableSlideError(f"{path} has axes {axes} of {shape}; {REMEDY}")
    channels = 1 if axes == "YX" else shape[axes.index("S") if "S" in axes else 0]
    if channels not in {1, 3, 4} or (axes == "CYX" and channels == 4):
        raise UnreadableSlideError(f"{path} has {channels} channels; {REMEDY}")
    if any(page is None for page in series.pages):
        raise UnreadableSlideError(f"{path} lacks parts that are in other files; copy all files of the image into one folder")
    expected = (channels, 1) if axes == "CYX" else (1, channels)
    if (len(series.pages), series.keyframe.samplesperpixel) != expected:
        raise UnreadableSlideError(f"{path} lays out its {channels} channels in an unknown way; {REMEDY}")
    bits = series.dtype.itemsize * 8 if series.dtype.kind == "u" else 0
    return Layout(channels, 1 if axes in {"YX", "YXS"} else channels, axes == "CYX", bits)


def tiff_route(path: Path, *, series: int, vendor: str | None) -> Route:
    """Choose the reader for a TIFF.

    OpenSlide's generic reader shows the first page or channel of files that hold more, without a
    word, so those are refused here; OME-TIFF it does not read, and 16 bits only with tifffile keep
    their stated range. Palettes, CMYK and the like are Pillow's.

    Parameters
    ----------
    vendor
        What OpenSlide takes the file for; None when it refuses.

    Raises
    ------
    UnreadableSlideError
        If the image is no brightfield picture, or there is no such series.
    """
    try:
        with tifffile.TiffFile(path) as file:
            if (reason := endless_parts(file)) is not None:
                raise UnreadableSlideError(f"{path} holds {reason}; {REMEDY}")
            if file.is_ome:
                return "tifffile"
            is_safe = all(page.tilewidth * page.tilelength <= LARGEST_TILE for page in _full_pages(file))
            if vendor not in {None, "generic-tiff"}:
                return "openslide" if is_safe and vendor in CHECKED_VENDORS else "probe"
            image = pick_series(path, file, series)
            layout = layout_of(path, image)
            direct = is_direct(image.keyframe) and layout.bits
    except DAMAGED:
        return "probe" if vendor else "tifffile"  # which says what is wrong
    if not direct:
        if series:
            raise UnreadableSlideError(f"{path}: series {series} has a palette, CMYK or other indirect colours; {REMEDY}")
        return "pillow"
    return "openslide" if vendor and is_safe and layout.bits == 8 and series == 0 else "tifffile"


def _full_pages(file: tifffile.TiffFile) -> list[tifffile.TiffPage]:
    """Give the pages that state their layout; others share that of one of them."""
    return [page.keyframe for page in file.pages if page.keyframe is not None]


def segment_bytes(page: tifffile.TiffPage) -> int:
    """Give the size of the largest tile or strip of a page once it is decoded."""
    across, down = (page.tilewidth, page.tilelength) if page.is_tiled else (page.imagewidth, min(page.rowsperstrip, page.imagelength))
    samples = page.samplesperpixel if page.planarconfig == tifffile.PLANARCONFIG.CONTIG else 1
    return int(across * down * samples * page.bitspersample // 8)


def is_direct(page: tifffile.TiffPage) -> bool:
    """Whether the decoded samples are grey or RGB as they are."""
    kinds = tifffile.PHOTOMETRIC
    jpeg = {tifffile.COMPRESSION.OJPEG, tifffile.COMPRESSION.JPEG}
    return page.photometric in {kinds.MINISBLACK, kinds.RGB} or (page.photometric == kinds.YCBCR and page.compression in jpeg)
