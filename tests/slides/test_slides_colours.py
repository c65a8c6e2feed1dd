"""Every kind of pixel becomes 8-bit RGB, or is refused; never something else without a word."""

import logging
from pathlib import Path

import numpy as np
import pytest
import tifffile
from numpy.typing import NDArray
from PIL import Image

from nuclick_qp.errors import UnreadableSlideError
from nuclick_qp.geometry import Window
from nuclick_qp.slides import open_slide
from nuclick_qp.slides.colour import to_eight_bits, to_rgb

ALL = Window(0, 0, 30, 20)


def colours(channels: int = 3, seed: int = 3) -> NDArray[np.uint8]:
    """Draw a noise picture of 30 x 20 pixels."""
    return np.random.default_rng(seed).integers(0, 256, (20, 30, channels)).astype(np.uint8)


def read_all(path: Path) -> NDArray[np.uint8]:
    """Read the whole of a 30 x 20 slide."""
    with open_slide(path) as slide:
        assert (slide.width, slide.height) == (30, 20)
        return slide.read(ALL)


@pytest.mark.parametrize("name", ["grey.png", "grey.tif", "grey.jpg"])
def test_grey_is_repeated(tmp_path: Path, name: str) -> None:
    """All three channels carry the grey value."""
    grey = np.repeat(np.arange(0, 240, 8, dtype=np.uint8)[None], 20, axis=0)
    Image.fromarray(grey).save(tmp_path / name)

    pixels = read_all(tmp_path / name)

    np.testing.assert_allclose(pixels[..., 0].astype(int), grey, atol=6 if name.endswith("jpg") else 0)  # JPEG is lossy
    assert (pixels == pixels[..., :1]).all()


@pytest.mark.parametrize("name", ["palette.png", "palette.tif", "palette.bmp"])
def test_palette_becomes_its_colours(tmp_path: Path, name: str) -> None:
    """Indices are looked up."""
    image = Image.fromarray(colours()).quantize(16)
    image.save(tmp_path / name)

    np.testing.assert_array_equal(read_all(tmp_path / name), np.asarray(image.convert("RGB")))


@pytest.mark.parametrize("name", ["cmyk.tif", "cmyk.jpg"])
def test_cmyk_becomes_rgb(tmp_path: Path, name: str) -> None:
    """Full magenta ink is (255, 0, 255)."""
    Image.new("CMYK", (30, 20), (0, 255, 0, 0)).save(tmp_path / name)

    np.testing.assert_allclose(read_all(tmp_path / name).astype(int), np.broadcast_to((255, 0, 255), (20, 30, 3)), atol=3)


def test_white_is_zero_is_turned_round(tmp_path: Path) -> None:
    """A TIFF in which 0 is white is read with 0 white."""
    grey = colours(1)[..., 0]
    tifffile.imwrite(tmp_path / "inverted.tif", grey, photometric="miniswhite", metadata=None)

    np.testing.assert_array_equal(read_all(tmp_path / "inverted.tif")[..., 1], 255 - grey)


@pytest.mark.parametrize("name", ["rgba.png", "rgba.tif", "la.png"])
def test_transparency_lies_on_white(tmp_path: Path, name: str) -> None:
    """A transparent pixel is white, an opaque one keeps its colour, half is the mean."""
    rgba = np.zeros((20, 30, 4), np.uint8)
    rgba[:, 10:, 3] = 255
    rgba[:, 20:, 3] = 128
    Image.fromarray(rgba).convert("LA" if name == "la.png" else "RGBA").save(tmp_path / name)

    pixels = read_all(tmp_path / name)

    assert (pixels[:, :10] == 255).all()
    assert (pixels[:, 10:20] == 0).all()
    assert (np.abs(pixels[:, 20:].astype(int) - 127) <= 1).all()


def test_premultiplied_alpha_lies_on_white() -> None:
    """Colours that hold alpha already get the missing part of white added."""
    samples = np.array([[[50, 0, 0, 100], [0, 0, 0, 0], [9, 8, 7, 255]]], np.uint8)

    assert to_rgb(samples, premultiplied=True).tolist() == [[[205, 155, 155], [255, 255, 255], [9, 8, 7]]]


def test_fourth_sample_that_is_no_alpha_is_left_out(tmp_path: Path) -> None:
    """Only what the file calls alpha is transparency."""
    rgbx = colours(4)
    tifffile.imwrite(tmp_path / "rgbx.tif", rgbx, photometric="rgb", extrasamples=["unspecified"], metadata=None)

    np.testing.assert_array_equal(read_all(tmp_path / "rgbx.tif"), rgbx[..., :3])


