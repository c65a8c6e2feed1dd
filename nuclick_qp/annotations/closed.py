"""From the objects of an image to those that are closed; the same for every engine."""

import uuid
from collections.abc import Collection, Iterable

from nuclick_qp.annotations.objects import PROMPT_KEY, ClosedObject, is_mark
from nuclick_qp.annotations.sorting import FoundObject
from nuclick_qp.kinds import OBJECT_KINDS, ObjectKind
from nuclick_qp.shapes.polygons import valid_polygons

PLACE_IDS = uuid.UUID("2b0c6a52-93f1-5d5e-8a34-5b8d0c1f7a46")


def closed_objects(
    objects: Iterable[FoundObject], *, entry_id: str, kinds: Collection[ObjectKind] = OBJECT_KINDS
) -> tuple[ClosedObject, ...]:
    """Pick the closed annotations, the detections and the cells among the objects of an image; marks of ours are none.

    Parameters
    ----------
    objects
        In the order of the hierarchy, with outlines, nuclei and measurements of these kinds.
    entry_id
        Of the image; part of the ids made for objects that have none.
    kinds
        Which of the three are wanted.

    Returns
    -------
    tuple of ClosedObject
        In the same order. Outlines that cross themselves are cut at the crossings, so that they
        enclose what lies on the inner side of an odd number of lines.
    """
    areas = (found for found in objects if found.kind in OBJECT_KINDS and found.shape == "area")
    closed = (found for found in areas if not is_mark(found.metadata.get(PROMPT_KEY, "")))
    numbered = ((found, f"{entry_id} {number}") for number, found in enumerate(closed))  # ids do not depend on the kinds wanted
    return tuple(_closed_object(found, place) for found, place in numbered if found.kind in kinds)


def _closed_object(found: FoundObject, place: str) -> ClosedObject:
    assert found.kind in ("annotation", "detection", "cell")  # literals, for the type checker
    outline = valid_polygons(found.outline)
    # Not from the outline: engines begin it at other vertices, and draw ellipses with other numbers of them.
    object_id = found.object_id or str(uuid.uuid5(PLACE_IDS, f"{place} {found.kind}"))
    nucleus = None if found.nucleus is None else valid_polygons(found.nucleus)
    return ClosedObject(outline, found.kind, object_id, found.class_name, found.name, found.plane, nucleus, found.measurements)
