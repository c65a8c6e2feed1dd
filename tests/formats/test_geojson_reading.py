"""Tests of `nuclick_qp.formats.geojson.reading`."""

import gzip
import json
import os
import zipfile
from pathlib import Path
from typing import Any

import pytest
from shapely import box
from shapely.geometry import shape

from nuclick_qp.annotations.objects import PROMPT_KEY
from nuclick_qp.errors import PromptError
from nuclick_qp.formats.geojson import reading
from nuclick_qp.formats.geojson.reading import read_prompts
from nuclick_qp.prompts import Plane


def _feature(geometry: dict[str, Any], **properties: Any) -> dict[str, Any]:
    return {"type": "Feature", "geometry": geometry, "properties": {"objectType": "annotation", **properties}}


def _point(x: float, y: float) -> dict[str, Any]:
    return {"type": "Point", "coordinates": [x, y]}


def _save(tmp_path: Path, content: Any) -> Path:
    path = tmp_path / "prompts.geojson"
    path.write_text(json.dumps(content))
    return path


@pytest.mark.parametrize("form", ["collection", "array", "feature", "geometry", "root", "hierarchy", "gz"])
def test_every_form_that_qupath_writes_is_read(tmp_path: Path, form: str) -> None:
    """FeatureCollection, array, one feature, bare geometry, nested hierarchy, gzip."""
    feature = _feature(_point(3, 4))
    root = {"type": "Feature", "geometry": {}, "properties": {"objectType": "root", "childObjects": [feature]}}
    forms = {"collection": {"type": "FeatureCollection", "features": [feature]}, "array": [feature], "feature": feature}
    more = {"root": root, "hierarchy": {"root": root, "tmaGrid": {"width": 0, "cores": []}}}
    content = {**forms, **more, "geometry": _point(3, 4), "gz": [feature]}[form]
    path = _save(tmp_path, content)
    if form == "gz":
        path = path.with_suffix(".geojson.gz")
        path.write_bytes(gzip.compress(json.dumps(content).encode()))

    (prompt,) = read_prompts(path).prompts

    assert prompt.strokes == (((3.0, 4.0),),)
    assert not prompt.nested


