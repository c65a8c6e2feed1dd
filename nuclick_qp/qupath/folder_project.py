"""What both engines share: the folder of a project, when its data files may be replaced, and what else changes then.

Everything that is written goes into `data.qpdata`. The project file gets the time of the change when the
project is closed, and nothing else: it says which QuPath saved it and where, which would no longer be true.
"""

import hashlib
import re
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import TracebackType
from typing import Self

from nuclick_qp.annotations.closed import closed_objects
from nuclick_qp.annotations.colours import colour_of
from nuclick_qp.annotations.objects import Changes, ClosedObject, EntryContent
from nuclick_qp.annotations.sorting import FoundKind, FoundObject, sort_objects
from nuclick_qp.errors import UnreadableDataError, WriteRefusedError
from nuclick_qp.kinds import OBJECT_KINDS, ObjectKind
from nuclick_qp.qupath.folder.project_json import LastLook, ProjectFile, refuse_changed, set_modified
from nuclick_qp.qupath.folder.server_copy import warn_of_unsaved_mpp
from nuclick_qp.qupath.folder.side_files import ClassColour, add_classes, class_list, listed_colours, update_summary
from nuclick_qp.qupath.javastream.nodes import collector_paused
from nuclick_qp.qupath.protocol import ImageEntry
from nuclick_qp.qupath.qpdata.data_file import Edited
from nuclick_qp.qupath.qpdata.image_type import image_type_in
from nuclick_qp.qupath.qpdata.new_file import new_data_file
from nuclick_qp.stopping import never
from nuclick_qp.storage.guarded import backup_of, content_of, qupath_backup_of, replace_data_file
from nuclick_qp.storage.locks import hold, remove_stale_lock
from nuclick_qp.storage.plain_files import is_there

ABSENT = "absent"  # fingerprint of an image that was never saved
FIRST_WITH_DATA_3 = (0, 3)  # the QuPath that began to write the data version that we can make anew


