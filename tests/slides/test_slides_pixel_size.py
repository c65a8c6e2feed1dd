"""Where the pixel size comes from, and what is not believed."""

import logging
import math
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from nuclick_qp.errors import NoPixelSizeError, OptionError
from nuclick_qp.slides import open_slide, resolve_mpp
from nuclick_qp.slides.ome import read_ome

PIXELS = np.zeros((70, 90, 3), np.uint8)


def mpp_of(path: Path) -> float | None:
    """Open a slide for its pixel size."""
    with open_slide(path) as slide:
        return slide.mpp


@pytest.mark.parametrize(
    ("project", "slide", "option", "expected"),
    [(0.25, 0.5, 0.25, 0.25), (None, 0.5, None, 0.5), (None, None, 0.4, 0.4), (math.nan, 0.0, 0.4, 0.4), (0.3, None, None, 0.3)],
)
def test_project_comes_before_slide_before_option(
    project: float | None, slide: float | None, option: float | None, expected: float
) -> None:
    """The first that is known holds."""
    assert resolve_mpp(project=project, slide=slide, option=option, source="a") == expected


def test_no_pixel_size_says_what_to_do() -> None:
    """It is never guessed."""
    with pytest.raises(NoPixelSizeError, match=r"^a\.png has no pixel size; pass --mpp, or set it in the Image tab of QuPath$"):
        resolve_mpp(project=None, slide=None, option=None, source="a.png")


@pytest.mark.parametrize("option", [0.0, -0.25, math.nan, math.inf])
def test_option_that_is_no_size_is_refused(option: float) -> None:
    """Also when it would not have been used."""
    with pytest.raises(OptionError, match="--mpp"):
        resolve_mpp(project=0.25, slide=None, option=option, source="a.png")


@pytest.mark.parametrize("option", [0.001, 0.02, 100.0, 1000.0])
def test_option_that_no_microscope_has_is_refused(option: float) -> None:
    """A slip of the unit would make every nucleus a speck or a lake; what the slide says is told with it."""
    with pytest.raises(OptionError, match=r"--mpp .* outside 0\.05 to 50 .* a\.svs states 0\.25$"):
        resolve_mpp(project=None, slide=0.25, option=option, source="a.svs")

    with pytest.raises(OptionError, match=r"such as 0\.25 for a 40x scan; a\.svs states none$"):
        resolve_mpp(project=None, slide=None, option=option, source="a.svs")


@pytest.mark.parametrize(("project", "warns"), [(0.25, False), (0.3, False), (1.0, True), (0.1, True), (math.nan, False)])
def test_project_that_contradicts_the_slide_is_warned_of(caplog: pytest.LogCaptureFixture, project: float, warns: bool) -> None:
    """It is used all the same: users correct it there."""
    resolve_mpp(project=project, slide=0.25, option=None, source="a.svs")

    assert ("0.25 in the file itself" in caplog.text) == warns


@pytest.mark.parametrize(("option", "warns"), [(0.252, False), (0.27, True), (0.5, True)])
def test_option_that_differs_from_the_project_is_warned_of(caplog: pytest.LogCaptureFixture, option: float, warns: bool) -> None:
    """More than 2 % apart; the user should know that it was not used."""
    with caplog.at_level(logging.WARNING):
        assert resolve_mpp(project=0.25, slide=None, option=option, source="a.svs") == 0.25

    assert bool(caplog.records) is warns
    assert all("a.svs" in record.getMessage() and "--mpp" in record.getMessage() for record in caplog.records)


@pytest.mark.parametrize(
    ("size", "unit", "expected"),
    [(0.25, "µm", 0.25), (250, "nm", 0.25), (25e-5, "mm", 0.25), (2500, "Å", 0.25), (0.25, "pixel", None), (0, "µm", None), (2, "m", None)],
)
def test_ome_physical_size_is_converted(tmp_path: Path, size: float, unit: str, expected: float | None) -> None:
    """Any length unit; sizes without a length or beyond belief are none."""
    metadata = {"axes": "YXS", "PhysicalSizeX": size, "PhysicalSizeXUnit": unit, "PhysicalSizeY": size, "PhysicalSizeYUnit": unit}
    tifffile.imwrite(tmp_path / "a.ome.tif", PIXELS, photometric="rgb", metadata=metadata)

    assert mpp_of(tmp_path / "a.ome.tif") == (None if expected is None else pytest.approx(expected))


def test_ome_unit_is_the_micrometre_where_none_is_given() -> None:
    """As the OME schema has it."""
    xml = '<OME xmlns="urn:x"><Image><Pixels SizeX="9" SizeY="7" PhysicalSizeX="0.3" PhysicalSizeY="0.5"/></Image></OME>'

    assert read_ome(xml, 0, (9, 7)).mpp == pytest.approx(0.4)


@pytest.mark.parametrize("xml", ["<OME", "<OME/>", '<OME><Image><Pixels SizeX="8" SizeY="7" PhysicalSizeX="1"/></Image></OME>'])
def test_ome_of_another_image_is_not_believed(xml: str) -> None:
    """Broken XML, or an image of another size, says nothing."""
    assert read_ome(xml, 0, (9, 7)).mpp is None


@pytest.mark.parametrize("tile", [None, (64, 64)])
@pytest.mark.parametrize(
    ("resolution", "unit", "expected"),
    [(40_000, "CENTIMETER", 0.25), (50_800, "INCH", 0.5), (40_000, "NONE", None), (72, "INCH", None), (300, "INCH", None)],
)
def test_tiff_resolution_counts_when_it_is_a_microscopes(
    tmp_path: Path, tile: tuple[int, int] | None, resolution: float, unit: str, expected: float | None
) -> None:
    """Unit cm or inch and 0.05 to 50 um per pixel, the same through OpenSlide (tiles) and tifffile (strips)."""
    both = (resolution, resolution)
    tifffile.imwrite(tmp_path / "a.tif", PIXELS, photometric="rgb", metadata=None, tile=tile, resolution=both, resolutionunit=unit)

    assert mpp_of(tmp_path / "a.tif") == (None if expected is None else pytest.approx(expected, rel=1e-4))


@pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.bmp"])
def test_resolution_of_plain_images_is_not_believed(tmp_path: Path, name: str) -> None:
    """Even when it would be plausible: 25400 dots per inch is 1 um."""
    Image.fromarray(PIXELS).save(tmp_path / name, dpi=(25_400, 25_400))

    assert mpp_of(tmp_path / name) is None


@pytest.mark.parametrize("mpp", [1e-9, 5e-5, 0.049, 50.1, 1e300])
def test_a_pixel_size_that_no_microscope_has_is_refused(mpp: float) -> None:
    """Of a project, a slide or an option: windows of that scale would fill the memory."""
    with pytest.raises(NoPixelSizeError, match=r"um per pixel in the project, which is not within 0\.05 to 50; correct it"):
        resolve_mpp(project=mpp, slide=0.25, option=None, source="a.svs")
    with pytest.raises(OptionError, match="lies outside"):
        resolve_mpp(project=None, slide=None, option=mpp, source="a.svs")
