"""Tests of `nuclick_qp.projects.geojson_io`."""

import gzip
import json
import uuid
from pathlib import Path
from typing import Any

import pytest
from shapely import MultiPolygon, Point, box
from shapely.geometry import shape

from nuclick_qp.errors import PromptError, WriteRefusedError
from nuclick_qp.projects.geojson_io import read_prompts, write_objects
from nuclick_qp.projects.protocol import PROMPT_KEY, ResultObject
from nuclick_qp.prompts import Plane


def _feature(geometry: dict[str, Any], **properties: Any) -> dict[str, Any]:
    return {"type": "Feature", "geometry": geometry, "properties": {"objectType": "annotation", **properties}}


def _point(x: float, y: float) -> dict[str, Any]:
    return {"type": "Point", "coordinates": [x, y]}


def _save(tmp_path: Path, content: Any) -> Path:
    path = tmp_path / "prompts.geojson"
    path.write_text(json.dumps(content))
    return path


@pytest.mark.parametrize("form", ["collection", "array", "feature", "geometry", "hierarchy", "gz"])
def test_every_form_that_qupath_writes_is_read(tmp_path: Path, form: str) -> None:
    """FeatureCollection, array, one feature, bare geometry, nested hierarchy, gzip."""
    feature = _feature(_point(3, 4))
    root = {"type": "Feature", "geometry": None, "properties": {"objectType": "root", "childObjects": [feature]}}
    forms = {"collection": {"type": "FeatureCollection", "features": [feature]}, "array": [feature], "feature": feature}
    content = {**forms, "geometry": _point(3, 4), "hierarchy": root, "gz": [feature]}[form]
    path = _save(tmp_path, content)
    if form == "gz":
        path = path.with_suffix(".geojson.gz")
        path.write_bytes(gzip.compress(json.dumps(content).encode()))

    (prompt,) = read_prompts(path).prompts

    assert prompt.strokes == (((3.0, 4.0),),)
    assert not prompt.nested


def test_order_of_a_multipoint_is_kept(tmp_path: Path) -> None:
    """Each point is a prompt, in the user's order."""
    points = [[9.0, 1.0], [2.0, 2.0], [5.0, 0.5]]

    content = read_prompts(_save(tmp_path, [_feature({"type": "MultiPoint", "coordinates": points}, name="many")]))

    assert [list(prompt.anchor) for prompt in content.prompts] == points
    assert {prompt.name for prompt in content.prompts} == {"many"}


@pytest.mark.parametrize(
    ("classification", "expected"),
    [
        ({"name": "Tumor", "color": [200, 0, 0]}, "Tumor"),
        ({"names": ["Tumor", "Positive"]}, "Tumor: Positive"),
        ("Tumor: Positive", "Tumor: Positive"),
        ({"name": "Positive", "colorRGB": -1, "parentClass": {"name": "Tumor"}}, "Tumor: Positive"),
        (None, None),
    ],
)
def test_classes_of_every_version_are_read(tmp_path: Path, classification: Any, expected: str | None) -> None:
    """QuPath has written classes in several ways."""
    (prompt,) = read_prompts(_save(tmp_path, [_feature(_point(1, 1), classification=classification)])).prompts

    assert prompt.class_name == expected


def test_lines_of_one_name_are_one_squiggle(tmp_path: Path) -> None:
    """As in projects: a non-empty name and the same class join strokes."""
    lines = [_feature({"type": "LineString", "coordinates": [[x, 0], [x, 9]]}, name="gland") for x in (1, 5)]

    (prompt,) = read_prompts(_save(tmp_path, lines)).prompts

    assert prompt.kind == "line"
    assert len(prompt.strokes) == 2


def test_detections_are_neighbours_and_planes_are_kept(tmp_path: Path) -> None:
    """A detection is no prompt; z and t come from the geometry."""
    square = {**json.loads(json.dumps(shape(box(0, 0, 4, 2)).__geo_interface__)), "plane": {"c": -1, "z": 2, "t": 1}}
    content = read_prompts(_save(tmp_path, [_feature(square, objectType="detection"), _feature({**_point(1, 1), "plane": {"z": 3}})]))

    assert content.neighbours == (((2.0, 1.0), Plane(2, 1)),)
    assert [prompt.plane for prompt in content.prompts] == [Plane(3, 0)]


