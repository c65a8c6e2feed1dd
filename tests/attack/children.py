"""One command in a forked process: all modules are loaded already, and what it may do is bounded."""

import faulthandler
import importlib
import os
import pkgutil
import resource
import signal
import sys
import time
import traceback
from pathlib import Path

import nuclick_qp
from attack.case import Command, Ended
from file_modes import modes_heeded
from nuclick_qp_cli.main import main

LONGEST_S = 20.0  # of work; a busy machine takes longer by the clock
LONGEST_WAIT_S = 60.0  # by the clock
LARGEST_MB = 2000.0
LARGEST_FILE = 2**30  # bytes that a command may write into one file
CRASHED = 70  # exit code of a traceback


def load_all() -> None:
    """Import what commands import when they need it, so that no child has to."""
    for module in pkgutil.walk_packages(nuclick_qp.__path__, "nuclick_qp."):
        if not module.name.startswith("nuclick_qp.qupath.jvm"):
            importlib.import_module(module.name)
    for name in ("openslide", "torch._dynamo", "matplotlib.figure", "matplotlib.backends.backend_agg"):
        importlib.import_module(name)


def run_command(command: Command, *, folder: Path, home: Path) -> Ended:
    """Run a command in a folder, and tell how it ended; its output goes into files beside the folder."""
    outputs = [folder.with_name(f"{folder.name}.{stream}") for stream in ("out", "err")]
    since = time.monotonic()
    pid = os.fork()
    if pid == 0:
        _become(command, folder, home, outputs)
    code, peak_mb, is_hung = _watched(pid, until=since + LONGEST_WAIT_S)
    out, err = (path.read_text("utf-8", "replace") for path in outputs)
    for path in outputs:
        path.unlink()
    return Ended(code, out, err, time.monotonic() - since, peak_mb, is_hung)


def _watched(pid: int, *, until: float) -> tuple[int, float, bool]:
    """Wait for a process; one that takes too long or too much is killed with all that it started."""
    is_hung = False
    while True:
        ended, status, usage = os.wait4(pid, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status), usage.ru_maxrss / 1024, is_hung
        worked_s, memory_mb = _use_of(pid)
        is_hung = is_hung or time.monotonic() > until or worked_s > LONGEST_S
        if is_hung or memory_mb > LARGEST_MB:
            os.killpg(pid, signal.SIGKILL)
        time.sleep(0.005)


def _use_of(pid: int) -> tuple[float, float]:
    """Give the seconds of work and the memory of a process so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()  # man 5 proc: utime, stime, rss
    ticks, pages = int(fields[11]) + int(fields[12]), int(fields[21])
    return ticks / os.sysconf("SC_CLK_TCK"), pages * resource.getpagesize() / 2**20


def _become(command: Command, folder: Path, home: Path, outputs: list[Path]) -> None:
    """Be the command, in the child; does not return."""
    code = CRASHED
    try:
        os.setpgid(0, 0)
        for number, path in enumerate(outputs, start=1):
            os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600), number)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.chdir(folder)
        os.environ |= {"HOME": str(home), "TMPDIR": str(home), "NUCLICK_MODELS": str(folder / "models"), "OMP_NUM_THREADS": "1"}
        resource.setrlimit(resource.RLIMIT_FSIZE, (LARGEST_FILE, LARGEST_FILE))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        faulthandler.dump_traceback_later(LONGEST_S - 1)  # where a hang hangs
        sys.argv = ["nuclick-qp", *command]
        with modes_heeded():
            main()
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:  # noqa: BLE001  # as Python itself does at its end
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
