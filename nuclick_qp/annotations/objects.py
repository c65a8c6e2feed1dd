"""What people drew and what we add to it, whatever file it stands in."""

import hashlib
import uuid
from collections.abc import Collection
from dataclasses import dataclass, field

from shapely import MultiPolygon, Polygon
from shapely.geometry.base import BaseGeometry

from nuclick_qp import __version__
from nuclick_qp.kinds import ObjectKind
from nuclick_qp.plain_text import listed
from nuclick_qp.prompts import XY, Plane, Prompt
from nuclick_qp.shapes.identity import SHAPE_DIGITS, shape_digest

UNCLASSIFIED = "Unclassified"  # QuPath's word for objects without a class
NO_CLASS = ""  # how a user asks for objects without a class

# Metadata that marks an object as ours; only such objects are ever replaced.
PROMPT_KEY = "nuclick:prompt"
MODEL_KEY = "nuclick:model"
OPTIONS_KEY = "nuclick:options"
OUTLINE_KEY = "nuclick:outline"
VERSION_KEY = "nuclick:version"

OWN_PREFIX = "nuclick:"
MARK = "mark "  # before the key of a prompt that has no outline, in what marks its place

PROBABILITY = "NuClick: probability"
PROMPT_IDS = uuid.UUID("7f0f0a5c-6c2b-5d0e-9a54-6f1d3f1f2f10")  # any fixed value does, as long as it stays


@dataclass(frozen=True, slots=True)
class EarlierResult:
    """An object that a run of ours wrote, as it stands in the file now.

    Attributes
    ----------
    key
        That of its prompt.
    model, options, written
        What made it, and what was made, see `ResultObject`; empty when the file does not say.
    centroid, outline
        In the slide frame; None for a region that is no valid shape. Outlines take no part in
        comparisons: two engines may begin a ring at different vertices.
    class_name
        Its class now, which the user may have changed.
    probability
        None when the file does not say.
    kind, plane
        What it is, and where.
    shape
        Its measurements, the probability left out.
    drawn
        `shape_digest` of the outline, where the file has it in another frame or form than `outline`.
    """

    key: str
    model: str
    options: str
    centroid: XY
    class_name: str | None = None
    probability: float | None = None
    outline: BaseGeometry | None = field(default=None, compare=False)
    written: str = ""
    kind: ObjectKind = "detection"
    plane: Plane = field(default_factory=Plane)
    shape: tuple[tuple[str, float], ...] = field(default=(), compare=False)
    drawn: str = field(default="", compare=False)

    def is_edited(self, class_name: str | None) -> bool:
        """Tell whether the user has changed its shape, or given it a class that is not that of its prompt.

        Parameters
        ----------
        class_name
            That of its prompt now. An outline that got the new class of its prompt by hand is as a run
            would make it.
        """
        written = self.written or outline_digest(self.outline, class_name)  # before there were digests: the class alone tells
        now = _digest(self.drawn or shape_digest(self.outline), self.class_name)
        if now[:SHAPE_DIGITS] != written[:SHAPE_DIGITS]:
            return True
        return now != written and not same_class(self.class_name, class_name)


@dataclass(frozen=True, slots=True)
class EntryContent:
    """What was read from one image.

    Attributes
    ----------
    prompts
        In the order of the hierarchy; each point of a multi-point annotation is one prompt, lines
        that share a non-empty name and class on one plane are one prompt with several strokes. Clicks
        on the background (`Prompt.is_background`) are among them.
    bad_prompts
        One line of text for each point or line that cannot be a prompt (NaN coordinates).
    results
        Outlines of ours.
    marks
        Key and class of the marks of ours, each at the place of a prompt that had no outline.
    neighbours
        Centroids of the detections and cells that are not ours, with their planes.
    fingerprint
        Identity of the files as they were read; `write` refuses when they have changed since.
    image_type
        What QuPath was told of the stain, ``FLUORESCENCE`` and the like; None when nothing is said.
    """

    prompts: tuple[Prompt, ...]
    bad_prompts: tuple[str, ...] = ()
    results: tuple[EarlierResult, ...] = ()
    neighbours: tuple[tuple[XY, Plane], ...] = ()
    fingerprint: str = ""
    image_type: str | None = None
    marks: tuple[tuple[str, str | None], ...] = ()


