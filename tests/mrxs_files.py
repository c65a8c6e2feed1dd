"""MRXS slides (3DHISTECH MIRAX) that OpenSlide itself opens, with a scanned part smaller than the slide.

A slide is a JPEG ``NAME.mrxs`` and a folder ``NAME`` that holds

- ``Slidedat.ini``: how many photos there are, their size, pixel size and the colour of the glass for every zoom level,
  and the names of the other files;
- ``Index.dat``: a version, the slide's identity, and two pointers. The first leads to one list for each zoom level,
  whose items name an image by its number in the raster of photos and by file, place and length. The second
  leads to records beside the pyramid, of which one is here: where each photo lies;
- ``Data0000.dat``: the images themselves, here PNG so that no pixel changes, and the places of the photos.

All numbers are signed 32-bit, little-endian. An image of zoom level 1 holds two by two photos at half size, also
those that were never taken; photos without an image at level 0 are not part of the slide, and the smallest
rectangle around the others is what OpenSlide gives as ``openslide.bounds-*``.

Source of these facts: OpenSlide 4.0, ``src/openslide-vendor-mirax.c``, and its page on the MIRAX format.
"""

import io
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray
from PIL import Image

VERSION, SLIDE_ID = "01.02", "0123456789ABCDEF0123456789ABCDEF"
GLASS = (240, 236, 228)  # RGB
ORIGIN = (1003, 601)  # where scans lie on their slides; odd, so that it falls between the pixels of deeper levels


@dataclass(frozen=True, slots=True)
class Scan:
    """A picture that a scanner took in photos, and the slide around it.

    Attributes
    ----------
    pixels
        (H, W, 3) uint8 RGB, multiples of `photo` high and wide.
    x, y
        Where its corner lies on the slide, level-0 pixels.
    across, down
        Photos that would fill the slide, even numbers.
    photo
        Width and height of a photo, px.
    mpp
        Micrometres per level-0 pixel.
    missing
        Column and row of the photos of the picture that were not taken.
    """

    pixels: NDArray[np.uint8]
    x: int
    y: int
    across: int = 16
    down: int = 12
    photo: int = 100
    mpp: float = 0.25
    missing: frozenset[tuple[int, int]] = frozenset()

    @classmethod
    def of(cls, picture: Path) -> Self:
        """Scan a picture to `ORIGIN`."""
        with Image.open(picture) as image:
            return cls(np.array(image), *ORIGIN)


def write_mrxs(path: Path, scan: Scan) -> Path:
    """Write a slide of two zoom levels, and give its path."""
    folder = path.with_suffix("")
    folder.mkdir(parents=True)
    data = bytearray()
    pages = [_add_images(data, _photos(scan), scan, side) for side in (1, 2)]
    places = _places(scan)
    position = (len(data), len(places))
    (folder / "Data0000.dat").write_bytes(bytes(data) + places)
    (folder / "Index.dat").write_bytes(_index(pages, position))
    (folder / "Slidedat.ini").write_text(_slidedat(scan))
    Image.fromarray(scan.pixels).resize((40, 30)).save(path, "JPEG")  # QuPath and others take it for a preview
    return path


def _first(scan: Scan) -> tuple[int, int]:
    """Give column and row, both even, of the picture's first photo in the raster of photos."""
    return scan.x // scan.photo // 2 * 2, scan.y // scan.photo // 2 * 2


