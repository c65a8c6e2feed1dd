"""Outlines and groups as ASAP's XML: what is added to a file of the user's, and what a new one is made of."""

import re
from collections.abc import Iterable, Iterator
from itertools import chain
from xml.sax.saxutils import escape

import numpy as np
from numpy.typing import NDArray
from shapely import MultiPolygon, Polygon

from nuclick_qp.formats.asap.document import ANNOTATIONS, GROUPS, NO_GROUP, ROOT, AsapGroup
from nuclick_qp.formats.asap.slits import without_holes

NO_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")  # what no XML file can hold
COORDINATE_DIGITS = 4
QUOTES = {'"': "&quot;", "\t": "&#9;", "\n": "&#10;", "\r": "&#13;"}


def xml_text(text: str) -> str:
    """Give a text with U+FFFD in place of what no XML file can hold."""
    return NO_XML.sub("\ufffd", text)


def group_text(text: str) -> str:
    """Give a text as the name of a group that has annotations; an apostrophe would stop `wholeslidedata`."""
    return xml_text(text).replace("'", "\u2019")


def colour_text(argb: int) -> str:
    """Give a packed ARGB colour as ASAP writes it.

    Examples
    --------
    >>> colour_text(-9959675)
    '#680705'
    """
    return f"#{argb & 0xFFFFFF:06X}"


def rings_of(outline: Polygon | MultiPolygon, *, origin: tuple[int, int]) -> list[NDArray[np.float64]]:
    """Give the (N, 2) rings of an outline on the canvas, as ASAP has them: without holes, not closed by the first point.

    Parameters
    ----------
    outline
        In pixels of the part of the canvas that begins at the origin. Holes are opened by a slit.
    origin
        (x, y) of that part on the canvas, `Slide.bounds_origin`.
    """
    rings = (np.asarray(polygon.exterior.coords, np.float64)[:-1] + origin for polygon in without_holes(outline))
    return [np.round(ring, COORDINATE_DIGITS) for ring in rings]


def polygons_xml(rings: Iterable[NDArray[np.float64]], *, name: str, group: AsapGroup) -> Iterator[str]:
    """Write an outline as Polygons of one name, one for each ring, in a group and in its colour."""
    head = f'Name={_quoted(name)} Type="Polygon" PartOfGroup={_quoted(group.name)} Color={_quoted(group.colour)}'
    for ring in rings:
        coordinates = _coordinates_xml(ring)
        yield f"\n\t\t<Annotation {head}>\n\t\t\t<Coordinates>{coordinates}\n\t\t\t</Coordinates>\n\t\t</Annotation>"


def group_xml(group: AsapGroup) -> str:
    """Write a group."""
    head = f"Name={_quoted(group.name)} PartOfGroup={_quoted(group.parent or NO_GROUP)} Color={_quoted(group.colour)}"
    return f"\n\t\t<Group {head}>\n\t\t\t<Attributes />\n\t\t</Group>"


def file_bytes(annotations: Iterable[str], groups: Iterable[AsapGroup]) -> bytes:
    """Make a whole file of annotations, as `polygons_xml` writes them, and all the groups that they name."""
    head = f'<?xml version="1.0"?>\n<{ROOT[0]}>\n\t<{ANNOTATIONS[-1]}>'
    middle = f"\n\t</{ANNOTATIONS[-1]}>\n\t<{GROUPS[-1]}>"
    tail = f"\n\t</{GROUPS[-1]}>\n</{ROOT[0]}>\n"
    return b"".join(map(ascii_bytes, chain([head], annotations, [middle], map(group_xml, groups), [tail])))


def ascii_bytes(text: str) -> bytes:
    """Encode XML with character references, right in every encoding that extends ASCII."""
    return text.encode("ascii", "xmlcharrefreplace")


def _coordinates_xml(ring: NDArray[np.float64]) -> str:
    texts = ((f"{x:.{COORDINATE_DIGITS}f}", f"{y:.{COORDINATE_DIGITS}f}") for x, y in ring.tolist())
    return "".join(f'\n\t\t\t\t<Coordinate Order="{n}" X="{x}" Y="{y}" />' for n, (x, y) in enumerate(texts))


def _quoted(text: str) -> str:
    """Write a text as the value of an attribute."""
    return f'"{escape(xml_text(text), QUOTES)}"'
