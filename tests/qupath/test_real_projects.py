"""Every project at hand, those of the fixtures and real ones: read, written, and read again.

NUCLICK_SHARED names the folder that holds the real ones, as data/qupath-projects.
"""

import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest
from shapely import Point
from shapely.geometry import shape
from shapely.geometry.base import BaseGeometry

from edited_files import edited, emitted
from fixture_projects import DATA, VERSIONS, snapshot
from nuclick_qp.annotations.objects import Changes, ResultObject
from nuclick_qp.prompts import Plane
from nuclick_qp.qupath.files_engine import FilesProject, open_files_project
from nuclick_qp.qupath.qpdata.data_file import DataFile, parse_data_file
from nuclick_qp.qupath.qpdata.path_objects import PathObject

SHARED = os.environ.get("NUCLICK_SHARED")
REAL = Path(SHARED or "", "data", "qupath-projects")
WITH_TWIN = REAL / "v0.6.0-coscia-demo-mif"
PROJECTS = [path for root in ([DATA, REAL] if SHARED else [DATA]) for path in sorted(root.rglob("*.qpproj"))]
FOLDERS = sorted({path.parent for path in PROJECTS if any(path.parent.rglob("data.qpdata"))})
NOT_WRITTEN = {"data.qpdata", "summary.json", "classes.json"}  # of what there was, nothing else may change
DISC = Point(50, 60).buffer(8)
ADDED = ResultObject(DISC, "detection", "Sweep: of all", Plane(), False, (50, 60), "k", 0.75)


def described(item: PathObject) -> tuple[object, ...]:
    """Give all that a file says of an object but its children."""
    roi = item.roi
    region = None if roi is None else (roi.kind, roi.c, roi.z, roi.t, roi.points.tobytes(), roi.shape)
    return (item.kind, item.object_id, item.name, item.class_name, item.locked, repr(item.measurements), item.metadata, region)


def described_objects(data: DataFile) -> list[tuple[object, ...]]:
    """Describe all objects of a file."""
    return [described(item) for item, _ in data.root.walk()]


def load(path: Path) -> DataFile:
    """Read a data file."""
    return parse_data_file(path.read_bytes(), source=path)


def add_to_all(project: FilesProject) -> dict[Path, bytes | None]:
    """Add an outline to each image; give what the data files held before."""
    before: dict[Path, bytes | None] = {}
    for entry in project.images():
        path = project.data_path(entry)
        before[path] = path.read_bytes() if path.exists() else None
        project.write(entry, Changes((ADDED,)), fingerprint=project.read(entry).fingerprint)
    return before


def geometry_of(feature: dict[str, Any]) -> BaseGeometry:
    """Give the outline of a GeoJSON feature."""
    return shape(feature["geometry"])


def test_there_are_projects_of_each_version() -> None:
    """An empty list would make every test below pass."""
    assert {path.relative_to(DATA).parts[0] for path in PROJECTS if path.is_relative_to(DATA)} == {"0.2.3", *VERSIONS}


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda path: "-".join(path.parts[-2:]))
def test_every_data_file_is_reproduced_and_takes_an_outline(folder: Path) -> None:
    """Whether the project lists its image or not: same bytes, same old objects, the new one last."""
    for path in sorted(folder.rglob("data.qpdata")):
        old = load(path)

        new = parse_data_file(edited(old, add=(ADDED,)), source=path)

        assert emitted(old) == old.data, path
        *others, last = new.objects
        assert described_objects(new)[:-1] == described_objects(old), path
        assert len(others) == len(old.objects)
        assert (last.class_name, last.roi is not None and last.roi.geometry is not None) == ("Sweep: of all", True)


@pytest.mark.parametrize("path", PROJECTS, ids=lambda path: "-".join(path.parts[-3:]))
def test_every_image_takes_an_outline_and_nothing_else_changes(path: Path, tmp_path: Path) -> None:
    """Images that were never saved get a data file; files that belong to nothing of ours stay, to the byte."""
    shutil.copytree(path.parent, tmp_path / "study")
    project = open_files_project(tmp_path / "study" / path.name)
    files = snapshot(tmp_path / "study")

    before = add_to_all(project)

    for entry in project.images():
        data = before[project.data_path(entry)]
        old = [] if data is None else described_objects(parse_data_file(data, source=path))
        now = load(project.data_path(entry))
        assert described_objects(now)[:-1] == old
        assert now.objects[-1].class_name == "Sweep: of all"
        assert [result.key for result in project.read(entry).results] == ["k"]
    after = snapshot(tmp_path / "study")
    assert [name for name in files if after.get(name) != files[name] and Path(name).name not in NOT_WRITTEN] == []


@pytest.mark.shared
@pytest.mark.skipif(not SHARED, reason="real projects are needed; set NUCLICK_SHARED to their folder")
def test_objects_are_those_of_the_geojson_that_a_user_exported_beside_them() -> None:
    """Id, kind, class and outline of 121 cells and 7 annotations, as QuPath 0.6 wrote them twice."""
    twin = json.loads((WITH_TWIN / "Single_cells.geojson").read_text("utf-8"))["features"]
    project = open_files_project(WITH_TWIN)
    (entry,) = project.images()

    found = {item.object_id: item for item in project.read_closed_objects(entry)}

    closed = {feature["id"]: feature for feature in twin if feature["geometry"]["type"] != "Point"}
    assert {i: item.kind for i, item in found.items()} == {i: feature["properties"]["objectType"] for i, feature in closed.items()}
    names = {i: (feature["properties"].get("classification") or {}).get("name") for i, feature in closed.items()}
    assert {i: item.class_name for i, item in found.items()} == names
    far = {i: item.outline.symmetric_difference(geometry_of(closed[i])).area / item.outline.area for i, item in found.items()}
    assert max(far.values()) < 0.01
    assert len(project.read(entry).prompts) == len(twin) - len(closed) == 3
