"""Replacing `data.qpdata`, all of it or nothing."""

import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fixture_projects import snapshot
from nuclick_qp.errors import WriteRefusedError
from nuclick_qp.storage.guarded import backup_of, replace_data_file

OLD, NEW = b"the annotations of the user", b"the annotations of the user and more"


@pytest.fixture
def data_file(tmp_path: Path) -> Path:
    """Give a data file in a folder of its own."""
    path = tmp_path / "7" / "data.qpdata"
    path.parent.mkdir()
    path.write_bytes(OLD)
    return path


def fail_from(monkeypatch: pytest.MonkeyPatch, call: str, *, code: int, first: int, last: int) -> list[int]:
    """Let the calls number `first` to `last` of a function of the system fail; give the list of calls."""
    real: Callable[..., Any] = getattr(os, call)
    calls: list[int] = []

    def failing(*args: Any, **kwargs: Any) -> Any:
        calls.append(len(calls) + 1)
        if first <= len(calls) <= last:
            if call == "fdopen":
                os.close(args[0])
            raise OSError(code, os.strerror(code))
        return real(*args, **kwargs)

    monkeypatch.setattr(os, call, failing)
    return calls


def test_first_touch_leaves_a_backup_of_the_old_content(data_file: Path) -> None:
    """The new content in place, the old one beside it, nothing else."""
    replace_data_file(data_file, NEW, old=OLD)

    assert snapshot(data_file.parent) == {"data.qpdata": NEW, "data.qpdata.nuclick-backup": OLD}


def test_second_touch_keeps_the_first_backup(data_file: Path) -> None:
    """The backup is what was there before us, for good."""
    replace_data_file(data_file, NEW, old=OLD)
    replace_data_file(data_file, b"third", old=NEW)

    assert snapshot(data_file.parent) == {"data.qpdata": b"third", "data.qpdata.nuclick-backup": OLD}


def test_mode_of_the_file_is_kept(data_file: Path) -> None:
    """Colleagues who could write the file still can."""
    data_file.chmod(0o664)

    replace_data_file(data_file, NEW, old=OLD)

    assert data_file.stat().st_mode & 0o777 == 0o664


def test_file_that_did_not_exist_is_made_without_a_backup(tmp_path: Path) -> None:
    """Its folder too."""
    path = tmp_path / "data" / "7" / "data.qpdata"

    replace_data_file(path, NEW, old=None)

    assert snapshot(tmp_path) == {"data/7/data.qpdata": NEW}


@pytest.mark.parametrize("old", [b"other", None])
def test_content_that_is_not_the_expected_is_left_alone(data_file: Path, old: bytes | None) -> None:
    """QuPath saved in between: its file stays, and no backup of a wrong content is made."""
    before = snapshot(data_file.parent)

    with pytest.raises(WriteRefusedError, match=r"data\.qpdata changed while it was being written; close the image in QuPath"):
        replace_data_file(data_file, NEW, old=old)

    assert snapshot(data_file.parent) == before


# Which call of a write fails: with a backup each happens for the backup first, then for the file. Folders are opened and
# synced as well; only the file, which has a mode of its own, needs a chmod.
CALLS = [("open", 1), ("open", 2), ("open", 3), ("open", 4), ("fdopen", 1), ("fdopen", 2), ("chmod", 1), ("replace", 1), ("replace", 2)]
CALLS += [("fsync", 1), ("fsync", 2), ("fsync", 3), ("fsync", 4)]


@pytest.mark.parametrize("for_good", [False, True])
@pytest.mark.parametrize(("call", "number"), CALLS)
def test_failing_disk_leaves_every_byte_as_it_was(
    data_file: Path, monkeypatch: pytest.MonkeyPatch, call: str, number: int, for_good: bool
) -> None:
    """Whichever step fails, once or from then on: no new content, no backup, no temporary file."""
    before = snapshot(data_file.parent)
    calls = fail_from(monkeypatch, call, code=errno.ENOSPC, first=number, last=99 if for_good else number)

    with pytest.raises(WriteRefusedError, match=r"data\.qpdata.*No space left on device.*free some disk space"):
        replace_data_file(data_file, NEW, old=OLD)

    assert len(calls) >= number
    assert snapshot(data_file.parent) == before


