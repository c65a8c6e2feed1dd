"""The Java object stream: bytes to nodes and back, whatever the bytes are."""

import struct
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nuclick_qp.errors import UnreadableDataError
from nuclick_qp.qupath.javastream.emit import emit
from nuclick_qp.qupath.javastream.nodes import (
    BLOCK_DATA,
    END,
    EXTERNALIZABLE,
    SERIALIZABLE,
    WRITE_METHOD,
    Block,
    ClassDesc,
    Field,
    Item,
    JavaArray,
    JavaClass,
    JavaEnum,
    JavaObject,
    JavaString,
    decode_text,
    encode_text,
)
from nuclick_qp.qupath.javastream.parse import HEADER, MAX_DEPTH, parse

FIXTURES = Path(__file__).parents[1] / "data" / "qupath"
DATA_FILES = sorted(FIXTURES.glob("*/ihc/data/*/data.qpdata"))
SMALLEST = min(DATA_FILES, key=lambda path: path.stat().st_size)


def described(name: str, flags: int, fields: tuple[Field, ...] = (), parent: ClassDesc | None = None) -> ClassDesc:
    """Describe a class that QuPath does not have."""
    desc = ClassDesc(name, b"\0" * 7 + b"\1", flags, fields)
    desc.complete(parent)
    return desc


OBJECT_ARRAY = described("[Ljava.lang.Object;", SERIALIZABLE)


def nested_arrays(depth: int) -> JavaArray:
    """Put an array into an array, and so on."""
    inner = JavaArray(OBJECT_ARRAY, [])
    for _ in range(depth - 1):
        inner = JavaArray(OBJECT_ARRAY, [inner])
    return inner


@pytest.mark.parametrize("path", DATA_FILES, ids=lambda path: "-".join(path.parts[-5:-1]))
def test_every_fixture_is_reproduced_byte_for_byte(path: Path) -> None:
    """`emit` undoes `parse`."""
    data = path.read_bytes()

    assert emit(parse(data).contents) == data


def test_a_node_that_occurs_twice_is_one_python_object() -> None:
    """References become identity, and identity becomes references."""
    text = JavaString(b"once")

    first, second, other = parse(emit([text, text, JavaString(b"once")])).contents

    assert first is second
    assert other is not first


def test_unknown_classes_of_every_sort_are_reproduced() -> None:
    """Nothing has to be understood to be kept: fields, annotations, enums, classes, long texts and blocks."""
    type_string = JavaString(b"Ljava/lang/Object;")
    base = described("x.Base", SERIALIZABLE | WRITE_METHOD, (Field("J", "id", None), Field("L", "o", type_string)))
    derived = described("x.Derived", SERIALIZABLE, (Field("Z", "flag", None), Field("[", "a", type_string)), base)
    external = described("y.External", EXTERNALIZABLE | BLOCK_DATA, (), described("y.Base", EXTERNALIZABLE | BLOCK_DATA))
    long_text = JavaString(b"u" * 70_000)
    own = JavaObject(external, [Block(b"\1" * 255), long_text, Block(b"\2" * 1024), Block(b""), END])
    numbers = JavaArray(described("[J", SERIALIZABLE), struct.pack(">2q", 1, -1))
    serial = JavaObject(derived, [b"\7" * 8, long_text, own, None, Block(b"abc"), END, b"\1", numbers])
    enum = JavaEnum(described("z.Enum", 0x12), JavaString(b"CONSTANT"))
    contents: list[Item] = [serial, own, enum, JavaClass(derived), JavaClass(None), nested_arrays(3)]

    data = emit(contents)
    graph = parse(data)

    assert emit(graph.contents) == data
    found = graph.contents[0]
    assert isinstance(found, JavaObject)
    assert found.desc.locate("o") == (1, 0, "L")
    assert found.data[2] is graph.contents[1]


def test_nesting_does_not_touch_the_recursion_limit() -> None:
    """Ten times deeper than Python may recurse is read and written."""
    data = emit([nested_arrays(10_000)])

    assert emit(parse(data).contents) == data


def test_nesting_is_bounded() -> None:
    """Deeper than any hierarchy is refused."""
    data = emit([nested_arrays(MAX_DEPTH + 2)])

    with pytest.raises(UnreadableDataError, match="nested more than"):
        parse(data)


