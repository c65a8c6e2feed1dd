"""The objects of a hierarchy, decoded from the nodes of the stream."""

import struct
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

from nuclick_qp.errors import UnreadableDataError
from nuclick_qp.qupath.javastream.nodes import Block, Item, JavaObject, collector_paused
from nuclick_qp.qupath.javastream.values import an_object, boxed, class_name, field, optional_text
from nuclick_qp.qupath.qpdata.object_parts import (
    KnownNames,
    Measured,
    Reader,
    block_bytes,
    full_class_name,
    read_measured,
    read_metadata,
)
from nuclick_qp.qupath.qpdata.rois import Roi, decode_roi

PathObjectKind = Literal["annotation", "detection", "cell", "tile", "tma-core", "root"]
OBJECT_ID = "Object ID"  # metadata key under which QuPath 0.4 and later keep the UUID
CLASS_CHARACTERS = 16  # of full names of classes that the limit counts like one point; many classes may share long parents
HIERARCHY_CLASS = "qupath.lib.objects.hierarchy.PathObjectHierarchy"

_KINDS: dict[str, PathObjectKind] = {
    "qupath.lib.objects.PathAnnotationObject": "annotation",
    "qupath.lib.objects.PathDetectionObject": "detection",
    "qupath.lib.objects.PathCellObject": "cell",
    "qupath.lib.objects.PathTileObject": "tile",
    "qupath.lib.objects.TMACoreObject": "tma-core",
    "qupath.lib.objects.PathRootObject": "root",
}


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
    measured
        The measurements as the file has them.
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
    measured: Measured
    metadata: tuple[tuple[str, str], ...]
    roi: Roi | None
    nucleus: Roi | None
    children: "tuple[PathObject, ...]"
    missing: bool
    node: JavaObject

    @property
    def measurements(self) -> tuple[tuple[str, float], ...]:
        """Names and values in the order of the file, made anew on each call."""
        return self.measured.pairs

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
    pairs: list[tuple[str, str]]
    measured: Measured
    locked: bool = False
    class_name: str | None = None
    roi: Roi | None = None
    nucleus: Roi | None = None
    missing: bool = False


def decode_hierarchy(root: JavaObject, *, limit: int) -> PathObject:
    """Decode the root with all that is below it.

    Parameters
    ----------
    limit
        Most points, measurements, metadata and names of classes of all objects together. The size of
        the file in bytes is generous, and keeps objects that all refer to one huge array from filling
        memory.

    Raises
    ------
    UnreadableDataError
        If an object is of an unknown class, broken, or its own ancestor, or the limit is passed.
    """
    if _KINDS.get(root.desc.name) != "root":
        raise UnreadableDataError(f"the root of the hierarchy is of class {root.desc.name!r}")
    with collector_paused():
        return _assemble(_drafts(root, limit=limit))


def decode_childless(nodes: Iterable[JavaObject]) -> list[PathObject]:
    """Decode objects that stand in a hierarchy, and have no children.

    Raises
    ------
    UnreadableDataError
        If one is of an unknown class, broken, or has children.
    """
    decoder = _Decoder()
    decoded = [decoder.decode(node, 0) for node in nodes]
    if any(children for _, children in decoded):
        raise UnreadableDataError("an object has children that it should not have")
    return [_finished(draft) for draft, _ in decoded]


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
    if place == len(node.data) or len(block_bytes(node.data[place])) != 4:
        raise UnreadableDataError(f"an object of class {node.desc.name!r} does not say how many children it has")
    return place


def _drafts(root: JavaObject, *, limit: int) -> list[_Draft]:
    """Read all objects, parents before their children."""
    decoder = _Decoder(limit)
    drafts: list[_Draft] = []
    pending = [(root, -1)]
    seen = {id(root)}
    while pending:
        node, parent = pending.pop()
        draft, children = decoder.decode(node, parent)
        pending.extend((child, len(drafts)) for child in reversed(children))
        seen.update(map(id, children))
        drafts.append(draft)
        if len(seen) != len(drafts) + len(pending):
            raise UnreadableDataError("an object stands at two places of the hierarchy")
    return drafts


