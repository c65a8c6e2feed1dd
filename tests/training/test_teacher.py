"""Tests of `nuclick_qp.training.teacher`: a finished model beside the labels."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.nn import functional

from disc_training import disc_config
from nuclick_qp.errors import ModelNotFoundError, OptionError
from nuclick_qp.training.config import TrainingConfig
from nuclick_qp.training.loop import train
from nuclick_qp.training.losses import LossTerms, hybrid_loss
from nuclick_qp.training.teacher import Teacher
from nuclick_qp.training.training_run import TrainingRun

DISCS = [(30, 30, 9), (90, 30, 9), (30, 90, 9), (90, 90, 9)]
CPU = torch.device("cpu")


@pytest.fixture
def data(tmp_path: Path, draw_pair: Callable[..., Path]) -> Path:
    """Draw two images of four discs each."""
    for name in ("discs/one", "discs/two"):
        draw_pair(name, DISCS)
    return tmp_path


def _config(**changes: Any) -> TrainingConfig:
    return disc_config(**({"steps": 2} | changes))


@pytest.fixture
def taught(data: Path) -> tuple[TrainingConfig, Path]:
    """Train a wider teacher for two steps; gives the configuration of a student."""
    train(_config(width=0.1, name="wide"), TrainingRun(data, data / "teacher", workers=0))
    return _config(teacher={"model": str(data / "teacher" / "wide.json"), "share": 0.25}), data


def test_targets_are_masks_and_what_the_teacher_thinks(taught: tuple[TrainingConfig, Path]) -> None:
    """By the share of the configuration; the teacher is left as it is, and takes no gradient."""
    teacher = Teacher.of(taught[0], CPU)
    assert teacher is not None
    inputs, wanted = torch.rand(2, 5, 32, 32), (torch.rand(2, 1, 32, 32) > 0.5).float()
    before = {key: value.clone() for key, value in teacher.net.state_dict().items()}

    targets = teacher.targets(inputs, wanted)

    assert torch.allclose(targets, 0.75 * wanted + 0.25 * torch.sigmoid(teacher.net(inputs)), atol=1e-6)
    assert not targets.requires_grad
    assert all(torch.equal(before[key], value) for key, value in teacher.net.state_dict().items())


def test_a_student_learns_something_else_than_without_a_teacher(taught: tuple[TrainingConfig, Path]) -> None:
    """Other weights than from labels alone, and the card tells who taught it."""
    config, data = taught
    alone = train(_config(), TrainingRun(data, data / "alone", workers=0))

    student = train(config, TrainingRun(data, data / "student", workers=0))

    assert student.sha256 != alone.sha256
    assert (student.network.width, student.training["teacher"]["name"]) == (0.07, "wide")
    assert alone.training["teacher"] is None


def test_soft_targets_are_for_the_cross_entropy_alone() -> None:
    """Where they are the network's own probabilities it has no gradient left; soft Dice still compares with the mask."""
    wanted, logits = (torch.rand(2, 1, 32, 32) > 0.5).float(), torch.randn(2, 1, 32, 32, requires_grad=True)
    even = LossTerms(weighted=False)

    soft = hybrid_loss(logits, wanted, 1 - wanted, terms=even, targets=torch.sigmoid(logits.detach()))
    dice = hybrid_loss(logits, wanted, 1 - wanted, terms=even) - functional.binary_cross_entropy_with_logits(logits, wanted)

    of_soft, of_dice = (torch.autograd.grad(loss, logits)[0] for loss in (soft, dice))
    assert torch.allclose(of_soft, of_dice, atol=1e-6)
    assert of_dice.abs().max() > 1e-5


@pytest.mark.parametrize(("key", "value"), [("mpp", 0.5), ("patch_px", 64), ("click_radius_px", 3.0), ("prompt", "line")])
def test_a_teacher_that_sees_patches_in_another_way_is_refused(taught: tuple[TrainingConfig, Path], key: str, value: object) -> None:
    """Its probabilities would be of another place, or another size; nothing is written."""
    config, data = taught
    other = config.model_copy(update={key: value})

    with pytest.raises(OptionError, match=f"the teacher wide has {key} "):
        train(other, TrainingRun(data, data / "out", workers=0))
    assert not (data / "out").exists()


def test_a_teacher_that_is_not_there_is_told(data: Path) -> None:
    """Before any image is read."""
    config = _config(teacher={"model": "nobody"})

    with pytest.raises(ModelNotFoundError, match="nobody"):
        train(config, TrainingRun(data / "nothing", data / "out", workers=0))