@given(st.text())
def test_texts_survive_modified_utf8(text: str) -> None:
    """Decoding undoes encoding, and no NUL byte is written."""
    raw = encode_text(text)

    assert decode_text(raw) == text
    assert b"\0" not in raw


def test_half_a_character_is_replaced() -> None:
    """Java allows a lone surrogate; nothing after us does."""
    assert decode_text(b"A\xed\xa0\xbdB") == "A\ufffdB"


def with_array_size(size: int) -> bytes:
    """Give a stream of one array that says it has `size` bytes, and has eight."""
    data = emit([JavaArray(described("[B", SERIALIZABLE), b"12345678")])
    return data[:-12] + struct.pack(">i", size) + data[-8:]


BROKEN = {
    "nothing": (b"", "not a Java object stream"),
    "picture": (b"\x89PNG\r\n\x1a\n" + b"\0" * 100, "not a Java object stream"),
    "huge array": (with_array_size(2**31 - 1), "ends in the middle"),
    "negative array": (with_array_size(-1), "-1 elements"),
    "huge list": (emit([nested_arrays(1)])[:-4] + b"\x7f\xff\xff\xff", "ends in the middle"),
    "huge text": (HEADER + b"|" + b"\x7f" * 8 + b"abc", "ends in the middle"),
    "negative text": (HEADER + b"|" + b"\xff" * 8 + b"abc", "ends in the middle"),
    "negative block": (HEADER + b"z\xff\xff\xff\xffabc", "ends in the middle"),
    "no such handle": (HEADER + b"q\0\x7e\0\0", "does not exist"),
    "negative handle": (HEADER + b"q\x80\0\0\0", "does not exist"),
    "end mark outside": (HEADER + b"x", "0x78"),
    "reset": (HEADER + b"y", "0x79"),
    "exception": (HEADER + b"{", "0x7B"),
    "object without class": (HEADER + b"sp", "no class"),
    "proxy class": (HEADER + b"s}\0\0\0\0xp", "not known"),
    "class for object": (emit([JavaClass(OBJECT_ARRAY)]) + b"q\0\x7e\0\0", "class descriptor"),
    "text for class": (emit([JavaString(b"a")]) + b"sq\0\x7e\0\0", "not a class"),
    "own superclass": (HEADER + b"sr\0\1A" + b"\0" * 8 + b"\2\0\0xq\0\x7e\0\0", "not a class"),
    "class annotation": (HEADER + b"sr\0\1A" + b"\0" * 8 + b"\2\0\0pxp", "annotation"),
    "field of no type": (HEADER + b"sr\0\1A" + b"\0" * 8 + b"\2\0\1Q\0\1axp", "unknown type"),
    "fields out of order": (HEADER + b"sr\0\1A" + b"\0" * 8 + b"\2\0\2L\0\1at\0\1AI\0\1bxp", "order"),
    "not serializable": (HEADER + b"sr\0\1A" + b"\0" * 8 + b"\0\0\0xp", "not known"),
    "class name of no text": (HEADER + b"sr\0\1\xff" + b"\0" * 8 + b"\2\0\0xp", "UTF-8"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_broken_streams_are_refused_with_a_reason(case: str) -> None:
    """No length, handle or code is believed."""
    data, reason = BROKEN[case]

    with pytest.raises(UnreadableDataError, match=reason):
        parse(data)


def test_a_long_chain_of_superclasses_is_refused() -> None:
    """Layouts of long chains would grow with the square of the file."""
    one = b"r\0\1A" + b"\0" * 8 + b"\2\0\1I\0\1ax"

    with pytest.raises(UnreadableDataError, match="superclasses"):
        parse(HEADER + b"s" + one * 100 + b"p")


def test_every_truncation_of_a_stream_is_seen_or_ends_between_elements() -> None:
    """A stream that is cut short gives an error, or the elements before the cut."""
    data = SMALLEST.read_bytes()
    n_whole = len(parse(data).contents)
    readable = []

    for size in range(len(data)):
        try:
            readable.append(len(parse(data[:size]).contents))
        except UnreadableDataError:
            continue

    assert readable == list(range(n_whole))
