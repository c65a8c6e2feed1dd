"""What an engine does: list the images of a QuPath project, read prompts and annotations, write results.

The engines are `qupath_files` (no Java) and `qupath_jvm` (paquo). The same prompts, the same result
and the same rules of safety are expected of both.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Literal, Protocol, Self

from shapely import MultiPolygon, Polygon
from shapely.geometry.base import BaseGeometry

from nuclick_qp.prompts import XY, Plane, Prompt, PromptKind
from nuclick_qp.slides.view import Step

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
class ImageEntry:
    """One image of a project, as `project.qpproj` describes it.

    Attributes
    ----------
    entry_id
        QuPath's number of the entry, as text.
    name
        Name shown in QuPath.
    uris
        Where the pixels are (usually one ``file:`` URI), as written in the project.
    width, height
        Level-0 pixels of the image as QuPath shows it; None when QuPath has never opened it.
    file_size
        (width, height) of the file itself, the same unless the image is cropped or turned; None
        when unknown.
    mpp
        Micrometres per pixel, mean of x and y; None when unknown or not in micrometres.
    series
        Index of the image inside its file.
    is_cropped
        Whether the image shows the scanned bounds of its file, where the file states them, as QuPath
        does unless it was told not to (``--no-crop``).
    steps
        What makes the image out of the file, first step first: QuPath crops, turns and mirrors.
    wrapped
        Kind of a server that makes other pixels, or other coordinates than steps can (``affine``,
        ``color`` ...), or an argument of its server that does (``--dims XYZCT``); None when there is
        none. Such images are refused for segmentation.
    """

    entry_id: str
    name: str
    uris: tuple[str, ...]
    width: int | None = None
    height: int | None = None
    mpp: float | None = None
    series: int = 0
    is_cropped: bool = True
    file_size: tuple[int, int] | None = None
    steps: tuple[Step, ...] = ()
    wrapped: str | None = None


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


class Project(Protocol):
    """An open QuPath project; a context manager.

    Attributes
    ----------
    path
        The ``.qpproj`` file.
    engine
        ``files`` or ``qupath``.
    stored_uri
        Where QuPath last saved the project; slides that moved along with it are found by it.
    """

    @property
    def path(self) -> Path:
        """Give the ``.qpproj`` file."""
        ...

    @property
    def engine(self) -> str:
        """Give the name of the engine."""
        ...

    @property
    def stored_uri(self) -> str | None:
        """Give the URI that the project was last saved under."""
        ...

    def images(self) -> Sequence[ImageEntry]:
        """List the images in the order of the project."""
        ...

    def read(self, entry: ImageEntry) -> EntryContent:
        """Read prompts and earlier results of one image.

        Raises
        ------
        UnreadableDataError
            If its ``data.qpdata`` is truncated, foreign, or of an unknown version.
        """
        ...

    def read_closed_annotations(self, entry: ImageEntry) -> tuple[ClosedAnnotation, ...]:
        """Read the closed annotations of one image, results of ours that are annotations included.

        In the order of the hierarchy. Points, lines, detections, cells, tiles and tissue cores are
        none.

        Raises
        ------
        UnreadableDataError
            As `read` does.
        """
        ...

    def read_closed_objects(self, entry: ImageEntry) -> tuple[ClosedObject, ...]:
        """Read the closed annotations, the detections and the cells of one image.

        In the order of the hierarchy. Points, lines, tiles and tissue cores are none.

        Raises
        ------
        UnreadableDataError
            As `read` does.
        """
        ...

    def write(self, entry: ImageEntry, changes: Changes, *, fingerprint: str) -> None:
        """Write results into one image: one write, verified, all or nothing.

        Raises
        ------
        WriteRefusedError
            If the file has changed since it was read, is not fully understood, or cannot be
            written. Every byte on disk is then as before.
        """
        ...

    def __enter__(self) -> Self: ...

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None: ...