def test_a_file_of_features_without_a_place_is_not_read_to_its_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Packed, millions of them are a few bytes. A few, as the root of a hierarchy, are no harm."""
    monkeypatch.setattr(reading, "MOST_EMPTY", 3)
    empty: dict[str, Any] = {"type": "Feature", "geometry": None, "properties": {}}
    point = _feature(_point(3, 4))

    assert len(read_prompts(_save(tmp_path, [empty] * 3 + [point])).prompts) == 1
    with pytest.raises(PromptError, match=r"prompts\.geojson holds more than 3 features without a geometry; export it from QuPath again"):
        read_prompts(_save(tmp_path, [empty] * 4 + [point]))


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
        ("Tumor:Positive ", "Tumor: Positive"),
        ({"name": "Tumor: Positive", "color": None}, "Tumor: Positive"),
        ({"name": 3}, "3"),
        ({}, None),
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


@pytest.mark.parametrize("odd", [float("nan"), float("-inf"), "NaN", "Infinity"])
def test_odd_coordinates_become_bad_prompts(tmp_path: Path, odd: Any) -> None:
    """A bare token, as old QuPath writes it, or a text; the other prompt is still read, the odd area is no neighbour."""
    area = {"type": "Polygon", "coordinates": [[[0, 0], [odd, 1], [1, 1], [0, 0]]]}
    path = _save(tmp_path, [_feature(_point(odd, 4)), _feature(_point(1, 1)), _feature(area, objectType="detection")])

    content = read_prompts(path)

    assert len(content.prompts) == 1
    assert len(content.bad_prompts) == 1
    assert content.neighbours == ()


@pytest.mark.parametrize("kind", ["objectType", "object_type", "type", "id"])
def test_types_of_every_version_are_read(tmp_path: Path, kind: str) -> None:
    """0.2 wrote the type into the id, 0.3 and 0.4 into properties of two names."""
    square = {**_feature(shape(box(0, 0, 4, 2)).__geo_interface__), "properties": {}}
    where = square if kind == "id" else square["properties"]
    where[kind] = "PathCellObject" if kind == "id" else "cell"

    content = read_prompts(_save(tmp_path, {**square, "nucleusGeometry": shape(box(1, 1, 2, 2)).__geo_interface__}))

    assert content.neighbours == (((2.0, 1.0), Plane()),)


def test_metadata_written_twice_are_both_read(tmp_path: Path) -> None:
    """QuPath 0.6 and newer do so; values are texts, and what is neither text nor number is none."""
    path = tmp_path / "twice.geojson"
    square = json.dumps(shape(box(0, 0, 4, 2)).__geo_interface__)
    first, second = f'"metadata": {{"{PROMPT_KEY}": "abc", "x": [1]}}', '"metadata": {"nuclick:model": 5}'
    path.write_text(f'{{"type": "Feature", "geometry": {square}, "properties": {{{first}, {second}}}}}')

    (result,) = read_prompts(path).results

    assert (result.key, result.model) == ("abc", "5")


@pytest.mark.parametrize(
    ("parts", "kind"),
    [
        (["MultiPoint"], "point"),
        (["LineString"], "line"),
        (["Point", "LineString", "LineString"], "line"),
        (["LineString", "Polygon"], None),
    ],
)
def test_collections_of_geometries_count_as_their_highest_dimension(tmp_path: Path, parts: list[str], kind: str | None) -> None:
    """As in QuPath; the lines of one annotation are one prompt."""
    line = [[0, 0], [5, 5]]
    coordinates = {"Point": [1, 1], "MultiPoint": line, "LineString": line, "Polygon": [[*line, [5, 0], [0, 0]]]}
    inner = {"type": "GeometryCollection", "geometries": [{"type": part, "coordinates": coordinates[part]} for part in parts]}

    content = read_prompts(_save(tmp_path, {"type": "GeometryCollection", "geometries": [inner]}))

    assert {prompt.kind for prompt in content.prompts} == ({kind} if kind else set())
    assert [len(prompt.strokes) for prompt in content.prompts if prompt.kind == "line"] == [parts.count("LineString")] * (kind == "line")


def test_children_are_read_at_any_depth_that_json_allows(tmp_path: Path) -> None:
    """Parents come first; all but the outermost have a parent."""
    feature = _feature(_point(0, 0))
    for level in range(1, 300):
        feature = _feature(_point(level, 0), **{"childObjects" if level % 2 else "children": [feature]})

    prompts = read_prompts(_save(tmp_path, [feature])).prompts

    assert [prompt.anchor[0] for prompt in prompts] == list(range(299, -1, -1))
    assert [prompt.nested for prompt in prompts] == [False] + [True] * 299


def test_classes_and_collections_may_nest_deeply(tmp_path: Path) -> None:
    """Only what JSON itself refuses is refused."""
    names: dict[str, Any] = {"name": "a"}
    geometry: dict[str, Any] = _point(1, 1)
    for _ in range(300):
        names = {"parentClass": names}
        geometry = {"type": "GeometryCollection", "geometries": [geometry]}

    (prompt,) = read_prompts(_save(tmp_path, [_feature(geometry, classification=names)])).prompts

    assert prompt.class_name == "a"


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", "3", '{"type": "FeatureCollection"}', "\x00\xff", "[" * 5000, "[" * 900 + "]" * 900])
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
        {"type": "MultiPoint", "coordinates": ["12", "34"]},
        {"type": "Point", "coordinates": [10**400, 1]},
        {"type": "Point", "coordinates": [1, 2], "plane": {"z": -1}},
        {"type": "Point", "coordinates": [1, 2], "plane": {"t": float("inf")}},
        {"type": "GeometryCollection", "geometries": None},
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


def test_broken_gzip_is_one_clear_line(tmp_path: Path) -> None:
    """Whatever is wrong inside."""
    whole = gzip.compress(json.dumps([_feature(_point(1, 1))] * 50).encode())
    path = tmp_path / "p.geojson.gz"
    for place in range(10, len(whole), 7):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 0xFF]) + whole[place + 1 :])
        with pytest.raises(PromptError, match=r"p\.geojson\.gz"):
            read_prompts(path)


@pytest.mark.shared
@pytest.mark.skipif(not os.environ.get("NUCLICK_SHARED"), reason="set NUCLICK_SHARED to a folder with data/qupath-geojson")
@pytest.mark.parametrize(
    ("name", "prompts"),
    [
        ("JP2K-33003-2_cell_detection.geojson", 37927),
        ("qupath-point.json", 1),
        ("qupath-multipoint.json", 3),
        ("qupath-line.json", 1),
        ("qupath-polyline.json", 1),
        ("qupath-ellipse.json", 0),
        ("qupath-wand.json", 0),
        ("qupath-polygon-cell-classified.json", 0),
        ("qupath-core-test-polygon.geojson", 0),
    ],
)
def test_real_files_are_read(name: str, prompts: int) -> None:
    """As many prompts as the files have points and lines."""
    content = read_prompts(Path(os.environ["NUCLICK_SHARED"]) / "data" / "qupath-geojson" / name)

    assert (len(content.prompts), content.bad_prompts) == (prompts, ())


def test_damaged_lzma_in_a_zip_is_one_clear_line(tmp_path: Path) -> None:
    """Its error is of a kind of its own."""
    path = tmp_path / "prompts.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_LZMA) as archive:
        archive.writestr("a.geojson", json.dumps({"type": "FeatureCollection", "features": [{"x": n} for n in range(99)]}))
    data = bytearray(path.read_bytes())
    data[60:90] = b"\xff" * 30
    path.write_bytes(data)

    with pytest.raises(PromptError, match=r"prompts\.zip"):
        read_prompts(path)
