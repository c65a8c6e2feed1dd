"""Where the output goes: a full disk, a reader that leaves, streams that are closed, and Ctrl-C before anything is loaded."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

COMMAND = [sys.executable, "-W", "error", "-m", "nuclick_qp_cli"]
LINUX = pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")


# Tells when Ctrl-C is first heeded; what comes before is Python's own start.
READY = """
import signal, sys, nuclick_qp_cli.__main__ as start
heed = signal.signal
signal.signal = lambda *how: (heed(*how), print(".", flush=True))
sys.argv[0] = "nuclick-qp"
start.main()
"""

# Ctrl-C in the short time between the imports and the command.
STOPPED_BETWEEN = """
import nuclick_qp_cli.__main__ as start, nuclick_qp_cli.main as then, sys
def stop(): raise KeyboardInterrupt
then._command = stop
start.main()
"""


def in_shell(rest: str) -> subprocess.CompletedProcess[str]:
    """Run the command line in a shell, with what a shell does to its streams."""
    command = f"{' '.join(COMMAND)} {rest}"
    return subprocess.run(["bash", "-o", "pipefail", "-c", command], capture_output=True, text=True, check=False, timeout=300)


@LINUX
@pytest.mark.parametrize("command", ["models list", "models list --json", "--version", "--help", "run --help"])
def test_a_full_disk_behind_stdout_is_one_line(command: str) -> None:
    """Exit code 3, and no words of Python's own."""
    done = in_shell(f"{command} > /dev/full")

    assert done.returncode == 3
    assert done.stderr == "nuclick-qp: not all could be printed (No space left on device); what was written into files stays\n"


def test_a_reader_that_leaves_is_one_line() -> None:
    """As `head` does, before the last line is printed."""
    done = in_shell("models list --json | true")

    assert done.stderr == "nuclick-qp: not all could be printed (Broken pipe); what was written into files stays\n"
    assert done.returncode == 3


@LINUX
def test_a_full_disk_behind_stderr_changes_nothing() -> None:
    """The result is on stdout, and the exit code tells."""
    assert "nuclei" in in_shell("-v models list 2> /dev/full").stdout
    assert in_shell("restore gone 2> /dev/full").returncode == 3


@pytest.mark.parametrize("closed", [">&-", "2>&-", "<&-", ">&- 2>&- <&-"])
def test_closed_streams_are_no_error(closed: str) -> None:
    """Who closes one does not want what goes there."""
    done = in_shell(f"models list {closed}")

    assert done.returncode == 0, done.stderr
    assert done.stderr == ""


@pytest.mark.usefixtures("heed_ctrl_c")
@pytest.mark.parametrize(
    ("arguments", "sent"),
    [(["doctor"], "SIGINT"), (["serve", "--device", "cpu"], "SIGINT"), (["serve", "--device", "cpu"], "SIGTERM")],
)
def test_a_stop_at_any_time_of_the_start_leaves_no_traceback(
    arguments: list[str], sent: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From the first line of ours on, imports of torch included; Python's own start comes before."""
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    number = getattr(signal, sent)
    for wait in (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.8, 1.6):
        command = [sys.executable, "-c", READY, *arguments]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            process.stdout.readline()
            time.sleep(wait)
            os.kill(process.pid, number)
            _, errors = process.communicate(timeout=300)

        assert process.returncode in (130, 0, -number)  # the last: Python, ending, has given the signal back to the system
        assert "Traceback" not in errors, (wait, errors)


def test_ctrl_c_between_the_imports_and_the_command_leaves_no_traceback() -> None:
    """The exit code says it."""
    done = subprocess.run([sys.executable, "-c", STOPPED_BETWEEN], capture_output=True, text=True, check=False, timeout=300)

    assert (done.returncode, done.stderr) == (130, "")
