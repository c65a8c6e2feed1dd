"""What the user drew, and the outline that becomes of it."""

import enum
import hashlib
import math
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from shapely import MultiPolygon, Polygon

from nuclick_qp.errors import PromptError
from nuclick_qp.kinds import PromptKind

XY = tuple[float, float]
IGNORED_ENDING = "*"  # QuPath's mark of classes that are no objects, such as Ignore* and Region*


@dataclass(frozen=True, slots=True, order=True)
class Plane:
    """Position in a stack: z slice and time point, both counted from 0."""

    z: int = 0
    t: int = 0


@dataclass(frozen=True, slots=True)
class Prompt:
    """One click, or the strokes of one squiggle, in the slide frame.

    Attributes
    ----------
    kind
        ``point`` for a click, ``line`` for a squiggle.
    strokes
        A point has one stroke of one (x, y); a line has one or more strokes of two or more.
    class_name
        Full QuPath class (``Tumor: Positive``), None when unclassified.
    name
        Name of the annotation it came from.
    plane
        z slice and time point.
    nested
        The annotation it came from lies inside another annotation; its outline goes there too.

    Raises
    ------
    PromptError
        If a coordinate is not finite, or the strokes do not fit the kind.
    """

    kind: PromptKind
    strokes: tuple[tuple[XY, ...], ...]
    class_name: str | None = None
    name: str | None = None
    plane: Plane = field(default_factory=Plane)
    nested: bool = False
    _key: str = field(default="", init=False, repr=False, compare=False)  # once it was asked for: a run asks seven times

    def __post_init__(self) -> None:
        if not all(math.isfinite(v) for stroke in self.strokes for xy in stroke for v in xy):
            raise PromptError(f"{self.kind} prompt {self._label()} has a coordinate that is NaN or infinite; delete it and draw it anew")
        least = 1 if self.kind == "point" else 2
        if not self.strokes or any(len(stroke) < least for stroke in self.strokes):
            raise PromptError(f"{self.kind} prompt {self._label()} has a stroke of fewer than {least} points; delete it and draw it anew")
        if self.kind == "point" and (len(self.strokes), len(self.strokes[0])) != (1, 1):
            raise PromptError(f"point prompt {self._label()} has more than one point; make one prompt of each")

    @property
    def key(self) -> str:
        """Identity of the prompt: hash of kind, coordinates to 0.01 px, and plane.

        The same in every engine and QuPath version: QuPath stores coordinates as 32-bit floats,
        so they are rounded to float32 first.
        """
        if not self._key:
            strokes = [np.round(np.asarray(s, np.float32).astype(np.float64), 2) + 0.0 for s in self.strokes]
            text = f"{self.kind};{self.plane.z};{self.plane.t};" + "|".join(
                ",".join(f"{x:.2f} {y:.2f}" for x, y in stroke) for stroke in strokes
            )
            object.__setattr__(self, "_key", hashlib.sha256(text.encode()).hexdigest()[:20])
        return self._key

    @property
    def is_background(self) -> bool:
        """Whether it marks what is not wanted: it has one of the classes that QuPath ignores, such as ``Ignore*``."""
        return (self.class_name or "").endswith(IGNORED_ENDING)

    @property
    def anchor(self) -> XY:
        """The click, or the middle vertex of the stroke with most vertices: always on the prompt."""
        stroke = max(self.strokes, key=len)
        return stroke[len(stroke) // 2]

    @property
    def bounds(self) -> tuple[float, float, float, float]:
        """Left, top, right, bottom in the slide frame."""
        xs, ys = zip(*(xy for stroke in self.strokes for xy in stroke), strict=True)
        return min(xs), min(ys), max(xs), max(ys)

    def _label(self) -> str:
        return repr(self.name) if self.name else "without a name"


def click_at(x: float, y: float, *, class_name: str | None = None, plane: Plane | None = None) -> Prompt:
    """Give the prompt of one click at slide-frame (x, y)."""
    return Prompt("point", (((x, y),),), class_name, plane=plane or Plane())


class Status(enum.StrEnum):
    """What became of a prompt; only `OK` and `UNCERTAIN` have a polygon."""

    OK = "ok"
    UNCERTAIN = "uncertain"  # there is an outline, and more likely than not it does not fit
    EMPTY = "empty"  # the prompt lies on the background, or nothing stands out where it is
    OUTSIDE_OWN_MASK = "outside-own-mask"  # there is an object, but not under the prompt
    OUTSIDE_SLIDE = "outside-slide"
    TOO_LARGE = "too-large"  # the object does not fit into a patch of the model
    FAILED = "failed"
    UNCHANGED = "unchanged"  # the result of an earlier run still holds
    BELOW_PROBABILITY = "below-probability"  # there is an outline, but not one as probable as the user asked for
    EDITED = "edited"  # the user has changed the outline of an earlier run
    DUPLICATE = "duplicate"  # an earlier prompt marks the same object
    NO_MODEL = "no-model"  # no model was chosen for this kind of prompt
    STOPPED = "stopped"  # the run was stopped before


# Outlines less probable than this are uncertain. A probability is the expected IoU, and at 0.5 panoptic quality begins to count a match.
UNCERTAIN_BELOW = 0.5
WITH_OUTLINE = frozenset({Status.OK, Status.UNCERTAIN})  # what a run has made
# What a user asked for and did not get; the exit code tells.
UNSERVED = frozenset(Status) - WITH_OUTLINE - {Status.UNCHANGED, Status.EDITED, Status.DUPLICATE, Status.STOPPED}


@dataclass(frozen=True, slots=True)
class Outline:
    """What became of a prompt: its status, and the polygon of its object when that is `ok` or `uncertain`.

    Attributes
    ----------
    prompt
        The click or squiggle that asked for it.
    status
        Only those of `WITH_OUTLINE` have a polygon and a probability; `uncertain` if that is below `UNCERTAIN_BELOW`.
    polygon
        In the slide frame, valid, with holes; several parts only where several strokes ask for them.
    probability
        Intersection over union with the true object that is to be expected, 0 to 1: measured on validation
        images where the card of the model has a calibration, else what the network says.
    detail
        Why there is no polygon, or a doubtful one, in a few words; empty for `ok`.
    """

    prompt: Prompt
    status: Status
    polygon: Polygon | MultiPolygon | None = None
    probability: float | None = None
    detail: str = ""

    def __post_init__(self) -> None:
        assert (self.polygon is not None) == (self.probability is not None) == (self.status in WITH_OUTLINE)
        assert self.probability is None or (self.probability < UNCERTAIN_BELOW) == (self.status is Status.UNCERTAIN)

    @classmethod
    def found(cls, prompt: Prompt, polygon: Polygon | MultiPolygon, probability: float) -> "Outline":
        """Give a prompt its polygon, with the status that follows from the probability."""
        if probability >= UNCERTAIN_BELOW:
            return cls(prompt, Status.OK, polygon, probability)
        return cls(prompt, Status.UNCERTAIN, polygon, probability, too_small(probability))


def too_small(probability: float) -> str:
    """Say that a probability is small; in two digits rounded down, so that none reads as the limit that it lies below."""
    return f"its outline has a probability of {math.floor(100 * probability + 1e-9) / 100:.2f} only"


def points_xy(prompts: "list[Prompt] | tuple[Prompt, ...]") -> NDArray[np.float64]:
    """Give the anchors of prompts as an (N, 2) array in the slide frame."""
    return np.array([p.anchor for p in prompts], np.float64).reshape(-1, 2)
