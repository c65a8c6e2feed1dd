"""New objects put into the bytes of a stream; all else is copied.

Outside of what is put in, two things change: the counts of children, and the handles in references to
nodes behind an insertion, which move up by as many as came in before. Writing the whole graph anew would
give nearly the same bytes, for several times the time and memory.
"""

import struct
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from nuclick_qp.errors import WriteRefusedError
from nuclick_qp.qupath.javastream.emit import emit_more, reference
from nuclick_qp.qupath.javastream.nodes import (
    END,
    Block,
    ClassDesc,
    Graph,
    Item,
    JavaArray,
    JavaClass,
    JavaEnum,
    JavaObject,
    Node,
    Places,
)
from nuclick_qp.qupath.javastream.parse import FIRST_HANDLE, REFERENCE, REFERENCE_SIZE

_Integers = NDArray[np.int64]


class Insertion(NamedTuple):
    """Children to be added to one object.

    Attributes
    ----------
    parent
        The object, a node of the graph.
    place
        Index, in its data, of the block that counts its children; these follow it.
    n_children
        How many there are.
    nodes
        The new ones.
    """

    parent: JavaObject
    place: int
    n_children: int
    nodes: list[JavaObject]


class _Cut(NamedTuple):
    """Where an insertion goes: bytes and handles of the old stream."""

    parent: int  # handle of the object
    place: int  # as in the insertion; so is the next
    n_children: int
    n_new: int
    counter: int  # the byte at which the block begins that counts the children
    end: int  # the byte behind the last child
    n_before: int  # nodes that stand before this byte


@dataclass(frozen=True, slots=True, eq=False)
class Spliced:
    """New bytes, and where they differ from the old ones.

    Attributes
    ----------
    data
        The new bytes.
    cuts
        In the order of the bytes.
    sizes, n_nodes
        Bytes and nodes that each insertion brought.
    """

    data: bytes
    cuts: tuple[_Cut, ...]
    sizes: _Integers
    n_nodes: _Integers

    def moved_ends(self, places: _Integers) -> _Integers:
        """Give the new places of old bytes behind something; what ends where an insertion begins stays."""
        before = np.searchsorted([cut.end for cut in self.cuts], places, side="left")
        return places + _sums(self.sizes)[before]

    def moved_starts(self, places: _Integers) -> _Integers:
        """Give the new places of old bytes at which something starts."""
        before = np.searchsorted([cut.end for cut in self.cuts], places, side="right")
        return places + _sums(self.sizes)[before]

    def moved_handles(self, handles: _Integers) -> _Integers:
        """Give the new numbers of old nodes."""
        before = np.searchsorted([cut.n_before for cut in self.cuts], handles, side="right")
        return handles + _sums(self.n_nodes)[before]

    def is_inserted(self, places: _Integers) -> NDArray[np.bool_]:
        """Tell which new bytes belong to an insertion."""
        starts = self.starts
        number = np.searchsorted(starts, places, side="right")
        return np.asarray((number > 0) & (places < (starts + self.sizes)[number - 1]))

    @property
    def starts(self) -> _Integers:
        """New bytes at which the insertions begin."""
        return np.array([cut.end for cut in self.cuts], np.int64) + _sums(self.sizes)[:-1]


def splice(data: bytes, graph: Graph, insertions: Sequence[Insertion]) -> Spliced:
    """Put new children behind those that an object has.

    Parameters
    ----------
    data, graph
        The stream, which must be canonical, and its nodes. New nodes may refer to these; one that
        stands only behind an insertion is written there once more, as references point backwards.
    insertions
        At least one, each with another parent.
    """
    placed = sorted(_placed(data, graph, insertions), key=lambda pair: pair[0].end)
    cuts = tuple(cut for cut, _ in placed)
    written = list(_written(graph, placed))
    sizes, n_nodes = (np.array(column, np.int64) for column in zip(*((len(new), n) for new, n in written), strict=True))
    spliced = Spliced(b"", cuts, sizes, n_nodes)
    old = np.frombuffer(data, np.uint8).copy()
    _move_references(old, graph.places, spliced)
    for cut in cuts:
        count = struct.pack(">i", cut.n_children + cut.n_new)
        old[cut.counter + 2 : cut.counter + 6] = np.frombuffer(count, np.uint8)
    edges = [0, *(cut.end for cut in cuts), len(data)]
    pieces = [old[a:b].tobytes() for a, b in pairwise(edges)]
    joined = b"".join(part for pair in zip(pieces, [*(new for new, _ in written), b""], strict=True) for part in pair)
    return Spliced(joined, cuts, sizes, n_nodes)


