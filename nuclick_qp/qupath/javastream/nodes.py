"""The nodes of a Java object stream, as plain data.

A stream is a graph: an object that occurs twice is written once and referred to afterwards. Here
both occurrences are the same Python object, so the identity of nodes is the identity Java knows.
Nothing is interpreted: primitives stay as the bytes that were read and no class is ever created.
"""

import gc
from array import array
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final, NamedTuple, TypeAlias

from nuclick_qp.errors import UnreadableDataError

# Flags of a class descriptor; Java Object Serialization Specification, chapter 6.
WRITE_METHOD: Final = 0x01
SERIALIZABLE: Final = 0x02
EXTERNALIZABLE: Final = 0x04
BLOCK_DATA: Final = 0x08

PRIMITIVE_SIZES: Final = {"B": 1, "C": 2, "D": 8, "F": 4, "I": 4, "J": 8, "S": 2, "Z": 1}  # bytes
MAX_CLASS_CHAIN = 64  # superclasses; QuPath has 4
UNTIL_END: Final = 0  # step of a layout: contents up to the end of the annotation


class Block(bytes):
    """One chunk of block data, as long as the writer made it."""

    __slots__ = ()


class EndBlock:
    """End of the annotation of one class; only `END` exists."""

    __slots__ = ()


END: Final = EndBlock()


class JavaString:
    """A string in modified UTF-8.

    Attributes
    ----------
    raw
        The bytes of the stream, without the length.
    """

    __slots__ = ("_text", "raw")

    def __init__(self, raw: bytes) -> None:
        self.raw = raw
        self._text: str | None = None

    @property
    def text(self) -> str:
        """The string; halves of astral characters that stand alone become U+FFFD.

        Decoded once: a file may refer to one long text many thousand times.
        """
        if self._text is None:
            self._text = decode_text(self.raw)
        return self._text


class Field(NamedTuple):
    """A field of a class: type code, name, and for objects and arrays the name of the type."""

    code: str
    name: str
    type_string: JavaString | None


_Placed: TypeAlias = tuple[dict[str, tuple[int, int, str]], int | None]  # fields, place behind them; None behind an annotation


class ClassDesc:
    """What the stream says about a class.

    Attributes
    ----------
    name
        Java's binary name, ``[F`` for an array of floats.
    suid
        The 8 bytes of the serial version UID.
    flags
        See the constants of this module.
    fields
        Primitives first, then objects.
    parent
        Descriptor of the superclass, None when it is not serializable.
    layout
        How the data of an object lie in the stream, base class first: ``-n`` for n bytes of
        primitives, ``n`` for n objects, `UNTIL_END` for an annotation. Empty until `complete`.
    is_readable
        Whether objects of this class have data in a form that is known; false until `complete`.
    element_size
        Bytes of an element of an array of primitives, 0 for an array of objects, None for no array.
    """

    __slots__ = ("_placed", "depth", "element_size", "fields", "flags", "is_complete", "is_readable", "layout", "name", "parent", "suid")

    def __init__(self, name: str, suid: bytes, flags: int = 0, fields: tuple[Field, ...] = ()) -> None:
        self.name = name
        self.suid = suid
        self.flags = flags
        self.fields = fields
        self.parent: ClassDesc | None = None
        self.layout: tuple[int, ...] = ()
        self.depth = 0
        self.is_complete = False
        self.is_readable = False
        self.element_size = PRIMITIVE_SIZES.get(name[1], 0) if name[:1] == "[" and len(name) > 1 else None
        self._placed: _Placed | None = None

    def complete(self, parent: "ClassDesc | None") -> None:
        """Set the superclass and work out the layout.

        Raises
        ------
        UnreadableDataError
            If the chain of superclasses is too long or the fields are out of order.
        """
        self.parent = parent
        self.depth = parent.depth + 1 if parent else 0
        if self.depth > MAX_CLASS_CHAIN:
            raise UnreadableDataError(f"class {self.name!r} has more than {MAX_CLASS_CHAIN} superclasses")
        kind = self.flags & (SERIALIZABLE | EXTERNALIZABLE)
        # An external class without block data has no end mark: the form of the first protocol.
        self.is_readable = kind == SERIALIZABLE or (kind == EXTERNALIZABLE and bool(self.flags & BLOCK_DATA))
        if self.flags & EXTERNALIZABLE:
            self.layout = (UNTIL_END,)
        else:
            self.layout = (parent.layout if parent else ()) + self._own_layout()
        self.is_complete = True

    def locate(self, field: str) -> tuple[int, int, str]:
        """Tell where a field lies: index into the data, offset into its bytes, type code.

        Only for classes whose superclasses and own data come before any annotation.

        Raises
        ------
        UnreadableDataError
            If the class has no such field.
        """
        if self._placed is None:
            self._place()
        desc: ClassDesc | None = self
        while desc is not None:
            if desc._placed is not None and field in desc._placed[0]:
                return desc._placed[0][field]
            desc = desc.parent
        raise UnreadableDataError(f"class {self.name!r} has no field {field!r}")

    def chain(self) -> "list[ClassDesc]":
        """List the descriptors from the base class down to this one."""
        chain: list[ClassDesc] = []
        desc: ClassDesc | None = self
        while desc is not None:
            chain.append(desc)
            desc = desc.parent
        return chain[::-1]

    def _own_layout(self) -> tuple[int, ...]:
        """Lay out the fields of this class alone."""
        codes = [field.code for field in self.fields]
        sizes = [PRIMITIVE_SIZES[code] for code in codes if code in PRIMITIVE_SIZES]
        if any(code not in PRIMITIVE_SIZES for code in codes[: len(sizes)]):
            raise UnreadableDataError(f"class {self.name!r} lists its fields in an order that Java does not write")
        n_objects = len(codes) - len(sizes)
        layout = ((-sum(sizes),) if sizes else ()) + ((n_objects,) if n_objects else ())
        return (*layout, UNTIL_END) if self.flags & WRITE_METHOD else layout

    def _place(self) -> None:
        """Index the fields of each class of the chain by itself: many classes may share a parent with many fields."""
        place: int | None = 0
        for desc in self.chain():
            if desc._placed is None:
                desc._placed = ({}, None) if place is None else desc._own_index(place)
            place = desc._placed[1]

    def _own_index(self, place: int) -> _Placed:
        """Place the fields of this class alone."""
        index: dict[str, tuple[int, int, str]] = {}
        offset = 0
        for code, name, _ in self.fields:
            if code in PRIMITIVE_SIZES:
                index[name] = place, offset, code
                offset += PRIMITIVE_SIZES[code]
                continue
            place += offset > 0
            offset = 0
            index[name] = place, 0, code
            place += 1
        return index, None if self.flags & WRITE_METHOD else place + (offset > 0)


