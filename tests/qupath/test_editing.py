"""Results into data files and out of them, with every other byte as it was."""

import struct
import tracemalloc

import numpy as np
import pytest

from edited_files import ENTRIES, RESULTS, again, edited, emitted, load, result
from nuclick_qp.errors import WriteRefusedError
from nuclick_qp.prompts import Plane
from nuclick_qp.qupath.javastream.emit import emit
from nuclick_qp.qupath.javastream.nodes import Block, ClassDesc, JavaObject
from nuclick_qp.qupath.javastream.parse import parse
from nuclick_qp.qupath.javastream.values import boxed, field
from nuclick_qp.qupath.qpdata import editing
from nuclick_qp.qupath.qpdata.data_file import DataFile
from nuclick_qp.qupath.qpdata.new_file import new_data_file
from nuclick_qp.qupath.qpdata.new_objects import NewAnnotation
from nuclick_qp.qupath.qpdata.path_objects import PathObject, root_of


def drawn(*annotations: NewAnnotation) -> DataFile:
    """Make a file of annotations."""
    return again(new_data_file(server_json="{}", annotations=annotations, qupath_version="0.5.1", project_entry="p::1"))


def box(name: str, *corners: float, plane: Plane | None = None) -> NewAnnotation:
    """Draw a closed annotation from left, top, right, bottom."""
    left, top, right, bottom = corners
    return NewAnnotation("Polygon", ((left, top), (right, top), (right, bottom), (left, bottom)), name=name, plane=plane or Plane())


def summary(item: PathObject) -> tuple[object, ...]:
    """Give all that is read of an object, but its children."""
    rois = [None if r is None else (r.kind, r.c, r.z, r.t, r.points.tobytes(), r.shape) for r in (item.roi, item.nucleus)]
    values = np.array([value for _, value in item.measurements]).tobytes()
    names = tuple(name for name, _ in item.measurements)
    return item.kind, item.object_id, item.name, item.class_name, item.locked, names, values, item.metadata, *rois, item.missing


def tree(data: DataFile) -> list[tuple[tuple[object, ...], tuple[object, ...] | None]]:
    """Give all objects with their parents."""
    return [(summary(item), None if parent.kind == "root" else summary(parent)) for item, parent in data.root.walk()]


def parent_name(data: DataFile, key: str) -> str | None:
    """Give the name of the parent of a result, None for the root."""
    (parent,) = (parent for item, parent in data.root.walk() if editing.prompt_key(item) == key)
    return parent.name


@pytest.mark.parametrize(("version", "entry"), ENTRIES)
def test_old_objects_read_as_before_and_new_ones_come_last(version: str, entry: str) -> None:
    """Nothing but the appended objects differs for a reader."""
    old = load(version, entry)

    new = again(edited(old, add=RESULTS))

    assert tree(new)[: -len(RESULTS)] == tree(old)
    assert [editing.prompt_key(item) for item in new.objects[-len(RESULTS) :]] == list("abcdef")
    assert (new.image_type, new.properties) == (old.image_type, old.properties)


@pytest.mark.parametrize(("version", "entry"), ENTRIES)
def test_new_objects_read_back_as_they_were_meant(version: str, entry: str) -> None:
    """Kind, class, plane, outline, measurements and metadata."""
    new = again(edited(load(version, entry), add=RESULTS)).objects[-len(RESULTS) :]

    assert [item.kind for item in new] == [r.kind for r in RESULTS]
    assert [item.class_name for item in new] == [r.class_name for r in RESULTS]
    assert [item.metadata for item in new] == [r.metadata for r in RESULTS]
    assert [item.roi.plane for item in new if item.roi] == [r.plane for r in RESULTS]
    for item, meant in zip(new, RESULTS, strict=True):
        width = np.float64 if meant.kind == "annotation" else np.float32
        assert [name for name, _ in item.measurements] == [name for name, _ in meant.measurements]
        np.testing.assert_array_equal([v for _, v in item.measurements], np.array([v for _, v in meant.measurements], width))
        assert item.roi is not None
        assert item.roi.geometry is not None
        # Simple rings are stored as 32-bit floats: 1/131072 px at 60.
        assert item.roi.geometry.symmetric_difference(meant.outline).area == pytest.approx(0, abs=1e-3)


