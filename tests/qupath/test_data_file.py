"""`data.qpdata` as QuPath itself reads it, and the refusals."""

import json
import math
import random
import struct
from pathlib import Path
from typing import Any

import pytest
from shapely import box
from shapely.geometry.base import BaseGeometry

from edited_files import edited, emitted
from nuclick_qp.annotations.objects import ResultObject
from nuclick_qp.errors import UnreadableDataError, WriteRefusedError
from nuclick_qp.prompts import Plane
from nuclick_qp.qupath.javastream import splice
from nuclick_qp.qupath.javastream.emit import emit, emit_more
from nuclick_qp.qupath.javastream.nodes import SERIALIZABLE, Block, ClassDesc, Field, Item, JavaArray, JavaObject, JavaString
from nuclick_qp.qupath.javastream.parse import parse
from nuclick_qp.qupath.qpdata.building import Builder
from nuclick_qp.qupath.qpdata.data_file import DataFile, parse_data_file
from nuclick_qp.qupath.qpdata.new_file import new_data_file
from nuclick_qp.qupath.qpdata.new_objects import NewAnnotation, annotation_object
from nuclick_qp.qupath.qpdata.path_objects import PathObject, root_of

FIXTURES = Path(__file__).parents[1] / "data" / "qupath"
VERSIONS = ("0.3.2", "0.4.4", "0.6.0", "0.8")
ENTRIES = [(v, str(e)) for v in ("0.2.3", *VERSIONS) for e in range(1, 6) if (FIXTURES / v / f"ihc/data/{e}/data.qpdata").exists()]
QUPATH_NAMES = {
    "annotation": "PathAnnotationObject",
    "detection": "PathDetectionObject",
    "cell": "PathCellObject",
    "tile": "PathTileObject",
    "tma-core": "TMACoreObject",
}
LINE = NewAnnotation("Line", ((1, 2), (3, 4)))


def data_path(version: str, entry: str) -> Path:
    """Give the data file of a fixture."""
    return FIXTURES / version / "ihc" / "data" / entry / "data.qpdata"


def load(version: str, entry: str) -> DataFile:
    """Read a fixture."""
    path = data_path(version, entry)
    return parse_data_file(path.read_bytes(), source=path)


def expected_entry(version: str, entry: str) -> dict[str, Any]:
    """Give what QuPath 0.8 reads from a fixture."""
    expected = json.loads((FIXTURES / version / "expected.json").read_text("utf-8"))
    (found,) = (e for e in expected["entries"] if e["entry_id"] == entry)
    assert isinstance(found, dict)
    return found


def empty_file(**changes: Any) -> bytes:
    """Make a data file with one line, or what is asked for."""
    arguments: dict[str, Any] = {"server_json": "{}", "annotations": [LINE], "qupath_version": "0.5.1", "project_entry": "p::1"}
    return new_data_file(**(arguments | changes))


def as_expected(item: PathObject, parent: PathObject, *, with_ids: bool) -> dict[str, Any]:
    """Describe an object as `expected.json` does, but for its coordinates."""
    assert item.roi is not None
    return {
        "type": QUPATH_NAMES[item.kind],
        "id": item.object_id if with_ids else None,
        "parent": parent.object_id if with_ids and parent.kind != "root" else None,
        "name": item.name,
        "class": item.class_name,
        "locked": item.locked,
        "measurements": {name: "nan" if math.isnan(value) else value for name, value in item.measurements},
        "metadata": dict(item.metadata),
        "roi": item.roi.kind,
        "plane": [item.roi.c, item.roi.z, item.roi.t],
    }


