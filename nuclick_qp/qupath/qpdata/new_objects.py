"""Objects of a hierarchy made of our results, or of what a user is to have drawn."""

import math
import struct
import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely import MultiPolygon, Polygon

from nuclick_qp.annotations.objects import ResultObject
from nuclick_qp.kinds import ObjectKind
from nuclick_qp.prompts import XY, Plane
from nuclick_qp.qupath.javastream.nodes import Block, Item, JavaObject
from nuclick_qp.qupath.qpdata.building import Builder
from nuclick_qp.qupath.qpdata.java_classes import MEASUREMENTS, OBJECTS, ROIS
from nuclick_qp.qupath.qpdata.path_objects import OBJECT_ID

DESCRIPTION_KEY = "ANNOTATION_DESCRIPTION"
ALL_CHANNELS = -1
FILE_IDS = uuid.UUID("0a1f4ad5-0d0f-5b43-9c3c-1f3f0c9d6a57")  # of the ids we derive; any fixed value does

_CLASSES: dict[ObjectKind, str] = {
    "annotation": f"{OBJECTS}PathAnnotationObject",
    "detection": f"{OBJECTS}PathDetectionObject",
    "cell": f"{OBJECTS}PathCellObject",
}
_NO_CHILDREN = Block(struct.pack(">i", 0))
_NO_PROBABILITY = Block(struct.pack(">d", math.nan))


@dataclass(frozen=True, slots=True)
class NewAnnotation:
    """An annotation to be written into a new file.

    Attributes
    ----------
    roi_kind
        ``Points`` (one or more), ``Line`` (two ends), ``Polyline`` or ``Polygon`` (ring not closed).
    points
        (x, y) in the slide frame; kept as 32-bit floats, but for the ends of a line.
    class_name
        Full name; ``Tumor: Positive`` is derived from ``Tumor``.
    """

    roi_kind: Literal["Points", "Line", "Polyline", "Polygon"]
    points: tuple[XY, ...]
    name: str | None = None
    class_name: str | None = None
    description: str | None = None
    locked: bool = False
    plane: Plane = field(default_factory=Plane)

    def __post_init__(self) -> None:
        least = {"Points": 1, "Line": 2, "Polyline": 2, "Polygon": 3}[self.roi_kind]
        if len(self.points) < least or (self.roi_kind == "Line" and len(self.points) > 2):
            raise ValueError(f"a {self.roi_kind} of {len(self.points)} points cannot be drawn")


def result_object(builder: Builder, result: ResultObject, *, object_id: str) -> JavaObject:
    """Make the node of a result: no name, not locked, no nucleus, no children."""
    is_annotation = result.kind == "annotation"
    measure = _measured_doubles if is_annotation else _measured_floats
    return builder.external(
        _CLASSES[result.kind],
        None,
        None,
        _metadata(builder, (*result.metadata, (OBJECT_ID, object_id))),
        measure(builder, result.measurements) if result.measurements else None,
        _NO_CHILDREN,
        builder.boolean(False),
        builder.path_class(result.class_name),
        _outline_roi(builder, result.outline, result.plane),
        _NO_PROBABILITY,
        *((None,) if result.kind == "cell" else ()),
    )


def annotation_object(builder: Builder, annotation: NewAnnotation, *, object_id: str) -> JavaObject:
    """Make the node of an annotation."""
    description = ((DESCRIPTION_KEY, annotation.description),) if annotation.description is not None else ()
    return builder.external(
        _CLASSES["annotation"],
        None if annotation.name is None else builder.text(annotation.name),
        None,
        _metadata(builder, (*description, (OBJECT_ID, object_id))),
        None,
        _NO_CHILDREN,
        builder.boolean(annotation.locked),
        builder.path_class(annotation.class_name),
        _drawn_roi(builder, annotation),
        _NO_PROBABILITY,
    )


def root_object(builder: Builder, children: Sequence[JavaObject], *, object_id: str) -> JavaObject:
    """Make the root of a hierarchy."""
    count = Block(struct.pack(">i", len(children)))
    return builder.external(f"{OBJECTS}PathRootObject", None, None, _metadata(builder, ((OBJECT_ID, object_id),)), None, count, *children)


