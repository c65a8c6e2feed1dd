"""Tests of `nuclick_qp.formats.geojson.writing`."""

import gzip
import json
import logging
import re
import tracemalloc
import uuid
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from shapely import MultiPolygon, Point, Polygon, box
from shapely.geometry import shape

from nuclick_qp.annotations.objects import ResultObject
from nuclick_qp.errors import WriteRefusedError
from nuclick_qp.formats.geojson import features
from nuclick_qp.formats.geojson.reading import read_prompts
from nuclick_qp.formats.geojson.writing import write_objects
from nuclick_qp.prompts import Plane

NAMES = ["out.geojson", "out.geojson.gz", "out.zip"]


def _result(key: str = "abc", **changes: Any) -> ResultObject:
    fields: dict[str, Any] = {
        "outline": Point(10, 10).buffer(3),
        "kind": "detection",
        "class_name": "Tumor: Positive",
        "plane": Plane(),
        "nested": False,
        "anchor": (10.0, 10.0),
        "key": key,
        "probability": 0.9,
    }
    return ResultObject(**(fields | changes))


def _features(path: Path) -> list[dict[str, Any]]:
    features: list[dict[str, Any]] = json.loads(path.read_text())["features"]
    return features


def _unpacked(path: Path) -> str:
    if path.suffix == ".zip":
        with zipfile.ZipFile(path) as archive:
            return archive.read(path.with_suffix(".geojson").name).decode()
    return (gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()).decode()


def test_outlines_are_written_as_qupath_reads_them(tmp_path: Path) -> None:
    """A FeatureCollection with UUIDs, types, classes and planes; holes stay holes."""
    ring = Point(50, 50).buffer(9).difference(Point(50, 50).buffer(3))
    parts = MultiPolygon([box(0, 0, 2, 2), box(4, 4, 6, 6)])
    path = tmp_path / "new folder" / "out.geojson"

    write_objects(
        path, [_result(), _result("b", outline=ring, class_name=None, plane=Plane(1, 2)), _result("c", outline=parts, kind="annotation")]
    )

    one, two, three = _features(path)
    assert str(uuid.UUID(one["id"])) == one["id"]
    assert one["properties"]["objectType"] == "detection"
    assert one["properties"]["measurements"] == {"NuClick: probability": 0.9}
    assert "classification" not in two["properties"]
    assert two["geometry"]["plane"] == {"c": -1, "z": 1, "t": 2}
    assert shape(two["geometry"]).equals_exact(ring, 0.01, normalize=True)
    assert three["properties"]["objectType"] == "annotation"
    assert three["geometry"]["type"] == "MultiPolygon"
    assert len({one["id"], two["id"], three["id"]}) == 3


@pytest.mark.parametrize(("class_name", "names"), [("Tumor", {"name": "Tumor"}), ("Tumor: Positive", {"names": ["Tumor", "Positive"]})])
def test_classes_have_a_colour_that_leaves_the_choice_to_qupath(tmp_path: Path, class_name: str, names: dict[str, Any]) -> None:
    """QuPath 0.4 to 0.8 cannot read a class that has no member "color", and then imports nothing at all."""
    write_objects(tmp_path / "out.geojson", [_result(class_name=class_name)])

    (feature,) = _features(tmp_path / "out.geojson")
    assert feature["properties"]["classification"] == {**names, "color": None}


def test_any_class_name_can_be_written(tmp_path: Path) -> None:
    """Quotation marks, other alphabets, even half a surrogate pair, which Java's texts may hold."""
    write_objects(tmp_path / "out.geojson", [_result(class_name='é "癌" \ud800')])

    (feature,) = _features(tmp_path / "out.geojson")
    assert feature["properties"]["classification"]["name"] == 'é "癌" \ud800'


@pytest.mark.parametrize(
    ("class_name", "classification"),
    [
        ("Tumor: ", {"name": "Tumor", "color": None}),
        (": Tumor:: Positive ", {"names": ["Tumor", "Positive"], "color": None}),
        ("HER2:3+", {"name": "HER2:3+", "color": None}),
        ("HER2:3+: Positive", {"names": ["HER2", "3+", "Positive"], "color": None}),
        ("two\r\nlines", {"name": "two lines", "color": None}),
        (" :\n", None),
    ],
)
def test_class_names_are_those_that_qupath_takes(tmp_path: Path, class_name: str, classification: dict[str, Any] | None) -> None:
    """It imports nothing at all when a part is blank, has a line break, or is one of several and has a colon."""
    write_objects(tmp_path / "out.geojson", [_result(class_name=class_name)])

    (feature,) = _features(tmp_path / "out.geojson")
    assert feature["properties"].get("classification") == classification


