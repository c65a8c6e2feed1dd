"""The objects of a data file, made ready to be sorted."""

import math

import numpy as np
import pytest
import shapely
from shapely.geometry.base import BaseGeometry

from nuclick_qp.annotations.objects import PROMPT_KEY
from nuclick_qp.annotations.sorting import sort_objects
from nuclick_qp.qupath.javastream.nodes import ClassDesc, JavaObject
from nuclick_qp.qupath.qpdata.found_objects import found_objects
from nuclick_qp.qupath.qpdata.object_parts import NOT_MEASURED
from nuclick_qp.qupath.qpdata.path_objects import PathObject, PathObjectKind
from nuclick_qp.qupath.qpdata.rois import Roi

NODE = JavaObject(ClassDesc("qupath.lib.objects.PathObject", bytes(8)), [])


def tree(kind: PathObjectKind, roi: Roi | None, *children: PathObject, key: str = "") -> PathObject:
    """Give an object with its children."""
    metadata = ((PROMPT_KEY, key),) if key else ()
    return PathObject(kind, None, None, None, False, NOT_MEASURED, metadata, roi, None, children, False, NODE)


def geometry(shape: BaseGeometry) -> Roi:
    """Give a region of any geometry."""
    return Roi("Geometry", -1, 2, 1, shapely.get_coordinates(shape), shape)


def test_geometry_of_lines_is_one_squiggle() -> None:
    """Lines that were merged in QuPath; a part with NaN is told, the rest is read."""
    good = tree("annotation", geometry(shapely.MultiLineString([[(0, 0), (5, 5)], [(9, 9), (8, 8), (7, 9)]])))
    with np.errstate(invalid="ignore"):
        spoilt = tree("annotation", geometry(shapely.MultiLineString([[(0, 0), (math.nan, 5)], [(9, 9), (8, 8)]])))

    content = sort_objects(found_objects(tree("root", None, good, spoilt)), fingerprint="")

    assert [p.strokes for p in content.prompts] == [(((0, 0), (5, 5)), ((9, 9), (8, 8), (7, 9))), (((9, 9), (8, 8)),)]
    assert len(content.bad_prompts) == 1
    assert {(p.plane.z, p.plane.t) for p in content.prompts} == {(2, 1)}


def test_areas_have_centroids_where_they_are_asked_for() -> None:
    """Detections, cells and objects of ours; the centroid is that of the area, not of the vertices."""
    bent = geometry(shapely.Polygon([(0, 0), (4, 0), (4, 1), (1, 1), (1, 4), (0, 4)]))
    box = Roi("Rectangle", -1, 0, 0, np.array([[10.0, 20], [30, 60]]))
    objects = (tree("detection", bent), tree("cell", box), tree("annotation", box, key="k"), tree("annotation", box))

    content = sort_objects(found_objects(tree("root", None, *objects)), fingerprint="")

    (bent_xy, _), (box_xy, _) = content.neighbours
    assert bent_xy == pytest.approx((19 / 14, 19 / 14))
    assert box_xy == (20, 40)
    assert [(r.key, r.centroid) for r in content.results] == [("k", (20, 40))]


def test_objects_come_in_order_and_know_whether_they_are_nested() -> None:
    """Parents before children, children before the next sibling."""

    def click(x: float, *children: PathObject) -> PathObject:
        return tree("annotation", Roi("Points", -1, 0, 0, np.array([[x, 0.0]])), *children)

    core = tree("tma-core", Roi("Ellipse", -1, 0, 0, np.array([[0.0, 0], [9, 9]])), click(3))
    root = tree("root", None, click(1, click(2)), core, click(4))

    prompts = sort_objects(found_objects(root), fingerprint="").prompts

    assert [(p.anchor[0], p.nested) for p in prompts] == [(1, False), (2, True), (3, True), (4, False)]
