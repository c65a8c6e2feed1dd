"""`data.qpdata`: what QuPath keeps of one image, read and written without Java."""

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from nuclick_qp.annotations.objects import ResultObject
from nuclick_qp.errors import UnreadableDataError, WriteRefusedError
from nuclick_qp.qupath.javastream.nodes import Block, Graph, Item, JavaEnum, JavaObject, JavaString, collector_paused, decode_text
from nuclick_qp.qupath.javastream.parse import parse
from nuclick_qp.qupath.javastream.values import class_name, map_items
from nuclick_qp.qupath.protocol import DATA_VERSIONS
from nuclick_qp.qupath.qpdata.editing import draft, prompt_key, verified
from nuclick_qp.qupath.qpdata.path_objects import PathObject, decode_hierarchy, root_of

IMAGE_TYPE_CLASS = "qupath.lib.images.ImageData$ImageType"
_REMEDY = "open and save the image in QuPath, or restore the file from a backup"


@dataclass(frozen=True, slots=True, eq=False)
class DataFile:
    """The content of one `data.qpdata`.

    Attributes
    ----------
    source
        Where it came from; error messages name it.
    version
        2 for QuPath up to 0.2, 3 since.
    image_type
        ``BRIGHTFIELD_H_DAB`` and the like, None when it was never set.
    properties
        Properties of the image that are texts, in the order of the file.
    root
        The root object, whose `PathObject.walk` gives all others with their parents.
    graph
        The nodes of the stream.
    data
        The bytes that were read.
    """

    source: Path
    version: int
    image_type: str | None
    properties: tuple[tuple[str, str], ...]
    root: PathObject
    graph: Graph
    data: bytes

    @property
    def objects(self) -> tuple[PathObject, ...]:
        """The objects that have no parent but the root."""
        return self.root.children


class Edited(NamedTuple):
    """A file with results of ours added and removed.

    Attributes
    ----------
    data
        Its new bytes.
    objects
        Kind and full class of every object that is there now but the root.
    new_classes
        Full names of the classes that no object had before.
    """

    data: bytes
    objects: tuple[tuple[str, str | None], ...]
    new_classes: tuple[str, ...]


def edit_data_file(
    data: bytes, *, source: Path, add: Sequence[ResultObject], remove_keys: frozenset[str], colours: Mapping[str, int]
) -> Edited:
    """Give a file with results of ours added and removed, with the nodes of one file only in memory at a time.

    Nothing else changes: without the insertions the bytes are those that were read, but for the
    counts of children and the numbers that Java gives to objects.

    Parameters
    ----------
    data
        The bytes of the file.
    source
        Named in error messages.
    add
        New objects, appended to the children of their parents in this order.
    remove_keys
        Values of `PROMPT_KEY`; objects of ours that carry one are removed. Children that are not
        removed move to its parent.
    colours
        Packed ARGB colours of classes by full name, for classes that the file does not have.

    Raises
    ------
    UnreadableDataError
        If the file cannot be read.
    WriteRefusedError
        If it cannot be reproduced byte for byte, or reading the result again does not give what was
        to be written.
    """
    with collector_paused():
        file = parse_data_file(data, source=source)
        new = new_classes(add, known={item.class_name for item, _ in file.root.walk()})
        staying = [(item.kind, item.class_name) for item, _ in file.root.walk() if prompt_key(item) not in remove_keys]
        with _named(source):
            made = draft(file.graph, file.root, data, add=add, remove_keys=remove_keys, colours=colours)
            del file
            return Edited(verified(made), (*staying, *((result.kind, result.class_name) for result in add)), new)


def new_classes(add: Sequence[ResultObject], *, known: Collection[str | None]) -> tuple[str, ...]:
    """List the classes of results that are not known, each once."""
    return tuple(dict.fromkeys(result.class_name for result in add if result.class_name and result.class_name not in known))


@contextmanager
def _named(source: Path) -> Iterator[None]:
    """Name the file in errors that end an edit."""
    try:
        yield
    except (WriteRefusedError, UnreadableDataError) as err:
        raise WriteRefusedError(f"{source} was left as it is: {err}") from err


def parse_data_file(data: bytes, *, source: Path) -> DataFile:
    """Read the bytes of a `data.qpdata`.

    Parameters
    ----------
    source
        Named in error messages; nothing is read from there.

    Raises
    ------
    UnreadableDataError
        If the file is cut short, foreign, or of an unknown data version. The message names the
        file and what to do.
    """
    try:
        graph = parse(data)
        version = _version(graph.contents)
        if version in DATA_VERSIONS:
            return _data_file(graph, data=data, source=source, version=version)
    except UnreadableDataError as err:
        raise UnreadableDataError(f"{source} cannot be read: {err}; {_REMEDY}") from err
    raise UnreadableDataError(f"{source} is of data version {version}, only 2 and 3 are known; update nuclick-qp, or use --engine qupath")


def _data_file(graph: Graph, *, data: bytes, source: Path, version: int) -> DataFile:
    """Pick the elements by class: QuPath does not rely on their order either."""
    last = graph.contents[-1]
    if not isinstance(last, JavaString) or last.text != "EOF":
        raise UnreadableDataError("it ends before its end mark")
    return DataFile(
        source=source,
        version=version,
        image_type=next((e.constant.text for e in graph.contents if isinstance(e, JavaEnum) and e.desc.name == IMAGE_TYPE_CLASS), None),
        properties=_properties(graph.contents),
        root=decode_hierarchy(root_of(graph.contents), limit=len(data)),
        graph=graph,
        data=data,
    )


def _version(contents: list[Item]) -> int:
    """Give the data version of the first element; its text has a length of two bytes before it."""
    first = contents[0] if contents else None
    title = decode_text(first[2:]) if isinstance(first, Block) else ""
    match = re.fullmatch(r"Data file version (\d{1,9})", title, re.ASCII)
    if not match:
        raise UnreadableDataError("it is a Java object stream, but not one of QuPath")
    return int(match[1])


def _properties(contents: list[Item]) -> tuple[tuple[str, str], ...]:
    maps = {id(e): e for e in contents if isinstance(e, JavaObject) and class_name(e) == "java.util.HashMap"}  # each once
    pairs = [pair for element in maps.values() for pair in map_items(element)]
    return tuple((k.text, v.text) for k, v in pairs if isinstance(k, JavaString) and isinstance(v, JavaString))