def test_infinite_measurements_are_numbers_and_nan_is_left_out(tmp_path: Path) -> None:
    """QuPath 0.4 imports no text for a number, and a measurement that is missing is NaN to all. No bare tokens, which are no JSON."""
    inf = float("inf")
    write_objects(tmp_path / "out.geojson", [_result(probability=None, shape=(("a", inf), ("b", -inf), ("c", float("nan")), ("d", 1)))])

    text = (tmp_path / "out.geojson").read_text()
    assert not any(word in text for word in ("NaN", "Infinity"))
    (feature,) = _features(tmp_path / "out.geojson")
    assert feature["properties"]["measurements"] == {"a": inf, "b": -inf, "d": 1.0}


def test_outlines_are_valid_on_the_grid_of_qupath(tmp_path: Path) -> None:
    """At most two decimals, closed rings; one invalid outline would make QuPath refuse all."""
    neck = Polygon([(0, 0), (10, 0), (10, 10), (5.004, 0.004), (5, 0.004), (0, 10)])
    tie = Polygon([(0, 0), (4, 4), (4, 0), (0, 4)])

    write_objects(
        tmp_path / "out.geojson", [_result("a", outline=neck), _result("b", outline=tie), _result("c", outline=box(0.1, 0, 1 / 3, 1))]
    )

    for feature in _features(tmp_path / "out.geojson"):
        parts = (
            feature["geometry"]["coordinates"] if feature["geometry"]["type"] == "MultiPolygon" else [feature["geometry"]["coordinates"]]
        )
        assert shape(feature["geometry"]).is_valid
        assert all(ring[0] == ring[-1] for part in parts for ring in part)
        assert re.search(r"\.\d{3}", json.dumps(parts)) is None


def test_outline_that_vanishes_is_left_out_with_a_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """QuPath could not read it; the others are written."""
    with caplog.at_level(logging.WARNING):
        write_objects(tmp_path / "out.geojson", [_result("a", outline=box(0.001, 0.001, 0.002, 9)), _result("b")])

    assert len(_features(tmp_path / "out.geojson")) == 1
    assert "smaller than 0.01 px" in caplog.text


@pytest.mark.parametrize(
    ("objects", "message"),
    [
        ([_result("same"), _result("same", outline=box(0, 0, 1, 1))], "two of its outlines have the same prompt"),
        ([_result(outline=Polygon([(0, 0), (1, 0), (1, float("inf"))]))], "NaN or infinite"),
    ],
)
def test_what_qupath_would_trip_over_is_refused(tmp_path: Path, objects: list[ResultObject], message: str) -> None:
    """One clear line, and the older file as it was."""
    path = tmp_path / "out.geojson"
    write_objects(path, [_result()])
    before = path.read_bytes()

    with pytest.raises(WriteRefusedError, match=rf"out\.geojson was not written: .*{message}"):
        write_objects(path, objects)
    assert (path.read_bytes(), list(tmp_path.iterdir())) == (before, [path])


@pytest.mark.parametrize("name", NAMES)
def test_same_outlines_give_the_same_bytes_and_are_ours_to_read(tmp_path: Path, name: str) -> None:
    """Ids follow from prompts, and no time stands in a packed file."""
    path = tmp_path / name
    write_objects(path, [_result(kind="annotation")])
    first = path.read_bytes()

    write_objects(path, [_result(kind="annotation")])

    assert path.read_bytes() == first
    assert read_prompts(path).prompts == ()


def test_names_tell_how_to_pack(tmp_path: Path) -> None:
    """Gzip, or a zip with one file of the same name, as QuPath exports."""
    write_objects(tmp_path / "out.geojson", [_result()])
    write_objects(tmp_path / "out.GEOJSON.GZ", [_result()])
    write_objects(tmp_path / "out.geojson.zip", [_result()])

    plain = (tmp_path / "out.geojson").read_bytes()
    assert gzip.decompress((tmp_path / "out.GEOJSON.GZ").read_bytes()) == plain
    with zipfile.ZipFile(tmp_path / "out.geojson.zip") as archive:
        assert {name: archive.read(name) for name in archive.namelist()} == {"out.geojson": plain}


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("merge", [False, True])
def test_empty_runs_give_a_collection_without_features(tmp_path: Path, name: str, merge: bool) -> None:
    """Which QuPath can read."""
    write_objects(tmp_path / name, [], merge=merge)
    write_objects(tmp_path / name, [], merge=merge)

    assert json.loads(_unpacked(tmp_path / name)) == {"type": "FeatureCollection", "features": []}


