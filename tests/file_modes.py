"""The right of an administrator to pass over the modes of files, which tests may run with, and how to do without."""

import ctypes
import sys
from collections.abc import Iterator
from contextlib import contextmanager

PASS_OVER_MODES = 1 << 1 | 1 << 2  # CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH
VERSION_3 = 0x20080522  # _LINUX_CAPABILITY_VERSION_3


@contextmanager
def modes_heeded() -> Iterator[None]:
    """Let modes of files hold for this thread, whoever it belongs to; elsewhere than on Linux they hold or not as they do."""
    if sys.platform != "linux":
        yield
        return
    rights = _effective_rights()
    _set_effective_rights(rights & ~PASS_OVER_MODES)
    try:
        yield
    finally:
        _set_effective_rights(rights)


def _effective_rights() -> int:
    return int(_sets()[0])


def _set_effective_rights(rights: int) -> None:
    sets = _sets()
    sets[0] = rights
    if _libc().capset((ctypes.c_uint32 * 2)(VERSION_3, 0), sets):
        raise OSError(ctypes.get_errno(), "capset")


def _sets() -> ctypes.Array[ctypes.c_uint32]:
    """Read what this thread may: effective, permitted and inheritable, the low halves first."""
    sets = (ctypes.c_uint32 * 6)()
    if _libc().capget((ctypes.c_uint32 * 2)(VERSION_3, 0), sets):
        raise OSError(ctypes.get_errno(), "capget")
    return sets


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)
