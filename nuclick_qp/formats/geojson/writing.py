"""GeoJSON as QuPath reads it: the outlines of single images, written one at a time."""

import gzip
import json
import logging
import math
import re
import uuid
import zipfile
from array import array
from collections.abc import Collection, Iterable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import IO, Any, cast

import numpy as np
import shapely
from shapely import MultiPolygon, Polygon

from nuclick_qp.annotations.objects import OWN_PREFIX, ClosedObject, ResultObject, result_id
from nuclick_qp.errors import WriteRefusedError
from nuclick_qp.formats.geojson.features import BROKEN, OWN_MEMBER, own_mark, read_features
from nuclick_qp.prompts import Plane
from nuclick_qp.shapes.polygons import snap_outline
from nuclick_qp.storage.atomic import replace_atomically
from nuclick_qp.storage.locks import hold
from nuclick_qp.storage.plain_files import is_there

logger = logging.getLogger(__name__)


def write_objects(
    path: Path, objects: Iterable[ResultObject], *, merge: bool = False, drop_keys: Collection[str] | None = ()
) -> None:
    """Write outlines as a FeatureCollection that QuPath 0.4 and newer import.

    Packed when the name ends in ``.gz`` or ``.zip``. Memory does not grow with the outlines, but for 16
    bytes of the id of each. Ids follow from the prompts, so that the same prompts give the same file.
    Outlines are made valid and put on QuPath's grid of 0.01 px; one that has no area there is left out,
    with a warning. What marks an outline as ours is the member ``nuclick`` of its properties: QuPath 0.5
    and older fail on metadata of detections.

    Parameters
    ----------
    objects
        Taken one at a time; no two of one prompt.
    merge
        Keep the features of an older file, as they stand there, but for those of the same prompts.
    drop_keys
        Prompt keys whose features are not kept either; None for all features of ours.

    Raises
    ------
    WriteRefusedError
        If the file cannot be written, or merged into, or two outlines have one prompt, or an outline
        has a coordinate that is no number; an older file is as it was.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with hold(path), replace_atomically(path) as file, _packed(file, path) as out:
            _write_collection(out, objects, path, merge=merge, drop_keys=drop_keys)
    except OSError as err:
        raise WriteRefusedError(f"{path} cannot be written ({err.strerror or err}); choose another place or free some space") from err


def closed_to_geojson(objects: Iterable[ClosedObject]) -> bytes:
    """Encode objects of a project as a FeatureCollection that QuPath 0.4 and newer import.

    Ids, names, classes, measurements and the nuclei of cells are kept; outlines are put on QuPath's grid
    of 0.01 px, and one that has no area there is left out, with a warning.
    """
    texts = [text for item in objects if (text := _closed_feature(item)) is not None]
    return ('{"type":"FeatureCollection","features":[\n' + ",\n".join(texts) + "\n]}\n").encode()


def _closed_feature(item: ClosedObject) -> str | None:
    outline = snap_outline(item.outline)
    if outline is None:
        logger.warning("the %s %s is smaller than 0.01 px and is left out", item.kind, item.object_id)
        return None
    nucleus = None if item.nucleus is None else snap_outline(item.nucleus)
    inner = "" if nucleus is None else _geometry(nucleus, item.plane)
    return _feature_text(item.object_id, _geometry(outline, item.plane), _properties(item), inner)


def _write_collection(
    out: IO[bytes], objects: Iterable[ResultObject], path: Path, *, merge: bool, drop_keys: Collection[str] | None
) -> None:
    """Write the new features, then those of the older file that none of them replaces."""
    ids = array("Q")  # two of 64 bits for each id
    separator = b'{"type":"FeatureCollection","features":[\n'
    for result in objects:
        if (text := _feature(result, ids, path)) is not None:
            out.write(separator + text.encode())
            separator = b",\n"
    halves = np.frombuffer(ids, np.uint64).reshape(-1, 2)
    if len(np.unique(halves, axis=0)) < len(halves):
        raise WriteRefusedError(f"{path} was not written: two of its outlines have the same prompt; write one outline for each prompt")
    others: dict[str, Any] = {}
    if merge and is_there(path):
        new = {str(uuid.UUID(int=(first << 64) | second)) for first, second in halves.tolist()}
        for text in _standing_features(path, new | {str(result_id(key)) for key in drop_keys or ()}, drop_keys, others):
            out.write(separator + text.encode())
            separator = b",\n"
    others.pop("type", None)
    rest = "".join(f",{json.dumps(name)}:{json.dumps(value)}" for name, value in others.items())
    out.write((b"" if separator == b",\n" else separator) + f"\n]{rest}}}\n".encode())


def _standing_features(path: Path, replaced: set[str], drop_keys: Collection[str] | None, others: dict[str, Any]) -> Iterator[str]:
    """Give the text of each feature of a file but for those replaced or dropped."""
    try:
        with closing(read_features(path, others=others)) as features:
            for feature, text in features:
                if feature["type"] != "Feature" or "geometry" not in feature:
                    raise ValueError("it is no list of features")
                key = own_mark(feature.get("properties")).get("prompt")
                is_dropped = key is not None if drop_keys is None else key in drop_keys
                if feature.get("id") not in replaced and not is_dropped:
                    yield text or json.dumps(feature)  # a file may be one feature, which QuPath writes for one object
    except (OSError, *BROKEN, LookupError, TypeError) as err:
        raise WriteRefusedError(f"{path} is there and holds nothing that outlines can be added to ({err}); move it away") from err


@contextmanager
def _packed(file: IO[bytes], path: Path) -> Iterator[IO[bytes]]:
    """Give the file, or what packs into it as its name asks for; without a date, so that bytes follow from content."""
    match path.suffix.lower():
        case ".gz":
            with gzip.GzipFile("", "wb", compresslevel=6, fileobj=file, mtime=0) as packed:
                yield cast("IO[bytes]", packed)  # it has all that is needed of one
        case ".zip":
            entry = zipfile.ZipInfo(path.stem.removesuffix(".geojson") + ".geojson")
            entry.compress_type = zipfile.ZIP_DEFLATED
            with zipfile.ZipFile(file, "w") as archive, archive.open(entry, "w", force_zip64=True) as packed:
                yield packed
        case _:
            yield file


def result_feature(result: ResultObject) -> str | None:
    """Give the text of the feature of a result; None, with a warning, for an outline that vanishes on the grid."""
    outline = snap_outline(result.outline)
    if outline is None:
        logger.warning("the outline at %s is smaller than 0.01 px and is left out", result.anchor)
        return None
    return _feature_text(result.object_id, _geometry(outline, result.plane), _properties(result))


def _feature(result: ResultObject, ids: "array[int]", path: Path) -> str | None:
    """Give the text of a feature and note its id."""
    if not np.isfinite(shapely.get_coordinates(result.outline)).all():
        raise WriteRefusedError(
            f"{path} was not written: the outline at {result.anchor} has a coordinate that is NaN or infinite; leave it out"
        )
    text = result_feature(result)
    if text is not None:
        ids.extend(divmod(result_id(result.key).int, 1 << 64))
    return text


def _feature_text(feature_id: str, geometry: str, properties: str, nucleus: str = "") -> str:
    """Put a feature together."""
    more = f',"nucleusGeometry":{nucleus}' if nucleus else ""
    return f'{{"type":"Feature","id":{json.dumps(feature_id)},"geometry":{geometry}{more},"properties":{properties}}}'


def _geometry(outline: Polygon | MultiPolygon, plane: Plane) -> str:
    geometry: str = shapely.to_geojson(outline)
    if (plane.z, plane.t) == (0, 0):
        return geometry
    return f'{geometry[:-1]},"plane":{{"c":-1,"z":{plane.z},"t":{plane.t}}}}}'


def _properties(result: ResultObject | ClosedObject) -> str:
    """Give the text of all but the shape; ASCII, which half a surrogate pair gets through, too."""
    properties: dict[str, Any] = {"objectType": result.kind}
    if isinstance(result, ClosedObject) and result.name:
        properties["name"] = result.name
    if names := _class_names(result.class_name or ""):
        # QuPath refuses a whole file for one class without a colour; null leaves the colour to QuPath.
        properties["classification"] = {**({"name": names[0]} if len(names) == 1 else {"names": names}), "color": None}
    # A measurement that is not there is NaN to QuPath.
    measured = [f"{json.dumps(name)}:{_number(value)}" for name, value in dict(result.measurements).items() if not math.isnan(value)]
    own = {name.removeprefix(OWN_PREFIX): text for name, text in result.metadata} if isinstance(result, ResultObject) else {}
    mark = f',"{OWN_MEMBER}":{json.dumps(own, separators=(",", ":"))}' if own else ""
    return f'{json.dumps(properties, separators=(",", ":"))[:-1]},"measurements":{{{",".join(measured)}}}{mark}}}'


def _class_names(full_name: str) -> list[str]:
    """Give a class, or a class and those derived from it, by names that QuPath takes.

    It refuses a whole file for a name that is blank or has a line break, or one of several with a colon.
    """
    line = re.sub(r"[\r\n]+", " ", full_name)
    parts = [part.strip() for part in line.split(":") if part.strip()]
    return parts if ": " in line or not parts else [":".join(parts)]


def _number(value: float) -> str:
    """Write a number; an infinite one as one that is too large: QuPath 0.4 refuses a whole file for the texts of later ones."""
    return json.dumps(float(value)) if math.isfinite(value) else f"{'-' * (value < 0)}1e999"
