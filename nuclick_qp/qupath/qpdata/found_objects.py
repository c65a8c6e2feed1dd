"""The objects of a data file, as `sort_objects` and `closed_objects` want them."""

from collections.abc import Collection, Iterator
from itertools import islice
from typing import NamedTuple

import numpy as np
import shapely
from numpy.typing import NDArray

from nuclick_qp.annotations.objects import PROMPT_KEY
from nuclick_qp.annotations.sorting import NOWHERE, FoundKind, FoundObject, Shape
from nuclick_qp.prompts import XY
from nuclick_qp.qupath.qpdata.path_objects import PathObject
from nuclick_qp.qupath.qpdata.rois import Roi, centroids_of

_AT_ONCE = 4096  # objects whose centroids are worked out together


class _Walked(NamedTuple):
    """An object with a region, on its way to become a `FoundObject`."""

    item: PathObject
    kind: FoundKind
    roi: Roi
    nested: bool
    shape: Shape
    strokes: tuple[NDArray[np.float64], ...]

    @property
    def wants_centroid(self) -> bool:
        """Tell whether `sort_objects` will look at it."""
        return self.shape == "area" and (self.kind in ("detection", "cell") or PROMPT_KEY in dict(self.item.metadata))


def found_objects(root: PathObject, *, outlines_of: Collection[FoundKind] = ()) -> Iterator[FoundObject]:
    """Give each object below the root, before its children, in the order of the file.

    Parameters
    ----------
    outlines_of
        Kinds of objects whose outlines are worked out; those of results of ours always are.
    """
    walked = _walk(root)
    while batch := list(islice(walked, _AT_ONCE)):
        centroids = iter(centroids_of([one.roi for one in batch if one.wants_centroid]))
        for one in batch:
            yield _found(one, centroid=next(centroids) if one.wants_centroid else NOWHERE, outlines_of=outlines_of)


def _walk(root: PathObject) -> Iterator[_Walked]:
    for item, parent in root.walk():
        if item.kind != "root" and item.roi is not None:
            yield _Walked(item, item.kind, item.roi, parent is not root, *_drawn(item.roi))


def _found(one: _Walked, *, centroid: XY, outlines_of: Collection[FoundKind]) -> FoundObject:
    item, roi, metadata = one.item, one.roi, dict(one.item.metadata)
    is_wanted = one.shape == "area" and one.kind in outlines_of
    wants_outline = is_wanted or (one.shape == "area" and PROMPT_KEY in metadata)
    return FoundObject(
        kind=one.kind,
        shape=one.shape,
        strokes=one.strokes,
        centroid=centroid,
        outline=roi.geometry if wants_outline else None,
        name=item.name,
        class_name=item.class_name,
        plane=roi.plane,
        nested=one.nested,
        metadata=metadata,
        object_id=item.object_id,
        nucleus=item.nucleus.geometry if is_wanted and item.nucleus is not None else None,
        measurements=item.measurements if wants_outline else (),
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
