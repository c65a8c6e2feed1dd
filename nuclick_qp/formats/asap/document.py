"""ASAP's XML as it stands in a file: annotations and groups, each with the bytes that it takes up.

The bytes let a writer add to the file without touching what is there. A document type is refused
before anything in it is looked at: ASAP writes none, and entities are what XML attacks are made of.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import DefusedXMLParser, ParseError
from numpy.typing import NDArray

from nuclick_qp.errors import PromptError

ROOT = ["ASAP_Annotations"]
ANNOTATIONS = [*ROOT, "Annotations"]
ANNOTATION = [*ANNOTATIONS, "Annotation"]
COORDINATE = [*ANNOTATION, "Coordinates", "Coordinate"]
GROUPS = [*ROOT, "AnnotationGroups"]
GROUP = [*GROUPS, "Group"]
NO_GROUP = "None"
DEFAULT_COLOUR = "#F4FA58"  # ASAP's own


@dataclass(frozen=True, slots=True)
class Span:
    """The bytes of an element: `data[start:end]`.

    Attributes
    ----------
    closing
        Where its closing tag begins; None for an element of one tag (``<A/>``).
    """

    start: int
    end: int
    closing: int | None


@dataclass(frozen=True, slots=True)
class AsapAnnotation:
    """One annotation.

    Attributes
    ----------
    kind
        ASAP's type, as written.
    group
        Name of its group, None for ``None``, empty when the file does not say.
    xy
        (N, 2) level-0 pixels of the whole canvas, sorted by `Order`; 32-bit floats, as ASAP holds them.
    is_contiguous
        `Order` runs from 0 without gaps; ASAP crashes where it does not.
    """

    name: str
    kind: str
    group: str | None
    xy: NDArray[np.float64]
    is_contiguous: bool
    span: Span


@dataclass(frozen=True, slots=True)
class AsapGroup:
    """One group; `parent` is the name of the group that it lies in, None for none; `span` that in a file."""

    name: str
    parent: str | None
    colour: str = DEFAULT_COLOUR
    span: Span | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class AsapDocument:
    """A whole file; the spans of the two lists are None where it lacks them."""

    data: bytes
    annotations: tuple[AsapAnnotation, ...]
    groups: tuple[AsapGroup, ...]
    root: Span
    annotations_span: Span | None
    groups_span: Span | None


def parse(data: bytes, *, source: Path) -> AsapDocument:
    """Parse the content of an ASAP file.

    Parameters
    ----------
    source
        The file, for messages.

    Raises
    ------
    PromptError
        If it is not XML, not ASAP's, has a document type, or a coordinate that cannot be
        understood: no number, or an `Order` that is missing, negative or there twice.
    """
    target = _Target(data, source)
    parser = DefusedXMLParser(target=target, forbid_dtd=True)
    target.expat = parser.parser  # defusedxml builds on the parser written in Python, which shows its expat
    try:
        parser.feed(data)
        parser.close()
    except DefusedXmlException as err:
        raise PromptError(f"{source} has a document type, as attacks do and ASAP never writes; save the file in ASAP") from err
    except (ParseError, LookupError, ValueError) as err:
        raise PromptError(f"{source} is not XML ({err}); save the annotations in ASAP again") from err
    return target.document()


@dataclass(slots=True)
class _Element:
    """An element that is open."""

    start: int
    attributes: dict[str, str]
    has_children: bool = False


class _Target:
    """Takes the events of the parser and collects what ASAP would."""

    def __init__(self, data: bytes, source: Path) -> None:
        self.expat: Any = None
        self._data, self._source = data, source
        self._path: list[str] = []
        self._open: list[_Element] = []
        self._spans: dict[str, Span] = {}
        self._coordinates: list[dict[str, str]] = []
        self._annotations: list[AsapAnnotation] = []
        self._groups: list[AsapGroup] = []

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        if not self._path and [tag] != ROOT:
            raise PromptError(f"{self._source} begins with <{tag}> instead of <{ROOT[0]}>; it is not from ASAP: save the annotations there")
        if self._open:
            self._open[-1].has_children = True
        self._path.append(tag)
        self._open.append(_Element(self.expat.CurrentByteIndex, attributes))
        if self._path == COORDINATE:
            self._coordinates.append(attributes)
        elif self._path == ANNOTATION:
            self._coordinates = []

    def end(self, tag: str) -> None:
        element = self._open.pop()
        if self._path == ANNOTATION:
            self._annotations.append(self._annotation(element))
        elif self._path == GROUP:
            attributes = element.attributes
            parent = attributes.get("PartOfGroup") or NO_GROUP
            colour = attributes.get("Color") or DEFAULT_COLOUR
            self._groups.append(AsapGroup(attributes.get("Name", ""), None if parent == NO_GROUP else parent, colour, self._span(element)))
        elif self._path in (ROOT, ANNOTATIONS, GROUPS):
            self._spans.setdefault(tag, self._span(element))
        self._path.pop()

    def document(self) -> AsapDocument:
        """Give what was collected, once the parser has come to the end."""
        spans = self._spans
        return AsapDocument(
            self._data,
            tuple(self._annotations),
            tuple(self._groups),
            spans[ROOT[-1]],
            spans.get(ANNOTATIONS[-1]),
            spans.get(GROUPS[-1]),
        )

    def _annotation(self, element: _Element) -> AsapAnnotation:
        attributes = element.attributes
        name, group = attributes.get("Name", ""), attributes.get("PartOfGroup", "")
        rows = sorted(self._row(coordinate, name) for coordinate in self._coordinates)
        orders = [order for order, _, _ in rows]
        if len(set(orders)) < len(orders):
            raise PromptError(f"annotation {name!r} of {self._source} has two coordinates of the same Order; number them from 0")
        with np.errstate(over="ignore"):  # becomes infinite, which is told prompt by prompt
            xy = np.array([row[1:] for row in rows], np.float32).astype(np.float64).reshape(-1, 2)
        is_contiguous = orders == list(range(len(orders)))
        kind = attributes.get("Type", "")
        return AsapAnnotation(name, kind, None if group == NO_GROUP else group, xy, is_contiguous, self._span(element))

    def _row(self, coordinate: dict[str, str], name: str) -> tuple[int, float, float]:
        """Read Order, X and Y; a decimal comma is one."""
        try:
            x, y = (float(coordinate[axis].replace(",", ".")) for axis in ("X", "Y"))
            order = int(coordinate["Order"])
        except (KeyError, ValueError):
            order = -1
        if order < 0:
            raise PromptError(f"annotation {name!r} of {self._source} has a coordinate that cannot be read ({coordinate}); draw it anew")
        return order, x, y

    def _span(self, element: _Element) -> Span:
        """Give the bytes of an element that ends here."""
        here = self.expat.CurrentByteIndex  # behind an element of one tag, before the closing tag of any other
        if not element.has_children and self._data[here - 2 : here] == b"/>":
            return Span(element.start, here, None)
        return Span(element.start, self._data.find(b">", here) + 1, here)