def test_nan_coordinates_become_bad_prompts(tmp_path: Path) -> None:
    """A bare NaN token, as old QuPath writes it; the other prompt is still read."""
    path = tmp_path / "prompts.geojson"
    path.write_text(json.dumps([_feature(_point(float("nan"), 4)), _feature(_point(1, 1))]))

    content = read_prompts(path)

    assert len(content.prompts) == 1
    assert len(content.bad_prompts) == 1


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", "3", '{"type": "FeatureCollection"}', "\x00\xff", "[" * 5000])
def test_what_is_not_geojson_is_one_clear_line(tmp_path: Path, text: str) -> None:
    """The error names the file and what to do."""
    path = tmp_path / "broken.geojson"
    path.write_text(text)

    with pytest.raises(PromptError, match=r"broken\.geojson.*QuPath"):
        read_prompts(path)


@pytest.mark.parametrize(
    "geometry",
    [
        {"type": "Point", "coordinates": []},
        {"type": "Point", "coordinates": "ab"},
        {"coordinates": [1, 2]},
        {"type": "Polygon", "coordinates": [[[0, 0]]]},
        {"type": "Wavy", "coordinates": [1, 2]},
        {"type": "LineString", "coordinates": [["x", "y"], [1, 2]]},
    ],
)
def test_broken_geometries_are_one_clear_line(tmp_path: Path, geometry: dict[str, Any]) -> None:
    """No other exception gets out."""
    with pytest.raises(PromptError, match=r"prompts\.geojson.*not valid GeoJSON"):
        read_prompts(_save(tmp_path, [_feature(geometry)]))


def test_missing_file_is_named(tmp_path: Path) -> None:
    """A path that is not there."""
    with pytest.raises(PromptError, match=r"gone\.geojson cannot be read"):
        read_prompts(tmp_path / "gone.geojson")


def _result(**changes: Any) -> ResultObject:
    fields: dict[str, Any] = {
        "outline": Point(10, 10).buffer(3),
        "kind": "detection",
        "class_name": "Tumor: Positive",
        "plane": Plane(),
        "nested": False,
        "anchor": (10.0, 10.0),
        "measurements": (("NuClick: probability", 0.9), ("odd", float("nan"))),
        "metadata": ((PROMPT_KEY, "abc"),),
    }
    return ResultObject(**(fields | changes))


def test_outlines_are_written_as_qupath_reads_them(tmp_path: Path) -> None:
    """A FeatureCollection with UUIDs, types, classes and finite measurements; holes stay holes."""
    ring = Point(50, 50).buffer(9).difference(Point(50, 50).buffer(3))
    parts = MultiPolygon([box(0, 0, 2, 2), box(4, 4, 6, 6)])
    path = tmp_path / "new folder" / "out.geojson"

    write_objects(path, [_result(), _result(outline=ring, class_name=None, plane=Plane(1, 2)), _result(outline=parts, kind="annotation")])

    one, two, three = json.loads(path.read_text())["features"]
    assert str(uuid.UUID(one["id"])) == one["id"]
    assert one["properties"]["objectType"] == "detection"
    assert one["properties"]["classification"] == {"names": ["Tumor", "Positive"]}
    assert one["properties"]["measurements"] == {"NuClick: probability": 0.9}
    assert "classification" not in two["properties"]
    assert two["geometry"]["plane"] == {"c": -1, "z": 1, "t": 2}
    assert shape(two["geometry"]).equals_exact(ring, 1e-5)
    assert three["properties"]["objectType"] == "annotation"
    assert three["geometry"]["type"] == "MultiPolygon"


def test_gzip_goes_out_and_comes_back(tmp_path: Path) -> None:
    """A name in .gz is a gzip file, the same bytes each time, and ours to read."""
    path = tmp_path / "out.geojson.gz"

    write_objects(path, [_result(kind="annotation")])

    first = path.read_bytes()
    write_objects(path, [_result(kind="annotation")])
    assert path.read_bytes() == first
    assert len(json.loads(gzip.decompress(first))["features"]) == 1
    assert read_prompts(path).prompts == ()


def test_file_that_is_no_earlier_result_is_not_merged_into(tmp_path: Path) -> None:
    """It stays as it is, and the message says so."""
    path = tmp_path / "notes.geojson"
    path.write_text("[1]")

    with pytest.raises(WriteRefusedError, match="move it away"):
        write_objects(path, [_result()], merge=True)
    assert path.read_text() == "[1]"


def test_broken_gzip_is_one_clear_line(tmp_path: Path) -> None:
    """Whatever is wrong inside."""
    whole = gzip.compress(json.dumps([_feature(_point(1, 1))] * 50).encode())
    path = tmp_path / "p.geojson.gz"
    for place in range(10, len(whole), 7):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 0xFF]) + whole[place + 1 :])
        with pytest.raises(PromptError, match=r"p\.geojson\.gz"):
            read_prompts(path)


def test_ids_follow_from_prompts(tmp_path: Path) -> None:
    """The same prompts give the same file, byte for byte."""
    for name in ("one", "two"):
        write_objects(tmp_path / name, [_result()])

    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


def test_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    """A file where a folder should be."""
    (tmp_path / "file").write_text("mine")

    with pytest.raises(WriteRefusedError, match=r"out\.geojson cannot be written"):
        write_objects(tmp_path / "file" / "out.geojson", [_result()])
    assert (tmp_path / "file").read_text() == "mine"