@pytest.mark.parametrize(("version", "entry"), ENTRIES)
def test_objects_are_those_that_qupath_reads(version: str, entry: str) -> None:
    """Everything but the coordinates is equal; QuPath 0.3 stores no ids."""
    with_ids = version not in ("0.2.3", "0.3.2")
    walked = list(load(version, entry).root.walk())
    expected = expected_entry(version, entry)["objects"]
    for item in expected:
        item.update({} if with_ids else {"id": None, "parent": None})
        if "Unique ID" in item["metadata"]:  # QuPath 0.4 and later add the new name of this key on reading
            del item["metadata"]["Case ID"]

    found = [as_expected(item, parent, with_ids=with_ids) for item, parent in walked]

    assert found == [{key: item[key] for key in found[0]} for item in expected]


@pytest.mark.parametrize(("version", "entry"), ENTRIES)
def test_parents_are_those_that_qupath_reads(version: str, entry: str) -> None:
    """Parents are compared by their place in the list, so files without ids count, too."""
    walked = list(load(version, entry).root.walk())
    expected = expected_entry(version, entry)["objects"]
    places = {item["id"]: i for i, item in enumerate(expected)} | {None: None}
    nodes = {id(item.node): i for i, (item, _) in enumerate(walked)}

    assert [nodes.get(id(parent.node)) for _, parent in walked] == [places[item["parent"]] for item in expected]


@pytest.mark.parametrize(("version", "entry"), ENTRIES)
def test_coordinates_are_those_that_qupath_reads(version: str, entry: str) -> None:
    """Points are equal and in the order of the file; areas differ by QuPath's cached 32-bit sums."""
    rois = [item.roi for item, _ in load(version, entry).root.walk() if item.roi]
    expected = expected_entry(version, entry)["objects"]

    for roi, item in zip(rois, expected, strict=True):
        left, top, right, bottom = roi.bounds
        assert [left, top, right - left, bottom - top] == pytest.approx(item["bounds"], abs=1e-3)
        if "points" in item:
            assert roi.points.tolist() == item["points"]
        if "area" in item:
            assert roi.area == pytest.approx(item["area"], rel=1e-5)
        assert isinstance(roi.geometry, BaseGeometry)


@pytest.mark.parametrize("version", VERSIONS)
def test_image_type_and_properties_are_read(version: str) -> None:
    """They stand beside the objects."""
    data = load(version, "1")

    assert (data.version, data.image_type) == (3, "BRIGHTFIELD_H_DAB")
    assert dict(data.properties)["PROJECT_ENTRY_ID"].endswith(f"{version}/ihc/project.qpproj::1")


def test_a_cell_has_its_nucleus_and_a_core_may_be_missing() -> None:
    """Both come after what all objects have."""
    cell = next(item for item, _ in load("0.6.0", "1").root.walk() if item.kind == "cell")
    missing = [item.missing for item in load("0.6.0", "2").objects]

    assert cell.nucleus is not None
    assert cell.roi is not None
    assert cell.nucleus.area < cell.roi.area
    assert missing == [True, False, False, False, False, True]


def test_version_2_of_old_qupath_is_read() -> None:
    """QuPath 0.1 and 0.2 differ in the version and in a text."""
    data = empty_file().replace(b"Data file version 3", b"Data file version 2")

    found = parse_data_file(data, source=Path("data.qpdata"))

    assert (found.version, found.objects[0].kind) == (2, "annotation")


def described(name: str, *fields: Field, parent: ClassDesc | None = None) -> ClassDesc:
    """Describe a class that the fixtures do not have."""
    desc = ClassDesc(name, b"\0" * 7 + b"\1", SERIALIZABLE, fields)
    desc.complete(parent)
    return desc


def with_first_object(data: bytes, change: Any) -> bytes:
    """Let a function change the data of the first object of a file."""
    graph = parse(data)
    objects = (item for item in root_of(graph.contents).data if isinstance(item, JavaObject))
    change(next(o for o in objects if o.desc.name.endswith("AnnotationObject")).data, Builder(graph.nodes))
    return emit(graph.contents)


def test_objects_without_a_lock_are_read() -> None:
    """Very old files have the class at its place."""

    def unlock(data: list[Item], _builder: Builder) -> None:
        del data[5]

    found = parse_data_file(with_first_object(empty_file(), unlock), source=Path("data.qpdata"))

    assert not found.objects[0].locked
    assert found.objects[0].roi is not None


