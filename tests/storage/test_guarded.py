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


# Which call of a write fails: with a backup each happens for the backup first, then for the file. The lock is opened before,
# and folders are opened and synced as well; only the file takes the place of another.
CALLS = [("open", number) for number in range(1, 6)] + [("fsync", number) for number in range(1, 5)]
CALLS += [("fdopen", 1), ("fdopen", 2), ("chmod", 1), ("chmod", 2), ("replace", 1)]


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
    fail_from(monkeypatch, "fsync", code=errno.ENOSPC, first=1, last=1)

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
            time = Path(source).stat().st_mtime_ns
            Path(source).write_bytes(NEW[:-1] + b"?")
            os.utime(source, ns=(time, time))  # a disk does not tell
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


@pytest.fixture
def save_right_behind(data_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let another program save the data file between our rename and our next look."""
    real = os.replace

    def replace_and_save(source: str, target: Path) -> None:
        real(source, target)
        if Path(target) == data_file:
            monkeypatch.setattr(os, "replace", real)
            (data_file.parent / "theirs").write_bytes(b"the save of another program")
            (data_file.parent / "theirs").replace(data_file)

    monkeypatch.setattr(os, "replace", replace_and_save)


@pytest.mark.usefixtures("save_right_behind")
def test_undo_does_not_touch_what_another_program_saved_behind_us(data_file: Path) -> None:
    """Its save stands, the first content is kept, and nobody says that the file is as it was."""
    with pytest.raises(WriteRefusedError, match="was saved by another program") as caught:
        replace_data_file(data_file, NEW, old=OLD)

    assert "as it was" not in str(caught.value)
    assert snapshot(data_file.parent) == {"data.qpdata": b"the save of another program", "data.qpdata.nuclick-backup": OLD}


def test_undo_never_takes_the_backup_of_another_run(data_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that another run has made while this one was making its own, as on a disk without locks."""
    real = os.link

    def link_too_late(source: str, target: Path) -> None:
        backup_of(data_file).write_bytes(OLD)
        real(source, target)

    monkeypatch.setattr(os, "link", link_too_late)
    fail_from(monkeypatch, "replace", code=errno.EIO, first=1, last=1)

    with pytest.raises(WriteRefusedError):
        replace_data_file(data_file, NEW, old=OLD)

    assert snapshot(data_file.parent) == {"data.qpdata": OLD, "data.qpdata.nuclick-backup": OLD}


def test_save_while_the_new_content_is_written_stands(data_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file is looked at after the new content lies on disk, right before it is replaced."""
    real = os.fsync
    calls: list[int] = []

    def sync_and_save(handle: int) -> None:
        real(handle)
        calls.append(handle)
        if len(calls) == 3:  # backup and its folder come first
            data_file.write_bytes(b"the save of another program")

    monkeypatch.setattr(os, "fsync", sync_and_save)

    with pytest.raises(WriteRefusedError, match="changed while it was being written"):
        replace_data_file(data_file, NEW, old=OLD)

    assert snapshot(data_file.parent) == {"data.qpdata": b"the save of another program"}


@pytest.mark.parametrize("looks", [0, 1, 2])
def test_program_that_begins_to_save_goes_first(data_file: Path, looks: int) -> None:
    """Before our rename nothing is written; after it the other program has the file, and nothing is undone."""
    answers = iter([True] * looks + [False] * 9)

    with pytest.raises(WriteRefusedError, match="close the image"):
        replace_data_file(data_file, NEW, old=OLD, is_free=lambda: next(answers))

    assert data_file.read_bytes() == (OLD if looks < 2 else NEW)


@pytest.mark.skipif(os.name != "posix", reason="there are no such modes here")
def test_backup_is_as_private_as_the_file(data_file: Path) -> None:
    """It holds the same names and remarks."""
    data_file.chmod(0o600)

    replace_data_file(data_file, NEW, old=OLD)

    assert backup_of(data_file).stat().st_mode & 0o777 == 0o600


@pytest.mark.skipif(os.name != "posix" or os.geteuid() != 0, reason="only root can give files away")
def test_file_and_backup_stay_with_their_owner(data_file: Path) -> None:
    """A run as root, as in a container, takes nobody's file."""
    os.chown(data_file, 1234, 2345)

    replace_data_file(data_file, NEW, old=OLD)

    owners = {(p.stat().st_uid, p.stat().st_gid) for p in data_file.parent.iterdir()}
    assert owners == {(1234, 2345)}


@pytest.mark.parametrize("leads_to", ["nothing", "folder"])
def test_backup_that_is_no_file_is_not_written_through(data_file: Path, tmp_path: Path, leads_to: str) -> None:
    """A link of a stranger's project to somewhere else on this disk."""
    outside = tmp_path / "outside"
    if leads_to == "folder":
        outside.mkdir()
    backup_of(data_file).symlink_to(outside)

    with pytest.raises(WriteRefusedError, match=r"nuclick-backup is there and is no file"):
        replace_data_file(data_file, NEW, old=OLD)

    assert snapshot(tmp_path) == {"7/data.qpdata": OLD}


def test_backup_that_was_moved_to_another_disk_counts(data_file: Path, tmp_path: Path) -> None:
    """A link that leads to a file holds the first content as well."""
    (tmp_path / "large-disk").write_bytes(b"the first")
    backup_of(data_file).symlink_to(tmp_path / "large-disk")

    replace_data_file(data_file, NEW, old=OLD)

    assert (data_file.read_bytes(), (tmp_path / "large-disk").read_bytes()) == (NEW, b"the first")


def test_data_file_that_is_a_link_stays_one(data_file: Path, tmp_path: Path) -> None:
    """On clusters the data lie on a large disk, and the project has links."""
    data_file.rename(tmp_path / "large-disk")
    data_file.symlink_to(tmp_path / "large-disk")

    replace_data_file(data_file, NEW, old=OLD)

    assert data_file.is_symlink()
    assert ((tmp_path / "large-disk").read_bytes(), backup_of(data_file).read_bytes()) == (NEW, OLD)


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
