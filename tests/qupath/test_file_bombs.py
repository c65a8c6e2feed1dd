"""Small files that would fill the memory: references make Java streams short, whatever they unfold to."""

import struct
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from edited_files import edited
from fuzz_data_file import RESULT
from nuclick_qp.errors import UnreadableDataError, WriteRefusedError
from nuclick_qp.qupath.javastream.emit import emit
from nuclick_qp.qupath.javastream.nodes import (
    BLOCK_DATA,
    END,
    EXTERNALIZABLE,
    SERIALIZABLE,
    Block,
    ClassDesc,
    Field,
    Graph,
    JavaArray,
    JavaObject,
    JavaString,
)
from nuclick_qp.qupath.javastream.parse import parse
from nuclick_qp.qupath.qpdata.building import PATH_CLASS, Builder
from nuclick_qp.qupath.qpdata.data_file import parse_data_file
from nuclick_qp.qupath.qpdata.new_file import new_data_file
from nuclick_qp.qupath.qpdata.new_objects import NewAnnotation
from nuclick_qp.qupath.qpdata.path_objects import root_of

SOURCE = Path("data.qpdata")
LINE = NewAnnotation("Line", ((1, 2), (3, 4)))
LONG = JavaString(b"a" * 20_000)
TIMES = 3000  # references to one thing
MOST = 100  # bytes of memory for each byte of a file; files of QuPath take 2 to 11


def bomb(change: Callable[[Graph, JavaObject, Builder], None], *, objects: int = 1) -> bytes:
    """Make a file of lines, and let a function change its graph, the first object of which it is given."""
    made = new_data_file(server_json="{}", annotations=[LINE] * objects, qupath_version="0.5.1", project_entry="p::1")
    graph = parse(made)
    change(graph, annotations(graph)[0], Builder(graph.nodes))
    return emit(graph.contents)


def annotations(graph: Graph) -> list[JavaObject]:
    """Give the nodes of the objects."""
    return [n for n in root_of(graph.contents).data if isinstance(n, JavaObject) and n.desc.name.endswith("AnnotationObject")]


@contextmanager
def within_bounds(data: bytes) -> Iterator[None]:
    """Insist that what is done with a file takes little memory."""
    tracemalloc.start()
    try:
        yield
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < MOST * len(data)


def refuse(data: bytes) -> None:
    """Insist that a file is refused before it fills the memory."""
    with within_bounds(data), pytest.raises(UnreadableDataError, match="share more data"):
        parse_data_file(data, source=SOURCE)


def area_of(builder: Builder, ring: JavaArray, times: int) -> JavaObject:
    """Make the several-ring region of old files, of one ring many times."""
    rings = JavaArray(described("[[F"), [ring] * times)
    names = [Field("I", name, None) for name in "ctz"] + [Field("[", name, builder.text("[[F")) for name in "xy"]
    return JavaObject(described("qupath.lib.roi.AreaROI$SerializationProxy", *names), [b"\0" * 12, rings, rings])


def described(name: str, *fields: Field, parent: ClassDesc | None = None) -> ClassDesc:
    """Describe a class that is not written otherwise."""
    desc = ClassDesc(name, b"\0" * 7 + b"\1", SERIALIZABLE, fields)
    desc.complete(parent)
    return desc


def region_place(node: JavaObject) -> int:
    """Tell where the region stands in the data of an object."""
    return next(i for i, item in enumerate(node.data) if isinstance(item, JavaObject) and item.desc.name.startswith("qupath.lib.roi."))


def test_an_area_of_one_ring_many_times_is_refused() -> None:
    """Before the rings are unfolded: the size of the file limits the points."""

    def change(_graph: Graph, node: JavaObject, builder: Builder) -> None:
        node.data[region_place(node)] = area_of(builder, builder.floats([0.0] * 5000), TIMES)

    refuse(bomb(change))


@pytest.mark.parametrize("kind", ["area", "geometry"])
def test_regions_without_points_count_too(kind: str) -> None:
    """Empty rings and parts take memory and time, and many objects may refer to them."""

    def change(graph: Graph, _node: JavaObject, builder: Builder) -> None:
        if kind == "area":
            region = area_of(builder, builder.floats([]), TIMES)
        else:
            wkb = struct.pack(">BII", 0, 5, TIMES) + struct.pack(">BII", 0, 2, 0) * TIMES
            region = builder.object("qupath.lib.roi.GeometryROI$WKBSerializationProxy", b"\0" * 12, None, builder.byte_array(wkb))
        for other in annotations(graph):
            other.data[region_place(other)] = region

    refuse(bomb(change, objects=200))


def many_measurements(_graph: Graph, node: JavaObject, builder: Builder) -> None:
    """Give an object measurements that all have one name."""
    java_class = "qupath.lib.measurements.NumericMeasurementList$FloatList"
    node.data[3] = builder.object(java_class, b"\0", None, builder.array_list([LONG] * TIMES), builder.floats([0.0] * TIMES))


