"""The parts of an object: measurements, metadata, class, and how they lie in its external data."""

import struct
from dataclasses import dataclass

import numpy as np

from nuclick_qp.errors import UnreadableDataError
from nuclick_qp.qupath.javastream.nodes import END, Block, Item, JavaObject
from nuclick_qp.qupath.javastream.values import (
    an_object,
    boxed,
    class_name,
    elements,
    field,
    list_items,
    number,
    optional_text,
    primitives,
    text,
)

MAX_CLASS_PARTS = 64
MAX_CLASS_NAME = 10_000  # characters of a full name; those of users have some dozens
KnownNames = dict[int | tuple[int, ...], tuple[str, ...]]
_NUMERIC = "qupath.lib.measurements.NumericMeasurementList$"


@dataclass(frozen=True, slots=True)
class Measured:
    """The measurements of an object as the file has them: most are never asked for.

    Attributes
    ----------
    names
        In the order of the file; one tuple for all objects with the same list of names.
    raw, number_type
        The values, of NumPy's type ``>f4`` or ``>f8``; there may be more of them than names, as
        QuPath leaves room behind the last.
    """

    names: tuple[str, ...] = ()
    raw: bytes = b""
    number_type: str = ">f8"

    @property
    def pairs(self) -> tuple[tuple[str, float], ...]:
        """Names and values."""
        return tuple(zip(self.names, np.frombuffer(self.raw, self.number_type).tolist(), strict=False))


NOT_MEASURED = Measured()


class Reader:
    """The external data of one object, which are objects and bytes in turn."""

    __slots__ = ("block", "data", "index")

    def __init__(self, node: JavaObject) -> None:
        self.data = node.data
        self.index = 0
        self.block = b""

    def item(self) -> Item:
        """Take the next object or null."""
        item = self.data[self.index] if self.index < len(self.data) else END
        if item is END or self.block or isinstance(item, bytes):
            raise UnreadableDataError("the data of an object are in a form that is not known")
        self.index += 1
        return item

    def items(self, count: int) -> list[Item]:
        """Take several objects."""
        if not 0 <= count < len(self.data):
            raise UnreadableDataError(f"an object has {count} children")
        return [self.item() for _ in range(count)]

    def primitives(self, size: int) -> bytes:
        """Take bytes, from one block or several."""
        while len(self.block) < size and self.index < len(self.data) and type(self.data[self.index]) is Block:
            self.block += block_bytes(self.data[self.index])
            self.index += 1
        taken, self.block = self.block[:size], self.block[size:]
        if len(taken) < size:
            raise UnreadableDataError("the data of an object are in a form that is not known")
        return taken


def full_class_name(node: JavaObject) -> str | None:
    """Give ``Tumor: Positive`` for a `PathClass`; None for the class without a name.

    Raises
    ------
    UnreadableDataError
        If the node is no class, its own ancestor, or its name is longer than `MAX_CLASS_NAME`.
    """
    parts: list[str] = []
    length = 0
    item: Item = node
    while item is not None:
        if class_name(item) != "qupath.lib.objects.classes.PathClass" or len(parts) > MAX_CLASS_PARTS:
            raise UnreadableDataError("the class of an object is in a form that is not known")
        part = an_object(item, "a class")
        name = optional_text(field(part, "name"))
        parts += [] if name is None else [name]
        length += len(name or "")
        if length > MAX_CLASS_NAME:  # before it is put together
            raise UnreadableDataError(f"the name of a class has more than {MAX_CLASS_NAME} characters")
        item = field(part, "parentClass")
    return ": ".join(reversed(parts)) or None


def read_measured(item: Item, known: KnownNames) -> Measured:
    """Read a list of measurements; null gives `NOT_MEASURED`.

    Parameters
    ----------
    known
        Lists of names met so far in the same graph, by the id of the list and by those of its texts.
        Grows.
    """
    if item is None:
        return NOT_MEASURED
    node = an_object(item, "a list of measurements")
    if node.desc.name == "qupath.lib.measurements.DefaultMeasurementList":
        measured = [an_object(entry, "a measurement") for entry in list_items(field(node, "list"))]
        names = tuple(text(field(entry, "name")) for entry in measured)
        return Measured(names, struct.pack(f">{len(measured)}d", *(number(entry, "value") for entry in measured)), ">f8")
    if not node.desc.name.startswith(_NUMERIC):
        raise UnreadableDataError(f"a list of measurements is of class {node.desc.name!r}, which is not known")
    shared = field(node, "names")
    if id(shared) not in known:
        items = list_items(shared)  # lists of their own in results of ours, of the same texts
        key = tuple(map(id, items))
        if key not in known:
            known[key] = tuple(text(name) for name in items)
        known[id(shared)] = known[key]
    names = known[id(shared)]
    code = node.desc.name.removeprefix(_NUMERIC)[:1]  # FloatList, DoubleList
    raw = primitives(field(node, "values"), f"[{code}")
    n_values = len(raw) // (4 if code == "F" else 8)
    if n_values < len(names):
        raise UnreadableDataError(f"{len(names)} measurements have {n_values} values")
    return Measured(names, raw, ">f4" if code == "F" else ">f8")


def read_metadata(node: JavaObject, checked: set[int]) -> list[tuple[str, str]]:
    """Read the keys and values of a `MetadataMap`.

    Parameters
    ----------
    checked
        Ids of the version numbers found right so far in the same graph. Grows.
    """
    reader = Reader(node)
    version = reader.item()
    if id(version) not in checked:
        if boxed(version, "java.lang.Integer") != 1:
            raise UnreadableDataError("the metadata of an object are of a version that is not known")
        checked.add(id(version))
    keys, values = elements(reader.item()), elements(reader.item())
    if len(keys) != len(values):
        raise UnreadableDataError("the metadata of an object have keys without values")
    return [(text(key), optional_text(value) or "") for key, value in zip(keys, values, strict=True)]


def block_bytes(item: Item) -> bytes:
    """Give the bytes of a block; none for anything else."""
    return item if isinstance(item, bytes) else b""
