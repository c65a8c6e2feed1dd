"""Tests of `nuclick_qp.run.fluorescence`, and of `nuclick_qp.qupath.qpdata.image_type`."""

import json
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from skimage.draw import disk

from drawn_projects import DISCS, run_on
from fixture_projects import DATA, snapshot
from nuclick_qp.errors import FluorescenceError
from nuclick_qp.model.predictor import Predictors
from nuclick_qp.prompts import click_at
from nuclick_qp.qupath.folder.create import ImageType, NewImage, create_project
from nuclick_qp.qupath.qpdata.data_file import parse_data_file
from nuclick_qp.qupath.qpdata.image_type import image_type_in
from nuclick_qp.qupath.qpdata.new_objects import NewAnnotation
from nuclick_qp.run.file import segment_file
from nuclick_qp.run.fluorescence import dark_share
from nuclick_qp.run.run_options import RunOptions
from nuclick_qp.segmentation.background import LARGEST_DARK_SHARE
from nuclick_qp.slides import open_slide

PLACES = tuple((x, y) for x, y, _ in DISCS)
SHARED = os.environ.get("NUCLICK_SHARED")


@pytest.fixture
def glowing(tmp_path: Path) -> Path:
    """Draw bright discs on a dark ground."""
    pixels = np.full((300, 400, 3), (12, 8, 15), np.uint8)
    for x, y, radius in DISCS:
        pixels[disk((y - 0.5, x - 0.5), radius)] = (20, 40, 220)
    path = tmp_path / "glowing.png"
    Image.fromarray(pixels).save(path)
    return path


def _project(folder: Path, *images: tuple[Path, ImageType]) -> Path:
    points = (NewAnnotation("Points", PLACES),)
    return create_project(folder, [NewImage(path, path.name, 400, 300, 0.25, points, image_type) for path, image_type in images])


def test_what_qupath_calls_fluorescence_is_refused(draw_discs: Callable[..., Path], predictors: Predictors, tmp_path: Path) -> None:
    """That image fails with what to do, and stays as it is; the others are done."""
    discs = draw_discs(DISCS)
    project = _project(tmp_path / "project", (discs, "FLUORESCENCE"), (discs, "BRIGHTFIELD_H_E"))
    before = snapshot(project.parent / "data" / "1")

    report = run_on(project, predictors)

    assert [image.status for image in report.images] == ["failed", "ok"]
    assert "is a fluorescence image, QuPath says" in (report.images[0].error or "")
    assert "--force" in (report.images[0].error or "")
    assert snapshot(project.parent / "data" / "1") == before
    assert run_on(project, predictors, force=True).images[0].status == "ok"


@pytest.mark.parametrize(("image_type", "status"), [("UNSET", "failed"), ("OTHER", "failed"), ("BRIGHTFIELD_OTHER", "partial")])
def test_dark_ground_is_refused_unless_it_is_called_brightfield(
    glowing: Path, predictors: Predictors, tmp_path: Path, image_type: ImageType, status: str
) -> None:
    """Whoever sets the type is believed; else an image that is dark round its points is not segmented."""
    (image,) = run_on(_project(tmp_path / "project", (glowing, image_type)), predictors).images

    assert image.status == status
    assert ("looks like fluorescence" in (image.error or "")) is (status == "failed")


def test_black_where_nothing_was_scanned_is_no_fluorescence(predictors: Predictors, tmp_path: Path) -> None:
    """Nine tenths of the picture are black, but not round the points."""
    pixels = np.zeros((1200, 1200, 3), np.uint8)
    pixels[400:800, 400:800] = 230
    pixels[disk((600, 600), 9)] = 40
    Image.fromarray(pixels).save(tmp_path / "framed.png")

    with open_slide(tmp_path / "framed.png") as slide:
        assert dark_share(slide, [click_at(600, 600), click_at(5000, 5000)], mpp=0.5) < LARGEST_DARK_SHARE
        assert dark_share(slide, [click_at(100, 100)], mpp=0.5) > LARGEST_DARK_SHARE


def test_segment_refuses_fluorescence_unless_forced(glowing: Path, predictors: Predictors, tmp_path: Path) -> None:
    """No type is stated beside a GeoJSON file, so the pixels tell; nothing is written."""
    prompts, output = tmp_path / "prompts.geojson", tmp_path / "out.geojson"
    prompts.write_text(json.dumps({"type": "MultiPoint", "coordinates": PLACES}))

    with pytest.raises(FluorescenceError, match="looks like fluorescence"):
        segment_file(glowing, prompts, output, predictors=predictors, options=RunOptions(mpp=0.25))
    assert not output.exists()

    segment_file(glowing, prompts, output, predictors=predictors, options=RunOptions(mpp=0.25, force=True))
    assert output.exists()


@pytest.mark.parametrize("path", sorted(DATA.rglob("data.qpdata")), ids=lambda path: "-".join(path.parts[-5:-1]))
def test_image_type_is_found_without_parsing(path: Path) -> None:
    """The same that the whole stream says, for all versions of QuPath."""
    data = path.read_bytes()

    assert image_type_in(data) == parse_data_file(data, source=path).image_type


@pytest.mark.shared
@pytest.mark.skipif(SHARED is None, reason="needs real data (NUCLICK_SHARED)")
def test_real_fluorescence_is_told_from_dark_brightfield() -> None:
    """A TRITC scan, and the two darkest training images."""
    folder = Path(SHARED or "") / "data"
    with open_slide(folder / "slides" / "test3-TRITC-2-560.ndpi") as slide:
        assert slide.mpp is not None
        clicks = [click_at(x, y) for x in (1000, 2000, 3000) for y in (1000, 2400, 3800)]
        assert dark_share(slide, clicks, mpp=slide.mpp) > LARGEST_DARK_SHARE
    for name in ("nuins_human_tongue_28.jpg", "nuins_human_spleen_13.jpg"):
        with open_slide(folder / "nuclei" / "train" / name) as slide:
            share = dark_share(slide, [click_at(x, y) for x in (100, 256, 400) for y in (100, 256, 400)], mpp=0.22)
        assert share < LARGEST_DARK_SHARE / 3
