"""Files that come from others: pipes, devices, locked folders, sizes."""

import os
import tracemalloc
from pathlib import Path

import pytest

from nuclick_qp.storage.plain_files import is_file, is_folder, is_hidden, is_there, open_file, read_file


def test_a_plain_file_is_read_up_to_its_limit(tmp_path: Path) -> None:
    """Of exactly the limit it is read, of a byte more it is refused, with both sizes told."""
    path = tmp_path / "file"
    path.write_bytes(b"x" * 2**20)

    assert read_file(path, most=2**20) == path.read_bytes()
    with pytest.raises(OSError, match="1 MB are the most"):
        read_file(path, most=2**20 - 1)


@pytest.mark.skipif(os.name != "posix", reason="Windows has no such files")
@pytest.mark.parametrize("kind", ["pipe", "folder", "link to a device"])
def test_pipes_devices_and_folders_are_refused_at_once(tmp_path: Path, kind: str) -> None:
    """Nothing waits for a writer, and nothing is read without end; links to them count as well."""
    path = tmp_path / "odd"
    match kind:
        case "pipe":
            os.mkfifo(path)
        case "folder":
            path.mkdir()
        case _:
            path.symlink_to("/dev/zero")

    with pytest.raises(OSError, match="no plain file"):
        open_file(path)
    assert not is_file(path)


def test_a_link_to_a_file_is_a_file(tmp_path: Path) -> None:
    """Data folders on clusters are full of links."""
    (tmp_path / "file").write_bytes(b"x")
    (tmp_path / "link").symlink_to(tmp_path / "file")

    assert read_file(tmp_path / "link") == b"x"
    assert is_file(tmp_path / "link")


@pytest.mark.parametrize("name", ["n" * 300, "a/" * 3000 + "b", "with\0nul"])
def test_names_that_no_disk_takes_are_not_there(tmp_path: Path, name: str) -> None:
    """Too long in one part or in all, or with a NUL: no error, nothing there."""
    path = tmp_path / name

    assert not any(look(path) for look in (is_file, is_folder, is_there, is_hidden))
    with pytest.raises(OSError, match="name"):
        read_file(path)


@pytest.mark.usefixtures("modes_hold")
def test_what_lies_in_a_locked_folder_is_hidden(tmp_path: Path) -> None:
    """It is not there, for all that this user may know, and that can be told."""
    (tmp_path / "locked").mkdir()
    (tmp_path / "locked" / "file").write_bytes(b"x")
    (tmp_path / "locked").chmod(0)

    try:
        assert not is_file(tmp_path / "locked" / "file")
        assert is_hidden(tmp_path / "locked" / "file")
        assert not is_hidden(tmp_path / "locked")
    finally:
        (tmp_path / "locked").chmod(0o700)


def test_reading_takes_the_memory_of_the_file(tmp_path: Path) -> None:
    """And not that of the largest that would be read."""
    path = tmp_path / "small"
    path.write_bytes(bytes(1000))

    tracemalloc.start()
    try:
        assert len(read_file(path)) == 1000
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert peak < 100_000


def test_a_file_that_grows_is_read_to_its_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Up to the limit: what is written while it is read is not cut off."""
    path = tmp_path / "log"
    path.write_bytes(b"0123456789")
    state = list(path.stat())
    state[6] = 3  # its size when it was looked at
    monkeypatch.setattr("nuclick_qp.storage.plain_files.os.fstat", lambda _: os.stat_result(state))

    assert read_file(path) == b"0123456789"
    assert read_file(path, most=7) == b"0123456"
