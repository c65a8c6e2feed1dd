"""`nuclick-qp train` as it is called on a cluster."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from drawn_projects import points_at
from outlined_projects import PLACES, RADIUS, outlined_project, small_model

PATIENCE_S = 600  # a hang is what this is for; a busy machine takes a minute to import torch and to validate
DISCS = [(60, 60, 12), (140, 60, 12), (60, 200, 12), (340, 200, 12)]
CONFIG = """
name = "discs"
prompt = "point"
description = "drawn discs"
licence = "GPL-3.0-or-later"
patch_px = 32
width = 0.07
steps = 100000
batch_size = 2
validate_every = 2

[[sources]]
folder = "discs"
mpp = 0.25
validation = ["two*"]
"""


@pytest.fixture
def arguments(tmp_path: Path, draw_pair: Callable[..., Path]) -> list[str]:
    """Give the arguments of a training on two drawn images that would take an hour."""
    for name in ("discs/one", "discs/two"):
        draw_pair(name, DISCS)
    config = tmp_path / "discs.toml"
    config.write_text(CONFIG)
    return ["train", str(config), "--data", str(tmp_path), "--out", str(tmp_path / "run"), "--device", "cpu"]


@pytest.mark.usefixtures("heed_ctrl_c")
@pytest.mark.parametrize("sent", [signal.SIGTERM, signal.SIGINT])
def test_a_stopped_training_leaves_a_checkpoint(arguments: list[str], tmp_path: Path, sent: signal.Signals) -> None:
    """Ctrl-C, and what a cluster sends before it kills: exit code 130, no traceback, nothing lost but the step at hand."""
    log = tmp_path / "run" / "log.csv"
    command = [sys.executable, "-m", "nuclick_qp_cli.main", *arguments]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, start_new_session=True) as training:
        until = time.monotonic() + PATIENCE_S
        while not log.exists() and training.poll() is None and time.monotonic() < until:
            time.sleep(0.1)
        assert log.exists(), "the training ended, or took no step for ten minutes"
        os.killpg(training.pid, sent)  # a terminal and a cluster reach the processes that make batches too
        try:
            _, errors = training.communicate(timeout=PATIENCE_S)
        finally:
            training.kill()

    assert training.returncode == 130
    assert "Traceback" not in errors
    assert torch.load(tmp_path / "run" / "checkpoint.pt", weights_only=True)["step"] >= 2


def test_wrong_configurations_are_told_in_one_line(
    arguments: list[str], tmp_path: Path, command_line: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    """File, key and reason; nothing is written."""
    (tmp_path / "discs.toml").write_text(CONFIG.replace("batch_size = 2", "batch_size = 0"))

    assert command_line(*arguments) == 2

    error = capsys.readouterr().err
    assert "discs.toml: batch_size: " in error
    assert error.count("\n") == 1
    assert not (tmp_path / "run").exists()


def test_a_project_becomes_a_model_and_says_whether_it_is_better(
    tmp_path: Path, draw_discs: Callable[..., Path], command_line: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    """No file of settings: outlines in, figures of before and after out; ten steps teach an untrained network nothing, which is told."""
    project = outlined_project(tmp_path / "study", draw_discs([(x, y, RADIUS) for x, y in PLACES]))
    start = small_model(tmp_path / "start")

    assert command_line("train", project.parent, "--init", start, "--minutes", "0.01", "--device", "cpu", "--workers", "0") == 1

    lines = capsys.readouterr().out.splitlines()
    folder = tmp_path / "study" / "nuclick" / "training" / "start-study"
    assert lines[0] == "learned from 36 outlines; measured on 14 that were held out:"
    assert lines[1].startswith("  start        AJI 0.")
    assert lines[2].startswith("  start-study  AJI 0.")
    assert lines[3] == f"picture: {folder / 'before-after.png'}"
    assert lines[4].startswith("no better, so start-study is not among your models;")
    assert lines[4].endswith(f"nuclick-qp models import {folder}")
    assert command_line("models", "import", folder) == 0
    assert command_line("train", project, "--init", start, "--name", "nuclei") == 2


def test_what_is_for_projects_is_refused_for_a_configuration(
    arguments: list[str], command_line: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    """It stands in the file; and a file cannot be without its folders."""
    assert command_line(*arguments, "--name", "mine") == 2
    assert "--mpp and --overwrite are for projects; write them into the TOML file" in capsys.readouterr().err

    assert command_line(*arguments[:2]) == 2
    assert "needs --data and --out; a project.qpproj needs neither" in capsys.readouterr().err


def test_a_project_of_points_alone_is_told_what_it_lacks(
    make_project: Callable[..., Path], command_line: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    """Points say where nuclei are, not where they end."""
    assert command_line("train", make_project(points_at((60, 60), (100, 70)))) == 3

    assert "has 0 outlines to learn from, besides 2 points without an outline; outline 20 objects or more" in capsys.readouterr().err
