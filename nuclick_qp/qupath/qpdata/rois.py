"""Regions of interest as QuPath stores them."""

import math
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely import LineString, MultiLineString, MultiPoint, Polygon
from shapely.errors import ShapelyError
from shapely.geometry.base import BaseGeometry

from nuclick_qp.annotations.sorting import NOWHERE
from nuclick_qp.errors import UnreadableDataError
from nuclick_qp.prompts import XY, Plane
from nuclick_qp.qupath.javastream.nodes import JavaObject
from nuclick_qp.qupath.javastream.values import elements, field, number, primitives

RoiKind = Literal["Points", "Line", "Polyline", "Polygon", "Rectangle", "Ellipse", "Area", "Geometry"]
Take = Callable[[int], None]
CLOSED_KINDS: frozenset[RoiKind] = frozenset({"Polygon", "Rectangle", "Ellipse", "Area", "Geometry"})
FARTHEST = 1e9  # px from the origin; no slide comes near, and beyond it areas overflow
ELLIPSE_VERTICES = 128  # of the polygon that stands for an ellipse; area 0.04 % below the true one


@dataclass(frozen=True, slots=True, eq=False)
class Roi:
    """One region, in the slide frame.

    Attributes
    ----------
    kind
        As QuPath names it; ``Area`` is the several-ring region of old files.
    c, z, t
        Channel (-1: all), z slice, time point.
    stored
        The points as the file has them, big-endian float32 of all x and of all y, or as an array.
    shape
        Only of ``Area`` and ``Geometry``: what the file describes.
    """

    kind: RoiKind
    c: int
    z: int
    t: int
    stored: tuple[bytes, bytes] | NDArray[np.float64]
    shape: BaseGeometry | None = None

    @property
    def points(self) -> NDArray[np.float64]:
        """(N, 2) in the order of the file, made anew on each call, as most are never asked for.

        The points, the vertices (the ring of a polygon is not closed), two opposite corners of a
        rectangle or ellipse, all vertices of an area.
        """
        return _as_points(*self.stored) if isinstance(self.stored, tuple) else self.stored

    @property
    def n_points(self) -> int:
        """How many points there are."""
        return len(self.stored[0]) // 4 if isinstance(self.stored, tuple) else len(self.stored)

    @property
    def plane(self) -> Plane:
        """Slice and time point."""
        return Plane(self.z, self.t)

    @property
    def bounds(self) -> tuple[float, float, float, float]:
        """Left, top, right, bottom; NaN when there is no point."""
        points = self.points
        if not len(points):
            return (math.nan,) * 4
        left, top = points.min(axis=0).tolist()
        right, bottom = points.max(axis=0).tolist()
        return left, top, right, bottom

    @property
    def geometry(self) -> BaseGeometry | None:
        """The region as a shapely geometry, made anew on each call.

        None when there is none: too few points for the kind, or one that is not a number or lies
        beyond `FARTHEST`.
        """
        points = self.points
        if not len(points) or not (np.abs(points) <= FARTHEST).all():
            return None
        return self.shape if self.shape is not None else _GEOMETRIES[self.kind](points)

    @property
    def area(self) -> float:
        """Area in px^2 of level 0; 0 for points and lines."""
        if self.kind == "Ellipse":
            left, top, right, bottom = self.bounds
            return math.pi / 4 * (right - left) * (bottom - top)
        geometry = self.geometry if self.kind in CLOSED_KINDS else None
        return 0.0 if geometry is None else float(geometry.area)

    @property
    def centroid(self) -> XY:
        """Centre of mass of the region, NaN when there is no geometry."""
        geometry = self.geometry
        if geometry is None or geometry.is_empty:
            return NOWHERE
        return float(geometry.centroid.x), float(geometry.centroid.y)