@pytest.mark.parametrize("kind", ["strips.tif", "tiles.tif", "image.ome.tif", "grey.png"])
def test_sixteen_bits_are_scaled_by_the_range_of_the_type(tmp_path: Path, caplog: pytest.LogCaptureFixture, kind: str) -> None:
    """0 to 65535 becomes 0 to 255, and the log says so."""
    wide = colours(1 if kind == "grey.png" else 3).astype(np.uint16) * 257
    path = tmp_path / kind
    if kind == "grey.png":
        Image.fromarray(wide[..., 0]).save(path)
    else:
        tile = (16, 16) if kind == "tiles.tif" else None
        tifffile.imwrite(path, wide, photometric="rgb", tile=tile, metadata={"axes": "YXS"} if "ome" in kind else None)

    with caplog.at_level(logging.WARNING):
        pixels = read_all(path)

    np.testing.assert_array_equal(pixels, np.broadcast_to(wide // 257, (20, 30, 3)))
    assert [record.getMessage() for record in caplog.records if "16-bit" in record.getMessage()]


def test_significant_bits_of_ome_set_the_range(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """12 of 16 bits: 4095 is white, and there is nothing to warn of."""
    wide = np.linspace(0, 4095, 600).reshape(20, 30).astype(np.uint16)
    path = tmp_path / "twelve.ome.tif"
    tifffile.imwrite(path, wide, photometric="minisblack", metadata={"axes": "YX", "SignificantBits": 12})

    pixels = read_all(path)

    np.testing.assert_allclose(pixels[..., 0], wide / 4095 * 255, atol=0.5)
    assert not caplog.records


def test_to_eight_bits_rounds_and_saturates() -> None:
    """The middle is rounded to the nearest; what exceeds the stated bits is white."""
    assert to_eight_bits(np.array([0, 128, 129, 65535], np.uint16)).tolist() == [0, 0, 1, 255]
    assert to_eight_bits(np.array([1023, 1024, 65535], np.uint16), 10).tolist() == [255, 255, 255]


@pytest.mark.parametrize("name", ["turned.jpg", "turned.png"])
def test_orientation_tag_turns_nothing(tmp_path: Path, name: str) -> None:
    """Width and height stay as stored, as QuPath shows them."""
    exif = Image.Exif()
    exif[274] = 6
    Image.new("RGB", (30, 20), (200, 100, 50)).save(tmp_path / name, exif=exif)

    assert read_all(tmp_path / name).shape == (20, 30, 3)


def test_tiles_that_were_never_written_are_white(tmp_path: Path) -> None:
    """A sparse TIFF is white where it has no data, as slides are where nothing was scanned."""
    path = tmp_path / "sparse.ome.tif"
    tiles = iter([np.full((16, 16, 3), 9, np.uint8).tobytes(), b"", b"", b""])
    tifffile.imwrite(path, tiles, shape=(20, 30, 3), dtype=np.uint8, ome=True, tile=(16, 16), photometric="rgb", metadata={"axes": "YXS"})

    pixels = read_all(path)

    assert (pixels[:16, :16] == 9).all()
    assert (pixels[16:] == 255).all()
    assert (pixels[:, 16:] == 255).all()


def separate_channels(path: Path, metadata: dict[str, object], count: int = 3) -> None:
    """Write an OME-TIFF of grey pages."""
    planes = np.moveaxis(colours(count), -1, 0)
    tifffile.imwrite(path, planes, ome=True, photometric="minisblack", metadata={"axes": "CYX"} | metadata)


@pytest.mark.parametrize("count", [2, 4, 5])
def test_fluorescence_is_refused_with_a_remedy(tmp_path: Path, count: int) -> None:
    """Other than one or three channels are no brightfield picture."""
    separate_channels(tmp_path / "multi.ome.tif", {}, count)

    with pytest.raises(UnreadableSlideError, match=rf"multi\.ome\.tif has {count} channels; .*brightfield RGB; export"):
        open_slide(tmp_path / "multi.ome.tif")


@pytest.mark.parametrize(
    "channel", [{"Name": ["DAPI", "FITC", "Cy5"]}, {"Color": [0x0000FFFF, 0x00FF00FF, -0x00FFFF01]}, {"Name": ["Green", "Red", "Blue"]}]
)
def test_three_channels_that_are_not_red_green_blue_are_refused(tmp_path: Path, channel: dict[str, object]) -> None:
    """Three stains are not three colours, whatever their number."""
    separate_channels(tmp_path / "stains.ome.tif", {"Channel": channel})

    with pytest.raises(UnreadableSlideError, match="not red, green and blue"):
        open_slide(tmp_path / "stains.ome.tif")


def test_three_channels_called_red_green_blue_are_read(tmp_path: Path) -> None:
    """Names that fit the colours are no obstacle."""
    separate_channels(tmp_path / "rgb.ome.tif", {"Channel": {"Name": ["Red", "Green", "Blue"]}})

    np.testing.assert_array_equal(read_all(tmp_path / "rgb.ome.tif"), colours())


def test_generic_tiff_of_many_channels_is_not_read_as_its_first(tmp_path: Path) -> None:
    """OpenSlide would show channel 1 of 5 as a grey picture."""
    tifffile.imwrite(tmp_path / "five.tif", colours(5), photometric="minisblack", planarconfig="contig", tile=(16, 16), metadata=None)

    with pytest.raises(UnreadableSlideError, match="5 channels"):
        open_slide(tmp_path / "five.tif")


@pytest.mark.parametrize("axes", ["ZYX", "TYX"])
def test_stack_is_refused(tmp_path: Path, axes: str) -> None:
    """Which plane was meant cannot be known."""
    tifffile.imwrite(tmp_path / "stack.ome.tif", np.zeros((3, 20, 30), np.uint8), photometric="minisblack", metadata={"axes": axes})

    with pytest.raises(UnreadableSlideError, match=rf"is a stack \(3 {axes[0]} planes\)"):
        open_slide(tmp_path / "stack.ome.tif")


@pytest.mark.parametrize("dtype", [np.float32, np.int16, np.uint32])
def test_other_sample_types_are_refused(tmp_path: Path, dtype: type) -> None:
    """Which value is white is not known for them."""
    tifffile.imwrite(tmp_path / "odd.ome.tif", np.zeros((20, 30, 3), dtype), photometric="rgb", metadata={"axes": "YXS"})

    with pytest.raises(UnreadableSlideError, match=r"odd\.ome\.tif has pixels of type"):
        open_slide(tmp_path / "odd.ome.tif")


def test_thirty_two_bit_image_is_refused(tmp_path: Path) -> None:
    """Pillow would cut such values off at 255."""
    Image.new("F", (30, 20), 1.0).save(tmp_path / "float.tif")

    with pytest.raises(UnreadableSlideError, match=r"float\.tif has 32-bit pixels"):
        open_slide(tmp_path / "float.tif")