@dataclass(frozen=True, slots=True)
class FolderProject(ABC):
    """A project on disk; every call reads anew what it needs. Closing it states the time of the change.

    An engine says how the bytes of a data file become objects, and how they take up changes.

    Attributes
    ----------
    file
        The project file as it was when the project was opened.
    written
        Images that have been written to since.
    last_look
        When the project file was last found to be as it was.
    """

    file: ProjectFile
    written: set[str] = field(default_factory=set, init=False, compare=False)
    last_look: LastLook = field(default_factory=LastLook, init=False, compare=False)

    @property
    def path(self) -> Path:
        """The `.qpproj` file."""
        return self.file.path

    @property
    @abstractmethod
    def engine(self) -> str:
        """Name of the engine."""

    @property
    def stored_uri(self) -> str | None:
        """Where QuPath last saved the project."""
        return self.file.uri

    def class_colours(self) -> dict[str, int]:
        """Give the packed ARGB colours of the project's list of classes, by full name."""
        return listed_colours(self.path.parent)

    def images(self) -> Sequence[ImageEntry]:
        """List the images in the order of the project."""
        return self.file.images

    def read(self, entry: ImageEntry) -> EntryContent:
        """Read prompts and earlier results of one image; nothing when it was never saved.

        Raises
        ------
        UnreadableDataError
            If `data.qpdata` cannot be read, is truncated, foreign, or of an unknown version, or
            QuPath stopped while it was saving.
        """
        data = self.read_data(entry)
        if data is None:
            return EntryContent((), fingerprint=fingerprint_of(None))
        with collector_paused(), self._backup_named(entry):
            content = sort_objects(self.objects_in(data, entry), fingerprint=fingerprint_of(data))
        return replace(content, image_type=image_type_in(data))

    def read_closed_objects(self, entry: ImageEntry, kinds: Collection[ObjectKind] = OBJECT_KINDS) -> tuple[ClosedObject, ...]:
        """Read closed annotations, detections and cells of one image; none when it was never saved.

        Raises
        ------
        UnreadableDataError
            As `read` does.
        """
        data = self.read_data(entry)
        if data is None:
            return ()
        with self._backup_named(entry):
            return closed_objects(self.objects_in(data, entry, outlines_of=kinds), entry_id=entry.entry_id, kinds=kinds)

    @contextmanager
    def _backup_named(self, entry: ImageEntry) -> Iterator[None]:
        """Name the way back, where there is one, when the data of an image turn out to be damaged."""
        try:
            yield
        except UnreadableDataError as err:
            if not is_there(backup_of(self.data_path(entry))):
                raise
            raise UnreadableDataError(f"{err}; or go back to what it held before the first run with `nuclick-qp restore`") from err

    @contextmanager
    def hold(self, entry: ImageEntry, *, stopped: Callable[[], bool] = never) -> Iterator[None]:
        """Keep other runs from an image until the block ends, and wait for one that is at it.

        What was read before may have changed since; `is_as_read` tells.

        Parameters
        ----------
        stopped
            Asked often whether to leave off waiting.

        Raises
        ------
        Stopped
            If it was stopped before the image was free.
        WriteRefusedError
            If its data cannot be written.
        """
        self.remove_stale_locks(entry)
        with hold(self.data_path(entry), name=f"image {entry.name!r}", stopped=stopped):
            yield

    def warn_of_unsaved_mpp(self, entry: ImageEntry) -> None:
        """Warn where QuPath has saved an image with another pixel size than its project states."""
        warn_of_unsaved_mpp(entry, self.data_path(entry).parent)

    def remove_stale_locks(self, entry: ImageEntry) -> None:
        """Remove what a killed run left of its locks, where nothing is to be written into an image."""
        for path in (self.data_path(entry), class_list(self.path.parent)):
            remove_stale_lock(path)

    def is_as_read(self, entry: ImageEntry, fingerprint: str) -> bool:
        """Tell whether the data of an image are still those with the fingerprint.

        Raises
        ------
        UnreadableDataError
            As `read_data` does.
        """
        return fingerprint_of(self.read_data(entry)) == fingerprint

    def write(self, entry: ImageEntry, changes: Changes, *, fingerprint: str) -> None:
        """Write results into one image: one write, verified, all or nothing.

        Raises
        ------
        WriteRefusedError
            If the data or the project file have changed since they were read, QuPath is saving
            them, the data are not fully understood, or the disk refuses. Every byte on disk is then
            as before.
        """
        if changes.add or changes.remove_keys:
            with self.hold(entry):
                self._write(entry, changes, fingerprint=fingerprint)

    def _write(self, entry: ImageEntry, changes: Changes, *, fingerprint: str) -> None:
        path = self.data_path(entry)
        refuse_changed(self.file, self.last_look, image_name=entry.name)
        try:
            old = content_of(path)
        except OSError as err:
            raise WriteRefusedError(f"{path} cannot be read ({err.strerror}) and was left as it is: check its permissions") from err
        refuse_unsafe(path, old, fingerprint=fingerprint)
        try:
            new = self.edited(self.empty_data(entry) if old is None else old, entry, changes)
        except UnreadableDataError as err:
            raise WriteRefusedError(f"nothing was written: {err}") from err
        if new is None or new.data == old:
            return
        refuse_changed(self.file, self.last_look, image_name=entry.name)  # anew: a large image takes seconds
        replace_data_file(path, new.data, old=old, is_free=lambda: not qupath_backup_of(path).exists())
        # Last, and never a reason to fail: the objects are on disk now.
        self.written.add(entry.entry_id)
        add_classes(self.path.parent, [ClassColour(name, colour_of(name)) for name in new.new_classes])
        update_summary(path, new.objects)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self.written:
            set_modified(self.file, now_ms=time.time_ns() // 1_000_000)
            self.written.clear()

    def data_path(self, entry: ImageEntry) -> Path:
        """Give the place of the data file of an image, whether it is there or not."""
        return self.path.parent / "data" / entry.entry_id / "data.qpdata"

    def read_data(self, entry: ImageEntry) -> bytes | None:
        """Give the bytes of the data file of an image; None when it was never saved.

        Raises
        ------
        UnreadableDataError
            If it cannot be read, or QuPath stopped while it was saving.
        """
        path = self.data_path(entry)
        data = data_content(path)
        if data is None and is_there(qupath_backup_of(path)):
            raise UnreadableDataError(
                f"{path} is missing and {qupath_backup_of(path).name} is there: QuPath stopped while saving image {entry.name!r}; "
                "open the image in QuPath, save it, and run again"
            )
        return data

    @abstractmethod
    def objects_in(self, data: bytes, entry: ImageEntry, *, outlines_of: Collection[FoundKind] = ()) -> Iterable[FoundObject]:
        """Give the objects in the bytes of a data file, but for the root.

        Parameters
        ----------
        outlines_of
            Kinds whose outlines, nuclei and measurements are wanted.

        Raises
        ------
        UnreadableDataError
            If the bytes are truncated, foreign, or of an unknown version.
        """

    @abstractmethod
    def edited(self, data: bytes, entry: ImageEntry, changes: Changes) -> Edited | None:
        """Give the bytes of a data file with the changes in them, read once more; None when nothing changes.

        Raises
        ------
        UnreadableDataError
            If the bytes cannot be read.
        WriteRefusedError
            If they cannot be written, or do not read back as they were meant.
        """

    def empty_data(self, entry: ImageEntry) -> bytes:
        """Make the data file of an image that QuPath has never saved.

        Raises
        ------
        WriteRefusedError
            If the project is so old that QuPath may not read the file.
        """
        version = re.match(r"(\d+)\.(\d+)", self.file.version)
        if version is None or (int(version[1]), int(version[2])) < FIRST_WITH_DATA_3:
            raise WriteRefusedError(
                f"{self.data_path(entry)} does not exist, and QuPath {self.file.version or 'of an unknown version'} may not read "
                f"one of ours; open image {entry.name!r} in QuPath, save it, and run again"
            )
        return new_data_file(
            server_json=self.file.servers[self.file.images.index(entry)],
            annotations=(),
            image_type="UNSET",
            qupath_version=self.file.version,
            project_entry=f"{self.path.absolute()}::{entry.entry_id}",
        )


def data_content(path: Path) -> bytes | None:
    """Read a data file; None when there is none.

    Raises
    ------
    UnreadableDataError
        If it is there and cannot be read.
    """
    try:
        return content_of(path)
    except OSError as err:
        raise UnreadableDataError(f"{path} cannot be read ({err.strerror}); check its permissions") from err


def fingerprint_of(data: bytes | None) -> str:
    """Give the identity of a data file's bytes; None is a file that does not exist."""
    return ABSENT if data is None else hashlib.sha256(data).hexdigest()


def refuse_unsafe(path: Path, data: bytes | None, *, fingerprint: str) -> None:
    """Refuse when someone else writes, or has written since the image was read.

    Raises
    ------
    WriteRefusedError
        If QuPath's own backup stands beside the file, or the fingerprint is not that of the data.
    """
    if is_there(qupath_backup_of(path)):
        raise WriteRefusedError(
            f"{qupath_backup_of(path)} exists: QuPath is saving this image, or stopped while saving it; nothing was written: "
            "open the image in QuPath, save it, close it, and run again"
        )
    if fingerprint_of(data) != fingerprint:
        raise WriteRefusedError(f"{path} has changed since it was read; nothing was written: close the image in QuPath and run again")
