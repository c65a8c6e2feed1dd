"""Java object streams: bytes to a graph of nodes, without Java.

This is the border to files that anybody may have written: it builds the plain nodes of
`nodes`, checks every length against the bytes that are left, and keeps its own stack, so deep
nesting costs memory and never the interpreter's recursion limit.

References
----------
Java Object Serialization Specification, version 6.0, chapter 6 (protocol version 2).
"""

import struct
from array import array
from collections.abc import Callable, Iterator
from typing import Final

from nuclick_qp.errors import UnreadableDataError
from nuclick_qp.qupath.javastream.nodes import (
    END,
    PRIMITIVE_SIZES,
    UNTIL_END,
    Block,
    ClassDesc,
    Field,
    Graph,
    Item,
    JavaArray,
    JavaClass,
    JavaEnum,
    JavaObject,
    JavaString,
    Node,
    Places,
    Value,
    collector_paused,
    decode_text,
    encode_text,
)

HEADER: Final = b"\xac\xed\x00\x05"
FIRST_HANDLE: Final = 0x7E0000
REFERENCE: Final = 0x71
REFERENCE_SIZE: Final = 5  # bytes
MAX_DEPTH = 20_000  # contents within contents; one level of a QuPath hierarchy takes one

_NULL, _CLASS_DESC, _OBJECT, _STRING, _ARRAY, _CLASS = 0x70, 0x72, 0x73, 0x74, 0x75, 0x76
_BLOCK, _END, _LONG_BLOCK, _LONG_STRING, _ENUM = 0x77, 0x78, 0x7A, 0x7C, 0x7E

_U16 = struct.Struct(">H")
_I32 = struct.Struct(">i")
_I64 = struct.Struct(">q")
_Frame = tuple[list[Item], int, Iterator[int], int]  # where items go, how many, what follows, handle of the object
_ALL_IN_ANNOTATION = (UNTIL_END,)
_NOBODY = -1  # handle of the stream itself


def parse(data: bytes) -> Graph:
    """Read a whole stream.

    Raises
    ------
    UnreadableDataError
        If it is no Java object stream, is cut short, or uses what a QuPath file never does. The
        message does not name the file; the caller knows it.
    """
    if data[:4] != HEADER:
        raise UnreadableDataError("it is not a Java object stream")
    try:
        with collector_paused():
            return _Parser(data).run()
    except (IndexError, struct.error) as err:
        raise UnreadableDataError("it ends in the middle of an object") from err


