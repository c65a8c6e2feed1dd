"""Results of ours into a data file and out of it, with everything else untouched.

Objects go by writing the graph anew without them, as others may be described by what they were first
to use. Objects come by splicing. Before the new bytes are given out they are read: what was added must
be there, and everything else where it was.
"""

import struct
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import shapely

from nuclick_qp.annotations.objects import PROMPT_KEY, ResultObject
from nuclick_qp.annotations.parents import Region, find_holders
from nuclick_qp.errors import WriteRefusedError
from nuclick_qp.kinds import OBJECT_KINDS
from nuclick_qp.qupath.javastream.emit import emit
from nuclick_qp.qupath.javastream.nodes import Block, Graph, Item, JavaObject, Places
from nuclick_qp.qupath.javastream.parse import parse
from nuclick_qp.qupath.javastream.splice import Insertion, Spliced, check_rest, new_descs, read_children, splice
from nuclick_qp.qupath.qpdata.building import Builder, check_desc
from nuclick_qp.qupath.qpdata.new_objects import float_ring, result_ids, result_object
from nuclick_qp.qupath.qpdata.path_objects import PathObject, child_count_place, decode_childless, decode_hierarchy, root_of
from nuclick_qp.qupath.qpdata.rois import CLOSED_KINDS, Roi

_Families = dict[int, tuple[PathObject, list[JavaObject]]]  # parents whose children change, by the id of the node


class Draft(NamedTuple):
    """New bytes of a file that nobody has read yet.

    Attributes
    ----------
    data, places
        The file without what was removed, and where things lie in it.
    spliced
        The same with what was added; None when nothing was.
    add
        What was added, by the ids given.
    """

    data: bytes
    places: Places
    spliced: Spliced | None
    add: Mapping[str, ResultObject]


def draft(
    graph: Graph, root: PathObject, data: bytes, *, add: Sequence[ResultObject], remove_keys: frozenset[str], colours: Mapping[str, int]
) -> Draft:
    """Make new bytes for a file; see `edit_data_file`.

    Parameters
    ----------
    graph, root, data
        The nodes of the file, its objects, and its bytes. None of them is changed, and the draft
        holds none of the nodes: they take several times the memory of the file.

    Raises
    ------
    WriteRefusedError
        If the file cannot be reproduced byte for byte, or what is left of it is not what was meant.
        The message does not name the file; the caller knows it.
    """
    if not graph.is_canonical:
        raise WriteRefusedError("it is written in a way that cannot be reproduced; open and save the image in QuPath, then run again")
    gone = {id(item.node) for item, _ in root.walk() if prompt_key(item) in remove_keys}
    if gone:
        graph, root, data = _removed(graph, root, data, gone)
    return _added(graph, root, data, add, colours) if add else Draft(data, graph.places, None, {})


def verified(made: Draft) -> bytes:
    """Read the new bytes and give them out: what was added must be there, and everything else where it was.

    Raises
    ------
    WriteRefusedError
        If the new bytes are not what was meant.
    """
    if made.spliced is None:
        return made.data
    graph = parse(made.spliced.data)
    check_rest(made.data, made.places, graph.places, made.spliced)
    for desc in new_descs(graph, made.spliced):
        check_desc(desc)
    found = {item.object_id: item for item in decode_childless(read_children(graph, made.spliced))}
    if found.keys() != made.add.keys() or any(not _matches(found[key], result) for key, result in made.add.items()):
        raise WriteRefusedError("the new objects do not read back as they were meant; report this with the file")
    return made.spliced.data


def is_ours(item: PathObject) -> bool:
    """Tell whether a run of ours wrote the object."""
    return prompt_key(item) is not None


def prompt_key(item: PathObject) -> str | None:
    """Give the key of the prompt that an object of ours came from; None for all other objects."""
    return dict(item.metadata).get(PROMPT_KEY) if item.kind in OBJECT_KINDS else None


def _removed(graph: Graph, root: PathObject, data: bytes, gone: set[int]) -> tuple[Graph, PathObject, bytes]:
    """Write the file without some objects, and read it."""
    if emit(graph.contents) != data:
        raise WriteRefusedError("it is written in a way that cannot be reproduced; open and save the image in QuPath, then run again")
    families = _without(root, gone)
    rest = emit(graph.contents, changed={key: _data(parent, children) for key, (parent, children) in families.items()})
    staying = [(item.kind, item.object_id, item.class_name) for item, _ in root.walk() if id(item.node) not in gone]
    graph = parse(rest)
    root = decode_hierarchy(root_of(graph.contents), limit=len(rest))
    if [(item.kind, item.object_id, item.class_name) for item, _ in root.walk()] != staying:
        raise WriteRefusedError("the old objects do not read back as they were; report this with the file")
    return graph, root, rest


def _added(graph: Graph, root: PathObject, data: bytes, add: Sequence[ResultObject], colours: Mapping[str, int]) -> Draft:
    """Put new objects into a file."""
    ids = result_ids(add, taken={item.object_id or "" for item, _ in root.walk()})
    builder = Builder(graph.nodes, colours=colours)
    nodes = [result_object(builder, result, object_id=object_id) for result, object_id in zip(add, ids, strict=True)]
    insertions: dict[int, Insertion] = {}
    for parent, node in zip(_parents(root, add), nodes, strict=True):
        new = Insertion(parent.node, child_count_place(parent.node), len(parent.children), [])
        insertions.setdefault(id(parent.node), new).nodes.append(node)
    return Draft(data, graph.places, splice(data, graph, list(insertions.values())), dict(zip(ids, add, strict=True)))


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


def _data(parent: PathObject, children: Sequence[JavaObject]) -> list[Item]:
    """Give the data of an object with other children."""
    data, place = parent.node.data, child_count_place(parent.node)
    count = Block(struct.pack(">i", len(children)))
    return [*data[:place], count, *children, *data[place + 1 + len(parent.children) :]]


def _parents(root: PathObject, add: Sequence[ResultObject]) -> list[PathObject]:
    """Find for each nested result the smallest annotation of the user that holds its prompt; else the root."""
    closed = [(item, roi) for item, _ in root.walk() if (roi := _region(item)) is not None]
    holders = find_holders([Region(roi.geometry, roi.plane) for _, roi in closed], add)
    return [root if i is None else closed[i][0] for i in holders]


def _region(item: PathObject) -> Roi | None:
    """Give the closed region of an annotation of the user."""
    roi = item.roi
    if roi is None or item.kind != "annotation" or roi.kind not in CLOSED_KINDS or is_ours(item):
        return None
    return None if roi.geometry is None else roi


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