class JavaObject:
    """An object: its class, and its data in the order of the stream.

    Attributes
    ----------
    data
        ``bytes`` for the primitive fields of a class, a node or None for an object, `Block` for
        block data, `END` after an annotation.
    """

    __slots__ = ("data", "desc")

    def __init__(self, desc: ClassDesc, data: "list[Item] | None" = None) -> None:
        self.desc = desc
        self.data: list[Item] = [] if data is None else data


class JavaArray:
    """An array: big-endian bytes when the elements are primitive, else a list of nodes."""

    __slots__ = ("desc", "values")

    def __init__(self, desc: ClassDesc, values: "bytes | list[Item]") -> None:
        self.desc = desc
        self.values = values


class JavaEnum:
    """A constant of an enum."""

    __slots__ = ("constant", "desc")

    def __init__(self, desc: ClassDesc, constant: JavaString) -> None:
        self.desc = desc
        self.constant = constant


class JavaClass:
    """A class used as a value."""

    __slots__ = ("desc",)

    def __init__(self, desc: ClassDesc | None) -> None:
        self.desc = desc


Value: TypeAlias = JavaString | JavaObject | JavaArray | JavaEnum | JavaClass
Item: TypeAlias = Value | bytes | EndBlock | None
Node: TypeAlias = Value | ClassDesc


class Places(NamedTuple):
    """Where things lie in the bytes of a stream.

    Attributes
    ----------
    begins
        For each handle: where the data of the object begin, behind its class; ascending.
    ends
        For each handle: the byte behind the object; 0 for class descriptors.
    references
        Of each reference to a handle, ascending.
    """

    begins: "array[int]"
    ends: "array[int]"
    references: "array[int]"


class Graph(NamedTuple):
    """A stream.

    Attributes
    ----------
    contents
        In order.
    nodes
        All that have a handle, in handle order.
    places
        Where they lie.
    is_canonical
        Whether writing the contents gives the same bytes: every length is in its shortest form, and every name
        of a class or field encoded as Java does.
    """

    contents: list[Item]
    nodes: list[Node]
    places: Places
    is_canonical: bool


@contextmanager
def collector_paused() -> Iterator[None]:
    """Keep Python's cycle collector from walking a growing graph again and again; saves a third."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def decode_text(raw: bytes) -> str:
    r"""Decode modified UTF-8.

    Raises
    ------
    UnreadableDataError
        If the bytes are no text.

    Examples
    --------
    >>> decode_text(b"A\xc0\x80\xed\xa0\xbd\xed\xb8\x80") == "A\0\U0001f600"
    True
    """
    try:
        return raw.decode()
    except UnicodeDecodeError:
        pass
    try:
        halves = raw.replace(b"\xc0\x80", b"\0").decode("utf-8", "surrogatepass")
    except UnicodeDecodeError as err:
        raise UnreadableDataError("a text is not valid UTF-8") from err
    return halves.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def encode_text(text: str) -> bytes:
    r"""Encode modified UTF-8: NUL as two bytes, astral characters as two halves.

    Examples
    --------
    >>> encode_text("A\0\U0001f600")
    b'A\xc0\x80\xed\xa0\xbd\xed\xb8\x80'
    """
    if text.isascii() and "\0" not in text:
        return text.encode()
    halves = (text[i] if text[i] <= "\uffff" else _halves(text[i]) for i in range(len(text)))
    return "".join(halves).encode("utf-8", "surrogatepass").replace(b"\0", b"\xc0\x80")


def _halves(character: str) -> str:
    """Split an astral character into its two surrogates."""
    code = ord(character) - 0x10000
    return chr(0xD800 + (code >> 10)) + chr(0xDC00 + (code & 0x3FF))
