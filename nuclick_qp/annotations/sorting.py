"""From the objects of an image to prompts, earlier results and neighbours; the same for every engine."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from shapely.geometry.base import BaseGeometry

from nuclick_qp.annotations.objects import (
    MARK,
    MODEL_KEY,
    OPTIONS_KEY,
    OUTLINE_KEY,
    PROBABILITY,
    PROMPT_KEY,
    EarlierResult,
    EntryContent,
    is_mark,
)
from nuclick_qp.kinds import OBJECT_KINDS
from nuclick_qp.prompts import XY, Plane, Prompt

Shape = Literal["points", "lines", "area"]
FoundKind = Literal["annotation", "detection", "cell", "tile", "tma-core"]
LONGEST_STROKE = 100_000  # points of a line; nobody's hand makes as many
NOWHERE: XY = (math.nan, math.nan)  # centroid of what has none, or is not asked for it


@dataclass(frozen=True, slots=True)
class FoundObject:
    """One object of an image, as an engine found it.

    Attributes
    ----------
    kind
        QuPath's type of the object.
    shape
        ``points`` for a Points ROI, ``lines`` for Line, Polyline and geometries made of lines only,
        ``area`` for all else.
    strokes
        (N, 2) arrays in the slide frame, in the user's order: one array of all points of a Points
        ROI, one array for each line. Empty for areas.
    centroid
        In the slide frame; asked of areas of detections, cells, and objects with `PROMPT_KEY`.
    outline
        In the slide frame; asked of areas with `PROMPT_KEY`, and of those of the kinds whose
        outlines are wanted. None when there is no shape.
    class_name
        Full class (``Tumor: Positive``), None when unclassified.
    nested
        The parent is not the root of the hierarchy.
    metadata
        QuPath's metadata of the object.
    object_id
        UUID as text; None in files of QuPath 0.3 and before.
    drawn
        As in `EarlierResult`.
    nucleus, measurements
        Asked of the kinds whose outlines are wanted; the nucleus is that of a cell. The measurements
        are asked of areas with `PROMPT_KEY` as well.
    """

    kind: FoundKind
    shape: Shape
    strokes: tuple[NDArray[np.float64], ...] = ()
    centroid: XY = NOWHERE
    outline: BaseGeometry | None = field(default=None, compare=False)
    name: str | None = None
    class_name: str | None = None
    plane: Plane = field(default_factory=Plane)
    nested: bool = False
    metadata: Mapping[str, str] = field(default_factory=dict)
    object_id: str | None = field(default=None, compare=False)
    nucleus: BaseGeometry | None = field(default=None, compare=False)
    measurements: tuple[tuple[str, float], ...] = field(default=(), compare=False)
    drawn: str = field(default="", compare=False)


def sort_objects(objects: Iterable[FoundObject], *, fingerprint: str) -> EntryContent:
    """Sort the objects of an image into prompts, results of ours and neighbours.

    Parameters
    ----------
    objects
        All objects of the image but the root, each before its children, in the order of the
        hierarchy.
    fingerprint
        Passed on.

    Returns
    -------
    EntryContent
        Only annotations are prompts. Lines of one prompt stand where the first of them stood. A
        point or line that is not usable becomes one line of `bad_prompts`; the rest is still read.
    """
    prompts: list[Prompt] = []
    bad: list[str] = []
    results: list[EarlierResult] = []
    marks: list[tuple[str, str | None]] = []
    neighbours: list[tuple[XY, Plane]] = []
    squiggles: dict[tuple[str, str | None, Plane], int] = {}
    for found in objects:
        if found.shape == "area":
            if found.kind in OBJECT_KINDS and (key := found.metadata.get(PROMPT_KEY)):
                if is_mark(key):
                    marks.append((key.removeprefix(MARK), found.class_name))
                else:
                    results.append(_earlier(found, key))
            elif found.kind in ("detection", "cell") and all(map(math.isfinite, found.centroid)):
                neighbours.append((found.centroid, found.plane))
        elif found.kind == "annotation" and found.shape == "points":
            _add_points(found, prompts, bad)
        elif found.kind == "annotation":
            _add_lines(found, prompts, bad, squiggles)
    return EntryContent(tuple(prompts), tuple(bad), tuple(results), tuple(neighbours), fingerprint, marks=tuple(marks))


def _earlier(found: FoundObject, key: str) -> EarlierResult:
    assert found.kind in ("annotation", "detection", "cell")  # literals, for the type checker
    return EarlierResult(
        key=key,
        model=found.metadata.get(MODEL_KEY, ""),
        options=found.metadata.get(OPTIONS_KEY, ""),
        centroid=found.centroid,
        class_name=found.class_name,
        probability=dict(found.measurements).get(PROBABILITY),
        outline=found.outline,
        written=found.metadata.get(OUTLINE_KEY, ""),
        kind=found.kind,
        plane=found.plane,
        drawn=found.drawn,
        shape=tuple((name, value) for name, value in found.measurements if name != PROBABILITY),
    )


def _add_points(found: FoundObject, prompts: list[Prompt], bad: list[str]) -> None:
    """Make each point of an annotation one prompt."""
    for stroke in found.strokes:
        for number, (x, y) in enumerate(stroke.tolist(), 1):
            if math.isfinite(x) and math.isfinite(y):
                prompts.append(_prompt(found, ((x, y),)))
            else:
                bad.append(f"point {number} of {len(stroke)} of {_label(found)} lies at ({x:g}, {y:g}); delete it and draw it anew")


def _add_lines(found: FoundObject, prompts: list[Prompt], bad: list[str], squiggles: dict[tuple[str, str | None, Plane], int]) -> None:
    """Make the lines of an annotation one prompt, or strokes of the prompt of their name."""
    strokes = []
    for stroke in found.strokes:
        if len(stroke) < 2:
            bad.append(f"line {_label(found)} has {len(stroke)} point(s) and needs 2; delete it and draw it anew")
        elif len(stroke) > LONGEST_STROKE:
            bad.append(f"line {_label(found)} has {len(stroke):,} points, and {LONGEST_STROKE:,} are the most; draw it anew")
        elif not np.isfinite(stroke).all():
            bad.append(f"line {_label(found)} has a coordinate that is NaN or infinite; delete it and draw it anew")
        else:
            strokes.append(tuple((x, y) for x, y in stroke.tolist()))
    if not strokes:
        return
    squiggle = (found.name or "", found.class_name, found.plane)
    if found.name and squiggle in squiggles:
        place = squiggles[squiggle]
        first = prompts[place]
        prompts[place] = replace(first, strokes=(*first.strokes, *strokes), nested=first.nested and found.nested)
        return
    squiggles[squiggle] = len(prompts)
    prompts.append(_prompt(found, *strokes))


def _prompt(found: FoundObject, *strokes: tuple[XY, ...]) -> Prompt:
    kind: Literal["point", "line"] = "point" if found.shape == "points" else "line"
    return Prompt(kind, strokes, found.class_name, found.name, found.plane, found.nested)


def _label(found: FoundObject) -> str:
    """Name an annotation so that the user finds it in QuPath."""
    name = repr(found.name) if found.name else "without a name"
    return f"annotation {name} ({found.class_name or 'unclassified'}, z {found.plane.z}, t {found.plane.t})"
