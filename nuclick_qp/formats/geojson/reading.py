"""GeoJSON as QuPath writes it: the prompts of single images."""

import json
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from shapely import MultiPolygon, Polygon
from shapely.errors import ShapelyError
from shapely.geometry.base import BaseGeometry

from nuclick_qp.annotations.objects import OWN_PREFIX, PROMPT_KEY, EntryContent
from nuclick_qp.annotations.sorting import NOWHERE, FoundKind, FoundObject, Shape, sort_objects
from nuclick_qp.errors import PromptError
from nuclick_qp.formats.geojson.features import BROKEN, own_mark, read_features
from nuclick_qp.prompts import Plane

# QuPath's names since 0.4, of 0.3, and of 0.2; whatever is none of them is an annotation to QuPath, too.
KINDS: dict[str, FoundKind] = {
    "detection": "detection",
    "cell": "cell",
    "tile": "tile",
    "tmaCore": "tma-core",
    "tma_core": "tma-core",
    "PathDetectionObject": "detection",
    "PathCellObject": "cell",
    "PathTileObject": "tile",
    "TMACoreObject": "tma-core",
}
MOST_EMPTY = 100_000  # features without a geometry; only the root of a hierarchy has none
ROOTS = frozenset({"root", "PathRootObject"})
# What a feature that is no valid GeoJSON may raise while it is taken apart.
INVALID = (LookupError, TypeError, ValueError, AttributeError, ArithmeticError, RecursionError, ShapelyError)


def read_prompts(path: Path, *, keys: Mapping[str, str] | None = None, must_have_features: bool = True) -> EntryContent:
    """Read the prompts of one image from a GeoJSON file, feature by feature.

    Takes what QuPath exports: a FeatureCollection, an array of features, one feature, a bare geometry
    or a hierarchy; children nested in ``childObjects``; bare NaN tokens; packed files. Of a
    GeometryCollection the parts of the highest dimension count, as they do to QuPath.

    Parameters
    ----------
    keys
        Prompt keys by the ids of their outlines, for outlines that have lost all else that marks them:
        QuPath leaves out what it does not know.
    must_have_features
        Whether a file without any is refused.

    Raises
    ------
    PromptError
        If the file cannot be read, is not GeoJSON, or holds a geometry that cannot be understood.
    """
    try:
        with closing(read_features(path)) as elements:
            objects = _objects(elements, path, keys=keys or {}, must_have_features=must_have_features)
            return sort_objects(objects, fingerprint="")
    except OSError as err:
        raise PromptError(f"{path} cannot be read ({err.strerror or err}); give the GeoJSON file that QuPath exported") from err
    except BROKEN as err:
        raise PromptError(f"{path} is not GeoJSON ({err}); export the annotations from QuPath again") from err


def _objects(
    elements: Iterator[tuple[Any, str]], path: Path, *, keys: Mapping[str, str], must_have_features: bool
) -> Iterator[FoundObject]:
    """Give the objects of a file."""
    features = empty = 0
    for number, (element, _) in enumerate(elements, start=1):
        try:
            objects = [_found(feature, nested=nested, keys=keys) for feature, nested in _walk(element)]
        except INVALID as err:
            raise PromptError(
                f"{path} holds a feature that is not valid GeoJSON (number {number}: {err!r}); export the annotations from QuPath again"
            ) from err
        features += len(objects)
        empty += not any(objects)
        if empty > MOST_EMPTY:
            raise PromptError(f"{path} holds more than {MOST_EMPTY:,} features without a geometry; export it from QuPath again")
        yield from (found for found in objects if found is not None)
    if must_have_features and not features:
        raise PromptError(f"{path} holds no GeoJSON features; export the annotations from QuPath as GeoJSON")


def _walk(element: Any) -> Iterator[tuple[dict[str, Any], bool]]:
    """Give all features of an element, parents before their children, and whether they have a parent."""
    waiting = [(element, False)]
    while waiting:
        part, nested = waiting.pop()
        if isinstance(part, list):
            waiting += [(item, nested) for item in reversed(part)]
        elif not isinstance(part, dict):
            continue
        elif part.get("type") == "FeatureCollection":
            waiting.append((part.get("features"), nested))
        elif part.get("type") == "Feature":
            yield part, nested
            properties = part.get("properties") or {}
            children = properties.get("childObjects") or properties.get("children")
            waiting.append((children, nested or _type_name(part, properties) not in ROOTS))
        elif "coordinates" in part or "geometries" in part:
            yield {"type": "Feature", "geometry": part, "properties": {}}, nested
        else:
            waiting.append((part.get("root"), nested))  # a hierarchy