@pytest.mark.parametrize(("version", "entry"), ENTRIES)
def test_without_the_insertion_the_bytes_are_the_old_ones(version: str, entry: str) -> None:
    """Cutting the new objects out of the root's list gives back the file."""
    old = load(version, entry)
    graph = parse(edited(old, add=RESULTS))
    root = root_of(graph.contents)
    place = next(i for i, item in enumerate(root.data) if type(item) is Block)
    end = place + 1 + len(old.objects)

    cut = [*root.data[:place], Block(struct.pack(">i", len(old.objects))), *root.data[place + 1 : end], *root.data[end + len(RESULTS) :]]

    assert emit(graph.contents, changed={id(root): cut}) == old.data


def test_classes_and_descriptors_of_the_file_are_used_again() -> None:
    """Each class of Java is described once, and the class Tumor stays one object."""
    graph = parse(edited(load("0.6.0", "1"), add=RESULTS))
    descs = [node.name for node in graph.nodes if isinstance(node, ClassDesc)]
    classes = [node for node in graph.nodes if isinstance(node, JavaObject) and node.desc.name.endswith(".PathClass")]

    names = [field(node, "name") for node in classes]

    assert len(descs) == len(set(descs))
    assert [getattr(name, "text", "") for name in names].count("Tumor") == 1


def test_new_classes_get_the_colour_asked_for() -> None:
    """Others get a colour that depends on the name; those of the file keep theirs."""
    data = edited(load("0.6.0", "1"), add=RESULTS, colours={"New": -65536, "Tumor": -1})

    classes = [n for n in parse(data).nodes if isinstance(n, JavaObject) and n.desc.name.endswith(".PathClass")]
    colours = {getattr(field(n, "name"), "text", ""): boxed(field(n, "colorRGB"), "java.lang.Integer") for n in classes}

    assert colours["New"] == -65536
    assert colours["Tumor"] == struct.unpack(">i", b"\xff\xc8\x00\x00")[0]
    assert colours["Derived"] < 0  # opaque


def test_ids_are_derived_and_never_given_twice() -> None:
    """Writing again gives the same bytes; a second result of one prompt gets another id."""
    old = load("0.8", "3")

    first = edited(old, add=(result("a"), result("a")))
    ids = [item.object_id for item in again(first).objects]

    assert first == edited(old, add=(result("a"), result("a")))
    assert len(set(ids)) == len(ids) == 3


@pytest.mark.parametrize(("version", "entry"), ENTRIES)
def test_removing_what_was_added_gives_the_old_bytes(version: str, entry: str) -> None:
    """Wherever it was put."""
    old = load(version, entry)
    nested = result("n", at=(250, 250), nested=True)

    new = again(edited(old, add=(*RESULTS, nested)))

    assert edited(new, add=(), remove_keys=frozenset("abcdefn")) == old.data


def test_replacing_a_result_keeps_its_place_free_of_the_old_one() -> None:
    """One write removes and adds."""
    old = again(edited(load("0.4.4", "1"), add=(result("a"), result("b"))))
    moved = result("a", at=(90, 90))

    new = again(edited(old, add=(moved,), remove_keys=frozenset({"a", "unheard-of"})))

    assert [editing.prompt_key(item) for item in new.objects[-2:]] == ["b", "a"]
    assert sum(editing.is_ours(item) for item, _ in new.root.walk()) == 2
    assert edited(new, add=(), remove_keys=frozenset("ab")) == load("0.4.4", "1").data


def test_only_objects_of_ours_are_removed() -> None:
    """A user's point that carries the same key in its name, and tiles of QuPath, stay."""
    old = drawn(NewAnnotation("Points", ((1, 1),), name="a", description="a"))

    assert edited(old, add=(), remove_keys=frozenset("a")) == old.data


