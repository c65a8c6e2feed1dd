"""Which annotations of a project are objects, and which are rectangles that limit an area."""

import math
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Literal

import numpy as np
import shapely
from shapely import MultiPolygon, Polygon

from nuclick_qp.annotations.objects import ClosedObject
from nuclick_qp.errors import ProjectError
from nuclick_qp.geometry import Window
from nuclick_qp.prompts import IGNORED_ENDING

Part = Literal["Training", "Validation"]
REGION_CLASSES: tuple[Part, Part] = ("Training", "Validation")
LARGEST_REGION_PX = 50_000_000  # 150 MB of pixels and 200 MB of labels
RECTANGLE_TOLERANCE = 1e-3  # share of its bounding box that a rectangle may lack, for rounding


def is_object(class_name: str | None, classes: Collection[str]) -> bool:
    """Tell whether an annotation of a class counts as an object.

    Parameters
    ----------
    classes
        Full class names that count, an empty text for unclassified; when empty, all but those of
        `REGION_CLASSES` and those that end in `IGNORED_ENDING`.
    """
    if classes:
        return (class_name or "") in classes
    return class_name not in REGION_CLASSES and not (class_name or "").endswith(IGNORED_ENDING)


def region_of(outline: Polygon | MultiPolygon, class_name: str | None, *, image_name: str, project: Path) -> Polygon:
    """Give the bounding box of an annotation of a class of regions, which must be an upright rectangle.

    Parameters
    ----------
    image_name, project
        Where it was drawn, for the message.

    Raises
    ------
    ProjectError
        If it is no upright rectangle.
    """
    box = Polygon() if outline.is_empty else shapely.box(*outline.bounds)
    if outline.area >= (1 - RECTANGLE_TOLERANCE) * box.area > 0:
        return box
    raise ProjectError(
        f"{project}: image {image_name!r} has an annotation of class {class_name} that is no upright rectangle; "
        "draw it anew with the rectangle tool"
    )


def rectangles_of(closed: Iterable[ClosedObject], *, image_name: str, project: Path) -> tuple[tuple[Part, Polygon], ...]:
    """Give the rectangles that limit the area of a training, with their parts, those of class Training first.

    Raises
    ------
    ProjectError
        As `region_of`.
    """
    drawn = list(closed)
    return tuple(
        (part, region_of(item.outline, part, image_name=image_name, project=project))
        for part in REGION_CLASSES
        for item in drawn
        if item.class_name == part
    )


def window_of(box: Polygon, *, width: int, height: int, scale: float) -> Window | None:
    """Give the window of a rectangle, cut to the slide; None when not one pixel of it lies inside.

    Parameters
    ----------
    box
        In the slide frame.
    width, height
        Of the slide, in level-0 pixels.
    scale
        Level-0 pixels per pixel of the window. A rest of less than one pixel at the right and at the
        bottom is left out.
    """
    left, top, right, bottom = np.clip(box.bounds, 0, [width, height] * 2).tolist()
    across, down = (math.floor((high - low) / scale) for low, high in ((left, right), (top, bottom)))
    return Window(left, top, across, down, scale) if across >= 1 and down >= 1 else None
