"""New nodes that fit into a graph: what the graph has already is used again.

Java writes the description of a class once, and texts and classes of objects once per Java object.
A `Builder` starts from the nodes of a file and makes only what is not there.
"""

import struct
from collections.abc import Iterable, Mapping

import numpy as np
from numpy.typing import ArrayLike

from nuclick_qp.annotations.colours import colour_of
from nuclick_qp.errors import WriteRefusedError
from nuclick_qp.qupath.javastream.nodes import (
    END,
    Block,
    ClassDesc,
    Field,
    Item,
    JavaArray,
    JavaEnum,
    JavaObject,
    JavaString,
    Node,
    encode_text,
)
from nuclick_qp.qupath.qpdata.java_classes import SPECS, ClassSpec
from nuclick_qp.qupath.qpdata.object_parts import full_class_name

PATH_CLASS = "qupath.lib.objects.classes.PathClass"


class Builder:
    """Makes nodes, each class and each text once.

    Parameters
    ----------
    nodes
        Those of the graph that the new ones will join.
    colours
        Packed ARGB colours by full name, for classes of objects that the graph does not have.
    """

    def __init__(self, nodes: Iterable[Node] = (), *, colours: Mapping[str, int] | None = None) -> None:
        self._colours = colours or {}
        self._descs: dict[str, ClassDesc] = {}  # of the graph
        self._ready: dict[str, ClassDesc] = {}  # of the graph and compared with ours, or new
        self._types: dict[str, JavaString] = {}
        self._texts: dict[str, JavaString] = {}
        self._boxes: dict[tuple[str, int], JavaObject] = {}
        self._path_classes: list[JavaObject] = []  # of the graph
        self._classes: dict[str, JavaObject] = {}  # those asked for so far
        for node in nodes:
            if isinstance(node, ClassDesc):
                self._adopt(node)
            elif isinstance(node, JavaObject) and node.desc.name == PATH_CLASS:
                self._path_classes.append(node)

    def text(self, value: str) -> JavaString:
        """Give a string."""
        if value not in self._texts:
            self._texts[value] = JavaString(encode_text(value))
        return self._texts[value]

    def integer(self, value: int) -> JavaObject:
        """Give a `java.lang.Integer`."""
        return self._boxed("java.lang.Integer", value, struct.pack(">i", value))

    def boolean(self, value: bool) -> JavaObject:
        """Give a `java.lang.Boolean`."""
        return self._boxed("java.lang.Boolean", value, bytes((value,)))

    def object(self, java_class: str, *data: Item) -> JavaObject:
        """Make an object of its data in the order of the stream."""
        return JavaObject(self.desc(java_class), list(data))

    def external(self, java_class: str, *data: Item) -> JavaObject:
        """Make an object that writes its own data."""
        return JavaObject(self.desc(java_class), [*data, END])

    def enum(self, java_class: str, constant: str) -> JavaEnum:
        """Make a constant of an enum."""
        return JavaEnum(self.desc(java_class), self.text(constant))

    def floats(self, values: ArrayLike) -> JavaArray:
        """Make a ``float[]``."""
        return JavaArray(self.desc("[F"), np.asarray(values, ">f4").tobytes())

    def byte_array(self, values: bytes) -> JavaArray:
        """Make a ``byte[]``."""
        return JavaArray(self.desc("[B"), values)

    def array(self, values: Iterable[Item]) -> JavaArray:
        """Make an ``Object[]``."""
        return JavaArray(self.desc("[Ljava.lang.Object;"), list(values))

    def array_list(self, values: Iterable[Item]) -> JavaObject:
        """Make a `java.util.ArrayList`."""
        items = list(values)
        size = struct.pack(">i", len(items))
        return self.external("java.util.ArrayList", size, Block(size), *items)

    def hash_map(self, pairs: Iterable[tuple[Item, Item]]) -> JavaObject:
        """Make a `java.util.HashMap`."""
        items = [item for pair in pairs for item in pair]
        buckets = 16
        while buckets * 0.75 < len(items) // 2:
            buckets *= 2
        head = struct.pack(">fi", 0.75, buckets * 3 // 4)
        return self.external("java.util.HashMap", head, Block(struct.pack(">ii", buckets, len(items) // 2)), *items)

    def path_class(self, full_name: str | None) -> JavaObject | None:
        """Give the class of an object; ``A: B`` is B derived from A. None for unclassified."""
        if not full_name:
            return None
        parent: JavaObject | None = None
        parts = full_name.split(": ")
        for i, part in enumerate(parts):
            name = ": ".join(parts[: i + 1])
            if name not in self._classes:
                self._classes[name] = self._known_class(name) or self._new_class(name, part, parent)
            parent = self._classes[name]
        return parent

    def desc(self, java_class: str) -> ClassDesc:
        """Give the descriptor of a class.

        Raises
        ------
        WriteRefusedError
            If the graph describes the class in another way than we write it.
        """
        if java_class not in self._ready:
            known = self._descs.get(java_class)
            if known is not None:
                check_desc(known)
            self._ready[java_class] = known or self._new_desc(java_class, SPECS[java_class])
        return self._ready[java_class]

    def _known_class(self, name: str) -> JavaObject | None:
        """Look for a class in the graph; full names are not kept, as many classes may share long parents."""
        return next((node for node in self._path_classes if full_class_name(node) == name), None)

    def _new_class(self, name: str, part: str, parent: JavaObject | None) -> JavaObject:
        colour = self.integer(self._colours.get(name, colour_of(name)))
        return self.object(PATH_CLASS, colour, self.text(part), parent)

    def _adopt(self, desc: ClassDesc) -> None:
        self._descs.setdefault(desc.name, desc)
        for field in desc.fields:
            if field.type_string is not None:
                self._types.setdefault(field.type_string.text, field.type_string)

    def _new_desc(self, java_class: str, spec: ClassSpec) -> ClassDesc:
        fields = tuple(Field(code, name, self._type(kind) if kind else None) for code, name, kind in spec.fields)
        desc = ClassDesc(java_class, _suid(spec), spec.flags, fields)
        desc.complete(self.desc(spec.parent) if spec.parent else None)
        return desc

    def _type(self, name: str) -> JavaString:
        if name not in self._types:
            self._types[name] = JavaString(encode_text(name))
        return self._types[name]

    def _boxed(self, java_class: str, value: int, raw: bytes) -> JavaObject:
        key = java_class, value
        if key not in self._boxes:
            self._boxes[key] = self.object(java_class, raw)
        return self._boxes[key]


def check_desc(desc: ClassDesc) -> None:
    """Refuse to write objects of a class that is described in another way than we write it, or that we never write.

    Raises
    ------
    WriteRefusedError
        If it is, or one of its superclasses.
    """
    spec = SPECS.get(desc.name)
    parent = desc.parent.name if desc.parent else None
    fields = tuple((code, name, type_string.text if type_string else "") for code, name, type_string in desc.fields)
    if spec is None or (desc.suid, desc.flags, fields, parent) != (_suid(spec), spec.flags, spec.fields, spec.parent):
        raise WriteRefusedError(f"its class {desc.name} is of another version than those that are known; use --engine qupath")
    if desc.parent is not None:
        check_desc(desc.parent)


def _suid(spec: ClassSpec) -> bytes:
    return struct.pack(">q", spec.suid)