def _found(feature: dict[str, Any], *, nested: bool, keys: Mapping[str, str]) -> FoundObject | None:
    """Turn a feature into an object; None for one without geometry, as a root has."""
    geometry, properties = feature.get("geometry"), feature.get("properties") or {}
    named = _type_name(feature, properties)
    if not geometry or named in ROOTS:
        return None
    metadata = {key: text for key, value in (properties.get("metadata") or {}).items() if (text := _text(value)) is not None}
    metadata |= {f"{OWN_PREFIX}{key}": text for key, value in own_mark(properties).items() if (text := _text(value)) is not None}
    if (key := keys.get(str(feature.get("id")))) is not None:
        metadata.setdefault(PROMPT_KEY, key)
    form, strokes, outline = _drawn(geometry)
    middle = None if outline is None or outline.is_empty else outline.centroid
    return FoundObject(
        kind=KINDS.get(named, "annotation"),
        shape=form,
        strokes=strokes,
        centroid=NOWHERE if middle is None else (middle.x, middle.y),
        outline=outline if PROMPT_KEY in metadata else None,  # of no other is it asked
        name=_text(properties.get("name")),
        class_name=_class_name(properties.get("classification")),
        plane=_plane(geometry.get("plane") or {}),
        nested=nested,
        metadata=metadata,
        measurements=_measurements(properties.get("measurements")) if PROMPT_KEY in metadata else (),
    )


def _type_name(feature: dict[str, Any], properties: dict[str, Any]) -> str:
    """Give the type of an object; QuPath 0.2 wrote it into the id."""
    return str(properties.get("objectType") or properties.get("object_type") or properties.get("type") or feature.get("id"))


def _drawn(geometry: dict[str, Any]) -> tuple[Shape, tuple[NDArray[np.float64], ...], BaseGeometry | None]:
    """Tell what was drawn, with its points as (N, 2) arrays in the user's order, or its outline."""
    points: list[NDArray[np.float64]] = []
    lines: list[NDArray[np.float64]] = []
    areas: list[Polygon] = []
    waiting = [geometry]
    while waiting:
        part = waiting.pop()
        match part["type"]:
            case "Point":
                points.append(_xy([part["coordinates"]]))
            case "MultiPoint":
                points.append(_xy(part["coordinates"]))
            case "LineString":
                lines.append(_xy(part["coordinates"]))
            case "MultiLineString":
                lines += map(_xy, part["coordinates"])
            case "Polygon":
                areas.append(_polygon(part["coordinates"]))
            case "MultiPolygon":
                areas += map(_polygon, part["coordinates"])
            case "GeometryCollection":
                waiting += reversed(part["geometries"])
            case other:
                raise ValueError(f"there is no geometry {other!r}")
    if areas or not (lines or points):
        return "area", (), areas[0] if len(areas) == 1 else MultiPolygon(areas)
    return ("lines", tuple(lines), None) if lines else ("points", tuple(points), None)


def _polygon(rings: Any) -> Polygon:
    """Build a polygon; an empty one of no rings, or of coordinates that are no numbers."""
    closed = [_xy(ring) for ring in rings]
    usable = bool(closed) and all(np.isfinite(ring).all() for ring in closed)
    return Polygon(closed[0], closed[1:]) if usable else Polygon()


def _xy(positions: Any) -> NDArray[np.float64]:
    """Turn positions into (N, 2) numbers; NaN may be a token or a text, and a height is left out."""
    if not isinstance(positions, list) or not all(isinstance(position, list) for position in positions):
        raise TypeError("coordinates are not lists of positions")
    return np.array([(float(position[0]), float(position[1])) for position in positions], np.float64).reshape(-1, 2)


def _plane(plane: dict[str, Any]) -> Plane:
    z, t = int(plane.get("z", 0)), int(plane.get("t", 0))
    if min(z, t) < 0:
        raise ValueError(f"there is no plane of z {z} and t {t}")
    return Plane(z, t)


def _class_name(classification: Any) -> str | None:
    """Give the full class name of any of the forms that QuPath has written."""
    names: list[Any] = []
    while isinstance(classification, dict):
        name = classification.get("name")
        names[:0] = classification.get("names") or [] if name is None else [name]
        classification = classification.get("parentClass")
    names.insert(0, classification)  # a plain text, or nothing
    parts = [part.strip() for name in names if (text := _text(name)) for part in text.split(":")]
    return ": ".join(part for part in parts if part) or None


def _measurements(given: Any) -> tuple[tuple[str, float], ...]:
    """Give measurements by name: a mapping since QuPath 0.4, a list of pairs before; what is neither has none."""
    if isinstance(given, dict):
        pairs = list(given.items())
    else:
        listed = given if isinstance(given, list) else []
        pairs = [(pair.get("name"), pair.get("value")) for pair in listed if isinstance(pair, dict)]
    return tuple((str(name), float(value)) for name, value in pairs if isinstance(value, int | float) and not isinstance(value, bool))


def _text(value: Any) -> str | None:
    """Give a text or number as text, as QuPath does; None for all else."""
    if value is None or isinstance(value, dict | list):
        return None
    text = value if isinstance(value, str) else json.dumps(value)
    text.encode()  # half a surrogate pair could never be written
    return text