def centroids_of(rois: Sequence[Roi]) -> list[XY]:
    """Give the `Roi.centroid` of each; polygons, of which there may be very many, all at once."""
    polygons = {i: roi.stored for i, roi in enumerate(rois) if roi.kind == "Polygon" and isinstance(roi.stored, tuple) and roi.n_points > 2}
    found = [NOWHERE if i in polygons else roi.centroid for i, roi in enumerate(rois)]
    if not polygons:
        return found
    places = np.array(list(polygons))
    points = _as_points(*(b"".join(axis) for axis in zip(*polygons.values(), strict=True)))
    owners = np.repeat(np.arange(len(places)), [len(x) // 4 for x, _ in polygons.values()])
    is_usable = np.bincount(owners[~(np.abs(points) <= FARTHEST).all(axis=1)], minlength=len(places)) == 0
    kept, numbers = is_usable[owners], np.cumsum(is_usable) - 1
    centres = shapely.get_coordinates(shapely.centroid(shapely.polygons(shapely.linearrings(points[kept], indices=numbers[owners[kept]]))))
    for place, (x, y) in zip(places[is_usable].tolist(), centres.tolist(), strict=True):
        found[place] = (x, y)
    return found


def unlimited(_count: int) -> None:
    """Let a region take as much memory as it wants."""


def decode_roi(node: JavaObject, *, take: Take = unlimited) -> Roi:
    """Read the region of an object.

    Parameters
    ----------
    take
        Is told how many points follow, before memory is taken for them. It raises when they are too
        many: regions of a few bytes may refer to the same huge arrays again and again.

    Raises
    ------
    UnreadableDataError
        If the class is not one of QuPath's, or its data are broken.
    """
    read = _READERS.get(node.desc.name)
    if read is None:
        raise UnreadableDataError(f"a region is of class {node.desc.name!r}, which is not known")
    kind, stored, shape = read(node, take)
    return Roi(kind, int(number(node, "c")), int(number(node, "z")), int(number(node, "t")), stored, shape)


_Decoded = tuple[RoiKind, tuple[bytes, bytes] | NDArray[np.float64], BaseGeometry | None]
_Read = Callable[[JavaObject, Take], _Decoded]


def _xy(node: JavaObject) -> tuple[bytes, bytes]:
    """Give the arrays x and y, which must be of one length."""
    return _same_length(primitives(field(node, "x"), "[F"), primitives(field(node, "y"), "[F"))


def _same_length(x: bytes, y: bytes) -> tuple[bytes, bytes]:
    if len(x) != len(y):
        raise UnreadableDataError(f"a region has {len(x) // 4} x but {len(y) // 4} y coordinates")
    return x, y


def _as_points(x: bytes, y: bytes) -> NDArray[np.float64]:
    points = np.empty((len(x) // 4, 2))
    with np.errstate(all="ignore"):  # coordinates may be any bits
        points[:, 0], points[:, 1] = np.frombuffer(x, ">f4"), np.frombuffer(y, ">f4")
    return points


def _vertices(kind: RoiKind) -> _Read:
    """Make the reader of a region with the arrays x and y."""

    def read(node: JavaObject, take: Take) -> _Decoded:
        x, y = _xy(node)
        take(len(x) // 4)
        return kind, (x, y), None

    return read


def _corners(kind: RoiKind) -> _Read:
    """Make the reader of a region with two corners or ends."""

    def read(node: JavaObject, take: Take) -> _Decoded:
        take(2)
        x, y, x2, y2 = (number(node, name) for name in ("x", "y", "x2", "y2"))
        return kind, np.array([[x, y], [x2, y2]], np.float64), None

    return read


def _read_area(node: JavaObject, take: Take) -> _Decoded:
    """Read rings; those inside others are holes, as Java's even-odd rule has it."""
    xs, ys = elements(field(node, "x")), elements(field(node, "y"))
    if len(xs) != len(ys):
        raise UnreadableDataError(f"a region has {len(xs)} x but {len(ys)} y rings")
    stored = [_same_length(primitives(x, "[F"), primitives(y, "[F")) for x, y in zip(xs, ys, strict=True)]
    take(len(stored) + sum(len(x) // 4 for x, _ in stored))  # rings without points take time, too
    rings = [_as_points(x, y) for x, y in stored]
    points = np.concatenate([np.empty((0, 2)), *rings])
    closed = [np.concatenate((ring, ring[:1])) for ring in rings if len(ring) > 2 and np.isfinite(ring).all()]
    return "Area", points, shapely.build_area(MultiLineString(closed))


def _read_wkb(node: JavaObject, take: Take) -> _Decoded:
    raw = primitives(field(node, "wkb"), "[B")
    take(len(raw) // 8)  # not the points: there may be rings and parts without any
    try:
        _check_wkb(raw)
        with np.errstate(all="ignore"):  # coordinates may be any bits
            shape = shapely.from_wkb(raw)
    except (ShapelyError, struct.error, IndexError) as err:
        raise UnreadableDataError("the geometry of a region is broken") from err
    return "Geometry", shapely.get_coordinates(shape), shape


def _check_wkb(raw: bytes) -> None:
    """Let through simple geometries and collections of these only: nested ones overflow the C stack."""
    kind, order = _wkb_header(raw, 0)
    count, pos = 1, 0
    if kind > 3:
        (count,) = struct.unpack_from(f"{order}I", raw, 5)
        pos = 9
    for _ in range(count):
        kind, order = _wkb_header(raw, pos)
        pos += 5
        if kind > 3:
            raise UnreadableDataError("a region is a collection of collections, which is not known")
        rings = 1
        if kind == 3:
            (rings,) = struct.unpack_from(f"{order}I", raw, pos)
            pos += 4
        for _ in range(rings):
            pos += 16 if kind == 1 else 4 + 16 * struct.unpack_from(f"{order}I", raw, pos)[0]


def _wkb_header(raw: bytes, pos: int) -> tuple[int, str]:
    """Give the type, 1 point to 7 collection, and the byte order."""
    order = "<" if raw[pos] else ">"
    (kind,) = struct.unpack_from(f"{order}I", raw, pos + 1)
    if not 1 <= kind <= 7:
        raise UnreadableDataError(f"a region has the geometry type {kind}, which is not known")
    return kind, order


def _box(points: NDArray[np.float64]) -> BaseGeometry:
    (x, y), (x2, y2) = points.tolist()
    return Polygon([(x2, y), (x2, y2), (x, y2), (x, y)])


def _ellipse(points: NDArray[np.float64]) -> BaseGeometry:
    angles = np.arange(ELLIPSE_VERTICES) * (2 * math.pi / ELLIPSE_VERTICES)
    centre, radii = points.mean(axis=0), (points[1] - points[0]) / 2
    return Polygon(centre + radii * np.stack([np.cos(angles), np.sin(angles)], axis=1))


def _line(points: NDArray[np.float64]) -> BaseGeometry | None:
    return LineString(points) if len(points) > 1 else None


_READERS: dict[str, _Read] = {
    "qupath.lib.roi.PolygonROI$SerializationProxy": _vertices("Polygon"),
    "qupath.lib.roi.PolylineROI$SerializationProxy": _vertices("Polyline"),
    "qupath.lib.roi.PointsROI$SerializationProxy": _vertices("Points"),
    "qupath.lib.roi.LineROI$SerializationProxy": _corners("Line"),
    "qupath.lib.roi.RectangleROI$SerializationProxy": _corners("Rectangle"),
    "qupath.lib.roi.EllipseROI$SerializationProxy": _corners("Ellipse"),
    "qupath.lib.roi.AreaROI$SerializationProxy": _read_area,
    "qupath.lib.roi.GeometryROI$WKBSerializationProxy": _read_wkb,
}

_GEOMETRIES: dict[RoiKind, Callable[[NDArray[np.float64]], BaseGeometry | None]] = {
    "Points": MultiPoint,
    "Line": _line,
    "Polyline": _line,
    "Polygon": lambda points: Polygon(points) if len(points) > 2 else None,
    "Rectangle": _box,
    "Ellipse": _ellipse,
}
