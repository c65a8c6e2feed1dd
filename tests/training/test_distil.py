"""Tests of `examples/training/gpu.sh` and what it calls: a teacher and its student in slices, on the CPU with tiny networks."""

import os
import re
import subprocess
import sys
import tarfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from nuclick_qp.model.cards import find_card, read_card
from nuclick_qp.model.checkpoints import load_network
from nuclick_qp.stopping import Stopped
from nuclick_qp.training.config import read_config
from nuclick_qp.training.loop import train
from nuclick_qp.training.training_run import TrainingRun
from training import distil

GPU_SH = Path(distil.__file__).with_name("gpu.sh")
DISCS = [(30, 30, 9), (90, 30, 9), (30, 90, 9), (90, 90, 9)]
CONFIG = """
name = "nuclei"
prompt = "point"
description = "drawn discs"
licence = "GPL-3.0-or-later"
patch_px = 32
steps = 3
batch_size = 4
validate_every = 2

[[sources]]
folder = "discs"
mpp = 0.25
validation = ["two*"]
"""


@pytest.fixture
def data(tmp_path: Path, draw_pair: Callable[..., Path]) -> Path:
    """Draw two images of four discs each, and write the configuration of a student of the shipped width."""
    for name in ("discs/one", "discs/two"):
        draw_pair(name, DISCS)
    (tmp_path / "nuclei.toml").write_text(CONFIG)
    return tmp_path


def test_every_kind_has_a_configuration_of_the_size_of_its_start() -> None:
    """A student starts from a model of the package, and is the model of its kind."""
    for kind, plan in distil.PLANS.items():
        config, start = read_config(distil.CONFIGS / f"{kind}.toml"), find_card(plan.init)[0]

        assert (config.name, config.width, config.ms_blocks) == (kind, start.network.width, start.network.ms_blocks)
        assert config.teacher is None


def test_teacher_and_student_are_made_in_slices(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A slice that ends in the teacher leaves it as far as it is; the next ones end with a student that it taught, in parts that fit."""
    monkeypatch.setattr(distil, "LARGEST_PART", 3_000_000)
    monkeypatch.setattr(distil, "_left", lambda until: None if until is None else 1e-9)  # time for one step on any machine
    config, plan = read_config(data / "nuclei.toml"), replace(distil.PLANS["nuclei"], teacher_width=0.07)
    run, back = TrainingRun(data, data / "out", workers=0, device="cpu"), data / "out" / "back"

    with pytest.raises(Stopped):
        distil.make(config, plan, run, teacher=True, until=time.monotonic())
    after_one = {path.name for path in back.iterdir()}
    distil.make(config, plan, run, teacher=True, until=None)

    assert {"nuclei-teacher-step-1.json", "nuclei-teacher-step-1.safetensors"} <= after_one
    assert not list(back.glob("*-step-*"))
    assert max(path.stat().st_size for path in back.iterdir()) <= 3_000_000
    student = read_card(back / "nuclei.json")
    assert student.training["teacher"]["name"] == "nuclei-teacher"
    assert student.training["init"]["name"] == "nuclei"
    distil._join(back, data / "joined" / "nuclei.json")
    load_network(student, data / "joined" / "nuclei.safetensors")


def test_a_teacher_that_came_back_is_not_made_again(data: Path) -> None:
    """On a fresh machine with OUT/back alone the student learns from it at once; without one from labels."""
    config, plan = read_config(data / "nuclei.toml"), replace(distil.PLANS["nuclei"], teacher_width=0.07)
    run = TrainingRun(data, data / "out", workers=0, device="cpu")
    distil.make(config, plan, run, teacher=True, until=None)
    first = read_card(data / "out" / "back" / "nuclei-teacher.json")
    fresh = data / "fresh"
    fresh.mkdir()
    for name in ("nuclei-teacher.json", "nuclei-teacher.safetensors"):
        (fresh / "back").mkdir(exist_ok=True)
        (fresh / "back" / name).write_bytes((data / "out" / "back" / name).read_bytes())

    distil.make(config, plan, replace(run, out=fresh), teacher=True, until=None)
    distil.make(config, plan, replace(run, out=data / "alone"), teacher=False, until=None)

    assert read_card(fresh / "back" / "nuclei.json").training["teacher"]["sha256"] == first.sha256
    assert not (fresh / "teacher" / "checkpoint.pt").exists()
    assert read_card(data / "alone" / "back" / "nuclei.json").training["teacher"] is None


def test_the_script_packs_here_and_trains_there(data: Path) -> None:
    """From the packed file alone; a slice that is over before its first step asks for another."""
    packed, out = data / "nuclei.tar", data / "out"
    environment = {**os.environ, "PYTHON": sys.executable}
    options = ["--configs", str(data), "--device", "cpu", "--teacher-width", "0.07"]

    subprocess.run([GPU_SH, "pack", "nuclei", data, packed, *options], check=True, env=environment, capture_output=True)
    with tarfile.open(packed) as file:
        names = file.getnames()
    stopped = subprocess.run([GPU_SH, "train", "nuclei", packed, out, *options, "--minutes", "0.0001"], check=False, env=environment)

    assert sorted(names) == ["discs/one.jpg", "discs/one_label.png", "discs/two.jpg", "discs/two_label.png"]
    assert stopped.returncode == 130


def test_what_a_fitted_run_has_learned_comes_back_when_it_is_stopped(data: Path) -> None:
    """Though it has taken more steps than its configuration says, which is a guess."""
    config, run = read_config(data / "nuclei.toml"), TrainingRun(data, data / "out", workers=0, device="cpu", minutes=1e-9, fit=True)
    config = config.model_copy(update={"steps": 1, "width": 0.07})
    for _ in range(2):
        train(config, run)

    assert distil._so_far(config, run).name == "nuclei-step-2.json"


def test_the_script_runs_the_tests_that_need_a_gpu() -> None:
    """All of them, and no others; on a machine without one each says that it was skipped."""
    done = subprocess.run([GPU_SH, "test"], check=True, capture_output=True, text=True, env={**os.environ, "PYTHON": sys.executable})

    ran = sum(int(count) for count in re.findall(r"(\d+) (?:skipped|passed)", done.stdout.splitlines()[-1]))
    assert ran == 5, done.stdout
    assert "deselected" in done.stdout


ONLY_WHAT_IS_THERE = """
import sys
for name in ("openslide", "paquo", "jpype", "imagecodecs", "defusedxml", "geojson", "fastapi", "uvicorn", "matplotlib"):
    sys.modules[name] = None
import training.distil
"""


def test_training_from_folders_needs_no_library_of_slides() -> None:
    """A machine that is lent has torch and little else; gpu.sh carries the rest in one folder of wheels."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(GPU_SH.parents[1]), *sys.path])}

    subprocess.run([sys.executable, "-c", ONLY_WHAT_IS_THERE], check=True, env=environment)
