"""The features of a JSON file, one at a time: memory does not grow with their number."""

import gzip
import io
import json
import lzma
import re
import zipfile
import zlib
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import IO, Any, TextIO

from nuclick_qp.storage.plain_files import open_file

MOST_MEMBERS = 10_000  # of a collection, beside its features
PIECE = 1 << 20  # characters read at once
OWN_MEMBER = "nuclick"  # of the properties of our features; QuPath leaves it alone, where 0.5 fails on metadata of detections
LONGEST = 1 << 26  # characters of one feature; more is no annotation, but perhaps a small .gz that unpacks without end
# Bytes of memory that each of these characters begins, of lists, mappings and numbers; a feature may take so much in all.
COSTS = {"[": 64, "{": 240, ",": 32}
LARGEST_FEATURE = 3 << 28
SPACE = re.compile(r"[ \t\n\r]*")
JSON_SUFFIXES = (".json", ".geojson")

# All that `read_features` may raise beside OSError; RuntimeError is how zipfile tells of passwords and foreign methods.
BROKEN = (ValueError, EOFError, RuntimeError, zlib.error, lzma.LZMAError, zipfile.BadZipFile)


def read_features(path: Path, *, others: dict[str, Any] | None = None) -> Generator[tuple[Any, str]]:
    """Go through the elements of a FeatureCollection or of an array, or give what else the file holds.

    Packed files (gzip, or the JSON files in a zip) are known by their content, and so is the encoding:
    UTF-8, 16 or 32, with or without a mark. NaN and Infinity may stand for numbers. Two members of
    one name in an object are one when they are equal; of two unequal objects all members count.

    Parameters
    ----------
    others
        Gets the members of a FeatureCollection that are not its features.

    Yields
    ------
    (element, text)
        The text is that of the element in the file; empty for a file of one object that is no
        collection.

    Raises
    ------
    OSError
        If the file cannot be read.
    one of `BROKEN`
        If the content is not JSON, is packed in a way that is not known, or holds one element of more
        than `LONGEST` characters. It can come after any number of elements.
    """
    for file in _open_texts(path):
        text = _Text(file)
        match text.next_character():
            case "[":
                yield from text.elements()
            case "{":
                yield from _members(text, {} if others is None else others)
            case _:
                yield text.value()
        if text.next_character():
            raise ValueError(f"more text after the end, at character {text.place}")


def own_mark(properties: Any) -> dict[str, Any]:
    """Give what marks a feature as ours, as `writing` writes it; nothing for all others."""
    mark = properties.get(OWN_MEMBER) if isinstance(properties, dict) else None
    return mark if isinstance(mark, dict) else {}


def _members(text: "_Text", others: dict[str, Any]) -> Iterator[tuple[Any, str]]:
    """Give the features of a collection while reading it; or the object, when it is none."""
    pairs: list[tuple[str, Any]] = []
    found_features = False
    text.take("{")
    while text.next_character() != "}":
        if text.next_character() != '"':
            raise ValueError(f"a name in quotation marks expected at character {text.place}")
        name, _ = text.value()
        if len(pairs) == MOST_MEMBERS:
            raise ValueError(f"more than {MOST_MEMBERS} members of one object, before character {text.place}")
        text.take(":")
        if name == "features" and text.next_character() == "[":
            found_features = True
            yield from text.elements()
        else:
            pairs.append((name, text.value()[0]))
        if text.next_character() != "}":
            text.take(",")
    text.take("}")
    content = _merge_members(pairs)
    if not found_features:
        yield content, ""
    elif content.get("type") != "FeatureCollection":
        raise ValueError("its features stand in no FeatureCollection")
    others |= content


