"""Tests of `nuclick_qp.storage.atomic`."""

import os
import stat
from pathlib import Path

import pytest

from nuclick_qp.storage.atomic import replace_atomically, write_atomically


@pytest.mark.skipif(os.name != "posix", reason="there is no umask here")
@pytest.mark.parametrize("mask", [0o022, 0o027, 0o077])
def test_new_files_have_the_mode_that_the_umask_gives(tmp_path: Path, mask: int) -> None:
    """As files of any other program."""
    before = os.umask(mask)
    try:
        write_atomically(tmp_path / "new.json", b"1")
        (tmp_path / "plain.json").write_bytes(b"1")
    finally:
        os.umask(before)

    modes = [stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("new.json", "plain.json")]
    assert modes == [0o666 & ~mask] * 2


def test_umask_of_the_process_is_not_touched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is one for all threads: a file that another makes meanwhile would get the wrong mode."""
    monkeypatch.setattr(os, "umask", lambda mask: pytest.fail("the umask was set"))

    write_atomically(tmp_path / "new.json", b"1")

    assert (tmp_path / "new.json").read_bytes() == b"1"


@pytest.mark.skipif(os.name != "posix", reason="there are no such modes here")
def test_content_of_a_private_file_is_never_readable_by_others(tmp_path: Path) -> None:
    """Not in the temporary file either."""
    path = tmp_path / "private.json"
    path.write_bytes(b"old")
    path.chmod(0o600)

    with replace_atomically(path) as file:
        file.write(b"new")
        (temporary,) = (p for p in tmp_path.iterdir() if p != path)
        assert stat.S_IMODE(temporary.stat().st_mode) == 0o600

    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_block_that_fails_leaves_the_old_file_alone(tmp_path: Path) -> None:
    """And no temporary one."""
    path = tmp_path / "a.json"
    path.write_bytes(b"old")

    def write_half() -> None:
        with replace_atomically(path) as file:
            file.write(b"half of the")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        write_half()

    assert [(p.name, p.read_bytes()) for p in tmp_path.iterdir()] == [("a.json", b"old")]
