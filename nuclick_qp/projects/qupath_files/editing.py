"""Results of ours into a data file and out of it, with everything else untouched.

The file is emitted again with other lists of children where objects come or go. Before the new
bytes are given out they are read, and what was added is taken out again: the rest must be the old
file byte for byte.
"""

import struct
from collections.abc import Mapping, Sequence

import numpy as np
import shapely
from shapely import Polygon

from nuclick_qp.errors import WriteRefusedError
from nuclick_qp.projects.parents import Region, find_holders
from nuclick_qp.projects.protocol import PROMPT_KEY, ResultObject
from nuclick_qp.projects.qupath_files.java_build import Builder
from nuclick_qp.projects.qupath_files.java_emit import emit
from nuclick_qp.projects.qupath_files.java_nodes import Block, Graph, Item, JavaObject
from nuclick_qp.projects.qupath_files.java_stream import parse
from nuclick_qp.projects.qupath_files.new_objects import float_ring, result_ids, result_object
from nuclick_qp.projects.qupath_files.path_objects import PathObject, child_count_place, decode_hierarchy, root_of
from nuclick_qp.projects.qupath_files.rois import CLOSED_KINDS, Roi

OUR_KINDS = frozenset({"annotation", "detection", "cell"})


_Families = dict[int, tuple[PathObject, list[JavaObject]]]  # parents whose children change, by the id of the node


def edit(
    graph: Graph, root: PathObject, data: bytes, *, add: Sequence[ResultObject], remove_keys: frozenset[str], colours: Mapping[str, int]
) -> bytes:
    """Give new bytes for a file; see `DataFile.edited`.

    Parameters
    ----------
    graph, root, data
        The nodes of the file, its objects, and its bytes. None of them is changed.

    Raises
    ------
    WriteRefusedError
        If the file cannot be reproduced byte for byte, or the new bytes are not what was meant.
        The message does not name the file; the caller knows it.
    """
    if emit(graph.contents) != data:
        raise WriteRefusedError("it is written in a way that cannot be reproduced; open and save the image in QuPath, then run again")
    gone = {id(item.node) for item, _ in root.walk() if prompt_key(item) in remove_keys}
    families = _without(root, gone)
    rest = _emit(graph, families) if gone else data
    if not add:
        return rest
    ids = result_ids(add, taken={item.object_id or "" for item, _ in root.walk() if id(item.node) not in gone})
    nodes = _new_nodes(add, ids, Builder(graph.nodes, colours=colours))
    new = _emit(graph, _with(families, nodes, _parents(root, add)))
    _verify(new, rest=rest, add=dict(zip(ids, add, strict=True)))
    return new


def is_ours(item: PathObject) -> bool:
    """Tell whether a run of ours wrote the object."""
    return prompt_key(item) is not None


def prompt_key(item: PathObject) -> str | None:
    """Give the key of the prompt that an object of ours came from; None for all other objects."""
    return dict(item.metadata).get(PROMPT_KEY) if item.kind in OUR_KINDS else None


def _new_nodes(add: Sequence[ResultObject], ids: Sequence[str], builder: Builder) -> list[JavaObject]:
    return [result_object(builder, result, object_id=object_id) for result, object_id in zip(add, ids, strict=True)]


def _without(root: PathObject, gone: set[int]) -> _Families:
    """Find the parents of objects that go; the children of these take their places."""
    parents = {id(parent.node): parent for item, parent in root.walk() if id(item.node) in gone and id(parent.node) not in gone}
    return {key: (parent, _staying(parent, gone)) for key, parent in parents.items()}


def _staying(item: PathObject, gone: set[int]) -> list[JavaObject]:
    """List the children of an object, with those of children that go in their places."""
    staying: list[JavaObject] = []
    stack = list(reversed(item.children))
    while stack:
        child = stack.pop()
        if id(child.node) in gone:
            stack.extend(reversed(child.children))
        else:
            staying.append(child.node)
    return staying


def _with(families: _Families, nodes: Sequence[JavaObject], parents: Sequence[PathObject]) -> _Families:
    """Append new objects to the children of their parents."""
    grown = dict(families)
    for parent in {id(parent): parent for parent in parents}.values():
        _, children = families.get(id(parent.node), (parent, [child.node for child in parent.children]))
        grown[id(parent.node)] = parent, list(children)
    for node, parent in zip(nodes, parents, strict=True):
        grown[id(parent.node)][1].append(node)
    return grown


def _emit(graph: Graph, families: _Families) -> bytes:
    return emit(graph.contents, changed={key: _data(parent, children) for key, (parent, children) in families.items()})


def _data(parent: PathObject, children: Sequence[JavaObject]) -> list[Item]:
    """Give the data of an object with other children."""
    data, place = parent.node.data, child_count_place(parent.node)
    count = Block(struct.pack(">i", len(children)))
    return [*data[:place], count, *children, *data[place + 1 + len(parent.children) :]]


def _parents(root: PathObject, add: Sequence[ResultObject]) -> list[PathObject]:
    """Find for each nested result the smallest annotation of the user that holds its prompt; else the root."""
    closed = [(item, roi) for item, _ in root.walk() if (roi := _region(item)) is not None]
    holders = find_holders([Region(roi.geometry or Polygon(), roi.area, roi.plane) for _, roi in closed], add)
    return [root if i is None else closed[i][0] for i in holders]


def _region(item: PathObject) -> Roi | None:
    """Give the closed region of an annotation of the user."""
    roi = item.roi
    if roi is None or item.kind != "annotation" or roi.kind not in CLOSED_KINDS or is_ours(item):
        return None
    return None if roi.geometry is None else roi


def _verify(new: bytes, *, rest: bytes, add: Mapping[str, ResultObject]) -> None:
    """Read the new bytes: what was added must be there, and without it the rest be the same bytes."""
    graph = parse(new)
    root = decode_hierarchy(root_of(graph.contents), limit=len(new))
    found = {item.object_id: item for item, _ in root.walk() if item.object_id in add}
    if len(found) != len(add) or any(not _matches(found[key], result) for key, result in add.items()):
        raise WriteRefusedError("the new objects do not read back as they were meant; report this with the file")
    if _emit(graph, _without(root, {id(item.node) for item in found.values()})) != rest:
        raise WriteRefusedError("the old objects do not read back as they were; report this with the file")


def _matches(item: PathObject, result: ResultObject) -> bool:
    """Compare what was read with what was meant, in the precision of the file."""
    roi = item.roi
    if roi is None or (item.kind, item.class_name, roi.plane) != (result.kind, result.class_name or None, result.plane):
        return False
    ring = float_ring(result.outline)
    if ring is None:
        same = roi.shape is not None and shapely.to_wkb(roi.shape) == shapely.to_wkb(result.outline, output_dimension=2)
    else:
        same = bool(np.array_equal(roi.points, ring))
    width = np.float64 if result.kind == "annotation" else np.float32
    names, values = [name for name, _ in result.measurements], [value for _, value in result.measurements]
    return (
        same
        and item.metadata == result.metadata
        and [name for name, _ in item.measurements] == names
        and bool(np.array_equal(np.array([value for _, value in item.measurements], width), np.array(values, width), equal_nan=True))
    )