@pytest.mark.parametrize("name", NAMES)
def test_merging_keeps_other_features_as_they_stand(tmp_path: Path, name: str) -> None:
    """Byte for byte, with members that stand twice and bare NaN; a feature of a prompt that is written anew goes."""
    path, plain = tmp_path / name, tmp_path / "plain"
    write_objects(plain, [_result("b")])
    new = plain.read_text().splitlines()[1]
    kept = '{"type": "Feature", "id":"x", "geometry":null,"properties":{"metadata":{"a":"é"}, "metadata":{"a":"é"}, "p": NaN, "q": 1.50}}'
    text = f'{{"name":"mine", "type":"FeatureCollection","features":[ {new} , {kept}]}}'
    if name.endswith(".zip"):
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("a.geojson", text)
    else:
        path.write_bytes(gzip.compress(text.encode()) if name.endswith(".gz") else text.encode())

    for _ in range(2):
        write_objects(path, [_result("c"), _result("b")], merge=True)

    write_objects(plain, [_result("c"), _result("b")])
    _, first, second, _ = plain.read_text().splitlines()
    assert _unpacked(path).splitlines() == ['{"type":"FeatureCollection","features":[', first, second + ",", kept, '],"name":"mine"}']


@pytest.mark.parametrize(
    "text", ["[1]", "{}", '[{"type": "Feature"}]', '{"type": "FeatureCollection", "features": [', "", '"abc"', "[" * 9999]
)
def test_file_that_is_no_earlier_result_is_not_merged_into(tmp_path: Path, text: str) -> None:
    """It stays as it is, and the message says so."""
    path = tmp_path / "notes.geojson"
    path.write_text(text)

    with pytest.raises(WriteRefusedError, match="move it away"):
        write_objects(path, [_result()], merge=True)
    assert path.read_text() == text
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("name", NAMES)
def test_error_among_the_outlines_leaves_the_older_file(tmp_path: Path, name: str) -> None:
    """Nothing is replaced before all is written."""
    path = tmp_path / name
    write_objects(path, [_result()])
    before = path.read_bytes()

    def objects() -> Iterator[ResultObject]:
        yield _result("new")
        raise KeyError("gone")

    with pytest.raises(KeyError):
        write_objects(path, objects())
    assert (path.read_bytes(), list(tmp_path.iterdir())) == (before, [path])


@pytest.mark.parametrize("name", NAMES)
def test_full_disk_leaves_the_older_file(tmp_path: Path, name: str) -> None:
    """Here a limit on the size of files; the message names the file."""
    path = tmp_path / name
    write_objects(path, [_result()])
    before = path.read_bytes()
    resource = pytest.importorskip("resource", reason="no limits on this system")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)

    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, hard))
        with pytest.raises(WriteRefusedError, match=rf"{name} cannot be written"):
            write_objects(path, _discs(2000))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert (path.read_bytes(), list(tmp_path.iterdir())) == (before, [path])


def test_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    """A file where a folder should be."""
    (tmp_path / "file").write_text("mine")

    with pytest.raises(WriteRefusedError, match=r"out\.geojson cannot be written"):
        write_objects(tmp_path / "file" / "out.geojson", [_result()])
    assert (tmp_path / "file").read_text() == "mine"


def _discs(number: int) -> Iterator[ResultObject]:
    """Make outlines that no one holds on to."""
    return (_result(str(i), outline=Point(i % 1000, i // 1000).buffer(9, quad_segs=4)) for i in range(number))


@pytest.mark.parametrize("merge", [False, True])
def test_memory_does_not_grow_with_the_outlines(tmp_path: Path, merge: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """3000 outlines, 2 MB of text, are written or merged into; what is held is a part of that."""
    monkeypatch.setattr(features, "PIECE", 1 << 12)
    path = tmp_path / "out.geojson.gz"
    if merge:
        write_objects(path, _discs(3000))
    tracemalloc.start()
    try:
        write_objects(path, [_result("new")] if merge else _discs(3000), merge=merge)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

    assert peak < 1_000_000
