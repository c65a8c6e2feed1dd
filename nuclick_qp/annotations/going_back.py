"""What an image would lose if it went back to an earlier state; the same for every engine."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from nuclick_qp.annotations.objects import PROMPT_KEY, is_mark
from nuclick_qp.annotations.sorting import FoundObject
from nuclick_qp.shapes.identity import shape_digest


@dataclass(frozen=True, slots=True)
class Losses:
    """Objects that are there now and were not, or not so, before.

    Attributes
    ----------
    points, lines, areas
        Those of the user: single points, lines, and all else (detections of other programs, too).
    outlines, marks
        Those of ours: outlines, and what marks prompts without one.
    """

    points: int = 0
    lines: int = 0
    areas: int = 0
    outlines: int = 0
    marks: int = 0

    @property
    def of_user(self) -> int:
        """Count those that are not ours."""
        return self.points + self.lines + self.areas


def losses(now: Iterable[FoundObject], before: Iterable[FoundObject]) -> Losses:
    """Count what would go if `before` took the place of `now`.

    Parameters
    ----------
    now, before
        All objects of an image, with outlines, nuclei and measurements of all kinds. An object is the
        same as long as its shape, kind, plane, name, class, metadata and measurements are.
    """
    going = Counter(map(_group_of, (_everything(now) - _everything(before)).elements()))
    return Losses(going["points"], going["lines"], going["area"], going["outline"], going["mark"])


_Thing = tuple[str, object, object]


def _everything(objects: Iterable[FoundObject]) -> Counter[_Thing]:
    return Counter(thing for found in objects for thing in _things(found))


def _things(found: FoundObject) -> list[_Thing]:
    """Give a key for an object, or for each of its points: an annotation of many may have got a few more."""
    measured = tuple((name, _to_float32(value)) for name, value in found.measurements)
    about = (found.kind, found.plane, found.name, found.class_name, tuple(sorted(found.metadata.items())), measured)
    if found.shape == "points":
        return [("points", about, _rounded(xy)) for stroke in found.strokes for xy in stroke]
    if found.shape == "lines":
        return [("lines", about, tuple(_rounded(stroke) for stroke in found.strokes))]
    shapes = shape_digest(found.outline), shape_digest(found.nucleus)
    key = found.metadata.get(PROMPT_KEY)
    return [("area" if key is None else "mark" if is_mark(key) else "outline", about, shapes)]


def _group_of(thing: _Thing) -> str:
    return thing[0]


def _to_float32(value: float) -> bytes:
    """Give a number as detections keep it; NaN is the same as NaN."""
    with np.errstate(over="ignore"):
        return np.float32(value).tobytes()


def _rounded(xy: object) -> bytes:
    """Give coordinates as Points and lines keep them."""
    return np.round(np.asarray(xy, np.float32).astype(np.float64), 2).tobytes()
