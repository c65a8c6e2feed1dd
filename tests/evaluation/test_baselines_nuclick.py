"""Tests of `nuclick_qp.evaluation.baselines.nuclick_method` and `students`, on drawn discs."""

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from skimage.draw import disk
from torch import nn

from disc_training import disc_config
from nuclick_qp.errors import OptionError
from nuclick_qp.evaluation.baselines.deep import Course
from nuclick_qp.evaluation.baselines.method import Method, Pair
from nuclick_qp.evaluation.baselines.networks import UNet
from nuclick_qp.evaluation.baselines.nuclick_method import NuClick
from nuclick_qp.evaluation.baselines.students import AllObjects, Student
from nuclick_qp.evaluation.evaluation_options import EvaluationOptions
from nuclick_qp.evaluation.metrics import score
from nuclick_qp.model.network_settings import NetworkSettings
from nuclick_qp.training.training_run import TrainingRun


def course(out: Path, **changes: Any) -> Course:
    """Give a short training of a small network."""
    fields = {"patch_px": 64, "steps": 60, "validate_every": 30, "batch_size": 8, "warmup_steps": 3, "ema_decay": 0.8, "width": 0.07}
    plain = {"restain": 0.0, "shuffle": 0.0, "blur": 0.0, "noise": 0.0}
    config = disc_config(**(fields | {"learning_rate": 5e-3, "min_object_px": 10, "augmentation": plain} | changes))
    return Course(config, TrainingRun(out, out / "training", device="cpu", workers=0, threads=1), 0.25)


def draw() -> Pair:
    """Draw dark discs apart on a light ground, with gaps in their numbers."""
    truth = np.zeros((120, 140), np.int32)
    for number, (row, col) in {3: (30, 30), 4: (30, 100), 9: (90, 40), 12: (85, 105)}.items():
        truth[disk((row, col), 11)] = number
    return np.where(truth[..., None] > 0, (90, 60, 140), (225, 215, 225)).astype(np.uint8), truth


def unet(settings: NetworkSettings) -> nn.Module:
    """Make a U-Net in the place of NuClick's network."""
    return UNet(settings.in_channels, settings.width)


@pytest.mark.parametrize("make", [NuClick, partial(NuClick, in_channels=4), partial(NuClick, make=unet)], ids=["", "4 channels", "U-Net"])
def test_nuclick_is_trained_and_used_by_the_code_of_a_run(tmp_path: Path, make: Any) -> None:
    """With its own network or another, with or without exclusion maps: discs are found under their numbers."""
    image, truth = draw()
    method = make(course(tmp_path))

    method.fit([draw(), draw()])
    found = method.segment(image, truth)

    assert found.dtype == np.int32
    assert set(np.unique(found).tolist()) == {0, 3, 4, 9, 12}
    assert score(truth, found).aji > 0.7
    moved, again = (method.prompted(EvaluationOptions(mpp=0.25, jitter_px=5)).segment(image, truth) for _ in range(2))
    assert np.array_equal(moved, again)  # as `evaluate` moves prompts, from the seed
    assert not np.array_equal(moved, found)


def test_a_student_finds_objects_without_prompts(tmp_path: Path) -> None:
    """It learns from masks, however they are numbered, and looks at the image alone; what is small is dropped."""
    image, truth = draw()
    student = Student(AllObjects(UNet), course(tmp_path, min_object_px=100))
    student.fit([draw(), draw()])

    found = student.segment(image, np.zeros_like(truth))

    assert score(truth, found).dice > 0.8
    areas = np.bincount(found.ravel())
    assert areas[areas > 0].min() >= 100
    assert score(truth, found).dq > 0.8


@pytest.mark.parametrize("method", [NuClick, partial(Student, AllObjects(UNet))], ids=["NuClick", "student"])
def test_nothing_is_segmented_before_training(tmp_path: Path, method: Any) -> None:
    """One clear line."""
    untrained: Method = method(course(tmp_path))

    with pytest.raises(OptionError, match="fit the method"):
        untrained.segment(*draw())
