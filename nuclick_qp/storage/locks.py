"""One run at a time on one file: the others wait.

The lock is the operating system's, on a small file beside the one that is held. It goes with the process,
however that ends: a file that a killed run left behind locks nothing, and the next run removes it, also one
that has nothing to write (`remove_stale_lock`). QuPath and
ASAP lock nothing; what they save meanwhile `guarded` finds.
"""

import errno
import logging
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from pathlib import Path

from filelock import FileLock, Timeout

from nuclick_qp.errors import WriteRefusedError
from nuclick_qp.plain_text import printable
from nuclick_qp.stopping import Stopped, never
from nuclick_qp.storage.atomic import file_at, refuse_protected, write_refusal
from nuclick_qp.storage.plain_files import is_there

logger = logging.getLogger(__name__)

LOCK_SUFFIX = ".nuclick-lock"
LOOK_AGAIN_S = 0.1
FOR_ALL = 0o666  # in a project that is shared, the file of one who was killed must not stop the others
NO_LOCKS = frozenset({errno.ENOSYS, errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EINVAL})  # what some network disks answer
GONE = frozenset({errno.ENOENT, errno.ESTALE})  # the lock file, or the folder made for it, was removed by its last holder

_held: ContextVar[frozenset[Path]] = ContextVar("_held", default=frozenset())  # lock files; whose context it is, holds them


def lock_of(path: Path) -> Path:
    """Give the file that is locked for a path; the same for all links that lead to one file.

    Raises
    ------
    OSError
        If the path means no file.
    """
    real = file_at(path)
    return real.with_name(f".{real.name}{LOCK_SUFFIX}")


@contextmanager
def hold(path: Path, *, name: str | None = None, stopped: Callable[[], bool] = never) -> Iterator[None]:
    """Keep all other runs from a file until the block ends, and wait for one that is at it.

    Blocks on one file may lie inside one another. The right to write is tested with it: no work is
    done for a file that cannot be replaced. On a disk that knows no locks the block runs all the same,
    with a warning.

    Parameters
    ----------
    name
        What is waited for, in the message; by default the path.
    stopped
        Asked often whether to leave off waiting.

    Raises
    ------
    Stopped
        If it was stopped before the file was free.
    WriteRefusedError
        If the file, or a new one in its folder, cannot be written.
    """
    try:
        lock_file = lock_of(path)
        refuse_protected(path)
        if is_held := lock_file in _held.get():
            lock, made_folder = None, False
        else:
            made_folder = not lock_file.parent.exists()
            lock = _acquired(lock_file, printable(name or str(path)), stopped)
    except OSError as err:
        raise WriteRefusedError(write_refusal(path, err)) from err
    before = _held.set(_held.get() | {lock_file})
    try:
        yield
    finally:
        _held.reset(before)
        if not is_held:
            _release(lock, lock_file, made_folder=made_folder)


def remove_stale_lock(path: Path) -> None:
    """Remove the lock file that a killed run left beside a file; that of a run which is at work stays.

    `hold` does so for those who have something to write. A disk that cannot be written keeps it: it locks nothing.
    """
    with suppress(OSError, Timeout):
        lock_file = lock_of(path)
        if is_there(lock_file):
            lock = FileLock(lock_file, mode=FOR_ALL, fallback_to_soft=False, on_acquired=_sign(lock_file))
            lock.acquire(timeout=0)
            _release(lock, lock_file, made_folder=False)


def _acquired(lock_file: Path, name: str, stopped: Callable[[], bool]) -> FileLock | None:
    """Take a lock, or wait until it is free; on a disk that knows none, go on without."""
    lock = FileLock(
        lock_file, mode=FOR_ALL, fallback_to_soft=False, on_acquired=_sign(lock_file), poll_interval=LOOK_AGAIN_S, thread_local=False
    )  # another thread may give it back: the one that writes what was found
    is_told = False
    while not lock.is_locked:
        lock_file.parent.mkdir(parents=True, exist_ok=True)
        try:
            lock.acquire(timeout=-1 if is_told else 0, cancel_check=stopped)
        except Timeout:
            if is_told:
                raise Stopped from None
            logger.warning("waiting for another run on %s%s", name, _holder(lock_file))
            is_told = True
        except OSError as err:
            if err.errno in NO_LOCKS:
                logger.warning("%s lies on a disk that knows no locks (%s): start no other run on it meanwhile", name, err.strerror)
                return None
            if err.errno not in GONE:
                raise
    return lock


def _release(lock: FileLock | None, lock_file: Path, *, made_folder: bool) -> None:
    """Give a lock back, and leave nothing of it."""
    with suppress(OSError):  # on a disk without locks, too, it was made
        lock_file.unlink()  # those who wait for it look whether it is still there, and make a new one
    if lock is not None:
        lock.release()
    if made_folder:
        with suppress(OSError):  # something is in it now
            lock_file.parent.rmdir()


def _sign(lock_file: Path) -> Callable[[int], None]:
    """Give the function that looks at a lock just taken, by its handle, and writes into its file who holds it."""

    def sign(handle: int) -> None:
        if not os.path.samestat(os.fstat(handle), lock_file.stat()):  # its last holder removed it, and a third has made a new one
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(lock_file))
        with suppress(OSError):
            os.ftruncate(handle, 0)
            os.write(handle, b"%d" % os.getpid())

    return sign


def _holder(lock_file: Path) -> str:
    """Say which process holds a lock, where its file tells."""
    try:
        return f" (pid {int(lock_file.read_bytes()[:20])})" if lock_file.is_file() else ""
    except (OSError, ValueError):
        return ""
