"""GeoJSON as QuPath writes and reads it: prompts in, outlines out, for single images."""

import gzip
import json
import uuid
import zlib
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Any

import geojson
import numpy as np
import shapely
from shapely.errors import ShapelyError
from shapely.geometry import mapping, shape

from nuclick_qp.errors import PromptError, WriteRefusedError
from nuclick_qp.files import write_atomically
from nuclick_qp.projects.prompts_of import FoundKind, FoundObject, Shape, sort_objects
from nuclick_qp.projects.protocol import PROMPT_KEY, EntryContent, ResultObject
from nuclick_qp.prompts import Plane

# QuPath's names since 0.4 and before; whatever is none of them is an annotation to QuPath, too.
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
ID_NAMESPACE = uuid.UUID("7f0f0a5c-6c2b-5d0e-9a54-6f1d3f1f2f10")


def read_prompts(path: Path) -> EntryContent:
    """Read the prompts of one image from a GeoJSON file.

    Takes what QuPath exports: a FeatureCollection, an array of features, one feature or a bare
    geometry; children nested in ``childObjects``; bare NaN tokens; ``.gz`` files.

    Raises
    ------
    PromptError
        If the file cannot be read, is not GeoJSON, or holds a geometry that cannot be understood.
    """
    try:
        data = path.read_bytes()
        text = (gzip.decompress(data) if path.suffix == ".gz" else data).decode("utf-8-sig")
        content = json.loads(text)
    except OSError as err:
        raise PromptError(f"{path} cannot be read ({err.strerror or err}); give the GeoJSON file that QuPath exported") from err
    except (ValueError, EOFError, zlib.error, RecursionError) as err:
        raise PromptError(f"{path} is not GeoJSON ({err}); export the annotations from QuPath again") from err
    try:
        objects = [_found(feature, nested=nested) for feature, nested in _features(content, nested=False)]
    except (LookupError, TypeError, ValueError, AttributeError, ShapelyError) as err:
        raise PromptError(f"{path} holds a feature that is not valid GeoJSON ({err!r}); export the annotations from QuPath again") from err
    if not objects:
        raise PromptError(f"{path} holds no GeoJSON features; export the annotations from QuPath as GeoJSON")
    return sort_objects([found for found in objects if found is not None], fingerprint="")


def write_objects(path: Path, objects: Sequence[ResultObject], *, merge: bool = False, drop_keys: Collection[str] = ()) -> None:
    """Write outlines as a FeatureCollection that QuPath imports; gzipped when the name ends in .gz.

    Ids follow from the prompts, so that the same prompts give the same file. Metadata are left out:
    QuPath 0.5 and older fail on metadata of detections.

    Parameters
    ----------
    merge
        Keep the features of an older file but for those of the same prompts.
    drop_keys
        Prompt keys whose features are not kept either.

    Raises
    ------
    WriteRefusedError
        If the file cannot be written, or merged into; an older file is as it was.
    """
    new = [_feature(result) for result in objects]
    ids = {feature["id"] for feature in new} | {_id_of(key) for key in drop_keys}
    kept = [feature for feature in _standing_features(path) if feature["id"] not in ids] if merge else []
    collection = geojson.FeatureCollection([*kept, *new])
    data = geojson.dumps(collection, ensure_ascii=False, separators=(",", ":")).encode()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, gzip.compress(data, mtime=0) if path.suffix == ".gz" else data)
    except OSError as err:
        raise WriteRefusedError(f"{path} cannot be written ({err.strerror}); choose another place or free some space") from err


def _standing_features(path: Path) -> list[dict[str, Any]]:
    """Read the features of a file that this module wrote; none when there is no file."""
    if not path.exists():
        return []
    try:
        data = path.read_bytes()
        features: list[dict[str, Any]] = json.loads(gzip.decompress(data) if path.suffix == ".gz" else data)["features"]
        return [{**feature, "id": feature["id"]} for feature in features]  # an id each, or it is not ours
    except (OSError, ValueError, EOFError, zlib.error, LookupError, TypeError) as err:
        raise WriteRefusedError(f"{path} is there and holds no outlines of an earlier run ({err}); move it away") from err


