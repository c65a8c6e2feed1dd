"""Files that are damaged, foreign or too large: an error that names the file and the remedy."""

from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from nuclick_qp.errors import UnreadableSlideError
from nuclick_qp.geometry import Window
from nuclick_qp.slides import open_slide


def noise(width: int = 200, height: int = 150) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    """Draw pixels that do not compress."""
    return np.random.default_rng(5).integers(0, 256, (height, width, 3)).astype(np.uint8)


@pytest.mark.parametrize("content", [b"", b"not an image at all", b"II*\0", b"II*\0\x08\0\0\0\xff\xff", b"\x89PNG\r\n\x1a\n"])
@pytest.mark.parametrize("suffix", [".svs", ".tif", ".png"])
def test_foreign_content_is_refused(tmp_path: Path, content: bytes, suffix: str) -> None:
    """Whatever the suffix promises."""
    path = tmp_path / f"foreign{suffix}"
    path.write_bytes(content)

    with pytest.raises(UnreadableSlideError, match=rf"foreign\{suffix} .*; (export|copy)"):
        open_slide(path)


def test_folder_is_refused(tmp_path: Path) -> None:
    """An MRXS slide is a file beside a folder; people give the folder."""
    with pytest.raises(UnreadableSlideError, match=r"is a folder; give the slide file"):
        open_slide(tmp_path)


@pytest.mark.parametrize("compression", [None, "jpeg", "deflate", "lzw"])
@pytest.mark.parametrize("name", ["cut.ome.tif", "cut.tif"])
def test_truncated_tiff_is_refused_and_not_padded(tmp_path: Path, compression: str | None, name: str) -> None:
    """A file that ends early gives an error, not made-up pixels."""
    path = tmp_path / name
    tifffile.imwrite(path, noise(), photometric="rgb", rowsperstrip=16, compression=compression, metadata={"axes": "YXS"})
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])

    with pytest.raises(UnreadableSlideError, match="cut"), open_slide(path) as slide:
        slide.read(Window(0, 0, 200, 150))


def test_a_tiff_without_its_list_of_pages_was_not_copied_whole(tmp_path: Path) -> None:
    """Scanners write that list at the end of the file; there is nothing that could be added to QuPath anew."""
    path = tmp_path / "cut.svs"
    tifffile.imwrite(path, noise(), photometric="rgb", tile=(64, 64))
    data = bytearray(path.read_bytes())
    data[4:8] = (len(data) + 1000).to_bytes(4, "little")
    path.write_bytes(data)

    with pytest.raises(UnreadableSlideError, match=r"cut\.svs holds no image, as when its end is missing; copy the file anew"):
        open_slide(path)


@pytest.mark.parametrize("name", ["cut.png", "cut.jpg", "cut.bmp"])
def test_truncated_image_is_refused(tmp_path: Path, name: str) -> None:
    """Also where Pillow reads."""
    path = tmp_path / name
    Image.fromarray(noise()).save(path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])

    with pytest.raises(UnreadableSlideError, match=r"is damaged .*; copy the file anew"):
        open_slide(path)


def test_absurd_tile_size_does_not_reach_openslide(tmp_path: Path) -> None:
    """OpenSlide would allocate it, and abort the process with all its work."""
    path = tmp_path / "tile.tif"
    tifffile.imwrite(path, noise(), photometric="rgb", tile=(64, 64), compression="deflate", metadata=None)
    with tifffile.TiffFile(path, mode="r+") as file:
        for tag in ("TileWidth", "TileLength"):
            file.pages.first.tags[tag].overwrite(60_000)

    with pytest.raises(UnreadableSlideError, match=r"tile\.tif holds 10,800,000,000 bytes in one tile"):
        open_slide(path)


def test_damaged_tile_is_refused_when_it_is_read(tmp_path: Path) -> None:
    """The other tiles of the slide can still be read."""
    path = tmp_path / "tile.ome.tif"
    tifffile.imwrite(path, noise(), photometric="rgb", tile=(64, 64), compression="deflate", metadata={"axes": "YXS"})
    with tifffile.TiffFile(path) as file:
        start = file.pages[0].dataoffsets[5]
    content = bytearray(path.read_bytes())
    content[start : start + 200] = bytes(200)
    path.write_bytes(content)

    with open_slide(path) as slide:
        np.testing.assert_array_equal(slide.read(Window(0, 0, 64, 64)), noise()[:64, :64])
        with pytest.raises(UnreadableSlideError, match=r"tile\.ome\.tif cannot be read by tifffile"):
            slide.read(Window(0, 0, 200, 150))


@pytest.mark.parametrize("name", ["a.ome.tif", "a.tif", "a.png"])
@pytest.mark.parametrize("series", [1, -1])
def test_series_that_is_not_there_is_refused(tmp_path: Path, name: str, series: int) -> None:
    """No other image is shown in its place."""
    path = tmp_path / name
    if name == "a.png":
        Image.fromarray(noise()).save(path)
    else:
        tifffile.imwrite(path, noise(), photometric="rgb", metadata={"axes": "YXS"})

    with pytest.raises(UnreadableSlideError, match=f"no series {series}"):
        open_slide(path, series=series)


def test_image_larger_than_pillows_guard_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The guard against huge images is put aside for slides, and put back."""
    Image.fromarray(noise()).save(tmp_path / "large.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)

    with open_slide(tmp_path / "large.png") as slide:
        assert slide.width == 200

    assert Image.MAX_IMAGE_PIXELS == 100


def test_image_too_large_to_be_held_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before it is decoded, with a way out."""
    Image.fromarray(noise()).save(tmp_path / "huge.png")
    monkeypatch.setattr("nuclick_qp.slides.image_reader.LARGEST_IMAGE", 29_999)

    with pytest.raises(UnreadableSlideError, match=r"huge\.png has 200 x 150 pixels in one piece; export"):
        open_slide(tmp_path / "huge.png")


def test_missing_part_of_an_ome_tiff_is_refused(tmp_path: Path) -> None:
    """Planes that lie in a file that is gone would be read as nothing."""
    planes = np.moveaxis(noise(), -1, 0)
    path = tmp_path / "first.ome.tif"
    tifffile.imwrite(path, planes, ome=True, photometric="minisblack", metadata={"axes": "CYX"})
    with tifffile.TiffFile(path) as file:
        xml = file.ome_metadata or ""
    uuid = '<UUID FileName="gone.ome.tif">urn:uuid:11111111-1111-1111-1111-111111111111</UUID>'
    data = '<TiffData IFD="0" FirstC="0" PlaneCount="1"/>' + "".join(
        f'<TiffData IFD="{c - 1}" FirstC="{c}" PlaneCount="1">{uuid}</TiffData>' for c in (1, 2)
    )
    start, end = xml.index("<TiffData"), xml.index("</Pixels>")
    tifffile.imwrite(path, planes[0], photometric="minisblack", description=(xml[:start] + data + xml[end:]).encode(), metadata=None)

    with pytest.raises(UnreadableSlideError, match=r"first\.ome\.tif lacks parts that are in other files"):
        open_slide(path)


def test_turned_cmyk_tiff_is_refused(tmp_path: Path) -> None:
    """Pillow would turn it and QuPath does not."""
    Image.new("CMYK", (30, 20)).save(tmp_path / "turned.tif", tiffinfo={274: 6})

    with pytest.raises(UnreadableSlideError, match=r"turned\.tif carries an orientation tag"):
        open_slide(tmp_path / "turned.tif")
