"""ASAP's XML as prompts, with every type that ASAP draws.

ASAP shows the whole canvas of a slide, QuPath crops it to the scanned bounds; `origin`, where the
slide frame begins on the canvas, ties the two together.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely.geometry.base import BaseGeometry

from nuclick_qp.annotations.objects import OWN_PREFIX, PROBABILITY, EntryContent
from nuclick_qp.annotations.sorting import NOWHERE, FoundObject, sort_objects
from nuclick_qp.errors import PromptError
from nuclick_qp.formats.asap.document import AsapAnnotation, AsapGroup, parse
from nuclick_qp.shapes.identity import shape_digest
from nuclick_qp.storage.plain_files import read_file

OWN_GROUPS = "nuclick:"  # groups whose names begin so say what lies in them, and never are its class
LINE_GROUP = f"{OWN_GROUPS}line"
POINT_TYPES = ("dot", "pointset")
LINE_TYPES = ("measurement",)
AREA_TYPES = ("polygon", "spline", "rectangle")
NOT_DRAWN = "none"
# ASAP has no place for a key but the name. Who renames an outline makes it their own.
RESULT_NAME = re.compile(
    r"nuclick (?P<prompt>(?:mark )?[0-9a-f]{20})"
    r"(?: p=(?P<p>[01]\.\d\d))?(?: s=(?P<outline>\S+))?(?: o=(?P<options>\S+))?(?: m=(?P<model>.+))?"
)
# Given by ASAP, and given again after something was deleted: no sign that two strokes belong together.
NAME_OF_ASAP = re.compile(r"Annotation \d+")


class Meaning(NamedTuple):
    """What lies in a group belongs to this class, and is a stroke or not."""

    class_name: str | None
    is_stroke: bool


NO_MEANING = Meaning(None, is_stroke=False)


def is_asap(path: Path) -> bool:
    """Tell by its name whether a file is ASAP's."""
    return path.suffix.lower() == ".xml"


def read_prompts(path: Path, *, origin: tuple[int, int]) -> EntryContent:
    """Read the prompts of one image from an ASAP file.

    A Dot is a point, a PointSet as many points, a Measurement a line. Whatever lies in a group
    named ``nuclick:line``, or in a group inside it, is a stroke through its coordinates in their
    order, not closed; strokes of one name (other than ASAP's own ``Annotation 7``) and class are
    one prompt. Any other Polygon, Spline or Rectangle is an area, and no prompt. The class is the name of
    the innermost group that does not begin with ``nuclick:``.

    Parameters
    ----------
    origin
        (x, y) of the slide frame on the canvas, `Slide.bounds_origin`.

    Raises
    ------
    PromptError
        If the file cannot be read or understood.
    """
    try:
        document = parse(read_file(path), source=path)
    except OSError as err:
        raise PromptError(f"{path} cannot be read ({err.strerror or err}); give the XML file that ASAP saved") from err
    meanings = _meanings((annotation.group for annotation in document.annotations), {group.name: group for group in document.groups})
    objects: list[FoundObject] = []
    unknown: list[str] = []
    parts: dict[str, list[AsapAnnotation]] = defaultdict(list)
    for annotation in document.annotations:
        kind = annotation.kind.lower()
        if key := earlier_key(annotation):
            parts[key].append(annotation)
        elif kind in (*POINT_TYPES, *LINE_TYPES, *AREA_TYPES) and (len(annotation.xy) or kind in AREA_TYPES):
            objects.append(_found(annotation, meanings[annotation.group], origin=origin))
        elif kind != NOT_DRAWN:
            what = f"of type {annotation.kind!r}" if len(annotation.xy) else "without coordinates"
            unknown.append(f"annotation {annotation.name!r} {what} is nothing that ASAP draws; draw it anew")
    objects += [_result(same, meanings[same[0].group], origin=origin) for same in parts.values()]
    content = sort_objects(objects, fingerprint="")
    return replace(content, bad_prompts=(*content.bad_prompts, *unknown))


def earlier_key(annotation: AsapAnnotation) -> str | None:
    """Give the key of the prompt that an outline of ours was made for; None for all else."""
    match = RESULT_NAME.fullmatch(annotation.name)
    return match["prompt"] if match and annotation.kind == "Polygon" else None


def _found(annotation: AsapAnnotation, meaning: Meaning, *, origin: tuple[int, int]) -> FoundObject:
    kind = annotation.kind.lower()
    class_name, is_stroke = meaning
    name = annotation.name or None
    if is_stroke or kind in LINE_TYPES:
        joined = None if name and NAME_OF_ASAP.fullmatch(name) else name
        return FoundObject("annotation", "lines", (annotation.xy - origin,), name=joined, class_name=class_name)
    if kind in POINT_TYPES:
        return FoundObject("annotation", "points", (annotation.xy - origin,), name=name, class_name=class_name)
    return FoundObject("annotation", "area", name=name, class_name=class_name)


def _meanings(names: Iterable[str | None], groups: Mapping[str, AsapGroup]) -> dict[str | None, Meaning]:
    """Give what groups mean, and those that they lie in; each is looked at once, however long the chains are."""
    meanings: dict[str | None, Meaning] = {None: NO_MEANING, "": NO_MEANING}
    for name in names:
        chain: dict[str, None] = {}  # in order, from the inside out, and quick to be asked
        above = name
        while above and above not in meanings and above not in chain:
            chain[above] = None
            above = groups[above].parent if above in groups else None
        for group in reversed(chain):
            class_name, is_stroke = meanings.get(above, NO_MEANING)  # of a circle, that is nothing
            is_ours = group.lower().startswith(OWN_GROUPS)
            meanings[group] = Meaning(class_name if is_ours else group, is_stroke or group.strip().lower() == LINE_GROUP)
            above = group
    return meanings


def drawn_area(rings: Sequence[NDArray[np.float64]]) -> BaseGeometry | None:
    """Put the parts of an outline together; None where a reshaped one is no valid area."""
    if not all(np.isfinite(ring).all() for ring in rings):
        return None
    polygons = [shapely.Polygon(ring) if len(ring) > 2 else shapely.Polygon() for ring in rings]
    return shapely.union_all(polygons) if all(polygon.is_valid for polygon in polygons) else None


def _result(
    parts: Sequence[AsapAnnotation], meaning: Meaning, *, origin: tuple[int, int]
) -> FoundObject:
    outline = drawn_area([part.xy - origin for part in parts])
    centre = NOWHERE if outline is None or outline.is_empty else (outline.centroid.x, outline.centroid.y)
    match = RESULT_NAME.fullmatch(parts[0].name)
    told = ((PROBABILITY, float(match["p"])),) if match and match["p"] else ()
    marks = {} if match is None else match.groupdict()
    metadata = {f"{OWN_PREFIX}{name}": text for name, text in marks.items() if text and name != "p"}
    return FoundObject(
        "annotation", "area", centroid=centre, outline=outline, class_name=meaning.class_name, metadata=metadata, measurements=told,
        drawn=shape_digest(drawn_area([part.xy for part in parts])),
    )