def _assemble(drafts: list[_Draft]) -> PathObject:
    """Build the objects from the last, so that children come before their parents."""
    while True:
        draft = drafts.pop()
        item = _finished(draft)
        if draft.parent < 0:
            return item
        drafts[draft.parent].children.append(item)


def _finished(draft: _Draft) -> PathObject:
    """Build an object; its children, the last of them first, are there."""
    return PathObject(
        kind=_KINDS[draft.node.desc.name],
        object_id=dict(draft.pairs).get(OBJECT_ID),
        name=draft.name,
        class_name=draft.class_name,
        locked=draft.locked,
        measured=draft.measured,
        metadata=tuple(pair for pair in draft.pairs if pair[0] != OBJECT_ID),
        roi=draft.roi,
        nucleus=draft.nucleus,
        children=tuple(reversed(draft.children)),
        missing=draft.missing,
        node=draft.node,
    )


class _Decoder:
    """Reads one object at a time; remembers the names and classes that objects share."""

    def __init__(self, limit: int = sys.maxsize) -> None:
        self.left = limit
        self.names: KnownNames = {}
        self.versions: set[int] = set()
        self.locks: dict[int, bool] = {}
        self.classes: dict[int, str | None] = {}

    def take(self, count: int) -> None:
        """Count what one more object holds; a small file must not fill the memory."""
        self.left -= count
        if self.left < 0:
            raise UnreadableDataError("its objects share more data than those of QuPath")

    def decode(self, node: JavaObject, parent: int) -> tuple[_Draft, list[JavaObject]]:
        """Give the object without its children, and the nodes of these."""
        kind = _KINDS.get(node.desc.name)
        if kind is None or (kind == "root") != (parent < 0):
            raise UnreadableDataError(f"an object of class {node.desc.name!r} is out of place or not known")
        reader = Reader(node)
        name = optional_text(reader.item())
        reader.item()  # colour
        following = reader.item()
        pairs: list[tuple[str, str]] = []
        if class_name(following) == "qupath.lib.objects.MetadataMap":
            pairs = read_metadata(an_object(following, "metadata"), self.versions)
            following = reader.item()
        draft = _Draft(node, parent, [], name, pairs, read_measured(following, self.names))
        self.take(len(draft.measured.names) + len(pairs))
        (count,) = struct.unpack(">i", reader.primitives(4))
        children = [an_object(child, "a child") for child in reader.items(count)]
        if kind != "root":
            self._decode_roi_part(reader, draft)
        if kind == "cell":
            nucleus = reader.item()
            draft.nucleus = None if nucleus is None else decode_roi(an_object(nucleus, "a nucleus"), take=self.take)
        elif kind == "tma-core":
            draft.missing = reader.primitives(1) != b"\0"
        return draft, children

    def _decode_roi_part(self, reader: "Reader", draft: _Draft) -> None:
        """Read what all objects but the root have; very old files lack the lock."""
        following = reader.item()
        if id(following) in self.locks or class_name(following) == "java.lang.Boolean":
            if id(following) not in self.locks:
                self.locks[id(following)] = bool(boxed(following, "java.lang.Boolean"))
            draft.locked = self.locks[id(following)]
            following = reader.item()
        draft.class_name = self._class_name(following)
        draft.roi = decode_roi(an_object(reader.item(), "a region"), take=self.take)
        reader.primitives(8)  # probability of the class

    def _class_name(self, item: Item) -> str | None:
        if item is None:
            return None
        if id(item) not in self.classes:
            name = full_class_name(an_object(item, "a class"))
            self.take(len(name or "") // CLASS_CHARACTERS)
            self.classes[id(item)] = name
        return self.classes[id(item)]
