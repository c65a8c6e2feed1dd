"""`batch` from the command line, with workers that are processes."""

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
from ihc_studies import make_studies

PATIENCE_S = 600  # a hang is what this is for
Call = Callable[..., int]


def start(*arguments: str | Path) -> "subprocess.Popen[str]":
    """Start a batch as a terminal does: in a group of its own, to which Ctrl-C goes."""
    command = [sys.executable, "-m", "nuclick_qp_cli", "batch", *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True)


def test_batch_reports_every_project_and_goes_on_after_a_broken_one(tmp_path: Path) -> None:
    """On stdout, in files, and by the exit code; stderr has the dashboard and the progress."""
    projects = make_studies(tmp_path / "studies", 2, images=1, prompts=2)
    (tmp_path / "list.txt").write_text(f"{tmp_path / 'none'}\n{tmp_path / 'studies'}/*\n")

    with start(tmp_path / "list.txt", "--local", "1", "--report", tmp_path / "report") as batch:
        output, errors = batch.communicate(timeout=PATIENCE_S)

    assert batch.returncode == 1, errors
    lines = output.splitlines()
    assert lines[0].startswith(f"{tmp_path / 'none'}: failed: ")
    assert [line.split(": ")[0] for line in lines if not line.startswith("  ")][1:3] == [str(path) for path in projects]
    assert "prompts of 3 projects written" in lines[-1]
    assert "clicks/s with 1 worker(s)" in lines[-1]
    first, *rest = errors.splitlines()
    assert first.startswith("dashboard: http://127.0.0.1:")
    assert rest == ["0 of 2 projects, 0 of 2 images, 1 worker(s): 0.0 clicks/s"], "nothing of Dask's inner life"
    assert sorted(path.name for path in (tmp_path / "report").iterdir()) == ["batch.csv", "batch.html", "batch.json"]
    report = json.loads((tmp_path / "report" / "batch.json").read_text())
    assert report["projects"][0]["status"] == "failed"


@pytest.mark.usefixtures("heed_ctrl_c")
def test_stopped_batch_writes_what_is_finished(tmp_path: Path) -> None:
    """Ctrl-C goes to the workers too, which live on until they have given back what is done; exit code 130, no traceback."""
    projects = make_studies(tmp_path / "studies", 12, images=1, prompts=40)

    with start(*projects, "--local", "2") as batch:
        until = time.monotonic() + PATIENCE_S
        while not ours_of(projects[0]) and batch.poll() is None and time.monotonic() < until:
            time.sleep(0.05)
        os.killpg(batch.pid, signal.SIGINT)
        output, errors = batch.communicate(timeout=PATIENCE_S)

    assert batch.returncode == 130, errors
    assert "Traceback" not in errors
    assert errors.splitlines()[-1].startswith("stopped; ")
    assert "stopping: what is done is being written; Ctrl-C again stops at once" in errors
    assert f"{projects[-1]}: not begun" in output
    assert [ours_of(projects[0]) != [], ours_of(projects[-1])] == [True, []]


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (("--local", "2", "--scheduler", "tcp://x:1"), "each say where the workers are; choose one"),
        (("--slurm", "a.yaml", "--pbs", "b.yaml"), "each say where the workers are; choose one"),
        (("--points", "none", "--lines", "none"), "leave nothing to do"),
    ],
)
def test_options_that_contradict_one_another_are_told(
    options: tuple[str, ...], told: str, command_line: Call, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit code 2, and no worker is started."""
    assert command_line("batch", "project.qpproj", *options) == 2
    assert told in " ".join(capsys.readouterr().err.split())


def python(code: str) -> "subprocess.CompletedProcess[str]":
    """Run some code in a process of its own."""
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)


def test_missing_dask_is_told_with_the_remedy() -> None:
    """It is no part of a plain installation."""
    done = python(
        "import sys; sys.modules['distributed'] = None; sys.argv = ['nuclick-qp', 'batch', 'x.qpproj']\n"
        "from nuclick_qp_cli.main import main; main()"
    )

    assert done.returncode == 2
    assert done.stderr.strip() == "nuclick-qp: batch needs distributed, which is not installed: pip install 'nuclick-qp[cluster]'"


def test_help_loads_neither_dask_nor_torch() -> None:
    """Nobody should wait for them to read what a command does."""
    done = python(
        "import sys; sys.argv = ['nuclick-qp', 'batch', '--help']\n"
        "from nuclick_qp_cli.main import main\n"
        "try: main()\n"
        "finally: print(sorted({'dask', 'distributed', 'torch', 'jinja2', 'numpy'} & set(sys.modules)), file=sys.stderr)"
    )

    assert done.returncode == 0
    assert done.stderr.strip() == "[]"
