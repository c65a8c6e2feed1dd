"""Tests of `nuclick_qp.run.file` on ASAP files: four ways in and out, merging, and the two origins."""

import json
import xml.etree.ElementTree as ET
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from shapely import Polygon
from shapely.geometry import shape
from shapely.geometry.base import BaseGeometry

from asap_files import annotation, asap_file, group
from mrxs_files import ORIGIN, Scan, write_mrxs
from nuclick_qp.errors import OptionError, PromptError, WriteRefusedError
from nuclick_qp.model.predictor import Predictor, Predictors
from nuclick_qp.run.file import segment_file
from nuclick_qp.run.report import RunReport
from nuclick_qp.run.run_options import RunOptions
from nuclick_qp.storage.guarded import backup_of

DrawDiscs = Callable[..., Path]
DISCS = [(60.0, 60.0, 12.0), (200.0, 150.0, 12.0)]


@pytest.fixture
def predictors(dark_predictor: Predictor) -> Predictors:
    """Take dark pixels for objects, under points and lines."""
    return {"point": dark_predictor, "line": dark_predictor}


def _prompts(folder: Path, form: str, *, dx: float = 0, dy: float = 0) -> Path:
    """Save a dot on each disc, in the class Tumor."""
    places = [(x + dx, y + dy) for x, y, _ in DISCS]
    if form == "xml":
        dots = [annotation("Dot", place, group="Tumor") for place in places]
        return asap_file(folder / "clicks.xml", *dots, groups=(group("Tumor"),))
    path = folder / "clicks.geojson"
    features = [
        {"type": "Feature", "geometry": {"type": "Point", "coordinates": place}, "properties": {"classification": {"name": "Tumor"}}}
        for place in places
    ]
    path.write_text(json.dumps(features))
    return path


def _outlines(path: Path) -> list[BaseGeometry]:
    """Read the outlines of a file as they stand there."""
    if path.suffix == ".geojson":
        return [shape(feature["geometry"]) for feature in json.loads(path.read_text())["features"]]
    ours = [a for a in ET.parse(path).iter("Annotation") if a.attrib["Name"].startswith("nuclick ")]
    return [Polygon([(float(c.attrib["X"]), float(c.attrib["Y"])) for c in a.iter("Coordinate")]) for a in ours]


def _segment(slide: Path, prompts: Path, output: Path, predictors: Predictors) -> RunReport:
    return segment_file(slide, prompts, output, predictors=predictors, options=RunOptions(mpp=0.25))


@pytest.mark.parametrize("out", ["xml", "geojson"])
@pytest.mark.parametrize("given", ["xml", "geojson"])
def test_all_ways_in_and_out_give_the_same_outlines(
    draw_discs: DrawDiscs, predictors: Predictors, tmp_path: Path, given: str, out: str
) -> None:
    """ASAP or GeoJSON, chosen by suffix; discs of a known area."""
    output = tmp_path / f"out.{out}"

    report = _segment(draw_discs(DISCS), _prompts(tmp_path, given), output, predictors)

    assert (report.ok, report.prompts, report.images[0].classes) == (2, 2, ("Tumor",))
    assert report.engine == {"xml": "asap", "geojson": "geojson"}[given]
    for outline, (x, y, radius) in zip(_outlines(output), DISCS, strict=True):
        assert outline.area == pytest.approx(np.pi * radius**2, rel=0.05)  # drawn in whole pixels
        assert (outline.centroid.x, outline.centroid.y) == pytest.approx((x, y), abs=0.3)


