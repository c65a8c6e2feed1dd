"""Regions of interest: the kinds that no fixture has, and regions that are no regions."""

import math
import struct

import numpy as np
import pytest

from nuclick_qp.errors import UnreadableDataError
from nuclick_qp.prompts import Plane
from nuclick_qp.qupath.javastream.nodes import SERIALIZABLE, ClassDesc, Field, JavaObject, JavaString
from nuclick_qp.qupath.qpdata.building import Builder
from nuclick_qp.qupath.qpdata.rois import Roi, RoiKind, decode_roi


def test_rings_of_an_old_area_become_a_polygon_with_a_hole() -> None:
    """A ring inside another is a hole, and a third one beside them a part."""
    builder = Builder()
    squares = [(0, 10), (2, 4), (20, 25)]  # from, to
    xs = builder.array(builder.floats([a, b, b, a]) for a, b in squares)
    ys = builder.array(builder.floats([a, a, b, b]) for a, b in squares)
    names = [Field("I", name, None) for name in "ctz"] + [Field("[", name, JavaString(b"[[F")) for name in "xy"]
    desc = ClassDesc("qupath.lib.roi.AreaROI$SerializationProxy", b"\0" * 8, SERIALIZABLE, tuple(names))
    desc.complete(None)

    roi = decode_roi(JavaObject(desc, [struct.pack(">iii", -1, 7, 5), xs, ys]))

    assert (roi.kind, roi.plane, roi.area) == ("Area", Plane(5, 7), 100 - 4 + 25)
    assert len(roi.points) == 12


def test_nested_collections_of_geometry_do_not_reach_the_c_library() -> None:
    """They overflow its stack and kill the process."""
    builder = Builder()
    nested = struct.pack(">BII", 0, 7, 1) * 1_000_000
    node = builder.object("qupath.lib.roi.GeometryROI$WKBSerializationProxy", b"\0" * 12, None, builder.byte_array(nested))

    with pytest.raises(UnreadableDataError, match="collection of collections"):
        decode_roi(node)


@pytest.mark.parametrize(
    ("kind", "points"),
    [
        ("Points", [[math.nan, 1]]),
        ("Polyline", [[0, 0], [math.inf, 1]]),
        ("Polygon", [[0, 0], [1e30, 1], [5, 5]]),
        ("Polygon", [[0, 0], [5, 5]]),
        ("Points", []),
        ("Polyline", [[1, 1]]),
    ],
)
def test_a_region_that_is_none_has_no_geometry(kind: RoiKind, points: list[list[float]]) -> None:
    """It keeps its points, so that the prompt can be reported."""
    roi = Roi(kind, -1, 0, 0, np.array(points, np.float64).reshape(-1, 2))

    assert roi.geometry is None
    assert roi.area == 0
    assert all(math.isnan(value) for value in roi.centroid)


def test_the_polygon_of_an_ellipse_is_close_to_it() -> None:
    """Its area is below that of the ellipse by less than a thousandth; the centroid is the same."""
    roi = Roi("Ellipse", -1, 0, 0, np.array([[10.0, 20.0], [30.0, 80.0]]))

    assert roi.area == pytest.approx(math.pi * 10 * 30)
    assert roi.geometry is not None
    assert 0.999 < roi.geometry.area / roi.area < 1
    assert roi.centroid == pytest.approx((20, 50))
