"""Results to be written, and the data files of QuPath that they are written into: what tests of editing share."""

import dataclasses
import math
from collections.abc import Mapping, Sequence
from pathlib import Path

from shapely import MultiPolygon, Point, Polygon

from fixture_projects import DATA, VERSIONS
from nuclick_qp.annotations.objects import ResultObject
from nuclick_qp.kinds import ObjectKind
from nuclick_qp.prompts import XY, Plane
from nuclick_qp.qupath.javastream.emit import emit
from nuclick_qp.qupath.qpdata.data_file import DataFile, edit_data_file, parse_data_file

ENTRIES = [(v, str(e)) for v in ("0.2.3", *VERSIONS) for e in range(1, 6) if (DATA / v / f"ihc/data/{e}/data.qpdata").exists()]
SOURCE = Path("project/data/1/data.qpdata")
HOLED = Polygon([(0, 0), (50, 0), (50, 50), (0, 50)], [[(10, 10), (20, 10), (20, 20), (10, 20)]])
PARTS = MultiPolygon([Polygon([(0, 0), (5.123456789, 0), (5, 5)]), Polygon([(20, 20), (25, 20), (25, 25)])])


def result(key: str, *, at: XY = (60.0, 70.0), kind: ObjectKind = "detection", nested: bool = False) -> ResultObject:
    """Give a disc of radius 5."""
    return ResultObject(
        outline=Point(at).buffer(5),
        kind=kind,
        class_name=None,
        plane=Plane(),
        nested=nested,
        anchor=at,
        key=key,
        probability=0.9,
        model="nuclei 1",
        shape=(("Area µm^2", math.nan),),
    )


RESULTS = (
    result("a"),
    dataclasses.replace(result("b"), class_name="Tumor: Positive", plane=Plane(3, 4)),
    dataclasses.replace(result("c", kind="annotation"), outline=PARTS, class_name="New: Derived", probability=None, shape=()),
    dataclasses.replace(result("d", kind="cell"), outline=HOLED, class_name="Tumor"),
    dataclasses.replace(result("e", kind="annotation"), class_name="Stroma ü"),
    dataclasses.replace(result("f"), probability=None, shape=()),
)


def load(version: str, entry: str) -> DataFile:
    """Read a fixture."""
    path = DATA / version / "ihc" / "data" / entry / "data.qpdata"
    return parse_data_file(path.read_bytes(), source=path)


def again(data: bytes) -> DataFile:
    """Read new bytes."""
    return parse_data_file(data, source=SOURCE)


def edited(
    file: DataFile, *, add: Sequence[ResultObject], remove_keys: frozenset[str] = frozenset(), colours: Mapping[str, int] | None = None
) -> bytes:
    """Give the bytes of a file with results added and removed."""
    return edit_data_file(file.data, source=file.source, add=add, remove_keys=remove_keys, colours=colours or {}).data


def emitted(file: DataFile) -> bytes:
    """Write the nodes of a file anew."""
    return emit(file.graph.contents)
