"""PNG, JPEG, BMP and other plain images through Pillow, held in memory as a whole."""

import threading
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, UnidentifiedImageError

from nuclick_qp.errors import UnreadableSlideError
from nuclick_qp.slides.colour import flatten, to_eight_bits, to_rgb, warn_of_sixteen_bits
from nuclick_qp.slides.reader import Box
from nuclick_qp.storage.damaged_images import DAMAGED

LARGEST_IMAGE = 200_000_000  # px; 1.4 GB while it is read, 0.6 GB then
BAND = 256  # rows that are converted at once
_opening = threading.Lock()


class ImageReader:
    """The one level of a plain image; see `nuclick_qp.slides.reader.Reader`.

    The resolution that PNG and JPEG files carry is the printer's, not the microscope's, so the
    pixel size is always None. Orientation tags turn nothing, as in QuPath.

    Parameters
    ----------
    pixels
        (H, W, 3) uint8 RGB.
    """

    is_shareable = True

    def __init__(self, path: Path, pixels: NDArray[np.uint8]) -> None:
        height, width = pixels.shape[:2]
        self._path = path
        self._pixels = pixels
        self.level_sizes: tuple[tuple[int, int], ...] = ((width, height),)
        self.bounds: Box = (0, 0, width, height)
        self.mpp: float | None = None

    @classmethod
    def open(cls, path: Path) -> Self:
        """Decode a whole image.

        Raises
        ------
        UnreadableSlideError
            If Pillow does not know or cannot decode the file, or it is too large to be held.
        """
        # Pillow's guard against huge images is one number for the whole process; the lock keeps
        # two threads from putting back each other's.
        with _opening:
            guard, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
            try:
                return cls(path, _decode(path))
            except UnidentifiedImageError as err:
                raise UnreadableSlideError(f"{path} is in no format that nuclick-qp reads; export it from QuPath as OME-TIFF") from err
            except DAMAGED as err:
                raise UnreadableSlideError(f"{path} is damaged ({err}); copy the file anew") from err
            finally:
                Image.MAX_IMAGE_PIXELS = guard

    def read_level(self, level: int, box: Box) -> NDArray[np.uint8]:
        """Cut a box out of the image as (H, W, 3) uint8 RGB."""
        assert level == 0
        left, top, right, bottom = box
        return self._pixels[top:bottom, left:right]

    def close(self) -> None:
        """Let go of the pixels."""
        self._pixels = np.empty((0, 0, 3), np.uint8)


def _decode(path: Path) -> NDArray[np.uint8]:
    """Decode a file into (H, W, 3) uint8 RGB."""
    with Image.open(path) as image:
        if image.width * image.height > LARGEST_IMAGE:
            raise UnreadableSlideError(f"{path} has {image.width} x {image.height} pixels in one piece; export it from QuPath as OME-TIFF")
        if image.format == "TIFF" and image.getexif().get(ExifTags.Base.Orientation, 1) != 1:
            # Pillow turns TIFF files while it loads them; QuPath does not.
            raise UnreadableSlideError(f"{path} carries an orientation tag; save it upright, or export it from QuPath as OME-TIFF")
        if image.mode in ("I", "F"):
            raise UnreadableSlideError(f"{path} has 32-bit pixels; nuclick-qp reads brightfield RGB, export it as 8-bit RGB")
        if image.mode.startswith("I;16"):
            warn_of_sixteen_bits(path)
        pixels = np.empty((image.height, image.width, 3), np.uint8)
        for top in range(0, image.height, BAND):  # the whole at once would be there three times over
            bottom = min(top + BAND, image.height)
            pixels[top:bottom] = _as_rgb(image.crop((0, top, image.width, bottom)))
        return pixels


def _as_rgb(image: Image.Image) -> NDArray[np.uint8]:
    """Convert a band of an image."""
    if image.mode.startswith("I;16"):
        return to_rgb(to_eight_bits(np.asarray(image).astype(np.uint16)[..., None]))
    if image.has_transparency_data:
        return flatten(image.convert("RGBA"))
    return np.asarray(image.convert("RGB"))
