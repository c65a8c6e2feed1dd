"""Results to be written, and the data files of QuPath that they are written into: what tests of editing share."""

import dataclasses
import math
from pathlib import Path

from shapely import MultiPolygon, Point, Polygon

from fixture_projects import DATA, VERSIONS
from nuclick_qp.annotations.objects import MODEL_KEY, PROMPT_KEY, ObjectKind, ResultObject
from nuclick_qp.prompts import XY, Plane
from nuclick_qp.qupath.qpdata.data_file import DataFile, parse_data_file

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
        measurements=(("NuClick: probability", 0.9), ("Area µm^2", math.nan)),
        metadata=((PROMPT_KEY, key), (MODEL_KEY, "nuclei 1")),
    )


RESULTS = (
    result("a"),
    dataclasses.replace(result("b"), class_name="Tumor: Positive", plane=Plane(3, 4)),
    dataclasses.replace(result("c", kind="annotation"), outline=PARTS, class_name="New: Derived", measurements=()),
    dataclasses.replace(result("d", kind="cell"), outline=HOLED, class_name="Tumor"),
    dataclasses.replace(result("e", kind="annotation"), class_name="Stroma ü"),
    dataclasses.replace(result("f"), measurements=()),
)


def load(version: str, entry: str) -> DataFile:
    """Read a fixture."""
    path = DATA / version / "ihc" / "data" / entry / "data.qpdata"
    return parse_data_file(path.read_bytes(), source=path)


def again(data: bytes) -> DataFile:
    """Read new bytes."""
    return parse_data_file(data, source=SOURCE)
