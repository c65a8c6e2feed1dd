"""Files that come from others: looked at without an error, and read only if they are plain files of bounded size.

A project, a file of prompts or a model may lie in somebody's locked folder, or be a pipe, a device, or a link to one.
Nothing here waits for a pipe, or reads what has no end.
"""

import errno
import io
import os
import stat
from pathlib import Path

MIB = 2**20
LARGEST_SMALL_FILE = 64 * MIB  # bytes of a card, a configuration, a list of classes
LARGEST_FILE = 1024 * MIB  # bytes of anything else that is read as a whole


def is_file(path: Path) -> bool:
    """Tell whether a plain file is there; no where nobody may look, or no such name can be (`Path.is_file` raises)."""
    return os.path.isfile(path)  # noqa: PTH113


def is_folder(path: Path) -> bool:
    """Tell whether a folder is there; no where nobody may look."""
    return os.path.isdir(path)  # noqa: PTH112


def is_there(path: Path) -> bool:
    """Tell whether anything is there; no where nobody may look."""
    return os.path.exists(path)  # noqa: PTH110


def is_hidden(path: Path) -> bool:
    """Tell whether this user may not see if there is anything."""
    try:
        path.stat()
    except PermissionError:
        return True
    except (OSError, ValueError):
        pass
    return False


def open_file(path: Path) -> io.BufferedReader:
    """Open a plain file for reading.

    Raises
    ------
    OSError
        If it cannot be opened, or is a folder, a pipe or a device.
    """
    try:
        _refuse_odd(path.stat(), path)  # before it is opened: opening a pipe waits for somebody who writes
        file = path.open("rb")
    except ValueError as err:  # a NUL in the name
        raise OSError(errno.EINVAL, "no file has such a name", str(path)) from err
    try:
        _refuse_odd(os.fstat(file.fileno()), path)
    except OSError:
        file.close()
        raise
    return file


def read_file(path: Path, *, most: int = LARGEST_FILE) -> bytes:
    """Read a whole plain file of at most so many bytes.

    Raises
    ------
    OSError
        If it cannot be read, is no plain file, or is larger.
    """
    with open_file(path) as file:
        return read_open(file, most=most)


def read_open(file: io.BufferedReader, *, most: int) -> bytes:
    """Read the whole of a file just opened, of at most so many bytes.

    Raises
    ------
    OSError
        If it cannot be read, or is larger.
    """
    size = os.fstat(file.fileno()).st_size
    if size > most:
        raise OSError(errno.EFBIG, f"it has {size / MIB:,.0f} MB, and {most / MIB:,.0f} MB are the most that is read", file.name)
    data = file.read(size + 1)  # room is made for as many bytes as are asked for, whatever there is
    return data if len(data) <= size else (data + file.read(most))[:most]  # it has grown meanwhile


def _refuse_odd(state: os.stat_result, path: Path) -> None:
    if not stat.S_ISREG(state.st_mode):
        raise OSError(errno.EINVAL, "it is a folder, a pipe or a device, and no plain file", str(path))
