"""Objects that are rare, or wrong, and that QuPath lets a user make all the same: read and kept alike by both engines."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from shapely import box

from compared_objects import assert_same, assert_same_outline, assert_same_results, data_of, users_objects
from fixture_projects import entry_of, open_with_qupath
from nuclick_qp.annotations.objects import Changes, ResultObject
from nuclick_qp.prompts import Plane
from nuclick_qp.qupath.files_engine import open_files_project
from nuclick_qp.qupath.jvm.data import read_data, write_data
from nuclick_qp.qupath.jvm.engine import JvmProject

pytestmark = pytest.mark.jvm


class Regions:
    """What makes regions of QuPath."""

    def __init__(self, project: JvmProject) -> None:
        self.load = project.java.load
        self.rois = self.load("qupath.lib.roi.ROIs")
        self.plane = self.load("qupath.lib.regions.ImagePlane").getPlane(1, 2)

    def points(self, *places: tuple[float, float]) -> Any:
        """Give a list of points."""
        listed = self.load("java.util.ArrayList")()
        for x, y in places:
            listed.add(self.load("qupath.lib.geom.Point2")(x, y))
        return listed

    def geometry(self, wkt: str) -> Any:
        """Give a region with this geometry."""
        tools = self.load("qupath.lib.roi.GeometryTools")
        reader = self.load("org.locationtech.jts.io.WKTReader")(tools.getDefaultFactory())
        return tools.geometryToROI(reader.read(wkt), self.plane)


ODD: dict[str, Callable[[Regions], Any]] = {
    "point-nan": lambda r: r.rois.createPointsROI(r.points((math.nan, 1), (2, 3)), r.plane),
    "point-infinite": lambda r: r.rois.createPointsROI(r.points((math.inf, 1)), r.plane),
    "points-none": lambda r: r.rois.createPointsROI(r.points(), r.plane),
    "points-twice": lambda r: r.rois.createPointsROI(r.points((5, 5), (5, 5), (1, 1)), r.plane),
    "line-of-no-length": lambda r: r.rois.createLineROI(5, 5, 5, 5, r.plane),
    "line-nan": lambda r: r.rois.createLineROI(5, math.nan, 5, 6, r.plane),
    "polyline-of-one": lambda r: r.rois.createPolylineROI(r.points((1, 1)), r.plane),
    "polyline-of-two": lambda r: r.rois.createPolylineROI(r.points((7.123, 8), (1, 1)), r.plane),
    "polyline-nan": lambda r: r.rois.createPolylineROI(r.points((1, 1), (math.nan, 8), (3, 3)), r.plane),
    "lines": lambda r: r.geometry("MULTILINESTRING((10 0,0 0),(8 8,6 7,5 5))"),
    "polygon-of-none": lambda r: r.rois.createPolygonROI(r.points(), r.plane),
    "polygon-nan": lambda r: r.rois.createPolygonROI(r.points((1, 1), (math.nan, 8), (3, 3), (4, 4)), r.plane),
    "bow-tie": lambda r: r.rois.createPolygonROI(r.points((0, 0), (40, 40), (40, 0), (0, 40)), r.plane),
    "needle": lambda r: r.rois.createPolygonROI(r.points((1.91, 0.51), (2.1, 0.01), (2.31, 1.42)), r.plane),
    "rectangle-of-no-size": lambda r: r.rois.createRectangleROI(5, 5, 0, 0, r.plane),
    "rectangle-from-below": lambda r: r.rois.createRectangleROI(9, 9, -8, -8, r.plane),
    "ellipse": lambda r: r.rois.createEllipseROI(-2, -1, 30, 40.5, r.plane),
    "ellipse-of-no-width": lambda r: r.rois.createEllipseROI(5, 0, 0, 40, r.plane),
    "parts": lambda r: r.geometry("MULTIPOLYGON(((0 0,10 0,10 10,0 0)),((20 20,30 20,30 30,20 20)))"),
    "mixed": lambda r: r.geometry("GEOMETRYCOLLECTION(POLYGON((0 0,10 0,10 10,0 0)),LINESTRING(20 20,30 30))"),
    "point-and-line": lambda r: r.geometry("GEOMETRYCOLLECTION(POINT(3 3),LINESTRING(20 20,30 30))"),
    "other-channel": lambda r: r.rois.createRectangleROI(4, 4, 9, 9, r.load("qupath.lib.regions.ImagePlane").getPlaneWithChannel(2, 1, 2)),
}


def add_odd_objects(project: JvmProject, roi: Any) -> None:
    """Give the first image an object of each kind with this region."""
    entry = entry_of(project)
    data = project.read_data(entry)
    assert data is not None
    content = read_data(project.java, data, source=project.data_path(entry))
    objects = project.java.load("qupath.lib.objects.PathObjects")
    for item in (
        objects.createAnnotationObject(roi),
        objects.createDetectionObject(roi),
        objects.createCellObject(roi, roi, None, None),
        objects.createTileObject(roi),
    ):
        item.setName("odd")
        content.root.addChildObject(item)
    project.data_path(entry).write_bytes(write_data(project.java, content))


@pytest.mark.parametrize("name", ODD)
def test_odd_objects_are_read_and_kept_alike(study: Path, name: str) -> None:
    """Prompts, neighbours, closed objects; a result whose prompt lies in them, or on them, finds the same parent."""
    qupath, files = open_with_qupath(study), open_files_project(study)
    add_odd_objects(qupath, ODD[name](Regions(qupath)))
    entry = entry_of(files)

    one, other = files.read_closed_objects(entry), qupath.read_closed_objects(entry)
    contents = [project.read(entry) for project in (files, qupath)]

    assert_same(*contents, within=0.01)
    assert [(a.kind, a.plane, a.name) for a in one] == [(a.kind, a.plane, a.name) for a in other]
    for a, b in zip(one, other, strict=True):
        assert_same_outline(a.outline, b.outline)
    results = (ResultObject(box(1, 1, 9.5, 9), "detection", "Tumor", Plane(1, 2), True, (5, 5), "key"),)
    written = []
    old = qupath.data_path(entry).read_bytes()
    for project in (files, qupath):
        project.write(entry, Changes(results), fingerprint=contents[0].fingerprint)
        written.append(data_of(study))
        project.data_path(entry).write_bytes(old)
    assert_same_results(*written)
    assert [repr(item) for item in users_objects(written[0])] == [repr(item) for item in users_objects(written[1])]
