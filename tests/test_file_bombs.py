"""Small files that would fill the memory: references make Java streams short, whatever they unfold to."""

import struct
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest

from nuclick_qp.errors import UnreadableDataError
from nuclick_qp.projects.qupath_files.data_file import DataFile, new_data_file, parse_data_file
from nuclick_qp.projects.qupath_files.java_build import Builder
from nuclick_qp.projects.qupath_files.java_emit import emit
from nuclick_qp.projects.qupath_files.java_nodes import SERIALIZABLE, ClassDesc, Field, Graph, JavaArray, JavaObject
from nuclick_qp.projects.qupath_files.java_stream import parse
from nuclick_qp.projects.qupath_files.new_objects import NewAnnotation
from nuclick_qp.projects.qupath_files.path_objects import root_of

SOURCE = Path("data.qpdata")
LINE = NewAnnotation("Line", ((1, 2), (3, 4)))
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


def read_within_bounds(data: bytes) -> DataFile | None:
    """Read a file and insist on little memory; None when it is refused because it unfolds."""
    tracemalloc.start()
    try:
        return parse_data_file(data, source=SOURCE)
    except UnreadableDataError as err:
        assert "share more data" in str(err)  # noqa: PT017  # either end will do
        return None
    finally:
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert peak < MOST * len(data)


def area_of(builder: Builder, ring: JavaArray, times: int) -> JavaObject:
    """Make the several-ring region of old files, of one ring many times."""
    rings = JavaArray(described("[[F"), [ring] * times)
    names = [Field("I", name, None) for name in "ctz"] + [Field("[", name, builder.text("[[F")) for name in "xy"]
    return JavaObject(described("qupath.lib.roi.AreaROI$SerializationProxy", *names), [b"\0" * 12, rings, rings])


def described(name: str, *fields: Field) -> ClassDesc:
    """Describe a class that is not written otherwise."""
    desc = ClassDesc(name, b"\0" * 7 + b"\1", SERIALIZABLE, fields)
    desc.complete(None)
    return desc


def region_place(node: JavaObject) -> int:
    """Tell where the region stands in the data of an object."""
    return next(i for i, item in enumerate(node.data) if isinstance(item, JavaObject) and item.desc.name.startswith("qupath.lib.roi."))


def test_an_area_of_one_ring_many_times_is_refused() -> None:
    """Before the rings are unfolded: the size of the file limits the points."""

    def change(_graph: Graph, node: JavaObject, builder: Builder) -> None:
        node.data[region_place(node)] = area_of(builder, builder.floats([0.0] * 5000), TIMES)

    assert read_within_bounds(bomb(change)) is None


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

    assert read_within_bounds(bomb(change, objects=200)) is None