def test_objects_that_a_user_put_into_a_removed_one_move_up() -> None:
    """Nothing of the user's goes with a result."""
    old = again(edited(drawn(box("first", 0, 0, 9, 9), box("last", 50, 50, 99, 99)), add=(result("a", kind="annotation"),)))
    graph = parse(old.data)
    first, last, ours = (item.node for item in again(old.data).objects)
    root = root_of(graph.contents)
    nodes = [item for item in root.data if isinstance(item, JavaObject) and item.desc.name.endswith("AnnotationObject")]
    assert [len(nodes), first.desc.name, last.desc.name] == [3, ours.desc.name, ours.desc.name]
    inside = [*nodes[2].data[:4], Block(struct.pack(">i", 1)), nodes[1], *nodes[2].data[5:]]  # the last box within ours
    outside = [*root.data[:4], Block(struct.pack(">i", 2)), nodes[0], nodes[2], *root.data[8:]]
    moved = again(emit(graph.contents, changed={id(nodes[2]): inside, id(root): outside}))
    assert [item.name for item in moved.objects] == ["first", None]

    new = again(edited(moved, add=(), remove_keys=frozenset("a")))

    assert [(item.name, parent.kind) for item, parent in new.root.walk()] == [("first", "root"), ("last", "root")]


def test_nested_results_go_into_the_smallest_annotation_around_the_prompt() -> None:
    """Only on the same plane, and only when the prompt was nested itself."""
    old = drawn(
        box("large", 0, 0, 200, 200),
        box("small", 50, 50, 100, 100),
        box("other slice", 59, 69, 61, 71, plane=Plane(1, 0)),
        NewAnnotation("Polyline", ((60, 70), (61, 70), (60, 71)), name="line"),
    )
    add = (
        result("in", nested=True),
        result("flat"),
        result("corner", at=(150, 150), nested=True),
        result("edge", at=(200, 100), nested=True),
        result("out", at=(300, 300), nested=True),
    )

    new = again(edited(old, add=add))

    assert {r.metadata[0][1]: parent_name(new, r.metadata[0][1]) for r in add} == {
        "in": "small",
        "flat": None,
        "corner": "large",
        "edge": "large",
        "out": None,
    }


def test_results_never_go_into_results() -> None:
    """An annotation of ours around a prompt is not its parent."""
    old = again(edited(drawn(box("large", 0, 0, 200, 200)), add=(result("old", kind="annotation", nested=True),)))

    new = again(edited(old, add=(result("new", nested=True),)))

    assert parent_name(new, "new") == "large"


def test_an_edit_leaves_the_file_in_memory_as_it_was() -> None:
    """The same file can be edited again."""
    old = load("0.3.2", "1")
    before = tree(old)

    edited(old, add=RESULTS, remove_keys=frozenset("a"))

    assert tree(old) == before
    assert emitted(old) == old.data


def test_adding_takes_a_few_kilobytes_a_result() -> None:
    """At 10^5 that is less than a gigabyte; a list of all the small pieces of a stream took twice as much."""
    file = drawn()
    results = [result(f"{number:020d}", at=(30.0 * number, 10.0)) for number in range(1000)]
    edited(file, add=results[:1])

    tracemalloc.start()
    try:
        edited(file, add=results)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert peak < 8000 * len(results)


def test_files_that_cannot_be_reproduced_are_read_but_not_written() -> None:
    """A text that Java would have written shorter is lost in a round trip."""
    data = load("0.6.0", "3").data
    odd = data[:-6] + b"|" + struct.pack(">q", 3) + b"EOF"
    found = again(odd)

    with pytest.raises(WriteRefusedError, match=r"data\.qpdata was left as it is: .* cannot be reproduced; open and save"):
        edited(found, add=(result("a"),))

    assert len(found.objects) == 1


def test_classes_of_another_make_are_not_written() -> None:
    """Another version of a superclass, and the new objects may be garbage."""
    name = b"qupath.lib.objects.PathROIObject"
    data = load("0.6.0", "3").data.replace(name + b"\0" * 7 + b"\1", name + b"\0" * 7 + b"\2")
    found = again(data)

    with pytest.raises(WriteRefusedError, match=r"data\.qpdata was left as it is: its class .* another version"):
        edited(found, add=(result("a"),))
