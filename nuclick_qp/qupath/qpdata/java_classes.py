"""The classes that are written, as QuPath 0.2 to 0.8 and Java 11 to 25 describe them in a stream."""

from dataclasses import dataclass

from nuclick_qp.qupath.javastream.nodes import BLOCK_DATA, EXTERNALIZABLE, SERIALIZABLE, WRITE_METHOD

ENUM_FLAGS = 0x12
_EXTERNAL = EXTERNALIZABLE | BLOCK_DATA
_STRING, _INTEGER, _PATH_CLASS = "Ljava/lang/String;", "Ljava/lang/Integer;", "Lqupath/lib/objects/classes/PathClass;"
_PLANE = (("I", "c", ""), ("I", "t", ""), ("I", "z", ""))
_XY = (("[", "x", "[F"), ("[", "y", "[F"))

OBJECTS = "qupath.lib.objects."
MEASUREMENTS = "qupath.lib.measurements."
ROIS = "qupath.lib.roi."


@dataclass(frozen=True, slots=True)
class ClassSpec:
    """One class: serial version UID, flags, fields as (code, name, type), name of the superclass."""

    suid: int = 1
    flags: int = SERIALIZABLE
    fields: tuple[tuple[str, str, str], ...] = ()
    parent: str | None = None


SPECS: dict[str, ClassSpec] = {
    "[B": ClassSpec(-5984413125824719648),
    "[F": ClassSpec(836686056779680834),
    "[Ljava.lang.Object;": ClassSpec(-8012369246846506644),
    "java.lang.Boolean": ClassSpec(-3665804199014368530, fields=(("Z", "value", ""),)),
    "java.lang.Enum": ClassSpec(0, ENUM_FLAGS),
    "java.lang.Integer": ClassSpec(1360826667806852920, fields=(("I", "value", ""),), parent="java.lang.Number"),
    "java.lang.Number": ClassSpec(-8742448824652078965),
    "java.util.ArrayList": ClassSpec(8683452581122892189, SERIALIZABLE | WRITE_METHOD, (("I", "size", ""),)),
    "java.util.HashMap": ClassSpec(362498820763181265, SERIALIZABLE | WRITE_METHOD, (("F", "loadFactor", ""), ("I", "threshold", ""))),
    "java.util.Locale": ClassSpec(
        9149081749638150636,
        SERIALIZABLE | WRITE_METHOD,
        (("I", "hashcode", ""), *(("L", name, _STRING) for name in ("country", "extensions", "language", "script", "variant"))),
    ),
    "qupath.lib.images.ImageData$ImageType": ClassSpec(0, ENUM_FLAGS, parent="java.lang.Enum"),
    "qupath.lib.plugins.workflow.Workflow": ClassSpec(flags=_EXTERNAL),
    f"{OBJECTS}hierarchy.PathObjectHierarchy": ClassSpec(
        fields=(("L", "rootObject", "Lqupath/lib/objects/PathObject;"), ("L", "tmaGrid", "Lqupath/lib/objects/hierarchy/TMAGrid;"))
    ),
    f"{OBJECTS}MetadataMap": ClassSpec(flags=_EXTERNAL),
    f"{OBJECTS}PathObject": ClassSpec(flags=_EXTERNAL),
    f"{OBJECTS}PathRootObject": ClassSpec(flags=_EXTERNAL, parent=f"{OBJECTS}PathObject"),
    f"{OBJECTS}PathROIObject": ClassSpec(flags=_EXTERNAL, parent=f"{OBJECTS}PathObject"),
    f"{OBJECTS}PathAnnotationObject": ClassSpec(flags=_EXTERNAL, parent=f"{OBJECTS}PathROIObject"),
    f"{OBJECTS}PathDetectionObject": ClassSpec(flags=_EXTERNAL, parent=f"{OBJECTS}PathROIObject"),
    f"{OBJECTS}PathCellObject": ClassSpec(flags=_EXTERNAL, parent=f"{OBJECTS}PathDetectionObject"),
    f"{OBJECTS}classes.PathClass": ClassSpec(
        fields=(("L", "colorRGB", _INTEGER), ("L", "name", _STRING), ("L", "parentClass", _PATH_CLASS))
    ),
    f"{MEASUREMENTS}NumericMeasurementList$AbstractNumericMeasurementList": ClassSpec(
        fields=(("Z", "isClosed", ""), ("L", "map", "Ljava/util/Map;"), ("L", "names", "Ljava/util/List;"))
    ),
    f"{MEASUREMENTS}NumericMeasurementList$FloatList": ClassSpec(
        fields=(("[", "values", "[F"),), parent=f"{MEASUREMENTS}NumericMeasurementList$AbstractNumericMeasurementList"
    ),
    f"{MEASUREMENTS}DefaultMeasurementList": ClassSpec(fields=(("L", "list", "Ljava/util/ArrayList;"),)),
    f"{MEASUREMENTS}DoubleMeasurement": ClassSpec(fields=(("D", "value", ""), ("L", "name", _STRING))),
    f"{ROIS}PointsROI$SerializationProxy": ClassSpec(fields=(*_PLANE, ("L", "name", _STRING), *_XY)),
    f"{ROIS}PolylineROI$SerializationProxy": ClassSpec(fields=(*_PLANE, *_XY)),
    f"{ROIS}PolygonROI$SerializationProxy": ClassSpec(
        fields=(*_PLANE, ("L", "name", _STRING), ("L", "stats", "Lqupath/lib/roi/ClosedShapeStatistics;"), *_XY)
    ),
    f"{ROIS}LineROI$SerializationProxy": ClassSpec(
        # Sorted by name, as Java does, so the slice comes after the ends.
        fields=(*_PLANE[:2], *(("D", name, "") for name in ("x", "x2", "y", "y2")), _PLANE[2], ("L", "name", _STRING))
    ),
    f"{ROIS}GeometryROI$WKBSerializationProxy": ClassSpec(
        fields=(*_PLANE, ("L", "stats", "Lqupath/lib/roi/GeometryROI$GeometryStats;"), ("[", "wkb", "[B"))
    ),
}