@dataclass(frozen=True, slots=True)
class ClosedObject:
    """A closed annotation (polygon, rectangle, ellipse, shape with holes or parts), a detection or a cell.

    Attributes
    ----------
    outline
        In the slide frame, valid; empty when it encloses nothing or has a coordinate that is no
        number.
    object_id
        UUID as text: QuPath's, or for files of QuPath 0.3 and before one that follows from image,
        place in the file and kind.
    nucleus
        Of a cell, valid; None when it has none.
    measurements
        Names and values in the order of the file.
    """

    outline: Polygon | MultiPolygon
    kind: ObjectKind
    object_id: str
    class_name: str | None = None
    name: str | None = None
    plane: Plane = field(default_factory=Plane)
    nucleus: Polygon | MultiPolygon | None = None
    measurements: tuple[tuple[str, float], ...] = ()


@dataclass(frozen=True, slots=True)
class ResultObject:
    """One object to be written.

    Attributes
    ----------
    outline
        Valid polygon in the slide frame.
    kind
        Detection, annotation, or cell (without a nucleus of its own).
    class_name, plane, nested
        Of the prompt. A nested result becomes a child of the smallest closed annotation that
        holds its prompt; any other of the root.
    anchor
        Place of the prompt, in the slide frame.
    key
        `Prompt.key` of the prompt, or its `mark_key`.
    probability
        Of the network, 0 to 1; None writes no such measurement.
    model, options
        `Card.short_id`, and a hash of all else that the result depends on; empty texts are not written.
    written
        `outline_digest` of shape and class as a run makes them, to find out later whether the user
        changed them; an empty text is not written.
    shape
        Further measurements by name, in the order in which they are written.
    version
        Of nuclick-qp.
    """

    outline: Polygon | MultiPolygon
    kind: ObjectKind
    class_name: str | None
    plane: Plane
    nested: bool
    anchor: XY
    key: str
    probability: float | None = None
    model: str = ""
    options: str = ""
    shape: tuple[tuple[str, float], ...] = ()
    version: str = __version__
    written: str = ""

    @property
    def object_id(self) -> str:
        """UUID of the object in every file that it is written into."""
        return str(result_id(self.key))

    @property
    def measurements(self) -> tuple[tuple[str, float], ...]:
        """Measurements by name, in the order in which they are written."""
        return self.shape if self.probability is None else ((PROBABILITY, self.probability), *self.shape)

    @property
    def metadata(self) -> tuple[tuple[str, str], ...]:
        """Metadata that mark the object as ours, in the order in which they are written."""
        told = {
            PROMPT_KEY: self.key,
            MODEL_KEY: self.model,
            OPTIONS_KEY: self.options,
            OUTLINE_KEY: self.written,
            VERSION_KEY: self.version,
        }
        return tuple((name, text) for name, text in told.items() if text)


@dataclass(frozen=True, slots=True)
class Changes:
    """What one write does to one image, all of it or nothing.

    Attributes
    ----------
    add
        New objects.
    remove_keys
        Prompt keys whose earlier results (objects of ours only) are removed.
    """

    add: tuple[ResultObject, ...]
    remove_keys: frozenset[str] = field(default_factory=frozenset)


def listed_classes(names: Collection[str]) -> str:
    """Give the classes of prompts or objects for a sentence; nothing where there are none.

    Examples
    --------
    >>> listed_classes(["Tumor", "", "Stroma"])
    "'Stroma', 'Tumor' and unclassified"
    """
    named = sorted(set(names) - {NO_CLASS})
    return " and ".join([*([listed(named)] if named else []), *([UNCLASSIFIED.lower()] if NO_CLASS in names else [])])


def mark_key(key: str) -> str:
    """Give what the mark of a prompt has for its key."""
    return MARK + key


def is_mark(key: str) -> bool:
    """Tell whether an object of ours is a mark, and no outline, by its key."""
    return key.startswith(MARK)


def outline_digest(outline: BaseGeometry | None, class_name: str | None) -> str:
    """Give a short hash of shape and class that is the same whichever program saved them in between."""
    return _digest(shape_digest(outline), class_name)


def _digest(shape: str, class_name: str | None) -> str:
    return shape.ljust(SHAPE_DIGITS, "-") + hashlib.sha256(_plain(class_name).encode()).hexdigest()[:6]


def same_class(one: str | None, other: str | None) -> bool:
    """Tell whether two full names mean one class: files differ in the spaces and colons that they keep."""
    return _plain(one) == _plain(other)


def _plain(class_name: str | None) -> str:
    return " ".join((class_name or "").replace(":", " ").split())


def result_id(key: str) -> uuid.UUID:
    """Give the UUID of the object of a prompt: the same whenever, and into whichever file, it is written."""
    return uuid.uuid5(PROMPT_IDS, key)
