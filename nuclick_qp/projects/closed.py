"""From the objects of an image to its closed annotations; the same for every engine."""

from collections.abc import Iterable

import numpy as np
import shapely
from shapely import MultiPolygon, Polygon
from shapely.geometry.base import BaseGeometry

from nuclick_qp.projects.prompts_of import FoundObject
from nuclick_qp.projects.protocol import ClosedAnnotation

POLYGON_TYPE = 3  # of `shapely.get_type_id`


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
    return tuple(ClosedAnnotation(_valid(found.outline), found.class_name, found.name) for found in closed)


def _valid(shape: BaseGeometry | None) -> Polygon | MultiPolygon:
    """Give the polygons of a shape as one valid geometry, an empty one when there are none."""
    if shape is None or not np.isfinite(shapely.get_coordinates(shape)).all():
        return Polygon()
    if not shape.is_valid:
        shape = shapely.make_valid(shape)
    if isinstance(shape, Polygon | MultiPolygon):
        return shape
    parts = shapely.get_parts(shape)
    nested = shapely.get_parts(parts)  # making a shape valid may give a collection of several polygons and lines
    return MultiPolygon([part for part in nested if shapely.get_type_id(part) == POLYGON_TYPE])
