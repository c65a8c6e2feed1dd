"""Tests of `nuclick_qp.storage.locks`."""

import errno
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from multiprocessing.synchronize import Event
from pathlib import Path

import pytest

from nuclick_qp.errors import WriteRefusedError
from nuclick_qp.stopping import Stopped
from nuclick_qp.storage.locks import hold, lock_of, remove_stale_lock

HOLD_AND_SLEEP = """
import sys, time
from pathlib import Path
from nuclick_qp.storage.locks import hold
with hold(Path(sys.argv[1]), name="image 'a'"):
    print("held", flush=True)
    time.sleep(600)
"""
POSIX = pytest.mark.skipif(os.name != "posix", reason="Windows has other locks and signals, no pipes, and links for administrators only")
WORKERS = multiprocessing.get_context("spawn")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Give a file in a folder of its own."""
    (tmp_path / "7").mkdir()
    (tmp_path / "7" / "data.qpdata").write_bytes(b"0")
    return tmp_path / "7" / "data.qpdata"


def start_process(path: Path) -> subprocess.Popen[str]:
    """Start a process that holds a file for ten minutes."""
    command = [sys.executable, "-c", HOLD_AND_SLEEP, str(path)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.fixture
def start_holder(path: Path) -> Callable[[], subprocess.Popen[str]]:
    """Give a function that starts a process which holds the file, and waits until it does."""

    def start() -> subprocess.Popen[str]:
        holder = start_process(path)
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        return holder

    return start


def count_up(path: Path, times: int) -> None:
    """Read a number, and write the next one, often."""
    for _ in range(times):
        with hold(path):
            number = int(path.read_text())
            time.sleep(0)
            path.write_text(str(number + 1))


def test_no_two_processes_are_in_the_block_at_once(path: Path) -> None:
    """Though each removes the lock file when it leaves: four count to a hundred together."""
    workers = [WORKERS.Process(target=count_up, args=(path, 25)) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(120)

    assert path.read_text() == "100"


@POSIX
def test_nothing_is_left_of_a_lock(path: Path) -> None:
    """Nor of a folder that was made for it."""
    with hold(path):
        assert lock_of(path).read_text() == str(os.getpid())
    with hold(path.parents[1] / "8" / "data.qpdata"):
        pass

    assert [p.relative_to(path.parents[1]).as_posix() for p in path.parents[1].rglob("*")] == ["7", "7/data.qpdata"]


@POSIX
def test_the_waiting_is_told_with_who_is_waited_for(
    path: Path, start_holder: Callable[[], subprocess.Popen[str]], caplog: pytest.LogCaptureFixture
) -> None:
    """One line, however long it takes; and the lock of a process that is killed locks nothing."""
    holder = start_holder()
    killer = threading.Timer(0.7, holder.kill)
    killer.start()

    with hold(path, name="image 'a'"):
        assert holder.wait(20) == -signal.SIGKILL

    holder.communicate()
    assert caplog.messages == [f"waiting for another run on image 'a' (pid {holder.pid})"]


def test_lock_file_of_a_killed_process_is_removed_by_the_next(path: Path, start_holder: Callable[[], subprocess.Popen[str]]) -> None:
    """And does not hold it up."""
    holder = start_holder()
    holder.kill()
    holder.communicate()
    assert lock_of(path).exists()

    with hold(path):
        pass

    assert not lock_of(path).exists()


def test_stale_lock_file_is_removed_and_that_of_a_run_at_work_stays(
    path: Path, start_holder: Callable[[], subprocess.Popen[str]]
) -> None:
    """For those who have nothing to write; where there is none, none is made, nor its folder."""
    holder = start_holder()
    remove_stale_lock(path)
    assert lock_of(path).exists()
    holder.kill()
    holder.communicate()

    remove_stale_lock(path)
    remove_stale_lock(path.parents[1] / "8" / "data.qpdata")

    assert [p.relative_to(path.parents[1]).as_posix() for p in path.parents[1].rglob("*")] == ["7", "7/data.qpdata"]


@pytest.mark.usefixtures("modes_hold")
def test_stale_lock_file_that_cannot_be_removed_is_no_error(path: Path) -> None:
    """On a read-only disk nobody waits for it either."""
    lock_of(path).write_bytes(b"")
    path.parent.chmod(0o500)
    try:
        remove_stale_lock(path)
        assert lock_of(path).exists()
    finally:
        path.parent.chmod(0o700)


@POSIX
@pytest.mark.usefixtures("heed_ctrl_c")
def test_ctrl_c_ends_the_waiting(path: Path, start_holder: Callable[[], subprocess.Popen[str]]) -> None:
    """At once; the one who is waited for goes on."""
    holder, waiter = start_holder(), None
    try:
        waiter = start_process(path)
        assert waiter.stderr is not None
        assert "waiting for another run" in waiter.stderr.readline()
        waiter.send_signal(signal.SIGINT)

        assert waiter.wait(20) != 0
        assert holder.poll() is None
        assert lock_of(path).exists()
    finally:
        holder.kill()
        holder.communicate()
        if waiter is not None:
            waiter.communicate()


def test_stop_that_is_asked_for_ends_the_waiting(path: Path, start_holder: Callable[[], subprocess.Popen[str]]) -> None:
    """As between two prompts of a run."""
    holder = start_holder()

    with pytest.raises(Stopped), hold(path, stopped=lambda: True):
        pass

    assert lock_of(path).exists()
    holder.kill()
    holder.communicate()


def test_block_in_a_block_waits_for_nothing(path: Path) -> None:
    """Reading and writing hold the file together, and the writer holds it once more."""
    with hold(path):
        with hold(path):
            pass
        assert lock_of(path).exists()


def hold_for(path: Path, held: Event) -> None:
    """Hold a file until told to go on."""
    with hold(path):
        held.set()


@POSIX
def test_links_to_one_file_have_one_lock(path: Path, tmp_path: Path) -> None:
    """Two names of a project, or a data folder that is a link."""
    (tmp_path / "link").symlink_to(path.parent)
    held = WORKERS.Event()
    with hold(path):
        other = WORKERS.Process(target=hold_for, args=(tmp_path / "link" / path.name, held))
        other.start()
        assert not held.wait(3)
    assert held.wait(60)
    other.join(60)


@POSIX
def test_disk_without_locks_is_told_and_used(path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    """Some network disks know none; a single run is as safe there as anywhere."""

    def refuse(handle: int, operation: int) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr("fcntl.flock", refuse)

    with hold(path):
        path.write_bytes(b"1")

    assert "knows no locks (No locks available): start no other run on it meanwhile" in caplog.text
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("code", [errno.EROFS, errno.EACCES, errno.ENOSPC])
def test_folder_that_cannot_be_written_is_refused_with_the_reason(path: Path, monkeypatch: pytest.MonkeyPatch, code: int) -> None:
    """Before any work; nothing was changed, so nothing is said of putting it back."""

    def refuse(*_: object, **__: object) -> int:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "open", refuse)

    with pytest.raises(WriteRefusedError) as caught, hold(path):
        pass

    assert f"{path} could not be written ({os.strerror(code)}); it is as it was: " in str(caught.value)
    assert "put back" not in str(caught.value)


@POSIX
def test_link_in_place_of_the_lock_file_is_refused(path: Path, tmp_path: Path) -> None:
    """In a stranger's project: no file is made where it leads."""
    lock_of(path).symlink_to(tmp_path / "elsewhere")

    with pytest.raises(WriteRefusedError, match="could not be written"), hold(path):
        pass

    assert not (tmp_path / "elsewhere").exists()


@POSIX
def test_pipe_in_place_of_the_lock_file_holds_nobody_up(path: Path) -> None:
    """It serves as well as a file."""
    os.mkfifo(lock_of(path))

    with hold(path):
        pass

    assert not lock_of(path).exists()
