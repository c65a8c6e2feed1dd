"""From the objects of an image to its closed annotations; the same for every engine."""

from collections.abc import Iterable

from nuclick_qp.polygons import valid_polygons
from nuclick_qp.projects.prompts_of import FoundObject
from nuclick_qp.projects.protocol import ClosedAnnotation


def closed_annotations(objects: Iterable[FoundObject]) -> tuple[ClosedAnnotation, ...]:
    """Pick the closed annotations among the objects of an image.

    Parameters
    ----------
    objects
        In the order of the hierarchy, with the outlines of all annotations.

    Returns
    -------
    tuple of ClosedAnnotation
        In the same order. Outlines that cross themselves are cut at the crossings, so that they
        enclose what lies on the inner side of an odd number of lines.
    """
    closed = [found for found in objects if found.kind == "annotation" and found.shape == "area"]
    return tuple(ClosedAnnotation(valid_polygons(found.outline), found.class_name, found.name) for found in closed)
