"""Runs of whole projects, each as the command line in a process of its own: what it does wrong ends there."""

import json
import logging
import os
import secrets
import signal
import subprocess
import sys
import tempfile
import threading
from collections import deque
from collections.abc import Iterator
from typing import IO, Any, Literal

from nuclick_qp.errors import OptionError
from nuclick_qp.serve.schema import JobRequest, JobState

logger = logging.getLogger(__name__)

MOST_JOBS = 4  # at once
MOST_REMEMBERED = 100  # jobs that have ended
LARGEST_REPORT = 2**26  # bytes
LAST_LINES = 20  # of what a job said that is told when it failed
if sys.platform == "win32":
    STOP, OWN_GROUP = signal.CTRL_BREAK_EVENT, subprocess.CREATE_NEW_PROCESS_GROUP  # else the signal would reach the service, too
else:
    STOP, OWN_GROUP = signal.SIGTERM, 0
HEARTBEAT_S = 10.0  # a client that has gone is noticed when something is sent


class Job:
    """One run of a project; any thread may watch it or cancel it.

    Parameters
    ----------
    request
        What is to be done.
    device
        Of the service.
    """

    def __init__(self, request: JobRequest, *, device: str) -> None:
        self.job_id = secrets.token_hex(8)
        self._changed = threading.Condition()
        self._state = JobState(job_id=self.job_id, state="running")
        self._is_cancelled = False
        self._said: deque[str] = deque(maxlen=LAST_LINES)
        self._out = tempfile.TemporaryFile()  # noqa: SIM115  # closed when the process has ended
        self._process = subprocess.Popen(
            command_of(request, device=device), stdin=subprocess.DEVNULL, stdout=self._out, stderr=subprocess.PIPE, creationflags=OWN_GROUP
        )
        self._thread = threading.Thread(target=self._follow, name=f"job {self.job_id}", daemon=True)
        self._thread.start()

    @property
    def state(self) -> JobState:
        """How far it is."""
        return self._state

    def states(self) -> Iterator[JobState | None]:
        """Give its state now, then each change, the last one included; None where nothing has changed for a while."""
        seen: JobState | None = None
        while seen is None or seen.state == "running":
            with self._changed:
                if self._state is seen:
                    self._changed.wait(HEARTBEAT_S)
                now = self._state
            yield None if now is seen else now
            seen = now

    def cancel(self) -> None:
        """Ask it to stop: the prompts that are finished are written, then it ends. Once: a second signal would end it at once."""
        was_cancelled, self._is_cancelled = self._is_cancelled, True
        if not was_cancelled and self._process.poll() is None:
            self._process.send_signal(STOP)

    def join(self, timeout_s: float) -> None:
        """Wait for its end, and end it by force after that."""
        self._thread.join(timeout_s)
        if self._thread.is_alive():
            self._process.kill()
            self._thread.join()

    def _follow(self) -> None:
        assert self._process.stderr is not None
        with self._process.stderr as lines:
            for line in lines:
                self._take(line)
        code = self._process.wait()
        report = _report(self._out)
        state: Literal["cancelled", "done", "failed"] = "done" if report is not None else "failed"
        if self._is_cancelled:
            state = "cancelled"
        detail = "" if state == "done" else "\n".join(self._said)
        self._set(self._state.model_copy(update={"state": state, "exit_code": code, "report": report, "detail": detail}))
        self._out.close()

    def _take(self, line: bytes) -> None:
        """Take a line of what the process says: how far it is, as JSON, or a message."""
        text = line.decode("utf-8", "replace").rstrip()
        try:
            progress = json.loads(text)
        except ValueError:
            progress = None
        if isinstance(progress, dict):
            self._set(self._state.model_copy(update={"progress": progress}))
        elif text:
            logger.info("job %s: %s", self.job_id, text)
            self._said.append(text)

    def _set(self, state: JobState) -> None:
        with self._changed:
            self._state = state
            self._changed.notify_all()


class Jobs:
    """The jobs of a service, by number; those that ended long ago are forgotten."""

    def __init__(self, *, device: str) -> None:
        self._device = device
        self._lock = threading.Lock()
        self._jobs: dict[str, Job] = {}

    @property
    def running(self) -> int:
        """How many are not done."""
        return len(self._running())

    def start(self, request: JobRequest) -> Job:
        """Begin a run.

        Raises
        ------
        OptionError
            If too many run already.
        """
        with self._lock:
            if self.running >= MOST_JOBS:
                raise OptionError(f"{MOST_JOBS} jobs run already; wait for one, or cancel it")
            job = Job(request, device=self._device)
            self._jobs[job.job_id] = job
            ended = [old for old in self._jobs.values() if old.state.state != "running"]
            for old in ended[:-MOST_REMEMBERED]:
                del self._jobs[old.job_id]
        return job

    def find(self, job_id: str) -> Job | None:
        """Give a job by its number."""
        return self._jobs.get(job_id)

    def close(self, *, timeout_s: float = 30.0) -> None:
        """Cancel what runs, and wait until it has written what is finished."""
        jobs = self._running()
        for job in jobs:
            job.cancel()
        for job in jobs:
            job.join(timeout_s)

    def _running(self) -> list[Job]:
        return [job for job in list(self._jobs.values()) if job.state.state == "running"]  # of a copy: others may begin meanwhile


def command_of(request: JobRequest, *, device: str) -> list[str]:
    """Give the command line of a job."""
    command = [sys.executable, "-m", "nuclick_qp_cli", "run", os.fspath(request.project), "--json", "--events", "--device", device]
    named = {
        "--images": request.images,
        "--points": request.points,
        "--lines": request.lines,
        "--as": request.kind,
        "--mpp": request.mpp,
        "--scale": request.scale,
        "--min-probability": request.min_probability,
        "--mark-failed": request.mark_failed,
        "--mark-uncertain": request.mark_uncertain,
    }
    for option, value in named.items():
        command += [] if value is None else [f"{option}={value}"]
    # The empty name, of prompts without a class, takes a comma when it stands alone: an empty list is all classes
    command += [f"--classes={','.join(request.classes) or ','}"] if request.classes else []
    command += [f"--skip={','.join(request.skip)}"] if request.skip else []
    switches = {"--tta": request.tta, "--prune": request.prune, "--force": request.force, "--dry-run": request.dry_run}
    command += [switch for switch, is_wanted in switches.items() if is_wanted]
    return command + {"none": [], "unedited": ["--overwrite"], "edited": ["--overwrite=edited"]}[request.overwrite]


def _report(out: IO[bytes]) -> dict[str, Any] | None:
    """Give the report that a run printed; None when it printed none."""
    out.seek(0)
    try:
        report = json.loads(out.read(LARGEST_REPORT))
    except ValueError:
        return None
    return report if isinstance(report, dict) else None