def much_metadata(_graph: Graph, node: JavaObject, builder: Builder) -> None:
    """Give an object metadata that all have one key and one value."""
    texts = builder.array([LONG] * TIMES)
    node.data[2] = builder.external("qupath.lib.objects.MetadataMap", builder.integer(1), texts, texts)


def many_properties(graph: Graph, _node: JavaObject, _builder: Builder) -> None:
    """Give the image properties that all have one name and one value."""
    properties = properties_of(graph)
    properties.data[1:] = [Block(struct.pack(">ii", 16, TIMES)), *[LONG] * (2 * TIMES), END]


def the_same_properties(graph: Graph, _node: JavaObject, builder: Builder) -> None:
    """Let properties stand in the file again and again."""
    properties = properties_of(graph)
    properties.data[1:] = [Block(struct.pack(">ii", 16, TIMES)), *[builder.text("a")] * (2 * TIMES), END]
    graph.contents[-1:-1] = [properties] * TIMES


def one_name(graph: Graph, _node: JavaObject, _builder: Builder) -> None:
    """Give all objects one name."""
    for node in annotations(graph):
        node.data[0] = LONG


def properties_of(graph: Graph) -> JavaObject:
    """Give the node of the properties of the image."""
    return next(item for item in graph.contents if isinstance(item, JavaObject) and item.desc.name == "java.util.HashMap")


@pytest.mark.parametrize("change", [many_measurements, much_metadata, many_properties, the_same_properties, one_name])
def test_a_text_is_decoded_once_however_often_it_is_referred_to(change: Callable[[Graph, JavaObject, Builder], None]) -> None:
    """The limit counts measurements and metadata, not their characters."""
    data = bomb(change, objects=500)

    with within_bounds(data):
        file = parse_data_file(data, source=SOURCE)

    assert len(file.objects) == 500


def with_classes(builder: Builder, node: JavaObject, *, characters: int, count: int) -> list[JavaObject]:
    """Make classes below one chain of parents, whose names have so many characters, and give the first to an object."""
    parent = None
    for _ in range(60):
        parent = builder.object(PATH_CLASS, builder.integer(1), builder.text("a" * (characters // 60)), parent)
    classes = [builder.object(PATH_CLASS, builder.integer(1), builder.text(f"c{i}"), parent) for i in range(count)]
    node.data[6] = classes[0]
    return classes


def test_many_classes_with_long_parents_are_refused() -> None:
    """Each has a full name of its own, which is many times longer than the class itself."""

    def change(graph: Graph, node: JavaObject, builder: Builder) -> None:
        classes = with_classes(builder, node, characters=9000, count=2000)
        for other, path_class in zip(annotations(graph), classes, strict=True):
            other.data[6] = path_class

    refuse(bomb(change, objects=2000))


def test_a_class_with_a_name_beyond_all_measure_is_refused() -> None:
    """Sixty parents may share one text of any length."""

    def change(_graph: Graph, node: JavaObject, builder: Builder) -> None:
        with_classes(builder, node, characters=12_000, count=1)

    with pytest.raises(UnreadableDataError, match=r"data\.qpdata.* the name of a class has more than 10000 characters"):
        parse_data_file(bomb(change), source=SOURCE)


@pytest.mark.parametrize(("characters", "is_written"), [(9000, True), (12_000_000, False)])
def test_classes_that_no_object_has_take_little_memory_in_an_edit(characters: int, is_written: bool) -> None:
    """Those that a new result may need are looked for among them."""

    def change(graph: Graph, node: JavaObject, builder: Builder) -> None:
        unclassified = node.data[6]
        properties_of(graph).data[1:] = [
            Block(struct.pack(">ii", 16, 1)),
            builder.text("k"),
            builder.array(with_classes(builder, node, characters=characters, count=2000)),
            END,
        ]
        node.data[6] = unclassified

    file = parse_data_file(bomb(change), source=SOURCE)

    with within_bounds(file.data):
        if is_written:
            assert len(parse_data_file(edited(file, add=[RESULT]), source=SOURCE).objects) == 2
        else:
            with pytest.raises(WriteRefusedError, match="name of a class"):
                edited(file, add=[RESULT])


def test_many_classes_below_one_with_many_fields_take_little_memory() -> None:
    """The fields of a parent are indexed once, not for each class below it."""
    parent = ClassDesc("a.Parent", bytes(8), EXTERNALIZABLE | BLOCK_DATA, tuple(Field("B", f"{i:x}", None) for i in range(TIMES)))
    parent.complete(None)  # its objects write their own data: none

    def change(graph: Graph, node: JavaObject, _builder: Builder) -> None:
        place = region_place(node)
        old = node.data[place]
        assert isinstance(old, JavaObject)
        for other in annotations(graph):
            desc = described(old.desc.name, *old.desc.fields, parent=parent)
            other.data[region_place(other)] = JavaObject(desc, [END, *old.data])

    data = bomb(change, objects=200)

    with within_bounds(data):
        file = parse_data_file(data, source=SOURCE)

    assert [item.roi.points.tolist() for item in file.objects if item.roi] == [[[1, 2], [3, 4]]] * 200