def _features(content: Any, *, nested: bool) -> Iterator[tuple[dict[str, Any], bool]]:
    """Go through all features, parents before their children."""
    if isinstance(content, list):
        for part in content:
            yield from _features(part, nested=nested)
    elif isinstance(content, dict) and content.get("type") == "FeatureCollection":
        yield from _features(content.get("features"), nested=nested)
    elif isinstance(content, dict) and content.get("type") == "Feature":
        yield content, nested
        properties = content.get("properties") or {}
        children = properties.get("childObjects", properties.get("children"))
        is_root = properties.get("objectType") == "root"
        yield from _features(children or [], nested=nested or not is_root)
    elif isinstance(content, dict) and ("coordinates" in content or "geometries" in content):
        yield {"type": "Feature", "geometry": content, "properties": {}}, nested


def _found(feature: dict[str, Any], *, nested: bool) -> FoundObject | None:
    """Turn a feature into an object; None for one without geometry, as a root has."""
    geometry, properties = feature.get("geometry"), feature.get("properties") or {}
    if not geometry or properties.get("objectType") == "root":
        return None
    kind = _kind(feature, properties)
    form, strokes = _strokes(geometry)
    outline = shape(geometry) if form == "area" else None
    middle = None if outline is None or outline.is_empty else outline.centroid
    plane = geometry.get("plane") or {}
    return FoundObject(
        kind=kind,
        shape=form,
        strokes=strokes,
        centroid=(float("nan"), float("nan")) if middle is None else (middle.x, middle.y),
        outline=outline,
        name=properties.get("name"),
        class_name=_class_name(properties.get("classification")),
        plane=Plane(int(plane.get("z", 0)), int(plane.get("t", 0))),
        nested=nested,
        metadata={str(k): str(v) for k, v in (properties.get("metadata") or {}).items()},
    )


def _kind(feature: dict[str, Any], properties: dict[str, Any]) -> FoundKind:
    named = properties.get("objectType") or properties.get("object_type") or properties.get("type") or feature.get("id")
    return KINDS.get(str(named), "annotation")


def _strokes(geometry: dict[str, Any]) -> tuple[Shape, tuple[np.ndarray[Any, np.dtype[np.float64]], ...]]:
    """Give the kind of a geometry and its coordinates as (N, 2) arrays, in the user's order."""
    coordinates: Any = geometry.get("coordinates")
    match geometry["type"]:
        case "Point":
            return "points", (_xy([coordinates]),)
        case "MultiPoint":
            return "points", (_xy(coordinates),)
        case "LineString":
            return "lines", (_xy(coordinates),)
        case "MultiLineString":
            return "lines", tuple(_xy(part) for part in coordinates)
        case _:
            return "area", ()


def _xy(coordinates: Any) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Turn positions into (N, 2) numbers; QuPath writes NaN as a token or, since 0.5, as a text."""
    return np.array([(float(p[0]), float(p[1])) for p in coordinates], np.float64).reshape(-1, 2)


def _class_name(classification: Any) -> str | None:
    """Give the full class name of any of the forms that QuPath has written."""
    if not isinstance(classification, dict):
        return classification if isinstance(classification, str) and classification else None
    if names := classification.get("names"):
        return ": ".join(str(name) for name in names)
    parent = _class_name(classification.get("parentClass"))
    name = classification.get("name")
    if not name:
        return parent
    return f"{parent}: {name}" if parent else str(name)


def _feature(result: ResultObject) -> geojson.Feature:
    geometry = dict(mapping(result.outline))
    if (result.plane.z, result.plane.t) != (0, 0):
        geometry["plane"] = {"c": -1, "z": result.plane.z, "t": result.plane.t}
    properties: dict[str, Any] = {"objectType": result.kind}
    if result.class_name:
        names = result.class_name.split(": ")
        properties["classification"] = {"name": names[0]} if len(names) == 1 else {"names": names}
    properties["measurements"] = {name: value for name, value in result.measurements if np.isfinite(value)}
    key = dict(result.metadata).get(PROMPT_KEY, shapely.to_wkt(result.outline))
    return geojson.Feature(id=_id_of(key), geometry=geometry, properties=properties)


def _id_of(key: str) -> str:
    return str(uuid.uuid5(ID_NAMESPACE, key))
