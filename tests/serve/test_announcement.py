"""Tests of `nuclick_qp.serve.announcement`: where a service says how it is reached, and who may read that."""

import os
import stat
from pathlib import Path

import pytest

from nuclick_qp.errors import WriteRefusedError
from nuclick_qp.serve.announcement import Announcement, announce, announcement_path, find_running, read_announcement, withdraw

GONE = Announcement(host="127.0.0.1", port=9, token="t" * 20, pid=2**22 + 5, version="0.0.9")


@pytest.fixture(autouse=True)
def runtime(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give every test a runtime folder of its own."""
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    return tmp_path / "nuclick-qp"


def test_an_announcement_is_read_back() -> None:
    """By whoever looks for the service."""
    announce(GONE)

    assert read_announcement() == GONE


@pytest.mark.skipif(os.name != "posix", reason="modes are those of POSIX")
def test_only_the_user_may_read_an_announcement(runtime: Path) -> None:
    """The token is in it."""
    announce(GONE)

    assert stat.S_IMODE(announcement_path().stat().st_mode) == 0o600
    assert stat.S_IMODE(runtime.stat().st_mode) == 0o700


@pytest.mark.skipif(os.name != "posix", reason="modes are those of POSIX")
def test_a_folder_that_is_open_to_others_is_refused(runtime: Path) -> None:
    """Somebody else might read the token, or put a file there."""
    runtime.mkdir(mode=0o755)

    with pytest.raises(WriteRefusedError, match="open to other users"):
        announce(GONE)


def test_a_service_that_was_killed_is_not_found() -> None:
    """Its file is still there, and nobody answers."""
    announce(GONE)

    assert find_running(timeout_s=1) is None


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"port": 1}', b"\xff" * 50, b"x" * 100_000])
def test_a_broken_announcement_is_none(runtime: Path, content: bytes) -> None:
    """The next service replaces it."""
    runtime.mkdir(mode=0o700)
    announcement_path().write_bytes(content)

    assert read_announcement() is None
    assert find_running() is None
    announce(GONE)
    assert read_announcement() == GONE


def test_a_service_withdraws_only_its_own_announcement() -> None:
    """Another one may have started while it ended."""
    announce(GONE)

    withdraw(GONE.pid + 1)
    assert read_announcement() == GONE
    withdraw(GONE.pid)
    assert read_announcement() is None
