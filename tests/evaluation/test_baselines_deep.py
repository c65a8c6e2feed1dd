"""Tests of `nuclick_qp.evaluation.baselines.deep`: training and patches of methods with a network, on drawn discs."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from skimage.draw import disk, ellipse
from torch import Tensor, nn

from disc_training import disc_config
from nuclick_qp.errors import OptionError, TrainingDataError
from nuclick_qp.evaluation.baselines.deep import Course, Deep
from nuclick_qp.evaluation.baselines.method import Pair
from nuclick_qp.evaluation.baselines.students import AllObjects
from nuclick_qp.evaluation.metrics import score
from nuclick_qp.training.config import TrainingConfig
from nuclick_qp.training.losses import LossTerms, hybrid_loss
from nuclick_qp.training.patches import Batch
from nuclick_qp.training.training_run import TrainingRun


@dataclass(frozen=True)
class Told:
    """A lesson whose answer is in its input, so that all that is left to go wrong lies round the network."""

    fill: float | None = None
    also_others: bool = False

    def network(self, config: TrainingConfig) -> nn.Module:
        return nn.Conv2d(1, 1, 1)

    def prepare(self, batch: Batch, generator: torch.Generator) -> Batch:
        return replace(batch, inputs=batch.wanted + batch.others if self.also_others else batch.wanted)

    def loss(self, net: nn.Module, batch: Batch) -> Tensor:
        return hybrid_loss(net(batch.inputs), batch.wanted, batch.others, terms=LossTerms())

    def probability(self, net: nn.Module, batch: Batch) -> Tensor:
        return batch.inputs


@dataclass(frozen=True)
class Dark(AllObjects):
    """A lesson that can be learned from one pixel: dark is wanted."""

    make: Callable[[int, float], nn.Module] = field(default=lambda in_channels, width: nn.Conv2d(in_channels, 1, 1))
    share: float | None = None

    @property
    def fill(self) -> float | None:
        return self.share


def course(out: Path, *, mpp: float = 0.25, **changes: Any) -> Course:
    """Give a short training of a small network."""
    fields = {"patch_px": 64, "steps": 1, "validate_every": 1, "batch_size": 4, "warmup_steps": 0} | changes
    return Course(disc_config(**fields), TrainingRun(out, out / "training", device="cpu", workers=0, threads=1), mpp)


def draw(shape: tuple[int, int] = (120, 140)) -> Pair:
    """Draw dark objects on a light ground: apart, touching, cut by the border, and with gaps in their numbers."""
    truth = np.zeros(shape, np.int32)
    truth[disk((30, 30), 12, shape=shape)] = 2
    truth[disk((30, 53), 12, shape=shape)] = 5
    truth[disk((119, 80), 14, shape=shape)] = 6
    truth[ellipse(80, 120, 9, 25, shape=shape)] = 9
    image = np.where(truth[..., None] > 0, (90, 60, 140), (225, 215, 225))
    return (image + np.random.default_rng(1).normal(0, 4, image.shape)).clip(0, 255).astype(np.uint8), truth


def fitted(method: Deep) -> Deep:
    """Train a method on two drawn images."""
    method.fit([draw(), draw()])
    return method


@pytest.mark.parametrize("mpp", [0.25, 0.5, 0.17])
@pytest.mark.parametrize("fill", [None, 0.7])
def test_what_is_found_in_patches_lies_where_it_is_in_the_image(tmp_path: Path, fill: float | None, mpp: float) -> None:
    """Under the numbers of the truth, at any resolution of the image, at its border as well; only rounding is lost."""
    image, truth = draw()
    method = fitted(Deep(Told(fill), course(tmp_path, mpp=mpp, prompt="point" if fill is None else "line", patch_px=128)))

    found = method.segment(image, truth)

    assert found.dtype == np.int32
    assert set(np.unique(found).tolist()) == {0, 2, 5, 6, 9}
    assert score(truth, found).aji > (0.99 if mpp == 0.25 and fill is None else 0.93)


def test_from_a_click_the_part_under_it_counts_and_from_a_box_what_lies_in_it(tmp_path: Path) -> None:
    """Where a network answers with all objects: neighbours that touch come with a click, and are cut off by a box."""
    image, truth = draw()
    by_click = fitted(Deep(Told(also_others=True), course(tmp_path / "click")))
    by_box = fitted(Deep(Told(0.5, also_others=True), course(tmp_path / "box", prompt="line")))

    clicked, boxed = by_click.segment(image, truth), by_box.segment(image, truth)

    assert (clicked[truth == 9] == 9).mean() > 0.95
    assert not ((clicked == 2) & (truth == 9)).any()
    for number in (2, 5, 6, 9):
        rows, cols = np.nonzero(truth == number)
        inside = np.zeros(truth.shape, bool)
        inside[rows.min() : rows.max() + 1, cols.min() : cols.max() + 1] = True
        assert not (boxed == number)[~inside].any()


@pytest.mark.parametrize("fill", [None, 0.8])
def test_a_lesson_is_learned_and_goes_on_where_it_was_stopped(tmp_path: Path, fill: float | None) -> None:
    """By the loop of this project: a second fit reads its checkpoint, takes no further step and answers alike."""
    image, truth = draw()
    steps: list[int] = []
    taught = replace(
        course(tmp_path, prompt="point" if fill is None else "line", steps=80, validate_every=40, learning_rate=0.3, ema_decay=0.8),
        on_step=lambda progress: steps.append(progress.step),
    )
    method = fitted(Deep(Dark(share=fill), taught))
    found = method.segment(image, truth)

    again = fitted(Deep(Dark(share=fill), taught)).segment(image, truth)

    apart = np.isin(truth, (0, 6, 9))  # dark is all that it knows of the two that touch
    assert score(np.where(apart, truth, 0), np.where(apart, found, 0)).aji > 0.8
    assert np.array_equal(again, found)
    assert steps == list(range(1, 81))
    assert (tmp_path / "training" / "log.csv").exists()


def test_nothing_is_segmented_before_training_or_learned_from_one_image(tmp_path: Path) -> None:
    """Both are refused in one line."""
    method = Deep(Told(), course(tmp_path))

    with pytest.raises(OptionError, match="fit the method"):
        method.segment(*draw())
    with pytest.raises(TrainingDataError, match="one of which validates"):
        method.fit([draw(), (draw()[0], np.zeros_like(draw()[1]))])


def test_an_image_without_objects_has_none(tmp_path: Path) -> None:
    """Nothing is prompted for, and nothing found."""
    image, truth = draw()
    method = fitted(Deep(Told(), course(tmp_path)))

    empty: NDArray[np.int32] = np.zeros_like(truth)

    assert not method.segment(image, empty).any()
