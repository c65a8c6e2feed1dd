"""Results of ours into a hierarchy of Java objects and out of it, by the rules of the `files` engine."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import shapely
from shapely import MultiPolygon, Polygon

from nuclick_qp.annotations.colours import colour_of
from nuclick_qp.annotations.objects import Changes, ResultObject
from nuclick_qp.annotations.parents import Region, find_holders
from nuclick_qp.errors import WriteRefusedError
from nuclick_qp.prompts import Plane
from nuclick_qp.qupath.jvm.data import PATH_CLASS, Java, own_classes, read_data, write_data
from nuclick_qp.qupath.jvm.java_objects import (
    PATH_OBJECT,
    Metadata,
    class_name_of,
    describe,
    geometry_of,
    metadata_reader,
    plane_of,
    prompt_key_of,
    walk,
)
from nuclick_qp.qupath.qpdata.data_file import Edited, new_classes
from nuclick_qp.qupath.qpdata.new_objects import float_ring, result_ids

MakeObject = Callable[[ResultObject, str], Any]


def edited(java: Java, data: bytes, changes: Changes, *, source: Path, colours: Mapping[str, int]) -> Edited | None:
    """Give the bytes of a data file with results of ours added and removed.

    QuPath lays out the hierarchy anew, in the way of its own version; all other objects of the file
    are written as they were read. The result is read once more and compared.

    Parameters
    ----------
    source
        Named in error messages.
    colours
        Packed ARGB colours of classes by full name, for classes that the file does not have.

    Returns
    -------
    Edited
        None when there is nothing to change.

    Raises
    ------
    UnreadableDataError
        If QuPath cannot read the file.
    WriteRefusedError
        If QuPath cannot write it, or does not read what it was to write.
    """
    with own_classes(java):
        content = read_data(java, data, source=source)
        known = {class_name_of(item) for item in walk(content.root)}
        try:
            expected = _apply(java, content.root, changes, colours=colours)
            if expected is None:
                return None
            new = write_data(java, content)
        except java.errors as err:
            reason = " ".join(str(err).split())[:160]
            raise WriteRefusedError(f"{source} was left as it is: QuPath {java.qupath} cannot write it ({reason})") from err
        meant = describe(content.root)
    with own_classes(java):
        found = describe(read_data(java, new, source=source).root)
    if found != meant or Counter(item.object_id for item in found) != expected:
        raise WriteRefusedError(
            f"{source} was left as it is: what QuPath {java.qupath} wrote does not read back as it was meant; report this with the file"
        )
    return Edited(new, tuple((item.kind, item.class_name) for item in found), new_classes(changes.add, known=known))


def _apply(java: Java, root: Any, changes: Changes, *, colours: Mapping[str, int]) -> Counter[str] | None:
    """Change the hierarchy in memory; give the ids that it must hold then, or None when nothing changes."""
    metadata_of = metadata_reader(java)
    before = list(walk(root))
    gone = {item for item in before if prompt_key_of(item, metadata_of) in changes.remove_keys}
    if not gone and not changes.add:
        return None
    staying = [item for item in before if item not in gone]
    _take_out(java, [root, *staying], gone)
    expected = Counter(str(item.getID()) for item in staying)
    ids = result_ids(changes.add, taken=set(expected))
    make = _object_maker(java, colours)
    groups: dict[Any, Any] = {}  # an object of Java is a key by its identity
    for result, object_id, parent in zip(changes.add, ids, _parents(java, root, changes.add, metadata_of), strict=True):
        groups.setdefault(parent, java.load("java.util.ArrayList")()).add(make(result, object_id))
    for parent, children in groups.items():
        parent.addChildObjects(children)  # one call: QuPath is slow to add them one by one
    return expected + Counter(ids)


def _take_out(java: Java, keepers: Sequence[Any], gone: set[Any]) -> None:
    """Remove objects; their remaining children take their places."""
    for parent in keepers:
        children = list(parent.getChildObjectsAsArray())
        if not any(child in gone for child in children):
            continue
        remaining = java.load("java.util.ArrayList")()
        children.reverse()
        while children:
            child = children.pop()
            if child in gone:
                children.extend(list(child.getChildObjectsAsArray())[::-1])
            else:
                remaining.add(child)
        parent.removeChildObjects(java.load("java.util.Arrays").asList(parent.getChildObjectsAsArray()))
        parent.addChildObjects(remaining)


def _parents(java: Java, root: Any, add: Sequence[ResultObject], metadata_of: Metadata) -> list[Any]:
    """Find for each nested result the smallest annotation of the user that holds its prompt; else the root."""
    closed = [item for item in walk(root) if item.isAnnotation() and item.hasROI() and item.getROI().isArea()]
    closed = [item for item in closed if not prompt_key_of(item, metadata_of)]
    rois = [item.getROI() for item in closed]
    regions = [Region(geometry_of(java, roi), plane_of(roi)) for roi in rois]
    return [root if i is None else closed[i] for i in find_holders(regions, add)]


def _object_maker(java: Java, colours: Mapping[str, int]) -> MakeObject:
    """Give the function that makes the object of a result with an id."""
    objects = java.load("qupath.lib.objects.PathObjects")
    id_from = java.load("java.util.UUID").fromString
    text = java.load("java.lang.String")
    store = java.load(PATH_OBJECT).class_.getDeclaredMethod("storeMetadataValue", text, text)
    store.setAccessible(True)

    def make(result: ResultObject, object_id: str) -> Any:
        roi = _roi(java, result.outline, result.plane)
        path_class = _path_class(java, result.class_name, colours)
        if result.kind == "cell":
            item = objects.createCellObject(roi, None, path_class, None)
        elif result.kind == "annotation":
            item = objects.createAnnotationObject(roi, path_class)
        else:
            item = objects.createDetectionObject(roi, path_class)
        item.setID(id_from(object_id))
        for key, entry in result.metadata:
            store.invoke(item, key, entry)
        if result.measurements:
            measured = item.getMeasurementList()
            for name, value in result.measurements:
                measured.put(name, value)
            measured.close()
        return item

    return make


def _path_class(java: Java, full_name: str | None, colours: Mapping[str, int]) -> Any:
    """Give the class with a full name; a colour counts only for a class that the file does not have."""
    path_class = None
    parts = full_name.split(": ") if full_name else []
    for i, part in enumerate(parts, 1):
        name = ": ".join(parts[:i])
        colour = java.load("java.lang.Integer").valueOf(colours.get(name, colour_of(name)))
        path_class = java.load(PATH_CLASS).getInstance(path_class, part, colour)
    return path_class


def _roi(java: Java, outline: Polygon | MultiPolygon, plane: Plane) -> Any:
    """Make a polygon of a simple ring, else a geometry."""
    image_plane = java.load("qupath.lib.regions.ImagePlane").getPlane(plane.z, plane.t)
    ring = float_ring(outline)
    if ring is not None:
        xs, ys = ring.T.astype(np.float64)
        return java.load("qupath.lib.roi.ROIs").createPolygonROI(java.doubles_of(xs), java.doubles_of(ys), image_plane)
    # QuPath's factory rounds to 0.01 px, as QuPath 0.6 and later do with any geometry that they read.
    tools = java.load("qupath.lib.roi.GeometryTools")
    reader = java.load("org.locationtech.jts.io.WKBReader")(tools.getDefaultFactory())
    return tools.geometryToROI(reader.read(java.bytes_of(shapely.to_wkb(outline, output_dimension=2))), image_plane)
