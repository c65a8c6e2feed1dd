"""A graph of nodes to the bytes of a Java object stream.

Handles are given in the order of first occurrence, as Java's own writer does, so for a stream that
Java wrote ``emit(parse(data).contents) == data``; that is checked before any file is written.
"""

import struct
from collections.abc import Iterable, Mapping

from nuclick_qp.qupath.javastream.nodes import (
    END,
    PRIMITIVE_SIZES,
    Block,
    ClassDesc,
    Item,
    JavaArray,
    JavaClass,
    JavaEnum,
    JavaObject,
    JavaString,
    Node,
    encode_text,
)
from nuclick_qp.qupath.javastream.parse import FIRST_HANDLE, HEADER

_U16 = struct.Struct(">H")
_I32 = struct.Struct(">i")
_I64 = struct.Struct(">q")


def emit(contents: Iterable[Item], *, changed: Mapping[int, list[Item]] | None = None) -> bytes:
    """Write contents as a stream; nodes that occur again become references.

    Parameters
    ----------
    changed
        Data to write for an object instead of its own, by the ``id`` of its node.
    """
    return HEADER + _Emitter(changed or {}, {}, 0).run(contents)


def emit_more(items: Iterable[Item], references: dict[int, bytes], *, next_handle: int) -> tuple[bytes, int]:
    """Write items that stand in the middle of a stream.

    Parameters
    ----------
    references
        For each node that stands before, by its ``id``, the reference to it. Grows.
    next_handle
        Number of the next node.

    Returns
    -------
    data, n_nodes
        What was written, and how many nodes have got a handle by it.
    """
    emitter = _Emitter({}, references, next_handle)
    return emitter.run(items), emitter.next_handle - next_handle


def reference(handle: int) -> bytes:
    """Give the reference to the node of a number."""
    return b"q" + _I32.pack(FIRST_HANDLE + handle)


class _Emitter:
    """The bytes written so far, and for each node that has a handle the reference to it."""

    __slots__ = ("changed", "next_handle", "out", "references")

    def __init__(self, changed: Mapping[int, list[Item]], references: dict[int, bytes], next_handle: int) -> None:
        self.changed = changed
        self.out = bytearray()  # a list of pieces would take ten times the memory, most of them have a few bytes
        self.references = references
        self.next_handle = next_handle

    def run(self, contents: Iterable[Item]) -> bytes:
        """Write contents; the stack holds the lists that are not finished."""
        out, references, changed = self.out, self.references, self.changed
        stack = [iter(contents)]
        while stack:
            for item in stack[-1]:
                if item is None:
                    out += b"p"
                elif type(item) is bytes:
                    out += item
                elif item is END:
                    out += b"x"
                elif type(item) is Block:
                    self._write_block(item)
                elif id(item) in references:
                    out += references[id(item)]
                elif type(item) is JavaObject:
                    self._write_desc(b"s", item.desc)
                    self._register(item)
                    stack.append(iter(changed.get(id(item), item.data)))
                    break
                elif type(item) is JavaArray:
                    values = self._write_array(item)
                    if values:
                        stack.append(iter(values))
                        break
                else:
                    self._write_leaf(item)
            else:
                stack.pop()
        return bytes(out)

    def _register(self, node: Node) -> None:
        self.references[id(node)] = b"q" + _I32.pack(FIRST_HANDLE + self.next_handle)
        self.next_handle += 1

    def _write_block(self, block: Block) -> None:
        size = len(block)
        self.out += b"w" + bytes((size,)) if size < 256 else b"z" + _I32.pack(size)
        self.out += block

    def _write_array(self, array: JavaArray) -> list[Item] | None:
        """Write an array up to its elements; give the elements that are still to be written."""
        self._write_desc(b"u", array.desc)
        self._register(array)
        values = array.values
        if isinstance(values, list):
            self.out += _I32.pack(len(values))
            return values
        width = PRIMITIVE_SIZES[array.desc.name[1]]
        self.out += _I32.pack(len(values) // width)
        self.out += values
        return None

    def _write_leaf(self, item: Item) -> None:
        match item:
            case JavaString():
                self._write_string(item)
            case JavaEnum():
                self._write_desc(b"~", item.desc)
                self._register(item)
                self._write_string(item.constant)
            case JavaClass():
                self._write_desc(b"v", item.desc)
                self._register(item)
            case _:
                raise TypeError(f"{type(item).__name__} cannot be written to a Java stream")

    def _write_string(self, node: JavaString) -> None:
        known = self.references.get(id(node))
        if known is not None:
            self.out += known
            return
        self._register(node)
        size = len(node.raw)
        self.out += b"t" + _U16.pack(size) if size < 0x10000 else b"|" + _I64.pack(size)
        self.out += node.raw

    def _write_desc(self, code: bytes, desc: ClassDesc | None) -> None:
        """Write the code of an object and its class with the superclasses not written before."""
        self.out += code
        while desc is not None:
            known = self.references.get(id(desc))
            if known is not None:
                self.out += known
                return
            self._register(desc)
            self._write_new_desc(desc)
            desc = desc.parent
        self.out += b"p"

    def _write_new_desc(self, desc: ClassDesc) -> None:
        name = encode_text(desc.name)
        self.out += b"r" + _U16.pack(len(name)) + name + desc.suid + bytes((desc.flags,)) + _U16.pack(len(desc.fields))
        for code, field_name, type_string in desc.fields:
            name = encode_text(field_name)
            self.out += code.encode() + _U16.pack(len(name)) + name
            if type_string is not None:
                self._write_string(type_string)
        self.out += b"x"
