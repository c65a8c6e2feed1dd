"""Closed annotations of an image, read without Java."""

import json
import math
from dataclasses import replace

import numpy as np
import pytest
import shapely
from shapely.geometry.base import BaseGeometry

from fixture_projects import DATA, VERSIONS, entry_of
from nuclick_qp.annotations.closed import closed_objects
from nuclick_qp.annotations.objects import ClosedObject
from nuclick_qp.annotations.sorting import FoundKind, FoundObject, Shape
from nuclick_qp.qupath.files_engine import open_files_project

CLOSED_ROIS = {"Polygon", "Rectangle", "Ellipse", "Geometry", "Area"}


def found(outline: BaseGeometry | None, *, kind: FoundKind = "annotation", shape: Shape = "area") -> FoundObject:
    """Give an object as an engine finds it."""
    return FoundObject(kind=kind, shape=shape, outline=outline, class_name="Tumor", name="one")


def annotations_in(*objects: FoundObject) -> tuple[ClosedObject, ...]:
    """Pick the closed annotations."""
    return closed_objects(objects, entry_id="1", kinds=["annotation"])


@pytest.mark.parametrize("version", VERSIONS)
def test_closed_annotations_are_those_that_qupath_reads(version: str) -> None:
    """All of them in order, with class, name and area; no line, point, cell, tile, detection or core."""
    project = open_files_project(DATA / version / "ihc")
    entries = json.loads((DATA / version / "expected.json").read_text("utf-8"))["entries"]
    expected = {
        entry["entry_id"]: [o for o in entry["objects"] if o["type"] == "PathAnnotationObject" and o["roi"] in CLOSED_ROIS]
        for entry in entries
        if entry["has_data"]
    }

    closed = {entry_id: project.read_closed_objects(entry_of(project, entry_id), kinds=["annotation"]) for entry_id in expected}

    assert {key: [(a.class_name, a.name) for a in value] for key, value in closed.items()} == {
        key: [(o["class"], o["name"]) for o in value] for key, value in expected.items()
    }
    areas = [[annotation.outline.area for annotation in closed["1"]], [o["area"] for o in expected["1"]]]
    assert len(areas[0]) == 6
    assert areas[0] == pytest.approx(areas[1], rel=1e-3)  # an ellipse is a polygon of 128 corners here
    assert sum(shapely.get_num_interior_rings(shapely.get_parts(a.outline)).sum() for a in closed["1"]) == 1


def test_image_that_was_never_saved_has_no_annotations() -> None:
    """No data.qpdata is not an error."""
    project = open_files_project(DATA / "0.6.0" / "ihc")

    assert project.read_closed_objects(entry_of(project, "6")) == ()


def test_only_closed_annotations_are_taken() -> None:
    """Not what is of another kind, nor points and lines."""
    square = shapely.box(0, 0, 2, 2)

    closed = annotations_in(found(square), found(square, kind="detection"), found(None, shape="lines"), found(None, shape="points"))

    assert [(a.outline, a.class_name, a.name) for a in closed] == [(square, "Tumor", "one")]


def test_crossing_outlines_become_valid() -> None:
    """A bow tie of two triangles, as a hand draws it; a spike is cut off."""
    bow_tie, spike = shapely.Polygon([(0, 0), (2, 2), (2, 0), (0, 2)]), shapely.Polygon([(0, 0), (4, 0), (4, 4), (8, 8), (4, 4), (0, 4)])

    tie, square = annotations_in(found(bow_tie), found(spike))

    assert tie.outline.is_valid
    assert (tie.outline.geom_type, tie.outline.area) == ("MultiPolygon", 2)
    assert (square.outline.is_valid, square.outline.area) == (True, 16)


def test_broken_outlines_are_empty() -> None:
    """Nothing at all, too few points, NaN, points only: told by an empty outline, not left out."""
    with np.errstate(invalid="ignore"):
        spoilt = shapely.Polygon([(0, 0), (math.nan, 1), (1, 1)])

    closed = annotations_in(*(found(outline) for outline in (None, spoilt, shapely.MultiPoint([(0, 0), (1, 1)]))))

    assert [a.outline.is_empty for a in closed] == [True, True, True]


@pytest.mark.parametrize("version", VERSIONS)
def test_closed_objects_are_those_that_qupath_reads(version: str) -> None:
    """Annotations, detections and cells in order, with class, name, area, measurements, and ids where the file has them."""
    project = open_files_project(DATA / version / "ihc")
    entries = json.loads((DATA / version / "expected.json").read_text("utf-8"))["entries"]
    types = {"PathAnnotationObject": "annotation", "PathDetectionObject": "detection", "PathCellObject": "cell"}

    for entry in entries:
        expected = [o for o in entry.get("objects", ()) if o["type"] in types and o["roi"] in CLOSED_ROIS]
        found = project.read_closed_objects(entry_of(project, entry["entry_id"]))

        assert [(f.kind, f.class_name, f.name) for f in found] == [(types[o["type"]], o["class"], o["name"]) for o in expected]
        assert [f.outline.area for f in found] == pytest.approx([o["area"] for o in expected], rel=2e-3)
        assert [dict(f.measurements) for f in found] == [pytest.approx(o["measurements"], nan_ok=True) for o in expected]
        assert len({f.object_id for f in found}) == len(found)
        if version != "0.3.2":  # which keeps no ids
            assert [f.object_id for f in found] == [o["id"] for o in expected]


def test_cells_keep_their_nuclei() -> None:
    """As an outline of its own; objects without an id get one that stays the same."""
    cell = replace(found(shapely.box(0, 0, 9, 9), kind="cell"), nucleus=shapely.box(3, 3, 5, 5), measurements=(("a", 1.0),))

    (one,), (again,) = closed_objects([cell], entry_id="1"), closed_objects([cell], entry_id="1")

    assert (one.nucleus, one.measurements) == (shapely.box(3, 3, 5, 5), (("a", 1.0),))
    assert one == again
    assert closed_objects([cell], entry_id="2")[0].object_id != one.object_id