def test_measurements_with_64_bits_in_an_unmodifiable_list_are_read() -> None:
    """QuPath's other list of numbers, as 0.5 and before closed it."""

    def measure(data: list[Item], builder: Builder) -> None:
        base = builder.desc("qupath.lib.measurements.NumericMeasurementList$AbstractNumericMeasurementList")
        values, wrapped = Field("[", "values", JavaString(b"[D")), Field("L", "list", JavaString(b"Ljava/util/List;"))
        doubles = described("qupath.lib.measurements.NumericMeasurementList$DoubleList", values, parent=base)
        unmodifiable = described("java.util.Collections$UnmodifiableList", wrapped)
        names = JavaObject(unmodifiable, [builder.array_list([builder.text("a"), builder.text("b")])])
        data[3] = JavaObject(doubles, [b"\1", None, names, JavaArray(described("[D"), struct.pack(">3d", 1 / 3, math.inf, 0))])

    found = parse_data_file(with_first_object(empty_file(), measure), source=Path("data.qpdata"))

    assert found.objects[0].measurements == (("a", 1 / 3), ("b", math.inf))


def nested_file(depth: int) -> bytes:
    """Make a file of annotations within annotations."""
    graph = parse(empty_file(annotations=[]))
    builder = Builder(graph.nodes)
    inner: JavaObject | None = None
    for i in range(depth):
        node = annotation_object(builder, LINE, object_id=f"id {depth - i}")
        if inner is not None:
            node.data[4:5] = [Block(struct.pack(">i", 1)), inner]
        inner = node
    root = root_of(graph.contents)
    return emit(graph.contents, changed={id(root): [*root.data[:4], Block(struct.pack(">i", 1)), inner, *root.data[5:]]})


def test_hierarchies_far_deeper_than_recursion_are_read_and_written() -> None:
    """The depth of a hierarchy is the user's affair."""
    data = nested_file(3000)

    found = parse_data_file(data, source=Path("data.qpdata"))

    assert [item.object_id for item, _ in found.root.walk()][::1000] == ["id 1", "id 1001", "id 2001"]
    assert emitted(found) == data


def test_an_object_that_is_its_own_child_is_refused() -> None:
    """References make circles possible; QuPath never writes them."""
    graph = parse(empty_file())
    node = next(n for n in graph.nodes if isinstance(n, JavaObject) and n.desc.name.endswith("AnnotationObject"))
    node.data[4:5] = [Block(struct.pack(">i", 1)), node]

    with pytest.raises(UnreadableDataError, match="two places"):
        parse_data_file(emit(graph.contents), source=Path("data.qpdata"))


def test_objects_that_all_refer_to_one_huge_list_are_refused() -> None:
    """A small file must not fill the memory."""
    large = NewAnnotation("Points", tuple((float(i), 0.0) for i in range(5000)))
    graph = parse(empty_file(annotations=[large, *[LINE] * 500]))
    nodes = [n for n in graph.nodes if isinstance(n, JavaObject) and n.desc.name.endswith("AnnotationObject")]
    for node in nodes[1:]:
        node.data[7] = nodes[0].data[7]  # the region

    with pytest.raises(UnreadableDataError, match="share more data"):
        parse_data_file(emit(graph.contents), source=Path("data.qpdata"))


