"""Replacing `data.qpdata`, or an ASAP file: the user's annotations are in it, so all of it or nothing.

Other runs of ours wait (`locks`); QuPath and ASAP do not. So the file is compared with what was read at the last
moment before it is replaced, and read back at the first moment after; and when something fails, only that is undone
which this process wrote and which is still there.
"""

import errno
import os
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from nuclick_qp.errors import WriteRefusedError
from nuclick_qp.storage.atomic import replace_atomically, write_refusal
from nuclick_qp.storage.locks import hold
from nuclick_qp.storage.plain_files import read_file

# Not `.bkp`: QuPath deletes a file of that name when it saves, and reads it when data.qpdata is broken.
BACKUP_SUFFIX = ".nuclick-backup"
QUPATH_BACKUP_SUFFIX = ".bkp"


class _SavedMeanwhileError(WriteRefusedError):
    """Another program saved the file right behind us: what it saved stands, and there is nothing to undo."""


def backup_of(path: Path) -> Path:
    """Give the file that keeps what `path` held before we first touched it."""
    return path.with_name(path.name + BACKUP_SUFFIX)


def qupath_backup_of(path: Path) -> Path:
    """Give the file that exists only while QuPath saves `path`, or after it crashed doing so."""
    return path.with_name(path.name + QUPATH_BACKUP_SUFFIX)


def replace_data_file(path: Path, new: bytes, *, old: bytes | None, is_free: Callable[[], bool] = lambda: True) -> None:
    """Replace the content of a file, keeping a backup of the very first content.

    Parameters
    ----------
    path
        The file to replace, or to make.
    new
        Its new content.
    old
        What it must hold now; None when it must not exist.
    is_free
        Tells whether no other program is about to save the file; asked right before it is replaced, and
        right after.

    Raises
    ------
    WriteRefusedError
        If the file no longer holds `old`, or another program saves it, or anything goes wrong on disk.
        Neither a temporary file nor a backup made by this call is left, and the file is as it was, or
        as another program has saved it.
    """
    with hold(path):
        attempt = _Attempt(path, old, new, is_free)
        try:
            attempt.run()
        except _SavedMeanwhileError:
            raise
        except BaseException as err:
            attempt.undo()
            if isinstance(err, OSError):
                raise WriteRefusedError(write_refusal(path, err)) from err
            raise


def content_of(path: Path) -> bytes | None:
    """Read a whole file; None when there is none."""
    try:
        return read_file(path)
    except FileNotFoundError:
        return None


@dataclass
class _Attempt:
    """One replacement, with what it has made so far: states of files as they were before they got their names."""

    path: Path
    old: bytes | None
    new: bytes
    is_free: Callable[[], bool]
    made_folder: bool = False
    made_backup: os.stat_result | None = None
    made: os.stat_result | None = None

    def run(self) -> None:
        """Make the backup, replace the file unless somebody has changed it, and read it back."""
        if self.old is None and not self.path.parent.exists():
            self.path.parent.mkdir(parents=True)
            self.made_folder = True
        self._refuse_changed()
        if self.old is not None:
            self._keep_first(self.old)
        with replace_atomically(self.path, is_new=self.old is None, before=self._last_look) as file:
            file.write(self.new)
        if content_of(self.path) == self.new and self.is_free():
            return
        if self.is_free() and _is_same(self.path, self.made):
            raise OSError(errno.EIO, "the disk does not hold what was written")
        raise _SavedMeanwhileError(
            f"{self.path} was saved by another program at the same moment, and holds what that saved; close the image there and run again"
        )

    def undo(self) -> None:
        """Put the old content back where the new one stands, and leave nothing that this attempt made."""
        try:
            if _is_same(self.path, self.made):
                self._put_back()
            is_untouched = self.made is None or content_of(self.path) == self.old
            if is_untouched and _is_same(backup_of(self.path), self.made_backup):
                with suppress(OSError):  # a later run finds it, and it holds what the file held
                    backup_of(self.path).unlink()
        except OSError as err:
            raise WriteRefusedError(
                f"{self.path} could not be put back as it was ({err.strerror or err}); check the disk, then run nuclick-qp restore"
            ) from err
        if self.made_folder:
            with suppress(OSError):  # somebody has put something into it
                self.path.parent.rmdir()

    def _keep_first(self, content: bytes) -> None:
        """Make the backup, if there is none: once and for good."""
        backup = backup_of(self.path)
        if not os.path.lexists(backup):
            with suppress(FileExistsError), replace_atomically(backup, is_new=True, like=self.path, before=self._note_backup) as file:
                file.write(content)
            if _is_same(backup, self.made_backup) and content_of(backup) != content:
                raise OSError(errno.EIO, "the disk does not hold what was written into the backup")
        if not backup.is_file():
            raise WriteRefusedError(f"{backup} is there and is no file, so that no backup can be kept; nothing was written: move it away")

    def _note_backup(self, made: os.stat_result) -> None:
        self.made_backup = made

    def _last_look(self, made: os.stat_result) -> None:
        """Refuse at the last moment before the file is replaced."""
        self._refuse_changed()
        self.made = made

    def _refuse_changed(self) -> None:
        if content_of(self.path) != self.old or not self.is_free():
            raise WriteRefusedError(f"{self.path} changed while it was being written; close the image in QuPath or ASAP and run again")

    def _put_back(self) -> None:
        """Write the old content, or remove the file; only the content counts."""
        if self.old is None:
            self.path.unlink(missing_ok=True)
            return
        try:
            with replace_atomically(self.path, before=self._refuse_foreign) as file:
                file.write(self.old)
        except OSError:
            if content_of(self.path) == self.old:
                return
            if not _is_same(backup_of(self.path), self.made_backup):
                raise
            backup_of(self.path).replace(self.path)  # needs no room on the disk

    def _refuse_foreign(self, _: os.stat_result) -> None:
        """Leave alone what another program saves while the old content is being put back."""
        if not _is_same(self.path, self.made):
            raise _SavedMeanwhileError(
                f"{self.path} was saved by another program, and holds what that saved; close the image there and run again"
            )


def _is_same(path: Path, made: os.stat_result | None) -> bool:
    """Tell whether a path leads to the very file that was made, and nobody has written into it since."""
    if made is None:
        return False
    try:
        now = path.stat()
    except FileNotFoundError:
        return False
    return os.path.samestat(now, made) and (now.st_size, now.st_mtime_ns) == (made.st_size, made.st_mtime_ns)
