"""The objects of a hierarchy, decoded from the nodes of the stream."""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np

from nuclick_qp.errors import UnreadableDataError
from nuclick_qp.projects.qupath_files.java_nodes import END, Block, Item, JavaObject, collector_paused
from nuclick_qp.projects.qupath_files.java_values import (
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
from nuclick_qp.projects.qupath_files.rois import Roi, decode_roi

PathObjectKind = Literal["annotation", "detection", "cell", "tile", "tma-core", "root"]
OBJECT_ID = "Object ID"  # metadata key under which QuPath 0.4 and later keep the UUID
HIERARCHY_CLASS = "qupath.lib.objects.hierarchy.PathObjectHierarchy"
MAX_CLASS_PARTS = 64

_KINDS: dict[str, PathObjectKind] = {
    "qupath.lib.objects.PathAnnotationObject": "annotation",
    "qupath.lib.objects.PathDetectionObject": "detection",
    "qupath.lib.objects.PathCellObject": "cell",
    "qupath.lib.objects.PathTileObject": "tile",
    "qupath.lib.objects.TMACoreObject": "tma-core",
    "qupath.lib.objects.PathRootObject": "root",
}
_NUMERIC = "qupath.lib.measurements.NumericMeasurementList$"
_Measurements = tuple[tuple[str, float], ...]


@dataclass(frozen=True, slots=True, eq=False)
class PathObject:
    """One object of the hierarchy.

    Attributes
    ----------
    kind
        Its type; ``root`` holds all others.
    object_id
        UUID as text; None in files of QuPath 0.3 and before.
    class_name
        Full name, ``Tumor: Positive``; None when unclassified.
    measurements
        Names and values in the order of the file.
    metadata
        Keys and values without the object id.
    roi, nucleus
        None for the root; the nucleus is that of a cell.
    children
        In the order of the file.
    missing
        A TMA core that is marked as missing.
    node
        Where it lies in the stream.
    """

    kind: PathObjectKind
    object_id: str | None
    name: str | None
    class_name: str | None
    locked: bool
    measurements: _Measurements
    metadata: tuple[tuple[str, str], ...]
    roi: Roi | None
    nucleus: Roi | None
    children: "tuple[PathObject, ...]"
    missing: bool
    node: JavaObject

    def walk(self) -> "Iterator[tuple[PathObject, PathObject]]":
        """Give each descendant with its parent, in the order of the file."""
        stack = [(child, self) for child in reversed(self.children)]
        while stack:
            item, parent = stack.pop()
            yield item, parent
            stack.extend((child, item) for child in reversed(item.children))


@dataclass(slots=True, eq=False)
class _Draft:
    """What was read of one object before its children are built."""

    node: JavaObject
    parent: int
    children: list[PathObject]
    name: str | None
    metadata: tuple[tuple[str, str], ...]
    measurements: _Measurements
    locked: bool = False
    class_name: str | None = None
    roi: Roi | None = None
    nucleus: Roi | None = None
    missing: bool = False

    @property
    def size(self) -> int:
        """Points, measurements and metadata."""
        points = sum(len(roi.points) for roi in (self.roi, self.nucleus) if roi is not None)
        return points + len(self.measurements) + len(self.metadata)


def decode_hierarchy(root: JavaObject, *, limit: int) -> PathObject:
    """Decode the root with all that is below it.

    Parameters
    ----------
    limit
        Most points, measurements and metadata of all objects together. The size of the file in
        bytes is generous, and keeps objects that all refer to one huge array from filling memory.

    Raises
    ------
    UnreadableDataError
        If an object is of an unknown class, broken, or its own ancestor, or the limit is passed.
    """
    if _KINDS.get(root.desc.name) != "root":
        raise UnreadableDataError(f"the root of the hierarchy is of class {root.desc.name!r}")
    with collector_paused(), np.errstate(all="ignore"):  # coordinates may be any bits
        return _assemble(_drafts(root, limit=limit))


def root_of(contents: list[Item]) -> JavaObject:
    """Give the node of the root object among the elements of a data file.

    Raises
    ------
    UnreadableDataError
        If there is not exactly one hierarchy.
    """
    hierarchies = [item for item in contents if isinstance(item, JavaObject) and item.desc.name == HIERARCHY_CLASS]
    if len(hierarchies) != 1:
        raise UnreadableDataError(f"it has {len(hierarchies)} hierarchies of objects")
    return an_object(field(hierarchies[0], "rootObject"), "the root of the hierarchy")


def child_count_place(node: JavaObject) -> int:
    """Give the index, in the data of an object, of the block that counts its children.

    The children follow it at once.

    Raises
    ------
    UnreadableDataError
        If the block holds anything else.
    """
    place = next((i for i, item in enumerate(node.data) if type(item) is Block), len(node.data))
    if place == len(node.data) or len(_block(node.data[place])) != 4:
        raise UnreadableDataError(f"an object of class {node.desc.name!r} does not say how many children it has")
    return place


def _drafts(root: JavaObject, *, limit: int) -> list[_Draft]:
    """Read all objects, parents before their children."""
    decoder = _Decoder()
    drafts: list[_Draft] = []
    pending = [(root, -1)]
    seen = {id(root)}
    while pending:
        node, parent = pending.pop()
        draft, children = decoder.decode(node, parent)
        pending.extend((child, len(drafts)) for child in reversed(children))
        seen.update(map(id, children))
        drafts.append(draft)
        limit -= draft.size
        if limit < 0:
            raise UnreadableDataError("its objects share more data than those of QuPath")
        if len(seen) != len(drafts) + len(pending):
            raise UnreadableDataError("an object stands at two places of the hierarchy")
    return drafts


def _assemble(drafts: list[_Draft]) -> PathObject:
    """Build the objects from the last, so that children come before their parents."""
    while True:
        draft = drafts.pop()
        metadata = tuple(pair for pair in draft.metadata if pair[0] != OBJECT_ID)
        item = PathObject(
            kind=_KINDS[draft.node.desc.name],
            object_id=dict(draft.metadata).get(OBJECT_ID),
            name=draft.name,
            class_name=draft.class_name,
            locked=draft.locked,
            measurements=draft.measurements,
            metadata=metadata,
            roi=draft.roi,
            nucleus=draft.nucleus,
            children=tuple(reversed(draft.children)),
            missing=draft.missing,
            node=draft.node,
        )
        if draft.parent < 0:
            return item
        drafts[draft.parent].children.append(item)


class _Decoder:
    """Reads one object at a time; remembers the names and classes that objects share."""

    def __init__(self) -> None:
        self.names: dict[int, tuple[str, ...]] = {}
        self.classes: dict[int, str | None] = {}

    def decode(self, node: JavaObject, parent: int) -> tuple[_Draft, list[JavaObject]]:
        """Give the object without its children, and the nodes of these."""
        kind = _KINDS.get(node.desc.name)
        if kind is None or (kind == "root") != (parent < 0):
            raise UnreadableDataError(f"an object of class {node.desc.name!r} is out of place or not known")
        reader = _Reader(node)
        name = optional_text(reader.item())
        reader.item()  # colour
        following = reader.item()
        metadata: tuple[tuple[str, str], ...] = ()
        if class_name(following) == "qupath.lib.objects.MetadataMap":
            metadata = _metadata(an_object(following, "metadata"))
            following = reader.item()
        draft = _Draft(node, parent, [], name, metadata, self._measurements(following))
        (count,) = struct.unpack(">i", reader.primitives(4))
        children = [an_object(child, "a child") for child in reader.items(count)]
        if kind != "root":
            self._decode_roi_part(reader, draft)
        if kind == "cell":
            nucleus = reader.item()
            draft.nucleus = None if nucleus is None else decode_roi(an_object(nucleus, "a nucleus"))
        elif kind == "tma-core":
            draft.missing = reader.primitives(1) != b"\0"
        return draft, children

    def _decode_roi_part(self, reader: "_Reader", draft: _Draft) -> None:
        """Read what all objects but the root have; very old files lack the lock."""
        following = reader.item()
        if class_name(following) == "java.lang.Boolean":
            draft.locked = bool(boxed(following, "java.lang.Boolean"))
            following = reader.item()
        draft.class_name = self._class_name(following)
        draft.roi = decode_roi(an_object(reader.item(), "a region"))
        reader.primitives(8)  # probability of the class

    def _class_name(self, item: Item) -> str | None:
        if item is None:
            return None
        if id(item) not in self.classes:
            self.classes[id(item)] = full_class_name(an_object(item, "a class"))
        return self.classes[id(item)]

    def _measurements(self, item: Item) -> _Measurements:
        if item is None:
            return ()
        node = an_object(item, "a list of measurements")
        if node.desc.name == "qupath.lib.measurements.DefaultMeasurementList":
            measured = [an_object(entry, "a measurement") for entry in list_items(field(node, "list"))]
            return tuple((text(field(entry, "name")), number(entry, "value")) for entry in measured)
        if not node.desc.name.startswith(_NUMERIC):
            raise UnreadableDataError(f"a list of measurements is of class {node.desc.name!r}, which is not known")
        shared = field(node, "names")
        if id(shared) not in self.names:
            self.names[id(shared)] = tuple(text(name) for name in list_items(shared))
        names = self.names[id(shared)]
        code = node.desc.name.removeprefix(_NUMERIC)[:1]  # FloatList, DoubleList
        values = np.frombuffer(primitives(field(node, "values"), f"[{code}"), ">f4" if code == "F" else ">f8")
        if len(values) < len(names):
            raise UnreadableDataError(f"{len(names)} measurements have {len(values)} values")
        return tuple(zip(names, values.tolist(), strict=False))  # QuPath may leave room behind the last


class _Reader:
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
            self.block += _block(self.data[self.index])
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
        If the node is no class, or its own ancestor.
    """
    parts: list[str] = []
    item: Item = node
    while item is not None:
        if class_name(item) != "qupath.lib.objects.classes.PathClass" or len(parts) > MAX_CLASS_PARTS:
            raise UnreadableDataError("the class of an object is in a form that is not known")
        part = an_object(item, "a class")
        name = optional_text(field(part, "name"))
        parts += [] if name is None else [name]
        item = field(part, "parentClass")
    return ": ".join(reversed(parts)) or None


def _metadata(node: JavaObject) -> tuple[tuple[str, str], ...]:
    """Read the keys and values of a `MetadataMap`."""
    reader = _Reader(node)
    version = reader.item()
    if boxed(version, "java.lang.Integer") != 1:
        raise UnreadableDataError("the metadata of an object are of a version that is not known")
    keys, values = elements(reader.item()), elements(reader.item())
    if len(keys) != len(values):
        raise UnreadableDataError("the metadata of an object have keys without values")
    return tuple((text(key), optional_text(value) or "") for key, value in zip(keys, values, strict=True))


def _block(item: Item) -> bytes:
    return item if isinstance(item, bytes) else b""
