"""GeoJSON that we write, read by QuPath's own classes, and that of QuPath, read by us."""

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import shapely
from shapely import MultiPolygon, Point, Polygon, box

from compared_objects import assert_same_outline
from drawn_objects import export
from drawn_projects import ALL, run_on
from fixture_projects import DATA, VERSIONS, entry_of, open_with_qupath
from nuclick_qp.annotations.objects import ClosedObject, ResultObject
from nuclick_qp.annotations.sorting import FoundObject
from nuclick_qp.formats.geojson.reading import read_prompts
from nuclick_qp.formats.geojson.writing import closed_to_geojson, write_objects
from nuclick_qp.kinds import OBJECT_KINDS
from nuclick_qp.model.predictor import Predictors
from nuclick_qp.prompts import Plane
from nuclick_qp.qupath.jvm.data import Java, read_data
from nuclick_qp.qupath.jvm.java_objects import found_objects, walk
from nuclick_qp.qupath.open_project import open_project

MakeProject = Callable[..., Path]

pytestmark = pytest.mark.jvm

RING = Polygon(Point(50, 50).buffer(9).exterior, [Point(50, 50).buffer(3).exterior])
PARTS = MultiPolygon([box(0, 0, 2, 2.5), Polygon(box(4, 4, 12, 12).exterior, [box(6, 6, 8, 8).exterior])])


@pytest.fixture
def java() -> Java:
    """Start QuPath."""
    return open_with_qupath(DATA / "0.6.0" / "empty").java


def imported(java: Java, path: Path) -> list[Any]:
    """Let QuPath import a file; give its objects, in a hierarchy."""
    objects = java.load("qupath.lib.io.PathIO").readObjects(java.load("java.nio.file.Paths").get(str(path)))
    hierarchy = java.load("qupath.lib.objects.hierarchy.PathObjectHierarchy")()
    hierarchy.addObjects(objects)
    return list(walk(hierarchy.getRootObject()))


def as_found(java: Java, objects: Sequence[Any]) -> list[FoundObject]:
    """Read QuPath's objects as the engine does."""
    root = objects[0].getParent()
    return list(found_objects(java, root, outlines_of=OBJECT_KINDS))


def result(key: str, **changes: Any) -> ResultObject:
    """Give a disc of a run."""
    disc = Point(10, 10).buffer(3)
    made = ResultObject(disc, "detection", "Tumor", Plane(), False, (10, 10), key, 0.9)
    return replace(made, **changes)


@pytest.mark.parametrize("name", ["out.geojson", "out.geojson.gz", "out.zip"])
def test_outlines_of_a_run_are_imported(java: Java, tmp_path: Path, name: str) -> None:
    """Kind, class, plane, id, measurements, holes and parts, plain or packed."""
    results = [
        result("a"),
        result("b", outline=RING, class_name=None, plane=Plane(1, 2)),
        result("c", outline=PARTS, kind="annotation", class_name="Tumor: Positive"),
        result("d", kind="cell", class_name='é "癌"'),
    ]
    path = tmp_path / name

    write_objects(path, results)

    found = as_found(java, imported(java, path))
    assert [(f.kind, f.class_name, f.plane, f.name) for f in found] == [(r.kind, r.class_name, r.plane, None) for r in results]
    assert all(dict(f.measurements) == pytest.approx({"NuClick: probability": 0.9}) for f in found)
    ids = [feature.object_id for feature in as_found(java, imported(java, path))]
    assert ids == [f.object_id for f in found]
    for one, other in zip(found, results, strict=True):
        assert one.outline is not None
        assert_same_outline(one.outline, other.outline)
        rings = [shapely.get_num_interior_rings(shapely.get_parts(shape)).sum() for shape in (one.outline, other.outline)]
        assert rings[0] == rings[1]


def test_numbers_that_are_none_are_imported(java: Java, tmp_path: Path) -> None:
    """Infinities as such; NaN as QuPath has it for what is missing."""
    path = tmp_path / "out.geojson"

    write_objects(path, [result("a", shape=(("up", math.inf), ("down", -math.inf), ("none", math.nan), ("one", 1.0)))])

    (item,) = imported(java, path)
    values = [float(item.getMeasurementList().get(name)) for name in ("up", "down", "none", "one")]
    np.testing.assert_equal(values, [math.inf, -math.inf, math.nan, 1.0])


def test_known_classes_keep_their_colour(java: Java, tmp_path: Path) -> None:
    """We name none; a class that QuPath does not know gets one of QuPath's choice."""
    classes = java.load("qupath.lib.objects.classes.PathClass")
    known = classes.fromString("Bile duct", java.load("java.lang.Integer").valueOf(-16711936))
    path = tmp_path / "out.geojson"

    write_objects(path, [result("a", class_name="Bile duct"), result("b", class_name="Seen: Never")])

    one, other = (item.getPathClass() for item in imported(java, path))
    assert one == known
    assert int(one.getColor()) == -16711936
    assert (str(other), str(other.getParentClass())) == ("Seen: Never", "Seen")
    assert other.getColor() is not None


