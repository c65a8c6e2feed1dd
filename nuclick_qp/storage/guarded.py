"""Replacing `data.qpdata`, or an ASAP file: the user's annotations are in it, so all of it or nothing."""

import errno
from dataclasses import dataclass
from pathlib import Path

from nuclick_qp.errors import WriteRefusedError
from nuclick_qp.storage.atomic import write_atomically
from nuclick_qp.storage.plain_files import read_file

# Not `.bkp`: QuPath deletes a file of that name when it saves, and reads it when data.qpdata is broken.
BACKUP_SUFFIX = ".nuclick-backup"
QUPATH_BACKUP_SUFFIX = ".bkp"
REMEDIES = {
    errno.ENOSPC: "free some disk space and run again",
    errno.EDQUOT: "free some of your disk quota and run again",
    errno.EROFS: "copy the folder to a disk that can be written",
    errno.EACCES: "give yourself the right to write in this folder, and close the image in other programs",
    errno.EPERM: "give yourself the right to write in this folder, and close the image in other programs",
}


def backup_of(path: Path) -> Path:
    """Give the file that keeps what `path` held before we first touched it."""
    return path.with_name(path.name + BACKUP_SUFFIX)


def qupath_backup_of(path: Path) -> Path:
    """Give the file that exists only while QuPath saves `path`, or after it crashed doing so."""
    return path.with_name(path.name + QUPATH_BACKUP_SUFFIX)


def replace_data_file(path: Path, new: bytes, *, old: bytes | None) -> None:
    """Replace the content of a file, keeping a backup of the very first content.

    Parameters
    ----------
    path
        The file to replace, or to make.
    new
        Its new content.
    old
        What it must hold now; None when it must not exist.

    Raises
    ------
    WriteRefusedError
        If the file no longer holds `old`, or anything goes wrong on disk. The file is then as it
        was, and neither a temporary file nor a backup made by this call is left.
    """
    attempt = _Attempt(path, old, new)
    try:
        attempt.run()
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
    """One replacement, with what it has done so far."""

    path: Path
    old: bytes | None
    new: bytes
    made_folder: bool = False
    made_backup: bool = False
    replaced: bool = False

    def run(self) -> None:
        """Make the backup, look again whether the file is still the old one, replace it, and read it back."""
        if self.old is None and not self.path.parent.exists():
            self.path.parent.mkdir(parents=True)
            self.made_folder = True
        backup = backup_of(self.path)
        if self.old is not None and not backup.exists():
            self.made_backup = True
            write_atomically(backup, self.old)
        if content_of(self.path) != self.old:
            raise WriteRefusedError(f"{self.path} changed while it was being written; close the image in QuPath or ASAP and run again")
        write_atomically(self.path, self.new)
        self.replaced = True
        if content_of(self.path) != self.new:
            raise OSError(errno.EIO, "the disk does not hold what was written")

    def undo(self) -> None:
        """Put the old content back, and leave nothing that this attempt made."""
        try:
            # Replaced, too, when only the last step failed: making the rename durable.
            if self.replaced or (self.new != self.old and content_of(self.path) == self.new):
                self._put_back()
            if self.made_backup:
                backup_of(self.path).unlink(missing_ok=True)
            if self.made_folder:
                self.path.parent.rmdir()
        except OSError as err:
            raise WriteRefusedError(
                f"{self.path} could not be put back as it was ({_reason(err)}); check the disk, then undo the change in QuPath or ASAP"
            ) from err

    def _put_back(self) -> None:
        """Write the old content, or remove the file; only the content counts."""
        if self.old is None:
            self.path.unlink(missing_ok=True)
            return
        try:
            write_atomically(self.path, self.old)
        except OSError:
            if content_of(self.path) == self.old:
                return
            if not self.made_backup:
                raise
            backup_of(self.path).replace(self.path)  # needs no room on the disk


def write_refusal(path: Path, err: OSError) -> str:
    """Say why a file could not be written, and what helps."""
    remedy = REMEDIES.get(err.errno or 0, "check the disk and run again")
    return f"{path} could not be written ({_reason(err)}); it is as it was: {remedy}"


def _reason(err: OSError) -> str:
    return err.strerror or str(err)
