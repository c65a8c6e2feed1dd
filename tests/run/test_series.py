"""Several entries of a project on one file: each is an image of an OME-TIFF of its own."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tifffile
from numpy.typing import NDArray
from PIL import Image
from skimage.draw import disk

from drawn_projects import ours_of, outlines_of, points_at, run_on
from nuclick_qp.geometry import Window
from nuclick_qp.model.predictor import Predictors
from nuclick_qp.qupath.folder.create import NewImage, create_project
from nuclick_qp.qupath.locate import SlidePlaces
from nuclick_qp.qupath.open_image import open_image
from nuclick_qp.qupath.open_project import open_project
from wrapped_images import BIOFORMATS, serve_with

# Width, height, um per pixel, and the disc of each series; the last two have one size, as tissue cores may.
SERIES = [
    (320, 240, 0.25, (70.0, 60.0, 9.0)),
    (400, 300, 0.5, (300.0, 200.0, 12.0)),
    (256, 256, 0.25, (64.0, 128.0, 9.0)),
    (256, 256, 0.25, (192.0, 100.0, 9.0)),
]
MakeProject = Callable[..., Path]


def picture(width: int, height: int, disc: tuple[float, float, float]) -> NDArray[np.uint8]:
    """Draw a dark disc on light grey."""
    pixels = np.full((height, width, 3), 230, np.uint8)
    x, y, radius = disc
    pixels[disk((y - 0.5, x - 0.5), radius, shape=(height, width))] = 40
    return pixels


@pytest.fixture
def make_study(tmp_path: Path) -> MakeProject:
    """Give a function that makes a project with an entry for some series of one file, a point on the disc of each."""
    path = tmp_path / "cores.ome.tif"
    with tifffile.TiffWriter(path, ome=True) as file:
        for width, height, mpp, disc in SERIES:
            metadata = {"axes": "YXS", "PhysicalSizeX": mpp, "PhysicalSizeY": mpp}
            levels = [picture(width, height, disc)]
            levels.append(levels[0][::2, ::2])
            file.write(levels[0], subifds=1, photometric="rgb", tile=(64, 64), metadata=metadata)
            file.write(levels[1], subfiletype=1, photometric="rgb", tile=(64, 64))

    def make(*numbers: int) -> Path:
        sizes = [SERIES[min(n, len(SERIES) - 1)] for n in numbers]
        preview = tmp_path / "preview.png"  # from which the thumbnails of the project are made
        Image.new("RGB", (40, 30)).save(preview)
        images = [
            NewImage(preview, f"core {n}", w, h, None, (points_at(disc[:2]),)) for n, (w, h, _, disc) in zip(numbers, sizes, strict=True)
        ]
        project = create_project(tmp_path / "study", images)
        project.write_text(project.read_text("utf-8").replace(preview.as_uri(), path.as_uri()), "utf-8")
        for image, n in enumerate(numbers):
            serve_with(project, BIOFORMATS, "--series", str(n), image=image)
        return project

    return make


def test_each_entry_reads_its_own_series(make_study: MakeProject) -> None:
    """Size, pixel size and pixels, in any order of the entries."""
    project = make_study(3, 1, 0, 2)

    with open_project(project) as opened:
        for entry, number in zip(opened.images(), (3, 1, 0, 2), strict=True):
            width, height, mpp, (x, y, _) = SERIES[number]
            with open_image(entry, SlidePlaces(project)) as slide:
                assert (slide.width, slide.height, slide.mpp) == (width, height, mpp)
                assert slide.levels == (1.0, 2.0)
                dark = np.argwhere(slide.read(Window(0, 0, width, height))[..., 0] < 128)
            np.testing.assert_allclose(dark.mean(axis=0) + 0.5, (y, x), atol=0.01)


def test_run_over_one_file_puts_each_outline_on_its_own_disc(make_study: MakeProject, predictors: Predictors) -> None:
    """Series of one size are told apart by number alone; pixel sizes differ."""
    project = make_study(0, 1, 2, 3)

    report = run_on(project, predictors)

    assert (report.ok, report.failed) == (4, 0)
    for image, (*_, (x, y, radius)) in enumerate(SERIES):
        (outline,) = outlines_of(project, image)
        assert (outline.centroid.x, outline.centroid.y) == pytest.approx((x, y), abs=1)
        assert outline.area == pytest.approx(np.pi * radius**2, rel=0.15)


def test_series_that_is_not_there_is_one_error(make_study: MakeProject, predictors: Predictors) -> None:
    """The other entries of the file are done, and nothing is written for this one."""
    project = make_study(2, 4)

    report = run_on(project, predictors)

    assert [image.status for image in report.images] == ["ok", "failed"]
    assert str(report.images[1].error).endswith("cores.ome.tif holds 4 images, there is no series 4; add it to QuPath anew")
    assert not ours_of(project, "2")


def test_series_of_another_size_is_refused(make_study: MakeProject, predictors: Predictors) -> None:
    """The file was exchanged, or the number is another's."""
    project = make_study(0)
    serve_with(project, BIOFORMATS, "--series", "1")

    report = run_on(project, predictors)

    assert "has 400 x 300 pixels but image core 0 of the project has 320 x 240" in str(report.images[0].error)