REFUSED = {
    "foreign": (b"\x89PNG\r\n\x1a\n" + b"\0" * 100, "not a Java object stream", "restore the file from a backup"),
    "other Java program": (emit([JavaString(b"hello")]), "not one of QuPath", "restore the file from a backup"),
    "empty": (b"", "not a Java object stream", "restore the file from a backup"),
    "newer": (empty_file().replace(b"version 3", b"version 4"), "data version 4", "update nuclick-qp"),
    "no end mark": (empty_file()[:-6], "ends before its end mark", "restore the file from a backup"),
    "no hierarchy": (emit([Block(b"\0\x13Data file version 3"), JavaString(b"EOF")]), "0 hierarchies", "restore the file from a backup"),
    "unknown region": (empty_file().replace(b"LineROI$", b"TubeROI$"), "TubeROI", "open and save the image in QuPath"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refusals_name_file_reason_and_remedy(case: str) -> None:
    """One line tells what is wrong, where, and what to do."""
    data, reason, remedy = REFUSED[case]

    with pytest.raises(UnreadableDataError) as error:
        parse_data_file(data, source=Path("project/data/7/data.qpdata"))

    message = str(error.value)
    assert message.startswith(str(Path("project/data/7/data.qpdata")))
    assert reason in message
    assert remedy in message
    assert "\n" not in message


def test_every_truncation_is_refused() -> None:
    """A file that QuPath did not finish is never taken for whole."""
    data = data_path("0.3.2", "3").read_bytes()

    for size in range(len(data)):
        with pytest.raises(UnreadableDataError):
            parse_data_file(data[:size], source=Path("data.qpdata"))


def mutated(data: bytes, rng: random.Random) -> bytes:
    """Spoil a few bytes: change, remove, repeat, or put a code or a reference somewhere."""
    spoilt = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 5))):
        place = rng.randrange(len(spoilt))
        how = rng.randrange(6)
        if how == 0:
            spoilt[place] = rng.randrange(256)
        elif how == 1:
            spoilt[place : place + 4] = rng.choice((b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", b"\x7f\xc0\0\0", b"\x7f\xa0\0\1"))
        elif how == 2:
            del spoilt[place : place + rng.randrange(1, 30)]
        elif how == 3:
            spoilt[place:place] = data[rng.randrange(len(data)) :][: rng.randrange(1, 40)]
        elif how == 4:
            spoilt[place:place] = bytes([rng.randrange(0x70, 0x7F)])
        else:
            spoilt[place : place + 5] = b"q\0\x7e\0" + bytes([rng.randrange(256)])
    return bytes(spoilt)


def use(data: bytes) -> str:
    """Read a file, touch all that is worked out late, and write it; tell how far that went."""
    try:
        found = parse_data_file(data, source=Path("data.qpdata"))
    except UnreadableDataError:
        return "unreadable"
    for item, _ in found.root.walk():
        assert item.roi is not None
        assert len((*item.roi.bounds, item.roi.area, *item.roi.centroid)) == 7
    try:
        edited(found, add=(), remove_keys=frozenset({"none"}))
    except WriteRefusedError:
        return "refused"
    return "read"


@pytest.mark.parametrize(("version", "entry", "count"), [("0.3.2", "3", 3000), ("0.6.0", "2", 1000), ("0.8", "1", 500)])
def test_spoilt_files_never_give_any_other_error(version: str, entry: str, count: int) -> None:
    """Whatever the bytes are, the file is read or refused with our error."""
    data = data_path(version, entry).read_bytes()
    rng = random.Random(20170)

    ends = [use(mutated(data, rng)) for _ in range(count)]

    assert {"unreadable", "read"} <= set(ends)


def test_description_of_a_class_that_is_not_as_it_was_meant_is_not_given_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """QuPath would refuse the whole file; what our own reader understands is not enough."""
    name = b"qupath.lib.objects.PathDetectionObject"

    def faulty(*args: Any, **kwargs: Any) -> tuple[bytes, int]:
        data, n_nodes = emit_more(*args, **kwargs)
        assert name in data
        return data.replace(name + b"\0" * 7 + b"\1", name + b"\0" * 7 + b"\2"), n_nodes

    monkeypatch.setattr(splice, "emit_more", faulty)
    result = ResultObject(box(0, 0, 9, 9), "detection", None, Plane(), False, (5, 5), "a")

    with pytest.raises(WriteRefusedError, match=r"class qupath\.lib\.objects\.PathDetectionObject is of another version"):
        edited(parse_data_file(empty_file(), source=Path("data.qpdata")), add=(result,))