class _Parser:
    """The position in the bytes, and the nodes that got a handle."""

    __slots__ = ("begins", "buf", "ends", "is_canonical", "nodes", "pos", "references")

    def __init__(self, data: bytes) -> None:
        self.buf = data
        self.pos = len(HEADER)
        self.nodes: list[Node] = []
        self.begins, self.ends, self.references = array("Q"), array("Q"), array("Q")
        self.is_canonical = True

    def run(self) -> Graph:
        """Read contents; `left` counts those to come in this run, negative: up to the end mark."""
        contents: list[Item] = []
        out, left, owner = contents, -1, _NOBODY
        steps: Iterator[int] = iter(())
        stack: list[_Frame] = []
        buf, size, ends = self.buf, len(self.buf), self.ends
        while stack or self.pos < size:
            if left == 0:
                left = self._advance(out, steps)
                if left == 0:
                    ends[owner] = self.pos
                    out, left, steps, owner = stack.pop()
                continue
            left -= 1
            code = buf[self.pos]
            if code == REFERENCE:
                out.append(self._reference())
            elif code == _NULL:
                self.pos += 1
                out.append(None)
            elif code in (_OBJECT, _ARRAY):
                inner = self._object(out) if code == _OBJECT else self._array(out)
                if inner is not None:
                    stack.append((out, left, steps, owner))
                    out, left, steps, owner = inner
                    if len(stack) > MAX_DEPTH:
                        raise UnreadableDataError(f"objects are nested more than {MAX_DEPTH} deep")
            elif code == _END and left < 0 and stack:
                self.pos += 1
                out.append(END)
                left = 0
            else:
                out.append(self._leaf(code))
        return Graph(contents, self.nodes, Places(self.begins, self.ends, self.references), self.is_canonical)

    def _advance(self, out: list[Item], steps: Iterator[int]) -> int:
        """Take the next step of an object's layout; 0 when there is none."""
        for step in steps:
            if step >= 0:
                return -1 if step == UNTIL_END else step
            out.append(self._take(-step))
        return 0

    def _object(self, out: list[Item]) -> _Frame:
        self.pos += 1
        desc = self._known_desc()
        if not desc.is_readable:
            raise UnreadableDataError(f"an object of class {desc.name!r} has data in a form that is not known")
        node = JavaObject(desc)
        out.append(node)
        handle = self._register(node)
        if desc.layout[:1] == _ALL_IN_ANNOTATION:
            return node.data, -1, iter(desc.layout[1:]), handle
        return node.data, 0, iter(desc.layout), handle

    def _array(self, out: list[Item]) -> _Frame | None:
        self.pos += 1
        desc = self._known_desc()
        if desc.element_size is None:
            raise UnreadableDataError(f"an array is of class {desc.name!r}")
        node = JavaArray(desc, b"")
        handle = self._register(node)
        out.append(node)
        count = self._int()
        if count < 0:
            raise UnreadableDataError(f"an array has {count} elements")
        if desc.element_size:
            node.values = self._take(count * desc.element_size)
            self.ends[handle] = self.pos
            return None
        node.values = []
        return node.values, count, iter(()), handle

    def _leaf(self, code: int) -> Item:
        read = _LEAVES.get(code)
        if read is None:
            raise UnreadableDataError(f"the code 0x{code:02X} at byte {self.pos} is out of place or not known")
        return read(self)

    def _reference(self) -> Value:
        node = self._node()
        if isinstance(node, ClassDesc):
            raise UnreadableDataError("a class descriptor stands where an object belongs")
        return node

    def _node(self) -> Node:
        handle: int = _I32.unpack_from(self.buf, self.pos + 1)[0] - FIRST_HANDLE
        if not 0 <= handle < len(self.nodes):
            raise UnreadableDataError(f"byte {self.pos} refers to an object that does not exist")
        self.references.append(self.pos)
        self.pos += REFERENCE_SIZE
        return self.nodes[handle]

    def _register(self, node: Node) -> int:
        """Give a node its handle; what follows are its data."""
        self.nodes.append(node)
        self.begins.append(self.pos)
        self.ends.append(0)
        return len(self.nodes) - 1

    def _register_leaf(self, node: Node) -> None:
        """Give a handle to a node that has been read to its end."""
        self.nodes.append(node)
        self.begins.append(self.pos)
        self.ends.append(self.pos)

    def _block(self) -> Block:
        is_long = self.buf[self.pos] == _LONG_BLOCK
        self.pos += 1
        size = self._int() if is_long else self._byte()
        self.is_canonical &= not is_long or size > 0xFF
        return Block(self._take(size))

    def _string(self) -> JavaString:
        code = self._byte()
        if code == _LONG_STRING:
            (size,) = _I64.unpack(self._take(8))
            self.is_canonical &= size > 0xFFFF
        elif code == _STRING:
            (size,) = _U16.unpack(self._take(2))
        else:
            raise UnreadableDataError(f"the code 0x{code:02X} at byte {self.pos - 1} stands where a text belongs")
        node = JavaString(self._take(size))
        self._register_leaf(node)
        return node

    def _string_or_reference(self) -> JavaString:
        if self.buf[self.pos] != REFERENCE:
            return self._string()
        node = self._node()
        if not isinstance(node, JavaString):
            raise UnreadableDataError(f"byte {self.pos - 5} refers to something that is not a text")
        return node

    def _enum(self) -> JavaEnum:
        self.pos += 1
        node = JavaEnum(self._known_desc(), JavaString(b""))
        handle = self._register(node)  # before its name
        node.constant = self._string_or_reference()
        self.ends[handle] = self.pos
        return node

    def _class(self) -> JavaClass:
        self.pos += 1
        node = JavaClass(self._class_desc())
        self._register_leaf(node)
        return node

    def _known_desc(self) -> ClassDesc:
        if self.buf[self.pos] == REFERENCE:  # as nearly always
            return self._referred_desc()
        desc = self._class_desc()
        if desc is None:
            raise UnreadableDataError(f"an object before byte {self.pos} has no class")
        return desc

    def _referred_desc(self) -> ClassDesc:
        node = self._node()
        if not isinstance(node, ClassDesc) or not node.is_complete:
            raise UnreadableDataError(f"byte {self.pos - REFERENCE_SIZE} refers to something that is not a class")
        return node

    def _class_desc(self) -> ClassDesc | None:
        """Read a descriptor with its superclasses; each new one is completed base class first."""
        fresh: list[ClassDesc] = []
        while self.buf[self.pos] == _CLASS_DESC:
            fresh.append(self._new_desc())
        known: ClassDesc | None = None
        if self.buf[self.pos] == REFERENCE:
            known = self._referred_desc()
        elif self._byte() != _NULL:
            raise UnreadableDataError(f"the class before byte {self.pos} is of a kind that is not known")
        for desc in reversed(fresh):
            desc.complete(known)
            known = desc
        return known

    def _new_desc(self) -> ClassDesc:
        self.pos += 1
        desc = ClassDesc(self._name(), self._take(8))
        self._register(desc)  # before its fields
        desc.flags = self._byte()
        (n_fields,) = _U16.unpack(self._take(2))
        desc.fields = tuple(self._field() for _ in range(n_fields))
        if self._byte() != _END:
            raise UnreadableDataError(f"class {desc.name!r} carries an annotation, which is not known")
        return desc

    def _field(self) -> Field:
        code = chr(self._byte())
        name = self._name()
        if code in PRIMITIVE_SIZES:
            return Field(code, name, None)
        if code not in "[L":
            raise UnreadableDataError(f"the field {name!r} is of an unknown type {code!r}")
        return Field(code, name, self._string_or_reference())

    def _name(self) -> str:
        (size,) = _U16.unpack(self._take(2))
        raw = self._take(size)
        name = decode_text(raw)
        self.is_canonical &= encode_text(name) == raw
        return name

    def _byte(self) -> int:
        value = self.buf[self.pos]
        self.pos += 1
        return value

    def _int(self) -> int:
        value: int = _I32.unpack_from(self.buf, self.pos)[0]
        self.pos += 4
        return value

    def _take(self, size: int) -> bytes:
        """Cut out bytes; a length beyond the end, or a negative one, is an error."""
        end = self.pos + size
        if not self.pos <= end <= len(self.buf):
            raise UnreadableDataError(f"it ends in the middle of an object: {size} bytes at byte {self.pos}")
        taken = self.buf[self.pos : end]
        self.pos = end
        return taken


# Not bound to a parser: it would refer to itself, and keep all nodes while the cycle collector is paused.
_LEAVES: Final[dict[int, Callable[[_Parser], Value | Block]]] = {
    _STRING: _Parser._string,
    _LONG_STRING: _Parser._string,
    _BLOCK: _Parser._block,
    _LONG_BLOCK: _Parser._block,
    _ENUM: _Parser._enum,
    _CLASS: _Parser._class,
}
