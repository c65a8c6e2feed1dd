"""`run` and `segment` that are stopped from outside, as processes of their own."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from drawn_projects import ours_of
from nuclick_qp.qupath.folder.create import NewImage, create_project
from nuclick_qp.qupath.qpdata.new_objects import NewAnnotation

PATIENCE_S = 600  # a hang is what this is for
GRID = tuple((float(x), float(y)) for x in range(10, 400, 4) for y in range(10, 300, 4))  # 7,154 clicks: minutes of work


@pytest.fixture
def project(tmp_path: Path, draw_discs: Callable[..., Path]) -> Path:
    """Make a project of three images, the first done at once, the second with work for minutes."""
    points = [((100.0, 100.0),), GRID, ((100.0, 100.0),)]
    images = []
    for number, places in enumerate(points, 1):
        slide = draw_discs([(100, 100, 12), (200, 150, 12)], name=f"image {number}.png")
        images.append(NewImage(slide, slide.name, 400, 300, 0.25, (NewAnnotation("Points", places),)))
    return create_project(tmp_path / "project", images)


def _start(*arguments: str | Path, **streams: int) -> "subprocess.Popen[str]":
    command = [sys.executable, "-m", "nuclick_qp_cli.main", "-v", *map(str, arguments), "--device", "cpu", "--batch-size", "4"]
    return subprocess.Popen(command, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"}, **streams)  # type: ignore[call-overload,no-any-return]


def _wait_for(path: Path, process: "subprocess.Popen[str]") -> None:
    until = time.monotonic() + PATIENCE_S
    while not path.exists() and process.poll() is None and time.monotonic() < until:
        time.sleep(0.05)
    assert path.exists(), "the run ended, or wrote nothing for ten minutes"
    time.sleep(2)  # well into the second image


@pytest.mark.usefixtures("heed_ctrl_c")
@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_stopped_run_says_how_far_it_came(project: Path, sent: signal.Signals) -> None:
    """One line, exit code 130, a record, and what is finished: for Ctrl-C, for a cluster, for a terminal that closes."""
    with _start("run", project, "--json", stdout=subprocess.PIPE, stderr=subprocess.PIPE) as run:
        _wait_for(project.parent / "data" / "1" / "data.qpdata.nuclick-backup", run)
        run.send_signal(sent)
        try:
            output, errors = run.communicate(timeout=PATIENCE_S)
        finally:
            run.kill()

    assert run.returncode == 130, errors
    assert "Traceback" not in errors
    assert errors.splitlines()[-1] == "stopped; 1 of 3 images done, run again to go on"
    report = json.loads(output)
    (record,) = (project.parent / "nuclick").glob("run-*.json")
    assert json.loads(record.read_text())["images"] == report["images"]
    assert report["images"][1]["statuses"]["stopped"] > 0
    assert len(ours_of(project, "2")) == report["images"][1]["ok"]


@pytest.mark.usefixtures("heed_ctrl_c")
def test_second_signal_ends_at_once_and_harms_nothing(project: Path) -> None:
    """Exit code 130 without a traceback; each data file is what it was or what the run made of it, and can be read."""
    with _start("run", project, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as run:
        _wait_for(project.parent / "data" / "1" / "data.qpdata.nuclick-backup", run)
        run.send_signal(signal.SIGINT)
        time.sleep(0.01)
        run.send_signal(signal.SIGINT)
        try:
            _, errors = run.communicate(timeout=PATIENCE_S)
        finally:
            run.kill()

    assert run.returncode == 130, errors
    assert "Traceback" not in errors
    assert len(ours_of(project, "1")) == 1
    ours_of(project, "2")
    assert not list(project.parent.rglob("*.tmp"))


def test_run_outlives_the_reader_of_its_output(project: Path) -> None:
    """A parent that closes takes its pipes with it; the work is done and recorded all the same."""
    with _start("run", project, "--images", "image [13].png", stdout=subprocess.PIPE, stderr=subprocess.PIPE) as run:
        assert run.stdout is not None
        assert run.stderr is not None
        run.stdout.close()
        run.stderr.close()
        run.wait(PATIENCE_S)

    assert [len(ours_of(project, entry)) for entry in "13"] == [1, 1]
    assert len(list((project.parent / "nuclick").glob("run-*.json"))) == 1
