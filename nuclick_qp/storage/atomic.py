"""Writing files so that a reader sees either the old content or the new, never a part of it."""

import errno
import glob
import os
import secrets
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from nuclick_qp.errors import WriteRefusedError

LEFT_BEHIND_S = 3600  # a temporary file that nobody has written to for so long belongs to a program that was killed
REMEDIES = {
    errno.ENOSPC: "free some disk space and run again",
    errno.EDQUOT: "free some of your disk quota and run again",
    errno.EROFS: "copy the folder to a disk that can be written",
    errno.EACCES: "give yourself the right to write in this folder, and close the image in other programs",
    errno.EPERM: "give yourself the right to write in this folder, and close the image in other programs",
    errno.EEXIST: "close the image in QuPath or ASAP and run again",
    errno.ELOOP: "remove the link, or mount the disk that it leads to",
    errno.EINVAL: "name a file",
}
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
def replace_atomically(
    path: Path, *, is_new: bool = False, like: Path | None = None, before: Callable[[os.stat_result], None] | None = None
) -> Iterator[IO[bytes]]:
    """Give a file whose content takes the place of another when the block ends without an error.

    Temporary file in the same folder, fsync, rename: when anything fails the old file is as it was
    and the temporary file is gone. Mode and owner of an existing file are kept, as far as the system
    lets us. A symbolic link goes on pointing to the file that is replaced; one that leads to no file,
    a device, a pipe, and a file that must not be written are refused.

    Parameters
    ----------
    is_new
        Nothing must stand there: never replace a file, not even one that appears meanwhile.
    like
        The file whose mode and owner a new one gets.
    before
        Called last, with the state of the finished file; what it raises keeps the old file in place.

    Raises
    ------
    OSError
        If the folder cannot be written or the disk is full, or `is_new` and there is something.
    """
    path = path if is_new else file_at(path)
    refuse_protected(path)
    _remove_left_behind(path)
    old = next((place.stat() for place in (path, like) if place is not None and place.exists()), None)
    handle, temporary = _new_file(path, 0o600 if old is not None else 0o666)
    try:
        with os.fdopen(handle, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        _hand_over(temporary, old)
        if before is not None:
            before(temporary.stat())
        _place(temporary, path, is_new=is_new)
    except BaseException:
        with suppress(OSError):  # the first error tells more
            temporary.unlink(missing_ok=True)
        raise
    _sync_folder(path.parent)


def refuse_protected(path: Path) -> None:
    """Refuse a file that must not be written, though its folder would let us put another in its place.

    Raises
    ------
    PermissionError
        If it is there and write-protected.
    """
    if path.exists() and not os.access(path, os.W_OK):
        raise PermissionError(errno.EACCES, "the file is write-protected", str(path))


def file_at(path: Path) -> Path:
    """Give the file that a path means, through links, whether it is there or not.

    Raises
    ------
    OSError
        If it is a link that leads to nothing, or what it means is no file.
    """
    real = Path(os.path.realpath(path))
    if real.is_file():
        return real
    if path.is_symlink():
        raise OSError(errno.ELOOP, "it is a symbolic link that leads to no file", str(path))
    if real.exists():
        raise OSError(errno.EINVAL, "it is a folder, a device or a pipe, and no file", str(path))
    return real


def _hand_over(temporary: Path, old: os.stat_result | None) -> None:
    """Give a new file the mode and the owner of the old one; root gives a new file to the owner of the folder."""
    if os.name == "posix":
        owner = old or (temporary.parent.stat() if os.geteuid() == 0 else temporary.stat())
        for uid, gid in ((owner.st_uid, owner.st_gid), (-1, owner.st_gid)):
            with suppress(PermissionError):
                os.chown(temporary, uid, gid)
                break
    if old is not None:
        temporary.chmod(old.st_mode & 0o777)  # after the owner, whose change may cost rights


def _place(temporary: Path, path: Path, *, is_new: bool) -> None:
    """Give a file its name; a new one by a link, which fails where something stands, as a rename does not."""
    if not is_new:
        temporary.replace(path)
        return
    try:
        os.link(temporary, path)
    except OSError:  # it stands there, or the disk knows no links
        if os.path.lexists(path):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(path)) from None
        temporary.replace(path)
    else:
        temporary.unlink()


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


def write_refusal(path: Path, err: OSError) -> str:
    """Say why a file could not be written, and what helps."""
    remedy = REMEDIES.get(err.errno or 0, "check the disk and run again")
    return f"{path} could not be written ({err.strerror or err}); it is as it was: {remedy}"


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
