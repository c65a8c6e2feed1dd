"""Tests of `nuclick_qp.formats.geojson.features`."""

import gzip
import json
import tracemalloc
import zipfile
from pathlib import Path
from typing import Any

import pytest

from nuclick_qp.formats.geojson import features
from nuclick_qp.formats.geojson.features import BROKEN, read_features

FEATURES = [{"type": "Feature", "id": f"é {n}", "geometry": {"coordinates": [n, -1.5e3, 0.25]}, "x": ']}\\" ,'} for n in range(40)]


def _save(folder: Path, text: str, encoding: str = "utf-8") -> Path:
    path = folder / "some.geojson"
    path.write_bytes(text.encode(encoding))
    return path


@pytest.mark.parametrize("piece", [1, 2, 7, 64, 1 << 20])
@pytest.mark.parametrize("indent", [None, 1])
def test_elements_do_not_depend_on_the_pieces_read(tmp_path: Path, piece: int, indent: int | None, monkeypatch: pytest.MonkeyPatch) -> None:
    """What stands across the border of two pieces is read as if it did not; texts are those of the file."""
    monkeypatch.setattr(features, "PIECE", piece)
    collection = {"name": "mine", "type": "FeatureCollection", "features": [*FEATURES, 12345, "a", None], "bbox": [1, 2]}
    path = _save(tmp_path, json.dumps(collection, indent=indent, ensure_ascii=False))
    others: dict[str, Any] = {}

    read = list(read_features(path, others=others))

    assert [element for element, _ in read] == collection["features"]
    assert [json.loads(text) for _, text in read] == collection["features"]
    assert all(text in path.read_text() for _, text in read)
    assert others == {"name": "mine", "type": "FeatureCollection", "bbox": [1, 2]}


@pytest.mark.parametrize(
    ("text", "elements"), [("[]", []), (" [ 1 , [2] ] ", [1, [2]]), ('{"a": [1]}', [{"a": [1]}]), ("{}", [{}]), ("17", [17])]
)
def test_arrays_give_their_elements_and_all_else_itself(tmp_path: Path, text: str, elements: list[Any]) -> None:
    """A collection need not be one."""
    assert [element for element, _ in read_features(_save(tmp_path, text))] == elements


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32"])
def test_encodings_are_known_by_the_first_bytes(tmp_path: Path, encoding: str) -> None:
    """With or without a byte order mark."""
    path = _save(tmp_path, json.dumps(FEATURES, ensure_ascii=False), encoding)

    assert [element for element, _ in read_features(path)] == FEATURES


def test_packed_files_are_known_by_their_content(tmp_path: Path) -> None:
    """Gzip and zip under any name; of a zip all JSON files."""
    text = json.dumps(FEATURES)
    packed, archive = tmp_path / "packed.json", tmp_path / "archive.json"
    packed.write_bytes(gzip.compress(text.encode()))
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as files:
        files.writestr("a/one.geojson", text)
        files.writestr("__MACOSX/one.geojson", "\x00")
        files.writestr("readme.txt", "hello")
        files.writestr("two.JSON", "[7]")

    assert [element for element, _ in read_features(packed)] == FEATURES
    assert [element for element, _ in read_features(archive)] == [*FEATURES, 7]


def test_members_that_stand_twice_are_joined(tmp_path: Path) -> None:
    """QuPath writes the member "metadata" twice; nothing of either is lost."""
    path = _save(tmp_path, '[{"metadata": {"a": "1", "b": NaN}, "metadata": {"c": "3", "a": "1"}, "x": [1], "x": [1]}]')

    ((element, _),) = read_features(path)

    assert {**element["metadata"], "b": None} == {"a": "1", "b": None, "c": "3"}
    assert element["x"] == [1]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "character 0"),
        ("[1, 2", ", expected at character 5"),
        ("[1 2]", ", expected at character 3"),
        ("[1] [2]", "more text after the end, at character 4"),
        ('{"features": [1]}', "no FeatureCollection"),
        ("{1: 2}", "quotation marks expected at character 1"),
        ('[{"x": 1, "x": 2}]', "'x' stands twice"),
        ("[" * 100_000, "nested too deeply"),
        ('[{"x": ' + "9" * 5000 + "}]", "digits"),
        ('["abc', "Unterminated string starting at character 1"),
    ],
)
def test_what_is_no_json_is_told_with_its_place(tmp_path: Path, text: str, message: str) -> None:
    """A clear line; no RecursionError gets out."""
    with pytest.raises(ValueError, match=message):
        list(read_features(_save(tmp_path, text)))


@pytest.mark.parametrize("change", ["cut", "password"])
def test_broken_packed_files_raise_what_is_announced(tmp_path: Path, change: str) -> None:
    """Nothing outside `BROKEN` and OSError."""
    path = tmp_path / "archive.zip"
    with zipfile.ZipFile(path, "w") as files:
        files.writestr("one.geojson", "[1]")
    data = bytearray(path.read_bytes())
    if change == "password":
        data[data.index(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(data[:-30] if change == "cut" else data)

    with pytest.raises(BROKEN):
        list(read_features(path))


def _peak(path: Path) -> int:
    """Give the most bytes held at once while a file is read to its end, or to its error."""
    tracemalloc.start()
    try:
        for _ in read_features(path):
            pass
    except ValueError:
        pass
    finally:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    return peak


def test_memory_does_not_grow_with_the_features(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """4 MB of features, of which a few pieces are held at a time."""
    monkeypatch.setattr(features, "PIECE", 1 << 12)
    feature = json.dumps({"coordinates": [[n, n] for n in range(100)]})
    path = tmp_path / "many.geojson.gz"
    with gzip.open(path, "wt") as file:
        file.write("[" + ",".join([feature] * 4000) + "]")

    assert _peak(path) < 400_000


def test_file_that_unpacks_without_end_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One text of 50 MB where 1 MB is the most allowed: memory stays in proportion to what is allowed."""
    monkeypatch.setattr(features, "LONGEST", 1_000_000)
    path = tmp_path / "bomb.geojson.gz"
    path.write_bytes(gzip.compress(b'["' + b" " * 50_000_000))

    assert _peak(path) < 20_000_000
    with pytest.raises(ValueError, match="more than 1000000 characters in one feature"):
        list(read_features(path))


@pytest.mark.parametrize("item", ["{},", "[],", '{"":0},'])
def test_a_feature_that_unfolds_is_refused_before_it_is_decoded(tmp_path: Path, item: str) -> None:
    """Empty lists and mappings take twenty times the memory of their text."""
    path = tmp_path / "bomb.geojson.gz"
    with gzip.open(path, "wb", compresslevel=1) as file:
        file.write(b'[{"a":[')
        for _ in range(100):
            file.write(item.encode() * 160_000)

    with pytest.raises(ValueError, match="MB of lists and numbers in one feature"):
        list(read_features(path))


def test_a_collection_has_no_more_members_than_programs_write(tmp_path: Path) -> None:
    """They are kept until the end, so they have a limit of their own."""
    path = tmp_path / "members.geojson"
    path.write_text("{" + '"a":0,' * 10_001)

    with pytest.raises(ValueError, match="more than 10000 members"):
        list(read_features(path))
