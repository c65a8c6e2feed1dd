"""Polygons as QuPath takes them: valid, on a grid of 0.01 px."""

import numpy as np
import shapely
from shapely import MultiPolygon, Polygon
from shapely.geometry.base import BaseGeometry

DECIMALS = 2  # QuPath reads GeoJSON to 0.01 px; the same everywhere keeps all outputs alike
STEPS = 10**DECIMALS  # in a pixel
POLYGON_TYPE = 3  # of `shapely.get_type_id`


def valid_polygons(shape: BaseGeometry | None) -> Polygon | MultiPolygon:
    """Give the polygons of a shape as one valid geometry, an empty one when there are none.

    Outlines that cross themselves are cut at the crossings, so that they enclose what lies on the
    inner side of an odd number of lines. A shape with a coordinate that is no number has none.
    """
    if shape is None or not np.isfinite(shapely.get_coordinates(shape)).all():
        return Polygon()
    if not shape.is_valid:
        shape = shapely.make_valid(shape)
    if isinstance(shape, Polygon | MultiPolygon):
        return shape
    parts = shapely.get_parts(shape)
    nested = shapely.get_parts(parts)  # making a shape valid may give a collection of several polygons and lines
    return MultiPolygon([part for part in nested if shapely.get_type_id(part) == POLYGON_TYPE])


def clean_polygons(parts: list[Polygon] | list[Polygon | MultiPolygon]) -> Polygon | MultiPolygon | None:
    """Join polygons, round to 0.01 px and make valid; None when no area is left."""
    rounded = shapely.set_precision(shapely.union_all(parts), 10.0**-DECIMALS)
    areas = [g for g in shapely.get_parts(rounded) if isinstance(g, Polygon) and not g.is_empty]
    areas = [shapely.orient_polygons(g) for g in areas]
    if not areas:
        return None
    return areas[0] if len(areas) == 1 else MultiPolygon(areas)


def snap_outline(outline: Polygon | MultiPolygon) -> Polygon | MultiPolygon | None:
    """Give an outline valid and on the grid: unchanged when it is so already, which takes a sixth of the time.

    Rounding each coordinate alone is not enough: it can make a narrow part touch itself, and one
    invalid outline makes QuPath refuse the whole file.

    Returns
    -------
    Polygon, MultiPolygon or None
        In the frame of the outline, no vertex further than 0.01 px from where it was, exterior rings
        counter-clockwise in the frame's numbers. None when no area is left.
    """
    xy = shapely.get_coordinates(outline, include_z=outline.has_z)
    steps = np.round(xy * STEPS)
    is_on_grid = xy.shape[1] == 2 and not outline.is_empty and np.array_equal(steps / STEPS, xy)
    # Looked at in whole numbers: 0.06 is none to a computer, which hides that points lie on one line, or that a ring touches itself.
    if is_on_grid and shapely.set_coordinates(outline, steps).is_valid:
        return shapely.orient_polygons(outline)
    return clean_polygons([valid_polygons(shapely.force_2d(outline))])
