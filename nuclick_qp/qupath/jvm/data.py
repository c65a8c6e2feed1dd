"""`data.qpdata` through QuPath's own classes: bytes to Java objects and back.

The file is one Java object stream: a line with the version, then a handful of objects (facts about the
image, then the hierarchy, then ``EOF``). They are read and written one by one, not by QuPath's
`PathIO`, whose functions do more than that: they build the image server, so the slide must be there;
add steps to the workflow at each read; take a truncated file for a whole one or, in `readHierarchy`,
never come back from it. Reading keeps `PathIO`'s filter of classes: foreign ones are refused.
"""

import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nuclick_qp.errors import UnreadableDataError
from nuclick_qp.qupath.protocol import DATA_VERSIONS

FIRST_LINE = "Data file version "
FIRST_WITH_IDS = (0, 4)  # the QuPath that began to give each object an id
LAST_OBJECT = "EOF"
HIERARCHY = "qupath.lib.objects.hierarchy.PathObjectHierarchy"
PATH_CLASS = "qupath.lib.objects.classes.PathClass"
CLASS_POOL = "existingClasses"  # private; every PathClass of the process, by name
REMEDY = "open and save the image in QuPath, or restore the file from a backup"


@dataclass(frozen=True, slots=True)
class Java:
    """The running Java machine, with QuPath's classes.

    Attributes
    ----------
    qupath
        Version of QuPath.
    load
        Give a Java class by its full name.
    bytes_of
        Copy bytes into a Java array.
    doubles_of
        Copy floats into a Java array.
    below_java
        Call a function from Java, and give what it gives: object streams look classes up with the
        loader of the innermost Java caller, and Python has none.
    lock
        Held while classes are read or written; see `own_classes`.
    """

    qupath: str
    load: Callable[[str], Any]
    bytes_of: Callable[[bytes], Any]
    doubles_of: Callable[[NDArray[np.float64]], Any]
    below_java: Callable[[Callable[[], Any]], Any]
    lock: threading.RLock = field(default_factory=threading.RLock)

    @property
    def errors(self) -> tuple[type[BaseException], ...]:
        """What Java throws at bad data; their text is Java's message."""
        return self.load("java.lang.Exception"), self.load("java.lang.StackOverflowError")


@dataclass(frozen=True, slots=True)
class JvmData:
    """Content of one `data.qpdata`.

    Attributes
    ----------
    first_line
        ``Data file version 3``.
    objects
        Java objects in the order of the file; the last is ``EOF``.
    root
        Root object of the hierarchy, which is one of `objects`.
    """

    first_line: str
    objects: tuple[Any, ...]
    root: Any


@contextmanager
def own_classes(java: Java) -> Iterator[None]:
    """Let the classes of a file have the colours that it gives them.

    QuPath keeps one `PathClass` of a name in a process: a class that another image had in blue would
    be blue in this file too, once it is written. Within the context the pool starts empty.
    """
    pool = private_field(java, PATH_CLASS, CLASS_POOL)
    with java.lock:
        before = java.load("java.util.HashMap")(pool)
        pool.clear()
        try:
            yield
        finally:
            pool.clear()
            pool.putAll(before)


def read_data(java: Java, data: bytes, *, source: Path) -> JvmData:
    """Read the bytes of a `data.qpdata`.

    Parameters
    ----------
    source
        Named in error messages.

    Raises
    ------
    UnreadableDataError
        If the file is cut short, foreign, or of an unknown data version.
    """
    first_line, objects = java.below_java(lambda: _read_stream(java, data, source))
    hierarchies = [o for o in objects if isinstance(o, java.load(HIERARCHY))]
    if len(hierarchies) != 1:
        raise UnreadableDataError(f"{source} has {len(hierarchies)} hierarchies of objects; {REMEDY}")
    return JvmData(first_line, tuple(objects), hierarchies[0].getRootObject())


def keeps_ids(content: JvmData) -> bool:
    """Tell whether every object has its id from the file: QuPath makes one up, another each time, for those that have none."""
    version = re.search(r'"qupathVersion":"(\d+)\.(\d+)', str(content.objects[0]))
    return version is not None and (int(version[1]), int(version[2])) >= FIRST_WITH_IDS


def write_data(java: Java, content: JvmData) -> bytes:
    """Give the bytes of a `data.qpdata` with this content."""
    buffer = java.load("java.io.ByteArrayOutputStream")()
    stream = java.load("java.io.ObjectOutputStream")(buffer)
    stream.writeUTF(content.first_line)
    for item in content.objects:
        stream.writeObject(item)
    stream.close()
    return memoryview(buffer.toByteArray()).tobytes()


def private_field(java: Java, class_name: str, name: str) -> Any:
    """Give the value of a private static field."""
    hidden = java.load(class_name).class_.getDeclaredField(name)
    hidden.setAccessible(True)
    return hidden.get(None)


def _read_stream(java: Java, data: bytes, source: Path) -> tuple[str, list[Any]]:
    """Read the first line, and the objects up to the end mark."""
    try:
        raw = java.load("java.io.ByteArrayInputStream")(java.bytes_of(data))
        stream = java.load("qupath.lib.io.PathIO").createObjectInputStream(raw)
        first_line = str(stream.readUTF())
        if first_line.removeprefix(FIRST_LINE) not in map(str, DATA_VERSIONS):
            raise UnreadableDataError(f"{source} starts with {first_line[:40]!r}, only data versions 2 and 3 are known; update nuclick-qp")
        objects = [stream.readObject()]
        while str(objects[-1]) != LAST_OBJECT:
            objects.append(stream.readObject())
    except java.errors as err:
        reason = " ".join(str(err).split())[:160]
        raise UnreadableDataError(f"{source} cannot be read by QuPath {java.qupath}: {reason}; {REMEDY}") from err
    return first_line, objects