@pytest.mark.parametrize("call", ["open", "fdopen", "chmod", "replace", "fsync"])
def test_failure_after_the_first_touch_keeps_the_backup(data_file: Path, monkeypatch: pytest.MonkeyPatch, call: str) -> None:
    """A backup that an earlier run made is not ours to remove."""
    replace_data_file(data_file, NEW, old=OLD)
    before = snapshot(data_file.parent)
    fail_from(monkeypatch, call, code=errno.ENOSPC, first=1, last=1)

    with pytest.raises(WriteRefusedError):
        replace_data_file(data_file, b"third", old=NEW)

    assert snapshot(data_file.parent) == before


def test_file_that_could_not_be_made_leaves_no_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The folder of the entry goes with it."""
    fail_from(monkeypatch, "replace", code=errno.ENOSPC, first=1, last=1)

    with pytest.raises(WriteRefusedError):
        replace_data_file(tmp_path / "7" / "data.qpdata", NEW, old=None)

    assert list(tmp_path.iterdir()) == []


def test_interrupt_leaves_every_byte_as_it_was(data_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C between backup and file."""
    before = snapshot(data_file.parent)
    real = os.replace

    def interrupted(source: str, target: Path) -> None:
        if Path(target) == data_file:
            raise KeyboardInterrupt
        real(source, target)

    monkeypatch.setattr(os, "replace", interrupted)

    with pytest.raises(KeyboardInterrupt):
        replace_data_file(data_file, NEW, old=OLD)

    assert snapshot(data_file.parent) == before


def test_disk_that_stores_something_else_is_found_out(data_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file is read back; what is wrong is replaced by the old content."""
    before = snapshot(data_file.parent)
    real = os.replace

    def garbling(source: str, target: Path) -> None:
        if Path(source).read_bytes() == NEW:
            Path(source).write_bytes(NEW[:-1])
        real(source, target)

    monkeypatch.setattr(os, "replace", garbling)

    with pytest.raises(WriteRefusedError, match="does not hold what was written"):
        replace_data_file(data_file, NEW, old=OLD)

    assert snapshot(data_file.parent) == before


@pytest.mark.parametrize(
    ("code", "remedy"),
    [
        (errno.EACCES, "right to write"),
        (errno.EPERM, "right to write"),
        (errno.EROFS, "copy the folder to a disk that can be written"),
        (errno.EDQUOT, "disk quota"),
        (errno.EIO, "check the disk"),
    ],
)
def test_refusal_names_file_reason_and_remedy(data_file: Path, monkeypatch: pytest.MonkeyPatch, code: int, remedy: str) -> None:
    """A read-only folder, a read-only disk, a quota, a broken disk."""
    fail_from(monkeypatch, "open", code=code, first=1, last=99)

    with pytest.raises(WriteRefusedError) as caught:
        replace_data_file(data_file, NEW, old=OLD)

    message = str(caught.value)
    assert str(data_file) in message
    assert os.strerror(code) in message
    assert remedy in message
    assert "it is as it was" in message
    assert "\n" not in message


def test_backup_stands_beside_the_file(tmp_path: Path) -> None:
    """Under a name that QuPath neither reads nor deletes."""
    assert backup_of(tmp_path / "data.qpdata") == tmp_path / "data.qpdata.nuclick-backup"


def test_what_a_killed_write_left_is_removed_by_a_later_one(data_file: Path) -> None:
    """After an hour, of the same file only, and nothing that another program may be writing."""
    folder = data_file.parent
    names = (".data.qpdata.abcd1234.tmp", ".data.qpdata.wxyz5678.tmp", ".summary.json.abcd1234.tmp", ".data.qpdata.tmp")
    left, fresh, other, users = (folder / name for name in names)
    for path in (left, fresh, other, users):
        path.write_bytes(b"half of a fi")
        two_hours_ago = path.stat().st_mtime - 7200
        os.utime(path, (two_hours_ago, two_hours_ago))
    os.utime(fresh)

    replace_data_file(data_file, NEW, old=OLD)

    assert [path.exists() for path in (left, fresh, other, users)] == [False, True, True, True]
