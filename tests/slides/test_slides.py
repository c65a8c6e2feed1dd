"""`open_slide` and `Slide.read` on files of every kind, drawn here."""

import tracemalloc
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from nuclick_qp.errors import SlideNotFoundError, SlideSizeMismatchError
from nuclick_qp.geometry import Window
from nuclick_qp.slides import Slide, check_size, open_slide
from nuclick_qp.slides.openslide_reader import OpenSlideReader
from nuclick_qp.slides.tiff_reader import TiffReader
from written_slides import halved, write_generic, write_ome, write_ome_planes, write_planar, write_strips, write_with_pillow

WIDTH, HEIGHT = 601, 433  # no multiple of a tile or of a downsample


def picture(width: int = WIDTH, height: int = HEIGHT) -> NDArray[np.uint8]:
    """Draw smooth colours with sharp noise on them."""
    rng = np.random.default_rng(7)
    y, x = np.mgrid[:height, :width]
    smooth = np.stack([x % 256, y % 256, (x + y) % 256], axis=-1)
    return np.clip(smooth + rng.integers(-40, 40, smooth.shape), 0, 255).astype(np.uint8)


WRITERS: dict[str, Callable[[Path, NDArray[np.uint8]], None]] = {
    "generic.tif": write_generic,
    "pyramid.ome.tif": write_ome,
    "planes.ome.tif": write_ome_planes,
    "planar.tif": write_planar,
    "strips.tif": write_strips,
    "plain.png": write_with_pillow,
    "plain.bmp": write_with_pillow,
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a folder with the same picture in every lossless kind of file."""
    folder = tmp_path_factory.mktemp("slides")
    for name, write in WRITERS.items():
        write(folder / name, picture())
    return folder


@pytest.mark.parametrize("name", WRITERS)
def test_scale_one_gives_the_pixels_of_the_file(folder: Path, name: str) -> None:
    """At scale 1 and whole x, y nothing is changed by a bit."""
    with open_slide(folder / name) as slide:
        pixels = slide.read(Window(101, 53, 200, 150))

        np.testing.assert_array_equal(pixels, picture()[53:203, 101:301])
        assert (slide.width, slide.height) == (WIDTH, HEIGHT)
        assert slide.levels[0] == 1.0


@pytest.mark.parametrize("name", WRITERS)
def test_outside_of_the_slide_is_white(folder: Path, name: str) -> None:
    """A window over the border has the picture inside and 255 outside."""
    with open_slide(folder / name) as slide:
        pixels = slide.read(Window(-10, HEIGHT - 20, 40, 50))

        np.testing.assert_array_equal(pixels[:20, 10:], picture()[-20:, :30])
        assert (pixels[20:] == 255).all()
        assert (pixels[:, :10] == 255).all()
        assert (slide.read(Window(5000.3, 0, 10, 10, 0.7)) == 255).all()


@pytest.mark.parametrize(("name", "kind"), [("generic.tif", OpenSlideReader), ("pyramid.ome.tif", TiffReader)])
def test_pyramid_levels_are_read_unchanged_at_their_own_scale(folder: Path, name: str, kind: type) -> None:
    """Scale 2 gives the pixels of the level of downsample 2; sizes rounded down do not shift it."""
    with open_slide(folder / name) as slide:
        pixels = slide.read(Window(100, 60, 150, 90, 2))

        assert isinstance(slide._reader, kind)
        assert slide.levels == (1.0, 2.0, 4.0)
        np.testing.assert_array_equal(pixels, halved(picture())[30:120, 50:200])


@pytest.mark.parametrize("name", ["generic.tif", "pyramid.ome.tif", "strips.tif", "plain.png"])
@settings(max_examples=60, deadline=None, derandomize=True)
@given(data=st.data())
def test_window_equals_its_part_of_a_larger_window(folder: Path, name: str, data: st.DataObject) -> None:
    """A place has the same pixels in every window on the same grid, at borders and between levels too."""
    scale = data.draw(st.sampled_from([0.3, 0.5, 0.501002, 1, 1.0001, 1.7, 2, 2.004, 3.9, 4, 5.55, 11.0]) | st.floats(0.25, 12))
    width, height = data.draw(st.integers(1, 300)), data.draw(st.integers(1, 300))
    x, y = data.draw(st.floats(-300, 700)), data.draw(st.floats(-300, 500)) if data.draw(st.booleans()) else 17.0
    col, row = data.draw(st.integers(0, width - 1)), data.draw(st.integers(0, height - 1))
    w, h = data.draw(st.integers(1, width - col)), data.draw(st.integers(1, height - row))
    large = Window(x, y, width, height, scale)

    with open_slide(folder / name) as slide:
        cut = slide.read(large)[row : row + h, col : col + w]
        alone = slide.read(large.part(col, row, w, h))

    np.testing.assert_array_equal(alone, cut)


@pytest.mark.parametrize("scale", [0.4, 0.9, 1.3, 2.0, 2.7, 4.0, 6.5])
@pytest.mark.parametrize("write", [write_generic, write_ome, write_with_pillow])
def test_pixel_centres_lie_where_the_window_says(tmp_path: Path, write: Callable[..., None], scale: float) -> None:
    """On a ramp with value = x of the pixel's left edge, column c reads x + (c + 0.5) * scale - 0.5."""
    ramp = np.broadcast_to(np.arange(250, dtype=np.uint8)[None, :, None], (200, 250, 3))
    path = tmp_path / ("ramp.png" if write is write_with_pillow else "ramp.ome.tif" if write is write_ome else "ramp.tif")
    write(path, np.ascontiguousarray(ramp))
    window = Window(41.3, 20, 20, 5, scale)

    with open_slide(path) as slide:
        pixels = slide.read(window).astype(float)

    expected = window.x + (np.arange(20) + 0.5) * scale - 0.5
    # Half a grey level each for the rounding of the levels (twice), and of the two passes.
    np.testing.assert_allclose(pixels[..., 0], np.broadcast_to(expected, (5, 20)), atol=1.6)
    assert abs(float((pixels[..., 0] - expected).mean())) < 0.8


def test_shrinking_averages_and_does_not_alias(tmp_path: Path) -> None:
    """A one-pixel checkerboard becomes even grey when it is shrunk."""
    board = (np.indices((300, 300)).sum(axis=0) % 2 * 255).astype(np.uint8)
    Image.fromarray(board).save(tmp_path / "board.png")

    with open_slide(tmp_path / "board.png") as slide:
        pixels = slide.read(Window(40, 40, 40, 40, 5.3))

    assert np.abs(pixels.astype(int) - 128).max() <= 12


def test_large_reads_in_pieces_equal_one_read(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The bound on memory does not show in the pixels."""
    window = Window(-20.5, -30.25, 500, 400, 1.3)
    with open_slide(folder / "generic.tif") as slide:
        whole = slide.read(window)
        monkeypatch.setattr("nuclick_qp.slides.slide.LARGEST_SOURCE", 30_000)

        np.testing.assert_array_equal(slide.read(window), whole)


def test_small_read_leaves_the_rest_of_a_large_tiff_alone(tmp_path: Path) -> None:
    """A window of 128 px out of 48 MB of tiles holds a few tiles in memory."""
    tifffile.imwrite(
        tmp_path / "large.ome.tif", np.full((4096, 4096, 3), 200, np.uint8), photometric="rgb", tile=(256, 256), compression="deflate",
        compressionargs={"level": 1},
    )  # fmt: skip
    with open_slide(tmp_path / "large.ome.tif") as slide:
        tracemalloc.start()
        try:
            pixels = slide.read(Window(2000, 2000, 128, 128))
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()

    assert (pixels == 200).all()
    assert peak < 4_000_000


def test_content_decides_not_the_suffix(tmp_path: Path, folder: Path) -> None:
    """An OME-TIFF under the name of a JPEG is read as what it is."""
    path = tmp_path / "scan.jpg"
    path.write_bytes((folder / "pyramid.ome.tif").read_bytes())

    with open_slide(path) as slide:
        assert slide.levels == (1.0, 2.0, 4.0)


def test_series_chooses_the_image_of_a_tiff(tmp_path: Path) -> None:
    """Each series has its own size, pixels and pixel size."""
    with tifffile.TiffWriter(tmp_path / "two.ome.tif", ome=True) as file:
        file.write(picture(120, 90), photometric="rgb", metadata={"axes": "YXS", "PhysicalSizeX": 0.5})
        file.write(picture(80, 70), photometric="rgb", metadata={"axes": "YXS", "PhysicalSizeX": 0.25})

    with open_slide(tmp_path / "two.ome.tif", series=1) as slide:
        assert (slide.width, slide.height, slide.mpp) == (80, 70, 0.25)
        np.testing.assert_array_equal(slide.read(Window(0, 0, 80, 70)), picture(80, 70))


def test_closed_slide_refuses_to_read(folder: Path) -> None:
    """Reading after the `with` block is an error of the caller."""
    with open_slide(folder / "plain.png") as slide:
        pass

    with pytest.raises(ValueError, match="was closed"):
        slide.read(Window(0, 0, 5, 5))


def test_missing_file_is_named() -> None:
    """The message names the file and says what to do."""
    with pytest.raises(SlideNotFoundError, match=r"nowhere\.svs is not there.*name the place where it is now"):
        open_slide(Path("nowhere.svs"))


def test_check_size_refuses_another_image(folder: Path) -> None:
    """Both sizes, the file and the image are named; equal sizes pass."""
    slide: Slide
    with open_slide(folder / "plain.png") as slide:
        check_size(slide, width=WIDTH, height=HEIGHT, image_name="a")
        with pytest.raises(SlideSizeMismatchError, match=r"plain\.png has 601 x 433 .* image biopsy .* has 600 x 433"):
            check_size(slide, width=600, height=HEIGHT, image_name="biopsy")