def check_rest(data: bytes, old: Places, new: Places, spliced: Spliced) -> None:
    """Prove that the new bytes mean what the old ones did, but for the insertions.

    Outside of these no byte differs but in counts of children and in references; these refer to the
    nodes that they did, and every node and every reference was met where it was, moved.

    Parameters
    ----------
    data, old
        The old bytes, and where reading them met nodes and references.
    new
        The same of the new bytes.

    Raises
    ------
    WriteRefusedError
        If any of this does not hold.
    """
    begins, ends, references = _arrays(new)
    old_begins, old_ends, old_references = _arrays(old)
    behind = old_references[old_references >= spliced.cuts[0].end]  # those before the first insertion have the bytes that they had
    handles = spliced.moved_handles(np.arange(len(old_begins)))
    is_old = ~spliced.is_inserted(references)
    same = (
        len(begins) == len(handles) + spliced.n_nodes.sum()
        and np.array_equal(begins[handles], spliced.moved_ends(old_begins))
        and np.array_equal(ends[handles], spliced.moved_ends(old_ends))
        and np.array_equal(references[is_old], spliced.moved_starts(old_references))
        and np.array_equal(_targets(spliced.data, spliced.moved_starts(behind)), spliced.moved_handles(_targets(data, behind)))
        and np.isin(_differing(data, spliced), _variable(old_references, spliced)).all()
    )
    if not same:
        raise WriteRefusedError("the old objects do not read back as they were; report this with the file")


def read_children(graph: Graph, spliced: Spliced) -> Iterator[JavaObject]:
    """Give the new children, insertion by insertion, as they were read from the new bytes.

    Raises
    ------
    WriteRefusedError
        If an object does not hold as many children as it should.
    """
    parents = spliced.moved_handles(np.array([cut.parent for cut in spliced.cuts]))
    for cut, handle in zip(spliced.cuts, parents.tolist(), strict=True):
        parent = graph.nodes[handle]
        data = parent.data if isinstance(parent, JavaObject) else []
        first = cut.place + 1 + cut.n_children
        children = [item for item in data[first : first + cut.n_new] if isinstance(item, JavaObject)]
        if len(children) != cut.n_new or data[cut.place] != struct.pack(">i", cut.n_children + cut.n_new):
            raise WriteRefusedError("the new objects do not read back as they were meant; report this with the file")
        yield from children


def new_descs(graph: Graph, spliced: Spliced) -> Iterator[ClassDesc]:
    """Give the descriptions of classes that came with the insertions, as they were read from the new bytes."""
    firsts = np.array([cut.n_before for cut in spliced.cuts]) + _sums(spliced.n_nodes)[:-1]
    for first, n_nodes in zip(firsts.tolist(), spliced.n_nodes.tolist(), strict=True):
        yield from (node for node in graph.nodes[first : first + n_nodes] if isinstance(node, ClassDesc))


def _placed(data: bytes, graph: Graph, insertions: Sequence[Insertion]) -> Iterator[tuple[_Cut, Insertion]]:
    """Find the bytes of insertions."""
    passed = [(i, i.parent.data[: i.place + 1 + i.n_children]) for i in insertions]
    wanted = {id(item) for insertion, items in passed for item in (insertion.parent, *items)}
    handles = {id(node): handle for handle, node in enumerate(graph.nodes) if id(node) in wanted}
    for insertion, items in passed:
        handle = handles[id(insertion.parent)]
        place = counter = graph.places.begins[handle]
        for index, item in enumerate(items):
            counter = place if index == insertion.place else counter
            place = _end(item, place, data=data, handles=handles, ends=graph.places.ends)
        n_before = bisect_right(graph.places.begins, place)
        yield _Cut(handle, insertion.place, insertion.n_children, len(insertion.nodes), counter, place, n_before), insertion