@pytest.mark.parametrize("out", ["xml", "geojson"])
@pytest.mark.parametrize("given", ["xml", "geojson"])
def test_canvas_of_asap_and_bounds_of_qupath_are_told_apart(
    draw_discs: DrawDiscs, predictors: Predictors, tmp_path: Path, given: str, out: str
) -> None:
    """On an MRXS slide with bounds ASAP's coordinates are those of the canvas, in what is read and in what is written."""
    slide = write_mrxs(tmp_path / "slide.mrxs", Scan.of(draw_discs(DISCS)))
    output, on_canvas = tmp_path / f"out.{out}", {"xml": ORIGIN, "geojson": (0, 0)}
    prompts = _prompts(tmp_path, given, dx=on_canvas[given][0], dy=on_canvas[given][1])

    assert _segment(slide, prompts, output, predictors).ok == 2

    for outline, (x, y, _) in zip(_outlines(output), DISCS, strict=True):
        dx, dy = on_canvas[out]
        assert (outline.centroid.x, outline.centroid.y) == pytest.approx((x + dx, y + dy), abs=0.3)


def test_file_of_prompts_takes_its_own_outlines(draw_discs: DrawDiscs, predictors: Predictors, tmp_path: Path) -> None:
    """One file per slide, as ASAP has it: drawings stay, a second run changes nothing, the first content is kept."""
    slide, path = draw_discs(DISCS), _prompts(tmp_path, "xml")
    before = path.read_bytes()

    first = _segment(slide, path, path, predictors)
    once = path.read_bytes()
    second = _segment(slide, path, path, predictors)

    assert (first.images[0].removed, second.images[0].statuses) == (0, {"unchanged": 2})
    assert second.prompts == first.prompts == 2
    assert path.read_bytes() == once
    assert once.startswith(before[: before.index(b"</Annotations>")])
    assert len(_outlines(path)) == 2
    assert backup_of(path).read_bytes() == before


def test_strokes_of_a_line_group_become_one_gland(draw_discs: DrawDiscs, predictors: Predictors, tmp_path: Path) -> None:
    """Two point sets of one name are one prompt, and a new file holds them, too."""
    (x, y, _), output = DISCS[0], tmp_path / "out.xml"
    strokes = [annotation("PointSet", (x - 5, y + dy), (x + 5, y + dy), group="nuclick:line", name="gland") for dy in (-4, 4)]
    prompts = asap_file(tmp_path / "clicks.xml", *strokes, groups=(group("nuclick:line", "Gland"), group("Gland")))

    report = _segment(draw_discs(DISCS), prompts, output, predictors)

    assert (report.ok, report.prompts, report.images[0].classes) == (1, 1, ("Gland",))
    assert len(_outlines(output)) == 1
    assert output.read_text().count('Type="PointSet"') == 2


def test_slide_and_geojson_of_prompts_are_never_written_over(draw_discs: DrawDiscs, predictors: Predictors, tmp_path: Path) -> None:
    """Only ASAP files are added to."""
    slide = draw_discs(DISCS).rename(tmp_path / "slide.xml")
    before = slide.read_bytes()

    with pytest.raises(OptionError, match="overwritten by its own result"):
        _segment(slide, _prompts(tmp_path, "xml"), slide, predictors)
    assert slide.read_bytes() == before


def test_output_that_cannot_be_added_to_is_refused_before_the_work(draw_discs: DrawDiscs, tmp_path: Path) -> None:
    """No predictor is needed to find out."""
    output = tmp_path / "out.xml"
    output.write_text("notes")

    with pytest.raises(WriteRefusedError, match=r"out\.xml is not XML"):
        segment_file(draw_discs(DISCS), _prompts(tmp_path, "xml"), output, predictors={}, options=RunOptions(mpp=0.25))
    assert output.read_text() == "notes"


def test_areas_alone_are_nothing_to_do(draw_discs: DrawDiscs, predictors: Predictors, tmp_path: Path) -> None:
    """And no file is made."""
    path = asap_file(tmp_path / "areas.xml", annotation("Polygon", (0, 0), (0, 9), (9, 9)))

    with pytest.raises(PromptError, match=r"areas\.xml has no points or lines"):
        _segment(draw_discs(DISCS), path, tmp_path / "out.xml", predictors)
    assert not (tmp_path / "out.xml").exists()
