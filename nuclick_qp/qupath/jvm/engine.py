"""The `qupath` engine: the data of a project read and written by an installed QuPath, by way of paquo.

Importing this module starts nothing. The Java machine starts with the first project that is opened
and lives as long as the process; what it prints goes to stderr. paquo finds QuPath and starts it, and
no more: its classes for projects and hierarchies, and QuPath's own saving of an entry, cost data.

- paquo saves a project after an error too, opens every slide to do so, and skips, without an error,
  the images whose slide is not there.
- paquo's `roi` is made of a geometry, which since QuPath 0.6 has the points in another order.
- QuPath moves `data.qpdata` away before it begins to write the new one.

So `data` reads the Java objects of one `data.qpdata` from its bytes, `edit` changes the
hierarchy and writes all of them to bytes, reads these again and compares; then they replace the file as
with the `files` engine: in one step, with a backup of the first touch. No slide is opened, and until
the last step nothing is on disk. What QuPath changes by reading and writing, such as the digits of stain
vectors or the corners of merged regions, which it rounds to 0.01 px since 0.6, changes here too.
"""

import re
import shlex
import sys
import threading
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

from nuclick_qp.annotations.objects import Changes
from nuclick_qp.annotations.sorting import FoundKind, FoundObject
from nuclick_qp.errors import EngineUnavailableError
from nuclick_qp.qupath.folder.project_json import find_project_file, read_project_file
from nuclick_qp.qupath.folder_project import FolderProject
from nuclick_qp.qupath.jvm.data import CLASS_POOL, PATH_CLASS, Java, keeps_ids, own_classes, private_field, read_data
from nuclick_qp.qupath.jvm.edit import edited
from nuclick_qp.qupath.jvm.java_objects import found_objects, walk
from nuclick_qp.qupath.protocol import ImageEntry
from nuclick_qp.qupath.qpdata.data_file import Edited

REMEDY = "install QuPath 0.4 or later, set PAQUO_QUPATH_DIR to its folder, or use --engine files"
FINDER_SETTINGS = (
    "qupath_dir",
    "qupath_search_dirs",
    "qupath_search_dir_regex",
    "qupath_search_conda",
    "qupath_prefer_conda",
    "jvm_path_override",
)
START_SETTINGS = (*FINDER_SETTINGS, "warn_microsoft_store_python")
NATIVE_ACCESS = "--enable-native-access=ALL-UNNAMED"  # for JPype; Java 24 and later warn of it otherwise
DATA_FILE_VERSION = 3  # what QuPath 0.3 to 0.8 write

_starting = threading.Lock()  # of the Java machine, or reading the settings that say how


@dataclass(frozen=True, slots=True)
class QuPathFound:
    """An installed QuPath.

    Attributes
    ----------
    folder
        Where it is installed.
    version
        From the name of its jar file; None when that does not tell.
    """

    folder: Path
    version: str | None


def find_qupath() -> QuPathFound | None:
    """Look for QuPath where paquo does, without starting it.

    That is `PAQUO_QUPATH_DIR` or `.paquo.toml`, and else the usual folders and conda. None when
    none is there, or the folder that was named holds none.
    """
    from paquo import settings  # noqa: PLC0415
    from paquo.jpype_backend import find_qupath as find  # noqa: PLC0415

    try:
        with _starting:
            settings.reload()  # the environment may have changed since it was last asked
            app_folder = find(**{name: settings.get(name) for name in FINDER_SETTINGS}).app_dir
    except (OSError, ValueError):
        return None
    names = [re.fullmatch(r"qupath-core-(\d.*)\.jar", jar.name) for jar in sorted(app_folder.glob("qupath-core-*.jar"))]
    versions = [name[1] for name in names if name]
    return QuPathFound(app_folder.parents[0 if sys.platform == "win32" else 1], versions[0] if versions else None)


def open_jvm_project(path: Path) -> "JvmProject":
    """Open a project with the installed QuPath, which is started if it is not yet.

    Parameters
    ----------
    path
        The `.qpproj` file, or a folder that holds exactly one.

    Raises
    ------
    ProjectNotFoundError
        If there is no project.
    UnreadableProjectError
        If the project file is not what QuPath writes.
    EngineUnavailableError
        If no QuPath is installed, it does not start, or it is too old or too new.
    """
    file = read_project_file(find_project_file(path))
    if find_qupath() is None:
        raise EngineUnavailableError(f"no QuPath was found; {REMEDY}")
    with _starting:
        return JvmProject(file, _start_java())


