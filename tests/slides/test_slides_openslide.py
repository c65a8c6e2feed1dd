"""The OpenSlide reader with a handle that answers as OpenSlide does: bounds, transparency, odd levels."""

from pathlib import Path
from typing import cast

import numpy as np
import openslide
import pytest
from numpy.typing import NDArray
from PIL import Image

from nuclick_qp.errors import UnreadableSlideError
from nuclick_qp.geometry import Window
from nuclick_qp.slides import Slide
from nuclick_qp.slides.openslide_reader import OpenSlideReader

BOUNDS = {"openslide.bounds-x": "100", "openslide.bounds-y": "60", "openslide.bounds-width": "200", "openslide.bounds-height": "150"}


class FakeHandle:
    """Stands in for `openslide.OpenSlide`: RGBA levels and properties."""

    def __init__(self, levels: list[NDArray[np.uint8]], properties: dict[str, str]) -> None:
        self.levels = levels
        self.properties = properties
        self.level_dimensions = tuple((p.shape[1], p.shape[0]) for p in levels)
        self.level_downsamples = tuple((levels[0].shape[1] / p.shape[1] + levels[0].shape[0] / p.shape[0]) / 2 for p in levels)
        self.is_closed = False

    def read_region(self, location: tuple[int, int], level: int, size: tuple[int, int]) -> Image.Image:
        """Cut a region out of a level; like OpenSlide, let a fractional corner change the pixels."""
        x, y = (v / self.level_downsamples[level] for v in location)
        pixels = np.zeros((size[1], size[0], 4), np.uint8)
        part = self.levels[level][round(y) : round(y) + size[1], round(x) : round(x) + size[0]].copy()
        part[..., 0] += np.uint8(10 * abs(x - round(x)))
        pixels[: part.shape[0], : part.shape[1]] = part
        return Image.fromarray(pixels)

    def close(self) -> None:
        self.is_closed = True


def rgba(width: int, height: int, seed: int = 1) -> NDArray[np.uint8]:
    """Draw opaque noise."""
    pixels = np.random.default_rng(seed).integers(0, 200, (height, width, 4)).astype(np.uint8)
    pixels[..., 3] = 255
    return pixels


def slide_of(levels: list[NDArray[np.uint8]], properties: dict[str, str] | None = None) -> tuple[Slide, FakeHandle]:
    """Open a slide on a fake handle."""
    handle = FakeHandle(levels, properties or {})
    return Slide(Path("fake.mrxs"), OpenSlideReader(Path("fake.mrxs"), cast("openslide.OpenSlide", handle))), handle


def test_slide_is_cropped_to_its_bounds() -> None:
    """Size and origin are those of the scanned part, as in QuPath; the rest is white."""
    level = rgba(400, 300)
    slide, _ = slide_of([level], BOUNDS)

    pixels = slide.read(Window(-5, 0, 210, 150))

    assert (slide.width, slide.height, slide.bounds_origin) == (200, 150, (100, 60))
    np.testing.assert_array_equal(pixels[:, 5:205], level[60:210, 100:300, :3])
    assert (pixels[:, :5] == 255).all()
    assert (pixels[:, 205:] == 255).all()


def test_bounds_shift_deeper_levels_too() -> None:
    """The origin of the bounds is taken off in pixels of the level."""
    base, half = rgba(400, 300), rgba(200, 150, seed=2)
    slide, _ = slide_of([base, half], BOUNDS)

    pixels = slide.read(Window(20, 10, 60, 40, 2))

    np.testing.assert_array_equal(pixels, half[35:75, 60:120, :3])
    assert (slide.read(Window(200, 0, 10, 10, 2)) == 255).all()


def test_bounds_between_level_pixels_keep_the_law() -> None:
    """An odd origin falls between pixels of a level; parts still equal the whole."""
    odd = BOUNDS | {"openslide.bounds-x": "101", "openslide.bounds-y": "63"}
    slide, _ = slide_of([rgba(400, 300), rgba(200, 150, seed=2)], odd)
    window = Window(-20, -20, 150, 120, 2)

    np.testing.assert_array_equal(slide.read(window.part(31, 17, 50, 60)), slide.read(window)[17:77, 31:81])


def test_bounds_without_pixels_are_refused() -> None:
    """A damaged file may say so."""
    with pytest.raises(UnreadableSlideError, match=r"fake\.mrxs is damaged: .* -3 x 150 pixels"):
        slide_of([rgba(400, 300)], BOUNDS | {"openslide.bounds-width": "-3"})


def test_transparent_pixels_lie_on_white() -> None:
    """OpenSlide gives transparency where nothing was scanned."""
    level = rgba(40, 30)
    level[:, 20:] = 0
    slide, _ = slide_of([level])

    pixels = slide.read(Window(0, 0, 40, 30))

    np.testing.assert_array_equal(pixels[:, :20], level[:, :20, :3])
    assert (pixels[:, 20:] == 255).all()


def test_background_colour_of_the_slide_is_used() -> None:
    """Where the slide states the colour of the glass, transparency shows it."""
    slide, _ = slide_of([np.zeros((30, 40, 4), np.uint8)], {"openslide.background-color": "E6F0FA"})

    assert slide.read(Window(3, 3, 1, 1)).tolist() == [[[0xE6, 0xF0, 0xFA]]]


def test_levels_of_odd_size_are_read_the_same_from_every_corner() -> None:
    """A downsample that is no whole number makes OpenSlide blend by the corner of the read."""
    slide, handle = slide_of([rgba(1203, 1201), rgba(300, 300, seed=2)])
    window = Window(8, 16, 280, 270, 4)

    parts = slide.read(window.part(131, 77, 100, 100))

    assert handle.level_downsamples[1] != 4.0
    assert slide.levels == (1.0, 4.0)
    np.testing.assert_array_equal(parts, slide.read(window)[77:177, 131:231])


@pytest.mark.parametrize(
    ("x", "y", "mpp"),
    [("0.25", "0.27", 0.26), ("0.25", None, 0.25), ("352.7", "352.7", None), ("", "", None), ("nan", "nan", None), (None, None, None)],
)
def test_pixel_size_comes_from_the_properties(x: str | None, y: str | None, mpp: float | None) -> None:
    """Mean of x and y; 72 dots per inch and garbage are none."""
    properties = {name: value for name, value in (("openslide.mpp-x", x), ("openslide.mpp-y", y)) if value is not None}
    slide, _ = slide_of([rgba(40, 30)], properties)

    assert slide.mpp == (None if mpp is None else pytest.approx(mpp))


def test_error_while_reading_is_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    """It names the file, the cause and the remedy."""
    slide, handle = slide_of([rgba(40, 30)])

    def fail(*_: object) -> Image.Image:
        raise openslide.OpenSlideError("Bogus marker length")

    monkeypatch.setattr(handle, "read_region", fail)

    with pytest.raises(UnreadableSlideError, match=r"fake\.mrxs cannot be read by OpenSlide \(Bogus marker length\); copy"):
        slide.read(Window(0, 0, 10, 10))


def test_leaving_the_slide_closes_the_handle() -> None:
    """Once, also when `close` is called again."""
    slide, handle = slide_of([rgba(40, 30)])

    with slide:
        pass
    slide.close()

    assert handle.is_closed