def result_ids(results: Iterable[ResultObject], *, taken: set[str]) -> list[str]:
    """Give the UUIDs of results, which follow from their prompts, so that writing again gives the same bytes.

    Parameters
    ----------
    taken
        Ids of the objects that stay; none of them is given again. Grows.
    """
    ids: list[str] = []
    for result in results:
        candidate, tried = result.object_id, 0
        while candidate in taken:  # the user copied an outline of ours, id and all
            tried += 1
            candidate = str(uuid.uuid5(FILE_IDS, f"{result.key} {tried}"))
        taken.add(candidate)
        ids.append(candidate)
    return ids


def float_ring(outline: Polygon | MultiPolygon) -> NDArray[np.float32] | None:
    """Give the (N, 2) open ring that QuPath stores as a polygon; None when there are holes or parts."""
    parts = [outline] if isinstance(outline, Polygon) else outline.geoms
    if len(parts) != 1 or shapely.get_num_interior_rings(parts[0]):
        return None
    return shapely.get_coordinates(parts[0])[:-1].astype(np.float32)


def _outline_roi(builder: Builder, outline: Polygon | MultiPolygon, plane: Plane) -> JavaObject:
    """Make a polygon of a simple ring, else a geometry with 64-bit coordinates."""
    ring = float_ring(outline)
    if ring is not None:
        xy = builder.floats(ring[:, 0]), builder.floats(ring[:, 1])
        return builder.object(f"{ROIS}PolygonROI$SerializationProxy", _plane(plane), None, None, *xy)
    wkb: bytes = shapely.to_wkb(outline, byte_order=0, output_dimension=2)  # big endian
    return builder.object(f"{ROIS}GeometryROI$WKBSerializationProxy", _plane(plane), None, builder.byte_array(wkb))


def _drawn_roi(builder: Builder, annotation: NewAnnotation) -> JavaObject:
    proxy = f"{ROIS}{annotation.roi_kind}ROI$SerializationProxy"
    plane = annotation.plane
    if annotation.roi_kind == "Line":
        (x, y), (x2, y2) = annotation.points
        return builder.object(proxy, struct.pack(">iiddddi", ALL_CHANNELS, plane.t, x, x2, y, y2, plane.z), None)
    xs, ys = zip(*annotation.points, strict=True)
    names: dict[str, tuple[Item, ...]] = {"Points": (None,), "Polyline": (), "Polygon": (None, None)}  # name, statistics
    return builder.object(proxy, _plane(plane), *names[annotation.roi_kind], builder.floats(xs), builder.floats(ys))


def _plane(plane: Plane) -> bytes:
    return struct.pack(">iii", ALL_CHANNELS, plane.t, plane.z)


def _metadata(builder: Builder, pairs: Sequence[tuple[str, str]]) -> JavaObject:
    keys, values = zip(*pairs, strict=True)
    arrays = (builder.array(builder.text(value) for value in row) for row in (keys, values))
    return builder.external(f"{OBJECTS}MetadataMap", builder.integer(1), *arrays)


def _measured_floats(builder: Builder, measurements: Sequence[tuple[str, float]]) -> JavaObject:
    """Make the list of a detection, open: QuPath closes it when it reads it, and shares the names."""
    names = builder.array_list(builder.text(name) for name, _ in measurements)
    values = builder.floats([value for _, value in measurements])
    return builder.object(f"{MEASUREMENTS}NumericMeasurementList$FloatList", b"\0", None, names, values)


def _measured_doubles(builder: Builder, measurements: Sequence[tuple[str, float]]) -> JavaObject:
    """Make the list of an annotation."""
    java_class = f"{MEASUREMENTS}DoubleMeasurement"
    entries = [builder.object(java_class, struct.pack(">d", value), builder.text(name)) for name, value in measurements]
    return builder.object(f"{MEASUREMENTS}DefaultMeasurementList", builder.array_list(entries))