def _end(item: Item, place: int, *, data: bytes, handles: Mapping[int, int], ends: Sequence[int]) -> int:
    """Give the byte behind an item that begins at a place."""
    if item is None or item is END:
        return place + 1
    if isinstance(item, bytes):
        head = 0 if type(item) is not Block else 2 if len(item) < 256 else 5
        return place + head + len(item)
    return place + REFERENCE_SIZE if data[place] == REFERENCE else ends[handles[id(item)]]


def _written(graph: Graph, placed: Sequence[tuple[_Cut, Insertion]]) -> Iterator[tuple[bytes, int]]:
    """Write the insertions in order; give the bytes of each, and how many nodes they have."""
    needed = _reachable([node for _, insertion in placed for node in insertion.nodes])
    known = [(handle, id(node)) for handle, node in enumerate(graph.nodes) if id(node) in needed]
    references: dict[int, bytes] = {}
    added = passed = 0
    for cut, insertion in placed:
        while passed < len(known) and known[passed][0] < cut.n_before:
            handle, key = known[passed]
            references.setdefault(key, reference(handle + added))  # a copy that an insertion before made serves as well
            passed += 1
        new, n_nodes = emit_more(insertion.nodes, references, next_handle=cut.n_before + added)
        added += n_nodes
        yield new, n_nodes


def _reachable(nodes: Sequence[Item | Node]) -> set[int]:
    """Collect the ids of nodes, and of all that is written with them."""
    found: set[int] = set()
    stack: list[Iterable[Item | Node]] = [nodes]
    while stack:
        for item in stack.pop():
            if item is None or item is END or isinstance(item, bytes) or id(item) in found:  # most are bytes
                continue
            found.add(id(item))
            if isinstance(item, JavaObject):
                stack += [(item.desc,), item.data]
            elif isinstance(item, JavaArray):
                stack += [(item.desc,), item.values if isinstance(item.values, list) else ()]
            elif isinstance(item, ClassDesc):
                stack.append((item.parent, *(field.type_string for field in item.fields)))
            elif isinstance(item, JavaEnum):
                stack.append((item.desc, item.constant))
            elif isinstance(item, JavaClass):
                stack.append((item.desc,))
    return found


def _move_references(data: NDArray[np.uint8], places: Places, spliced: Spliced) -> None:
    """Correct the references behind the first insertion; none before it points forward."""
    *_, references = _arrays(places)
    behind = references[references >= spliced.cuts[0].end]
    handles = spliced.moved_handles(_targets(data, behind)) + FIRST_HANDLE
    data[_handle_bytes(behind)] = handles.astype(">u4").view(np.uint8).reshape(-1, 4)


def _targets(data: bytes | NDArray[np.uint8], references: _Integers) -> _Integers:
    """Give the handles that references refer to."""
    return np.frombuffer(data, np.uint8)[_handle_bytes(references)].view(">u4").reshape(-1).astype(np.int64) - FIRST_HANDLE


def _handle_bytes(references: _Integers) -> _Integers:
    """Give the (N, 4) places of the handles in references."""
    return references[:, None] + np.arange(1, REFERENCE_SIZE)


def _differing(data: bytes, spliced: Spliced) -> _Integers:
    """Give the old places of bytes that are others in the new bytes."""
    old, new = np.frombuffer(data, np.uint8), np.frombuffer(spliced.data, np.uint8)
    edges = [0, *(cut.end for cut in spliced.cuts), len(data)]
    shifts = _sums(spliced.sizes).tolist()
    parts = zip(pairwise(edges), shifts, strict=True)
    return np.concatenate([a + np.flatnonzero(old[a:b] != new[a + shift : b + shift]) for (a, b), shift in parts])


def _variable(references: _Integers, spliced: Spliced) -> _Integers:
    """Give the old places of bytes that may differ."""
    counters = np.array([cut.counter for cut in spliced.cuts], np.int64)[:, None] + np.arange(2, 6)
    return np.concatenate([counters.reshape(-1), _handle_bytes(references[references >= spliced.cuts[0].end]).reshape(-1)])


def _arrays(places: Places) -> tuple[_Integers, _Integers, _Integers]:
    begins, ends, references = (np.frombuffer(column, np.uint64).astype(np.int64) for column in places)
    return begins, ends, references


def _sums(counts: _Integers) -> _Integers:
    """Give 0, the first, the first two together, and so on."""
    return np.concatenate([[0], np.cumsum(counts)])