@dataclass(frozen=True, slots=True)
class JvmProject(FolderProject):
    """A project whose `data.qpdata` QuPath reads and writes; all else is as with the `files` engine.

    Attributes
    ----------
    java
        The Java machine with QuPath in it.
    """

    java: Java

    @property
    def engine(self) -> str:
        """Name of this engine."""
        return "qupath"

    def objects_in(self, data: bytes, entry: ImageEntry, *, outlines_of: Collection[FoundKind] = ()) -> list[FoundObject]:
        """Give the objects that QuPath reads from the bytes of a data file; `outlines_of` as for `found_objects`.

        Raises
        ------
        UnreadableDataError
            If QuPath cannot read the bytes.
        """
        with own_classes(self.java):
            content = read_data(self.java, data, source=self.data_path(entry))
            found = list(found_objects(self.java, content.root, outlines_of=outlines_of))
            if not outlines_of or keeps_ids(content):
                return found
            # A file of QuPath 0.3 and before, which may have got objects with ids since.
            kept = {str(item.getID()) for item in walk(read_data(self.java, data, source=self.data_path(entry)).root)}
            return [item if item.object_id in kept else replace(item, object_id=None) for item in found]

    def edited(self, data: bytes, entry: ImageEntry, changes: Changes) -> Edited | None:
        """Let QuPath read the bytes of a data file, and write them with the changes; None when nothing changes.

        Raises
        ------
        UnreadableDataError
            If QuPath cannot read the bytes.
        WriteRefusedError
            If QuPath cannot write them, or read what it wrote.
        """
        return edited(self.java, data, changes, source=self.data_path(entry), colours=self.class_colours())


@cache
def _start_java() -> Java:
    """Start QuPath's Java machine; there is one in a process, and it lives as long."""
    try:
        jpype, started = _load_qupath()
    except (ImportError, OSError, RuntimeError, TypeError, ValueError) as err:  # TypeError: a class that paquo wants is not there
        raise EngineUnavailableError(f"QuPath does not start ({' '.join(str(err).split())[:160]}); {REMEDY}") from err
    if threading.current_thread() is not threading.main_thread():
        # At its end Java waits for the thread that started it, unless that is attached anew, as all others are, by its next call.
        jpype.JClass("java.lang.Thread").detach()
    java = Java(
        qupath=str(started.qupath_version),
        load=cache(jpype.JClass),
        bytes_of=jpype.JArray(jpype.JByte),
        doubles_of=jpype.JArray(jpype.JDouble),
        below_java=_caller(jpype),
    )
    _check_version(java)
    started.LogManager.setWarn()
    return java


def _load_qupath() -> tuple[Any, Any]:
    """Start the machine and load QuPath's classes; give JPype, and paquo's module of them."""
    import jpype  # noqa: PLC0415
    from paquo import settings  # noqa: PLC0415
    from paquo.jpype_backend import start_jvm  # noqa: PLC0415

    wanted = settings.get("java_opts") or ()
    options = [*(shlex.split(wanted) if isinstance(wanted, str) else wanted), NATIVE_ACCESS]
    start_jvm(finder_kwargs={name: settings.get(name) for name in START_SETTINGS} | {"java_opts": options})
    # QuPath logs to stdout, which belongs to the results of our commands; it begins as its classes are loaded.
    system = jpype.JClass("java.lang.System")
    system.setOut(system.err)
    from paquo import java  # noqa: PLC0415

    return jpype, java


def _caller(jpype: Any) -> Callable[[Callable[[], Any]], Any]:
    """Give the function that calls another one from Java."""

    def below_java(call: Callable[[], Any]) -> Any:
        given = []
        function = jpype.JProxy("java.util.function.Function", dict={"apply": lambda _: given.append(call())})
        jpype.JClass("java.util.Optional").of("").map(function)
        return given[0]

    return below_java


def _check_version(java: Java) -> None:
    """Refuse a QuPath that writes another kind of file, or keeps its classes elsewhere, than is known here."""
    missing: tuple[type[BaseException], ...] = (AttributeError, *java.errors)
    try:
        version = int(java.load("qupath.lib.io.PathIO").getCurrentDataFileVersion())
        private_field(java, PATH_CLASS, CLASS_POOL)
    except missing as err:
        raise EngineUnavailableError(f"QuPath {java.qupath} is not one of those known here, 0.4 to 0.8; {REMEDY}") from err
    if version != DATA_FILE_VERSION:
        raise EngineUnavailableError(f"QuPath {java.qupath} writes data version {version}, and only 3 is known here; update nuclick-qp")
