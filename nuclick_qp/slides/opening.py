"""Which reader opens a file: by its content, not by its name."""

from pathlib import Path

from nuclick_qp.errors import SlideNotFoundError, UnreadableSlideError
from nuclick_qp.slides.image_reader import ImageReader
from nuclick_qp.slides.openslide_reader import OpenSlideReader, openslide_vendor
from nuclick_qp.slides.probe import openslide_survives
from nuclick_qp.slides.reader import Reader
from nuclick_qp.slides.slide import Slide
from nuclick_qp.slides.tiff_layout import MAGIC, Route, tiff_route
from nuclick_qp.slides.tiff_reader import TiffReader
from nuclick_qp.slides.view import Step
from nuclick_qp.storage.plain_files import is_file, is_folder, is_hidden, is_there


def open_slide(path: Path | str, *, series: int = 0, is_cropped: bool = True, steps: tuple[Step, ...] = ()) -> Slide:
    """Open a slide of any kind that nuclick-qp reads.

    SVS, NDPI, MRXS, SCN, DICOM and other scanner formats and generic pyramidal TIFF go through
    OpenSlide, OME-TIFF and other TIFF through tifffile, PNG, JPEG, BMP, and TIFF with palette or
    CMYK through Pillow. Pixels come as 8-bit RGB: grey is repeated, transparency lies on the
    background, 16 bits are scaled over the range of the format (OME ``SignificantBits`` where
    given) with a warning in the log. Orientation tags turn nothing, as in QuPath.

    Parameters
    ----------
    series
        Which image of a TIFF that holds several, counted from 0.
    is_cropped
        Whether to show the scanned bounds only, where the file states them, as QuPath does unless it
        was told not to; else the whole slide.
    steps
        What makes the image out of the file: crops, turns, mirrors.

    Raises
    ------
    SlideNotFoundError
        If there is no such file.
    UnreadableSlideError
        If no reader understands it, it is damaged, or it is no brightfield picture: a stack, or
        fluorescence with other than 1, 3 or 4 channels.
    SlideSizeMismatchError
        If a step crops to more than there is.
    """
    path = Path(path)
    if is_hidden(path):
        raise UnreadableSlideError(f"{path} lies in a folder that this user may not enter; change its permissions")
    if not is_there(path):
        raise SlideNotFoundError(f"{path} is not there; put the file back, or name the place where it is now")
    if is_folder(path):
        raise UnreadableSlideError(f"{path} is a folder; give the slide file (for MRXS the .mrxs file beside the folder)")
    if not is_file(path):
        raise UnreadableSlideError(f"{path} is a pipe or a device, and no plain file; give the slide file")
    try:
        reader = _open_reader(path, series, is_cropped=is_cropped)
    except PermissionError as err:
        raise UnreadableSlideError(f"{path} may not be read by this user; change its permissions") from err
    try:
        return Slide(path, reader, steps=steps)
    except BaseException:
        reader.close()
        raise


def _open_reader(path: Path, series: int, *, is_cropped: bool) -> Reader:
    """Try the readers in the order of how much they know about the format."""
    with path.open("rb") as file:
        is_tiff = file.read(4) in MAGIC
    vendor = openslide_vendor(path)
    other_route: Route = "probe" if vendor else "pillow"
    route = tiff_route(path, series=series, vendor=vendor) if is_tiff else other_route
    if route == "tifffile":
        return TiffReader.open(path, series=series)
    if series:
        raise UnreadableSlideError(f"{path} is read as one image, there is no series {series}; export that one as RGB OME-TIFF")
    if route == "pillow":
        return ImageReader.open(path)
    if route == "probe" and not openslide_survives(path):
        raise UnreadableSlideError(f"{path} is damaged in a way that OpenSlide does not survive; copy the slide anew")
    try:
        return OpenSlideReader.open(path, is_cropped=is_cropped)
    except UnreadableSlideError:
        if vendor != "generic-tiff":
            raise
    return TiffReader.open(path)  # compressions that OpenSlide lacks
