"""Tests of all methods with a network as they stand in the tables: trained on drawn rings and discs, then asked for them."""

from pathlib import Path

import numpy as np
import pytest
from skimage.draw import disk

from disc_training import disc_config
from nuclick_qp.evaluation.baselines.boxes import BifSeg, DeepGrabCut, Dextr
from nuclick_qp.evaluation.baselines.clicks import Ifcn, LatentDiversity
from nuclick_qp.evaluation.baselines.deep import Course, Deep
from nuclick_qp.evaluation.baselines.mask_rcnn import InteractiveMaskRcnn
from nuclick_qp.evaluation.baselines.method import Pair
from nuclick_qp.evaluation.metrics import score
from nuclick_qp.training.lesson import Lesson
from nuclick_qp.training.training_run import TrainingRun

RIVALS: list[Lesson] = [
    Ifcn(),
    LatentDiversity(),
    DeepGrabCut(),
    Dextr(bottlenecks=(1, 1, 1, 1)),
    InteractiveMaskRcnn(),
    BifSeg(),
]
PLACES = {2: (30, 32, True), 3: (34, 100, False), 5: (92, 44, False), 8: (88, 110, True)}  # row, col, whether it is a ring


def draw(seed: int) -> Pair:
    """Draw two rings and two discs, apart, with gaps in their numbers; sizes follow from the seed."""
    rng = np.random.default_rng(seed)
    truth = np.zeros((128, 144), np.int32)
    for number, (row, col, ring) in PLACES.items():
        radius = int(rng.integers(17, 23))
        truth[disk((row, col), radius)] = number
        if ring:
            truth[disk((row, col), radius - 11)] = 0
    image = np.where(truth[..., None] > 0, (90, 60, 140), (225, 215, 225)) + rng.normal(0, 4, (*truth.shape, 3))
    return image.clip(0, 255).astype(np.uint8), truth


@pytest.mark.parametrize("lesson", RIVALS, ids=lambda lesson: type(lesson).__name__)
def test_a_rival_learns_rings_and_discs(tmp_path: Path, lesson: Lesson) -> None:
    """On an image that it has not seen each object is found under its number, and the hole of a ring is left out."""
    plain = {"restain": 0.0, "shuffle": 0.0, "blur": 0.0, "noise": 0.0, "stain": 0.0, "zoom": 1.0}
    config = disc_config(
        prompt="point" if lesson.fill is None else "line", patch_px=64, width=0.12, batch_size=8, steps=90, warmup_steps=3,
        validate_every=90, validation_patches=8, ema_decay=0.9, learning_rate=1e-2, augmentation=plain,
    )  # fmt: skip
    method = Deep(lesson, Course(config, TrainingRun(tmp_path, tmp_path / "out", device="cpu", workers=0, threads=1), 0.25))

    method.fit([draw(seed) for seed in range(4)])
    image, truth = draw(9)
    found = method.segment(image, truth)

    assert set(np.unique(found).tolist()) == {0, *PLACES}
    assert score(truth, found).aji > 0.75
    for number in (2, 8):
        row, col, _ = PLACES[number]
        assert found[row, col] != number