def _photos(scan: Scan) -> dict[tuple[int, int], NDArray[np.uint8]]:
    """Cut the picture into photos, by column and row of the raster."""
    (left, top), side = _first(scan), scan.photo
    rows, cols = (n // side for n in scan.pixels.shape[:2])
    return {
        (left + col, top + row): scan.pixels[row * side : (row + 1) * side, col * side : (col + 1) * side]
        for row in range(rows)
        for col in range(cols)
        if (col, row) not in scan.missing
    }


def _add_images(data: bytearray, photos: dict[tuple[int, int], NDArray[np.uint8]], scan: Scan, side: int) -> list[tuple[int, ...]]:
    """Append the images of one zoom level, each of `side` x `side` photos, and give number, offset, length and file of each."""
    items: list[tuple[int, ...]] = []
    step = scan.photo // side
    for col, row in sorted({(col - col % side, row - row % side) for col, row in photos}, key=lambda place: place[::-1]):
        image = np.full((scan.photo, scan.photo, 3), GLASS, np.uint8)
        for dy in range(side):
            for dx in range(side):
                if (photo := photos.get((col + dx, row + dy))) is not None:
                    small = photo.reshape(step, side, step, side, 3).mean(axis=(1, 3)).round()
                    image[dy * step : (dy + 1) * step, dx * step : (dx + 1) * step] = small
        png = io.BytesIO()
        Image.fromarray(image).save(png, "PNG")
        items.append((row * scan.across + col, len(data), len(png.getvalue()), 0))
        data += png.getvalue()
    return items


def _places(scan: Scan) -> bytes:
    """Give a flag, x and y for every photo of the raster; zero for those outside the picture."""
    (left, top), side = _first(scan), scan.photo
    rows, cols = (n // side for n in scan.pixels.shape[:2])
    records = []
    for number in range(scan.across * scan.down):
        col, row = number % scan.across - left, number // scan.across - top
        inside = 0 <= col < cols and 0 <= row < rows
        records.append(struct.pack("<bii", 0, *((scan.x + col * side, scan.y + row * side) if inside else (0, 0))))
    return b"".join(records)


def _index(pages: list[list[tuple[int, ...]]], position: tuple[int, int]) -> bytes:
    """Put the lists together: heads of four bytes each point to pages, and pages to the data."""
    head = (VERSION + SLIDE_ID).encode()
    tables = len(head) + 8  # after the two pointers: one pointer a level, then one a record
    place = tables + 4 * len(pages) + 4
    starts, blocks = [], b""
    bodies = [[len(page), 0, *(n for item in page for n in item)] for page in pages]
    bodies.append([1, 0, 0, 0, *position, 0])
    for body in bodies:
        starts.append(place)
        block = struct.pack(f"<{2 + len(body)}i", 0, place + 8, *body)
        blocks, place = blocks + block, place + len(block)
    return head + struct.pack(f"<{2 + len(starts)}i", tables, tables + 4 * len(pages), *starts) + blocks


def _slidedat(scan: Scan) -> str:
    """Give the INI file."""
    red, green, blue = GLASS
    levels = "".join(
        f"[LEVEL_{n}]\nOVERLAP_X = 0\nOVERLAP_Y = 0\nMICROMETER_PER_PIXEL_X = {scan.mpp * 2**n}\n"
        f"MICROMETER_PER_PIXEL_Y = {scan.mpp * 2**n}\nIMAGE_FORMAT = PNG\nIMAGE_FILL_COLOR_BGR = {red + (green << 8) + (blue << 16)}\n"
        f"DIGITIZER_WIDTH = {scan.photo}\nDIGITIZER_HEIGHT = {scan.photo}\nIMAGE_CONCAT_FACTOR = {n}\n"
        for n in range(2)
    )
    return (
        f"[GENERAL]\nSLIDE_ID = {SLIDE_ID}\nIMAGENUMBER_X = {scan.across}\nIMAGENUMBER_Y = {scan.down}\n"
        "CameraImageDivisionsPerSide = 1\nOBJECTIVE_MAGNIFICATION = 40\n"
        "[HIERARCHICAL]\nINDEXFILE = Index.dat\nHIER_COUNT = 1\nHIER_0_NAME = Slide zoom level\nHIER_0_COUNT = 2\n"
        "HIER_0_VAL_0_SECTION = LEVEL_0\nHIER_0_VAL_1_SECTION = LEVEL_1\n"
        "NONHIER_COUNT = 1\nNONHIER_0_NAME = VIMSLIDE_POSITION_BUFFER\nNONHIER_0_COUNT = 1\n"
        "[DATAFILE]\nFILE_COUNT = 1\nFILE_0 = Data0000.dat\n" + levels
    )
