"""QuPath's objects in Java, read into what the rest of the program knows."""

from collections.abc import Callable, Collection, Iterator
from typing import Any, NamedTuple

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely.geometry.base import BaseGeometry

from nuclick_qp.annotations.objects import PROMPT_KEY
from nuclick_qp.annotations.sorting import NOWHERE, FoundKind, FoundObject, Shape
from nuclick_qp.kinds import OBJECT_KINDS
from nuclick_qp.prompts import Plane
from nuclick_qp.qupath.jvm.data import Java

PATH_OBJECT = "qupath.lib.objects.PathObject"

Metadata = Callable[[Any], dict[str, str]]


class Described(NamedTuple):
    """What two readings of an object must have in common: its region as QuPath shows it, and so on."""

    object_id: str
    kind: FoundKind
    class_name: str | None
    children: int
    roi: str


def walk(root: Any) -> Iterator[Any]:
    """Give every object below the root, each before its children."""
    waiting = list(root.getChildObjectsAsArray())[::-1]
    while waiting:
        item = waiting.pop()
        if item.hasChildObjects():
            waiting.extend(list(item.getChildObjectsAsArray())[::-1])
        yield item


def found_objects(java: Java, root: Any, *, outlines_of: Collection[FoundKind] = ()) -> Iterator[FoundObject]:
    """Give every object below the root as `sort_objects` and `closed_objects` want it.

    Parameters
    ----------
    outlines_of
        Kinds of objects whose outlines are asked for; those of results of ours always are.
    """
    metadata_of = metadata_reader(java)
    for item in walk(root):
        if item.hasROI():
            yield _found(java, item, metadata_of(item), outlines_of=outlines_of)


def kind_of(item: Any) -> FoundKind:
    """Give QuPath's type of an object."""
    if item.isAnnotation():
        return "annotation"
    if item.isCell():
        return "cell"
    if item.isTile():
        return "tile"
    return "tma-core" if item.isTMACore() else "detection"


def class_name_of(item: Any) -> str | None:
    """Give the full class of an object, None when it has none."""
    path_class = item.getPathClass()
    return str(path_class.toString()) if path_class is not None and path_class.isValid() else None


def plane_of(roi: Any) -> Plane:
    """Give the slice and time point of a region."""
    return Plane(int(roi.getZ()), int(roi.getT()))


def geometry_of(java: Java, roi: Any) -> BaseGeometry | None:
    """Give the shape of a region, None when it has too few points, or a coordinate that is NaN.

    A polygon is given as it was drawn. QuPath's geometry of it is rounded to 0.01 px, parted where it
    crosses itself, and with some needles there is none: QuPath 0.8 fails on them.
    """
    try:
        if str(roi.getRoiName()) == "Polygon":
            factory = java.load("org.locationtech.jts.geom.GeometryFactory")()
            geometry = java.load("org.locationtech.jts.awt.ShapeReader").read(roi.getShape().getPathIterator(None), factory)
        else:
            geometry = roi.getGeometry()
        wkb = memoryview(java.load("org.locationtech.jts.io.WKBWriter")().write(geometry)).tobytes()
    except java.errors:  # JTS cannot work with NaN
        return None
    with np.errstate(invalid="ignore"):  # at NaN, which is looked for next
        shape = shapely.from_wkb(wkb)
    return shape if np.isfinite(shapely.get_coordinates(shape)).all() else None


def metadata_reader(java: Java) -> Metadata:
    """Give the function that reads the metadata of an object.

    `getMetadata` came with 0.5, and makes an empty map for each of perhaps a million objects that
    have none; what lies below it is the same in all versions, but not public.
    """
    hidden = java.load(PATH_OBJECT).class_.getDeclaredMethod("getUnmodifiableMetadataMap")
    hidden.setAccessible(True)

    def read(item: Any) -> dict[str, str]:
        return {str(key): "" if value is None else str(value) for key, value in hidden.invoke(item).items()}

    return read


def prompt_key_of(item: Any, metadata_of: Metadata) -> str | None:
    """Give the key of the prompt that an object of ours came from, None for objects of the user."""
    return metadata_of(item).get(PROMPT_KEY) if kind_of(item) in OBJECT_KINDS else None


def describe(root: Any) -> list[Described]:
    """Describe every object below the root, so that two readings of a hierarchy can be compared."""
    return [
        Described(str(item.getID()), kind_of(item), class_name_of(item), int(item.nChildObjects()), str(item.getROI()))
        for item in walk(root)
    ]


def _found(java: Java, item: Any, metadata: dict[str, str], *, outlines_of: Collection[FoundKind]) -> FoundObject:
    kind, roi = kind_of(item), item.getROI()
    shape, strokes = _drawn(roi)
    name = item.getName()
    # QuPath works out centroids of regions when it is first asked; only some are of use.
    wants_centroid = shape == "area" and (kind in ("detection", "cell") or PROMPT_KEY in metadata)
    is_wanted = shape == "area" and kind in outlines_of
    wants_outline = is_wanted or (shape == "area" and PROMPT_KEY in metadata)
    nucleus = item.getNucleusROI() if is_wanted and kind == "cell" else None
    return FoundObject(
        kind=kind,
        shape=shape,
        strokes=strokes,
        centroid=(float(roi.getCentroidX()), float(roi.getCentroidY())) if wants_centroid else NOWHERE,
        outline=geometry_of(java, roi) if wants_outline else None,
        name=None if name is None else str(name),
        class_name=class_name_of(item),
        plane=plane_of(roi),
        nested=not item.getParent().isRootObject(),
        metadata=metadata,
        object_id=str(item.getID()),
        nucleus=None if nucleus is None else geometry_of(java, nucleus),
        measurements=tuple((str(key), float(value)) for key, value in item.getMeasurements().items()) if wants_outline else (),
    )


def _drawn(roi: Any) -> tuple[Shape, tuple[NDArray[np.float64], ...]]:
    """Tell what was drawn, and give the points of it unless it is an area.

    Not from the geometry of a Points or Polyline region: since 0.6 that has another order.
    """
    if roi.isArea():
        return "area", ()
    if str(roi.getRoiName()) != "Geometry":
        points = np.array([(p.getX(), p.getY()) for p in roi.getAllPoints()], np.float64).reshape(-1, 2)
        return "points" if roi.isPoint() else "lines", (points,)
    if not roi.isLine():
        return "area", ()
    geometry = roi.getGeometry()
    parts = [geometry.getGeometryN(i) for i in range(geometry.getNumGeometries())]
    return "lines", tuple(np.array([(c.x, c.y) for c in part.getCoordinates()], np.float64).reshape(-1, 2) for part in parts)
