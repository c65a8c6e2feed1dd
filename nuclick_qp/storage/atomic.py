"""Writing files so that a reader sees either the old content or the new, never a part of it."""

import errno
import glob
import os
import secrets
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from nuclick_qp.errors import WriteRefusedError

LEFT_BEHIND_S = 3600  # a temporary file that nobody has written to for so long belongs to a program that was killed
CANNOT_SYNC_FOLDERS = frozenset({errno.EINVAL, errno.ENOTSUP})  # what some network shares answer


def write_atomically(path: Path, data: bytes) -> None:
    """Replace a file by new content, as `replace_atomically` does.

    Raises
    ------
    OSError
        If the folder cannot be written or the disk is full.
    """
    with replace_atomically(path) as file:
        file.write(data)


@contextmanager
def replace_atomically(path: Path) -> Iterator[IO[bytes]]:
    """Give a file whose content takes the place of another when the block ends without an error.

    Temporary file in the same folder, fsync, rename: when anything fails the old file is as it was
    and the temporary file is gone. The mode of an existing file is kept, a symbolic link goes on
    pointing to the file that is replaced, and a file that must not be written is not.

    Raises
    ------
    OSError
        If the folder cannot be written or the disk is full.
    """
    path = path.resolve()
    if path.exists() and not os.access(path, os.W_OK):
        raise PermissionError(errno.EACCES, "the file is write-protected", str(path))
    _remove_left_behind(path)
    mode = path.stat().st_mode & 0o777 if path.exists() else None
    handle, temporary = _new_file(path, 0o600 if mode is not None else 0o666)
    try:
        with os.fdopen(handle, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        if mode is not None:
            temporary.chmod(mode)
        temporary.replace(path)
    except BaseException:
        temporary.unlink()
        raise
    _sync_folder(path.parent)


def _new_file(path: Path, mode: int) -> tuple[int, Path]:
    """Make a temporary file beside a path; the system takes the user's umask off its mode, which `tempfile` does not let it do."""
    while True:
        temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
        with suppress(FileExistsError):
            return os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_RDWR | getattr(os, "O_BINARY", 0), mode), temporary


def _remove_left_behind(path: Path) -> None:
    """Remove temporary files of this path that killed programs left."""
    for left in path.parent.glob(f".{glob.escape(path.name)}.????????.tmp"):
        with suppress(OSError):
            if time.time() - left.stat().st_mtime > LEFT_BEHIND_S:
                left.unlink()


def make_folder(folder: Path, *, option: str) -> None:
    """Make a folder for results, before hours of work depend on it.

    Parameters
    ----------
    option
        Name of the option that names it, for the message.

    Raises
    ------
    WriteRefusedError
        If it cannot be made, or cannot hold files.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as err:
        raise WriteRefusedError(f"{folder} cannot hold files ({err.strerror}); choose another folder for {option}") from err


def _sync_folder(folder: Path) -> None:
    """Make the rename itself durable, where the system and the disk know how."""
    if os.name != "posix":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError as err:
        if err.errno not in CANNOT_SYNC_FOLDERS:
            raise
    finally:
        os.close(handle)
