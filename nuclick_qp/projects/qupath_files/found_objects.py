"""The objects of a data file, as `sort_objects` and `closed_annotations` want them."""

import math
from collections.abc import Collection, Iterator

import numpy as np
import shapely
from numpy.typing import NDArray

from nuclick_qp.projects.prompts_of import FoundKind, FoundObject, Shape
from nuclick_qp.projects.protocol import PROMPT_KEY
from nuclick_qp.projects.qupath_files.path_objects import PathObject
from nuclick_qp.projects.qupath_files.rois import Roi
from nuclick_qp.prompts import Plane

_NOWHERE = (math.nan, math.nan)


def found_objects(root: PathObject, *, outlines_of: Collection[FoundKind] = ()) -> Iterator[FoundObject]:
    """Give each object below the root, before its children, in the order of the file.

    Parameters
    ----------
    outlines_of
        Kinds of objects whose outlines are worked out; those of results of ours always are.
    """
    for item, parent in root.walk():
        if item.kind == "root" or item.roi is None:
            continue
        yield _found(item, item.kind, item.roi, nested=parent is not root, outlines_of=outlines_of)


def _found(item: PathObject, kind: FoundKind, roi: Roi, *, nested: bool, outlines_of: Collection[FoundKind]) -> FoundObject:
    shape, strokes = _drawn(roi)
    metadata = dict(item.metadata)
    # Centroids cost a geometry each; only those that `sort_objects` looks at are worked out.
    wants_centroid = shape == "area" and (kind in ("detection", "cell") or PROMPT_KEY in metadata)
    is_wanted = shape == "area" and kind in outlines_of
    wants_outline = is_wanted or (shape == "area" and PROMPT_KEY in metadata)
    return FoundObject(
        kind=kind,
        shape=shape,
        strokes=strokes,
        centroid=roi.centroid if wants_centroid else _NOWHERE,
        outline=roi.geometry if wants_outline else None,
        name=item.name,
        class_name=item.class_name,
        plane=Plane(roi.z, roi.t),
        nested=nested,
        metadata=metadata,
        object_id=item.object_id,
        nucleus=item.nucleus.geometry if is_wanted and item.nucleus is not None else None,
        measurements=item.measurements if is_wanted else (),
    )


def _drawn(roi: Roi) -> tuple[Shape, tuple[NDArray[np.float64], ...]]:
    """Tell what was drawn, and give the points of it unless it is an area."""
    if roi.kind == "Points":
        return "points", (roi.points,)
    if roi.kind in ("Line", "Polyline"):
        return "lines", (roi.points,)
    # Several lines merged in QuPath become one geometry.
    if roi.shape is not None and roi.shape.geom_type in ("LineString", "MultiLineString"):
        return "lines", tuple(shapely.get_coordinates(part) for part in shapely.get_parts(roi.shape))
    return "area", ()
