"""Tests of `nuclick_qp.serve.service`, as processes: found again, stopped, killed, left alone."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import uvicorn
from PIL import Image

from drawn_projects import DISCS
from nuclick_qp import __version__
from nuclick_qp.serve import service
from nuclick_qp.serve.announcement import announcement_path, find_running
from nuclick_qp.serve.app import Activity
from nuclick_qp.serve.jobs import Jobs
from nuclick_qp.serve.serve_options import ServeOptions
from service_requests import ask, click, whole

Start = Callable[..., "subprocess.Popen[str]"]
LONGEST_S = 120  # to load torch on a busy machine


@pytest.fixture
def start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Start]:
    """Give a function that starts `nuclick-qp serve`; what still runs at the end is killed."""
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    started: list[subprocess.Popen[str]] = []

    def start(*options: str, **more: Any) -> "subprocess.Popen[str]":
        command = [sys.executable, "-m", "nuclick_qp_cli.main", "serve", "--device", "cpu", *options]
        started.append(subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **more))
        return started[-1]

    yield start
    for process in started:
        process.kill()
        with process:  # closes its pipes
            pass


def told(process: "subprocess.Popen[str]") -> dict[str, Any]:
    """Wait for the line of JSON that says where a service is reached."""
    assert process.stdout is not None
    line = process.stdout.readline()
    assert line, process.communicate(timeout=LONGEST_S)[1]
    answer: dict[str, Any] = json.loads(line)
    return answer


def test_a_service_answers_clicks_until_it_is_stopped(start: Start, draw_discs: Callable[..., Path]) -> None:
    """One for each user: who starts a second is told of the first. SIGTERM ends it, and leaves nothing behind."""
    first = start()
    where = told(first)
    again = told(start())

    assert (where["was_there"], again["was_there"]) == (False, True)
    assert {**again, "was_there": False} == where
    assert (where["pid"], where["version"]) == (first.pid, __version__)
    announced = find_running()
    assert announced is not None
    image = np.asarray(Image.open(draw_discs(DISCS)).convert("RGB"))
    body = {"image": {"levels": [[400, 300]], "mpp": 0.25}, "prompts": [click(*DISCS[0][:2])], "pixels": [whole(image)]}
    assert ask(announced, "/segment", body)["results"][0]["status"] in ("ok", "empty")

    first.send_signal(signal.SIGTERM)
    assert first.wait(LONGEST_S) == 0
    assert first.stderr is not None
    assert first.stderr.read() == ""
    assert not announcement_path().exists()


def test_a_killed_service_is_replaced(start: Start) -> None:
    """Its file and its lock are no hindrance."""
    first = start()
    told(first)
    first.kill()
    first.wait(LONGEST_S)
    assert announcement_path().exists()

    second = start()

    assert told(second) | {"port": 0} == {
        "host": "127.0.0.1",
        "port": 0,
        "pid": second.pid,
        "version": __version__,
        "was_there": False,
        "announced_in": str(announcement_path()),
    }


def test_a_service_that_nobody_uses_ends(start: Start) -> None:
    """After the idle time that it was given."""
    process = start("--idle-minutes", "0.01")
    told(process)

    assert process.wait(LONGEST_S) == 0
    assert not announcement_path().exists()


def test_serve_stop_ends_the_service(start: Start) -> None:
    """And says so when there is none."""
    running = start()
    told(running)

    stopped = start("--stop")
    assert stopped.communicate(timeout=LONGEST_S)[0] == "stopped\n"
    assert running.wait(LONGEST_S) == 0
    assert start("--stop").communicate(timeout=LONGEST_S)[0] == "no service runs\n"


def test_a_port_that_is_taken_is_told(start: Start) -> None:
    """In one line."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        process = start("--port", str(port))
        out, err = process.communicate(timeout=LONGEST_S)

    assert (process.returncode, out) == (2, "")
    assert err == f"nuclick-qp: port {port} of 127.0.0.1 cannot be had (Address already in use); leave out --port to take a free one\n"


@pytest.mark.parametrize(("content", "reason"), [(None, "lets other machines in"), ("", "holds no token"), ("short", "holds no token")])
def test_a_service_for_other_machines_needs_a_token_of_its_own(start: Start, tmp_path: Path, content: str | None, reason: str) -> None:
    """The token of the file, which has to be long enough."""
    options = []
    if content is not None:
        (tmp_path / "token").write_text(content)
        options = ["--token-file", str(tmp_path / "token")]

    process = start("--host", "0.0.0.0", *options)

    assert reason in process.communicate(timeout=LONGEST_S)[1]
    assert process.returncode == 2


def test_a_service_that_follows_its_parent_ends_with_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Once standard input is closed and nobody else has used it for a while, long before it would end by itself."""
    monkeypatch.setattr(service, "LEFT_ALONE_S", 0.1)
    reading, writing = os.pipe()
    server = uvicorn.Server(uvicorn.Config("no:app"))
    with os.fdopen(reading) as stdin:
        monkeypatch.setattr(sys, "stdin", stdin)
        watch = threading.Thread(target=service._watch, args=(server, Activity(), Jobs(device="cpu"), ServeOptions(follow_parent=True)))
        watch.start()
        watch.join(1.5)
        assert not server.should_exit

        os.close(writing)
        watch.join(LONGEST_S)
    assert server.should_exit
