"""What people drew and what we add to it, whatever file it stands in."""

from dataclasses import dataclass, field
from typing import Literal

from shapely import MultiPolygon, Polygon
from shapely.geometry.base import BaseGeometry

from nuclick_qp.prompts import XY, Plane, Prompt, PromptKind

ObjectKind = Literal["detection", "annotation", "cell"]
OBJECT_KINDS: tuple[ObjectKind, ...] = ("detection", "annotation", "cell")
KINDS: tuple[PromptKind, ...] = ("point", "line")

# Metadata that marks an object as ours; only such objects are ever replaced.
PROMPT_KEY = "nuclick:prompt"
MODEL_KEY = "nuclick:model"
OPTIONS_KEY = "nuclick:options"
VERSION_KEY = "nuclick:version"

PROBABILITY = "NuClick: probability"  # the measurement that engines without measurements write, too


@dataclass(frozen=True, slots=True)
class EarlierResult:
    """An object that a run of ours wrote: the metadata it carries.

    Attributes
    ----------
    prompt_key, model, options
        Values of `PROMPT_KEY`, `MODEL_KEY`, `OPTIONS_KEY`; the last two are empty when absent.
    centroid, outline
        In the slide frame; None for a region that is no valid shape. Outlines take no part in
        comparisons: two engines may begin a ring at different vertices.
    """

    prompt_key: str
    model: str
    options: str
    centroid: XY
    outline: BaseGeometry | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class EntryContent:
    """What was read from one image.

    Attributes
    ----------
    prompts
        In the order of the hierarchy; each point of a multi-point annotation is one prompt, lines
        that share a non-empty name and class on one plane are one prompt with several strokes.
    bad_prompts
        One line of text for each point or line that cannot be a prompt (NaN coordinates).
    results
        Objects of ours.
    neighbours
        Centroids of the detections and cells that are not ours, with their planes.
    fingerprint
        Identity of the files as they were read; `write` refuses when they have changed since.
    """

    prompts: tuple[Prompt, ...]
    bad_prompts: tuple[str, ...] = ()
    results: tuple[EarlierResult, ...] = ()
    neighbours: tuple[tuple[XY, Plane], ...] = ()
    fingerprint: str = ""


@dataclass(frozen=True, slots=True)
class ClosedAnnotation:
    """A closed annotation: polygon, rectangle, ellipse, or a shape with holes or several parts.

    Attributes
    ----------
    outline
        In the slide frame, valid; empty when it encloses nothing or has a coordinate that is no
        number.
    class_name
        Full class (``Tumor: Positive``), None when unclassified.
    """

    outline: Polygon | MultiPolygon
    class_name: str | None = None
    name: str | None = None


@dataclass(frozen=True, slots=True)
class ClosedObject:
    """A closed annotation, a detection or a cell, with all that an export tells of it.

    Attributes
    ----------
    outline
        As that of a `ClosedAnnotation`.
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
    measurements, metadata
        Written in this order. The metadata hold `PROMPT_KEY`.
    """

    outline: Polygon | MultiPolygon
    kind: ObjectKind
    class_name: str | None
    plane: Plane
    nested: bool
    anchor: XY
    measurements: tuple[tuple[str, float], ...] = ()
    metadata: tuple[tuple[str, str], ...] = ()


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