def test_classes_of_other_programs_are_imported(java: Java, tmp_path: Path) -> None:
    """QuPath would refuse the whole file for some of these names."""
    names = ["Tumor: ", ": Tumor", "HER2:3+", "HER2:3+: Positive", "two\r\nlines", " :\n", "x" * 5000]
    path = tmp_path / "out.geojson"

    write_objects(path, [result(name, class_name=name) for name in names])

    found = [f.class_name for f in as_found(java, imported(java, path))]
    assert found == ["Tumor", "Tumor", "HER2: 3+", "HER2: 3+: Positive", "two lines", None, "x" * 5000]


def test_outlines_that_were_broken_are_imported(java: Java, tmp_path: Path) -> None:
    """A bow tie or a spike, written as it was drawn, would make QuPath refuse the whole file."""
    tie, spike = Polygon([(0, 0), (4, 4), (4, 0), (0, 4)]), Polygon([(0, 0), (10, 0), (10, 10), (5.004, 0.004), (5, 0.004), (0, 10)])
    path = tmp_path / "out.geojson"

    write_objects(path, [result("a", outline=tie), result("b", outline=spike), result("c")])

    found = as_found(java, imported(java, path))
    assert [float(shapely.area(f.outline)) for f in found] == pytest.approx([8, spike.area, Point(0, 0).buffer(3).area], abs=0.1)


def test_objects_of_a_project_are_imported(java: Java, tmp_path: Path) -> None:
    """Cells with their nuclei, names, ids."""
    cell = ClosedObject(Point(60.25, 60).buffer(12), "cell", "c6a8bfc3-6be3-478a-a9d3-9a3cbcfa08e7", "Immune cells", "a cell", Plane(1, 0))
    cell = replace(cell, nucleus=Point(60, 60).buffer(4.5), measurements=(("Area µm^2", 28.25),))
    region = ClosedObject(RING, "annotation", "ad775123-6046-465a-906c-ca5bdc1940ab", None, None)
    path = tmp_path / "out.geojson"

    path.write_bytes(closed_to_geojson([cell, region]))

    one, other = as_found(java, imported(java, path))
    assert (one.kind, one.object_id, one.class_name, one.name, one.plane) == ("cell", cell.object_id, "Immune cells", "a cell", Plane(1, 0))
    assert one.measurements == cell.measurements
    assert one.nucleus is not None
    assert cell.nucleus is not None
    assert_same_outline(one.nucleus, cell.nucleus)
    assert (other.kind, other.object_id, other.class_name, other.name) == ("annotation", region.object_id, None, None)


def test_exports_of_all_fixtures_are_imported(java: Java, tmp_path: Path) -> None:
    """What `export` writes of each project that QuPath wrote has the objects that are in the project."""
    for version in VERSIONS:
        export(DATA / version / "ihc", tmp_path / version, format="geojson", pixels=False)
        with open_project(DATA / version / "ihc") as project:
            closed = [c for c in project.read_closed_objects(entry_of(project)) if not (c.class_name or "").endswith("*")]

        path = tmp_path / version / "ihc.png-1.geojson"
        found = as_found(java, imported(java, path))

        assert [(f.object_id, f.kind, f.class_name, f.name) for f in found] == [(c.object_id, c.kind, c.class_name, c.name) for c in closed]


def test_geojson_of_a_run_holds_what_the_project_got(java: Java, tmp_path: Path, make_project: MakeProject, predictors: Predictors) -> None:
    """`run --geojson`: QuPath reads the same outlines from either."""
    project = make_project(*ALL)
    run_on(project, predictors, geojson=tmp_path / "out")

    found = as_found(java, imported(java, tmp_path / "out" / "discs-0.png-1.geojson"))

    with open_project(project, engine="qupath") as opened:
        written = opened.read_closed_objects(opened.images()[0])
    assert sorted((f.kind, str(f.class_name)) for f in found) == sorted((w.kind, str(w.class_name)) for w in written)
    assert len(found) == 4
    for one, other in zip(*(sorted(items, key=lambda item: shapely.bounds(item.outline)[0]) for items in (found, written)), strict=True):
        assert one.outline is not None
        assert_same_outline(one.outline, other.outline)
        assert dict(one.measurements) == pytest.approx(dict(other.measurements), rel=1e-6)


@pytest.mark.parametrize("name", ["drawn.geojson", "drawn.geojson.gz", "drawn.zip"])
def test_prompts_that_qupath_exports_have_the_keys_of_the_project(tmp_path: Path, name: str) -> None:
    """Whatever the order: since 0.6 that of the points of one annotation is another in the export."""
    for version in VERSIONS:
        project = open_with_qupath(DATA / version / "ihc")
        entry, path, load = entry_of(project), tmp_path / name, project.java.load
        objects = load("java.util.ArrayList")()
        data = project.read_data(entry)
        assert data is not None
        for item in walk(read_data(project.java, data, source=path).root):
            objects.add(item)

        load("qupath.lib.io.PathIO").exportObjectsAsGeoJSON(load("java.nio.file.Paths").get(str(path)), objects)

        keys, expected = ([prompt.key for prompt in content.prompts] for content in (read_prompts(path), project.read(entry)))
        assert len(expected) > 60
        assert sorted(keys) == sorted(expected)
        path.unlink()
