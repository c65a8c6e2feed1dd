"""Whether two shapes are the same, whichever program saved them in between."""

import hashlib

import numpy as np
import shapely
from shapely.geometry.base import BaseGeometry

from nuclick_qp.shapes.polygons import STEPS

SHAPE_DIGITS = 12


def shape_digest(shape: BaseGeometry | None) -> str:
    """Give a short hash of the vertices of a shape; an empty text when there are none, or one is no number.

    Programs begin a ring at another vertex, turn it round, or list parts in another order when they
    save, so the vertices count as a set. QuPath keeps most of them as 32-bit floats, and rounds others
    to 0.01 px, so both is done here first.

    Examples
    --------
    >>> shape_digest(shapely.box(0, 0, 9, 9)) == shape_digest(shapely.box(0, 0, 9, 9).reverse())
    True
    """
    with np.errstate(over="ignore"):  # becomes infinite
        xy = np.asarray(shapely.get_coordinates(shape), np.float32).astype(np.float64)
    if not xy.size or not np.isfinite(xy).all():
        return ""
    steps = np.unique((np.round(xy * STEPS) + 0.0).view(np.complex128))  # no -0.0; pairs as one number each, sorted three times as fast
    return hashlib.sha256(steps.astype("<c16").tobytes()).hexdigest()[:SHAPE_DIGITS]