def _open_texts(path: Path) -> Iterator[TextIO]:
    """Open a file, or what is packed in it, as text."""
    with open_file(path) as file:
        start = file.peek(4)
        if start.startswith(b"\x1f\x8b"):
            with gzip.open(file) as unpacked:
                yield _decoded(unpacked)
        elif start.startswith(b"PK\x03\x04"):
            with zipfile.ZipFile(file) as archive:
                names = [name for name in archive.namelist() if name.lower().endswith(JSON_SUFFIXES) and not name.startswith("__MACOSX/")]
                for name in names:
                    with archive.open(name) as unpacked:
                        yield _decoded(unpacked)
        else:
            yield _decoded(file)


def _decoded(file: Any) -> TextIO:
    """Decode a file in the encoding that its first bytes tell."""
    binary: IO[bytes] = file
    encoding = json.detect_encoding(file.peek(4)[:4])
    return io.TextIOWrapper(binary, encoding, newline="")


class _Text:
    """A text that is read in pieces, and the place where the reading stands."""

    def __init__(self, file: TextIO) -> None:
        self._file = file
        self._text = ""
        self._at = 0
        self._before = 0  # characters that were dropped from the front

    @property
    def place(self) -> int:
        """Count the characters of the file up to here."""
        return self._before + self._at

    def next_character(self) -> str:
        """Skip white space and give the character that follows; empty at the end."""
        while True:
            space = SPACE.match(self._text, self._at)
            assert space is not None  # it matches nothing, too
            self._at = space.end()
            if self._at < len(self._text) or not self._read_on():
                return self._text[self._at : self._at + 1]

    def take(self, character: str) -> None:
        """Go past a character that must come now."""
        if self.next_character() != character:
            raise ValueError(f"{character} expected at character {self.place}")
        self._at += 1

    def value(self) -> tuple[Any, str]:
        """Go past one value of any kind, and give it with its text."""
        self.next_character()
        while True:
            self._refuse_costly()
            try:
                value, end = _DECODER.raw_decode(self._text, self._at)
            except json.JSONDecodeError as err:
                if self._read_on():
                    continue
                raise ValueError(f"{err.msg.removesuffix(' at')} at character {self._before + err.pos}") from err
            except RecursionError as err:
                raise ValueError(f"brackets are nested too deeply at character {self.place}") from err
            if end < len(self._text) or not self._read_on():  # a number at the end of a piece may go on in the next
                break
        text, self._at = self._text[self._at : end], end
        return value, text

    def elements(self) -> Iterator[tuple[Any, str]]:
        """Go through an array."""
        self.take("[")
        while self.next_character() != "]":
            yield self.value()
            if self.next_character() != "]":
                self.take(",")
        self.take("]")

    def _read_on(self) -> bool:
        """Drop what was used and read as much again as is left, so that all rereading stays in proportion."""
        left = len(self._text) - self._at
        if left >= LONGEST:
            raise ValueError(f"more than {LONGEST} characters in one feature, from character {self.place}")
        piece = self._file.read(min(max(PIECE, left), LONGEST - left))
        if piece:
            self._before += self._at
            self._text, self._at = self._text[self._at :] + piece, 0
        return bool(piece)


    def _refuse_costly(self) -> None:
        """Refuse, before it is decoded, what takes much more memory than its text."""
        if len(self._text) - self._at <= 2 * PIECE:  # more than one feature, mostly
            return
        cost = sum(self._text.count(character, self._at) * size for character, size in COSTS.items())
        if cost > LARGEST_FEATURE:
            raise ValueError(f"more than {LARGEST_FEATURE >> 20} MB of lists and numbers in one feature, from character {self.place}")


def _merge_members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Make an object of its members; QuPath 0.6 and newer write the member "metadata" twice."""
    members = dict(pairs)
    if len(members) == len(pairs):
        return members
    members = {}
    for name, value in pairs:
        if name not in members or members[name] == value:
            members[name] = value
        elif isinstance(members[name], dict) and isinstance(value, dict):
            members[name] = _merge_members([*members[name].items(), *value.items()])
        else:
            raise ValueError(f"the name {name!r} stands twice in one object, with different values")
    return members


_DECODER = json.JSONDecoder(object_pairs_hook=_merge_members)
