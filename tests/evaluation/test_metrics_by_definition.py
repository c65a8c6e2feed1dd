"""Scores of label images by second ways: torchmetrics, and the papers' definitions spelt out over sets of pixels.

Nothing here is shared with `nuclick_qp.evaluation` but the label images; slow and plain on purpose.
"""

from itertools import product

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torchmetrics.functional.detection import panoptic_quality as their_panoptic_quality

from nuclick_qp.evaluation.metrics import aji, hausdorff, object_dice, object_f1, object_hausdorff, panoptic_quality

Labels = NDArray[np.int64]
Pixels = set[tuple[int, int]]

ROUNDING = 1e-12  # sums and quotients of a few doubles in another order
SINGLE = 1e-6  # torchmetrics has IoUs in single precision: each is off by up to 6e-8, and so is their mean
SEEDS = range(20)
SHAPE = (26, 34)


def scene(seed: int) -> tuple[Labels, Labels]:
    """Truth and prediction of objects that touch: some moved, one missing, two merged, two spurious, labels with gaps."""
    rng = np.random.default_rng(seed)
    centres, radii = rng.uniform((0, 0), SHAPE, (11, 2)), rng.uniform(3, 7, 11)
    moved = centres[1:9] + rng.normal(0, 1.2, (8, 2))  # 0 is missing, 9 and 10 are spurious
    truth = _cells(centres[:9], radii[:9])
    prediction = _cells(np.concatenate([moved, centres[9:]]), radii[1:] * rng.uniform(0.8, 1.2, 10))
    prediction[prediction == 2] = 1
    return truth * 7, prediction * 3


def _cells(centres: NDArray[np.float64], radii: NDArray[np.float64]) -> Labels:
    """Give each pixel the number of the nearest centre, and 0 beyond its radius: cells with common walls."""
    rows, cols = np.indices(SHAPE)
    distance = np.hypot(rows[..., None] - centres[:, 0], cols[..., None] - centres[:, 1])
    nearest = distance.argmin(axis=-1)
    return np.where(distance.min(axis=-1) < radii[nearest], nearest + 1, 0)


def objects_of(image: Labels) -> list[Pixels]:
    """Objects as sets of (row, col), read pixel by pixel; in reading order, which settles ties."""
    objects: dict[int, Pixels] = {}
    for row, col in product(range(image.shape[0]), range(image.shape[1])):
        if image[row, col]:
            objects.setdefault(int(image[row, col]), set()).add((row, col))
    return list(objects.values())


def partner(one: Pixels, others: list[Pixels]) -> Pixels:
    """Give the object that shares most pixels with another; an empty set when none does."""
    best = max(others, key=lambda other: len(one & other))
    return best if one & best else set()


def distance_of(one: Pixels, other: Pixels) -> float:
    """Hausdorff distance: the longest way from a pixel of either set to the nearest of the other."""
    ways = np.array([[np.hypot(a - c, b - d) for c, d in other] for a, b in one])
    return float(max(ways.min(axis=0).max(), ways.min(axis=1).max()))


def partner_distance(one: Pixels, others: list[Pixels]) -> float:
    """Distance to the partner, or the smallest to any object where there is none."""
    found = partner(one, others)
    return distance_of(one, found) if found else min(distance_of(one, other) for other in others)


def weighted(values: list[float], objects: list[Pixels]) -> float:
    """Mean by area, the weights of Sirinukunwattana 2017."""
    return sum(v * len(o) for v, o in zip(values, objects, strict=True)) / sum(len(o) for o in objects)


@pytest.mark.parametrize("seed", SEEDS)
def test_scenes_are_hard(seed: int) -> None:
    """Objects touch, one is missed at least, one is invented at least, and partners are not one to one."""
    truths, predictions = map(objects_of, scene(seed))
    touching = any((row, col + 1) in b for a in truths for b in truths if a is not b for row, col in a)
    matched = sum(len(t & p) / len(t | p) > 0.5 for t in truths for p in predictions)

    assert touching
    assert 0 < matched < min(len(truths), len(predictions))


@pytest.mark.parametrize("seed", SEEDS)
def test_panoptic_quality_equals_that_of_torchmetrics(seed: int) -> None:
    """Kirillov 2019 as another library has it: objects as instances of the one class of things, background as stuff."""
    truth, prediction = scene(seed)
    ours, labels = (torch.from_numpy(np.stack([image > 0, image], axis=-1).astype(np.int64))[None] for image in (prediction, truth))

    theirs = their_panoptic_quality(ours, labels, things={1}, stuffs={0}, return_sq_and_rq=True, return_per_class=True)
    found = panoptic_quality(truth, prediction)

    of_things = theirs[0].tolist()  # (2, 3): things, then stuff; PQ, SQ, RQ
    assert (found.pq, found.sq, found.dq) == pytest.approx(tuple(of_things), abs=SINGLE)


@pytest.mark.parametrize("seed", SEEDS)
def test_aji_equals_its_definition_on_sets(seed: int) -> None:
    """Kumar 2017, algorithm 1: each true object and its best prediction by IoU, then the predictions nobody chose."""
    truths, predictions = map(objects_of, scene(seed))
    shared = union = 0
    chosen: list[Pixels] = []
    for t in truths:
        best = max(predictions, key=lambda p: len(t & p) / len(t | p))
        if t & best:
            chosen.append(best)
        shared += len(t & best)
        union += len(t | best) if t & best else len(t)
    union += sum(len(p) for p in predictions if p not in chosen)

    assert aji(*scene(seed)) == pytest.approx(shared / union, abs=ROUNDING)


@pytest.mark.parametrize("seed", SEEDS)
def test_object_dice_equals_its_definition_on_sets(seed: int) -> None:
    """Sirinukunwattana 2017, eq. 5 to 7: Dice with the partner, by area, from both sides."""

    def one_side(own: list[Pixels], others: list[Pixels]) -> float:
        partners = [partner(one, others) for one in own]
        return weighted([2 * len(a & b) / (len(a) + len(b)) for a, b in zip(own, partners, strict=True)], own)

    truths, predictions = map(objects_of, scene(seed))

    expected = (one_side(truths, predictions) + one_side(predictions, truths)) / 2
    assert object_dice(*scene(seed)) == pytest.approx(expected, abs=ROUNDING)


@pytest.mark.parametrize("seed", SEEDS)
def test_object_f1_equals_its_definition_on_sets(seed: int) -> None:
    """Sirinukunwattana 2017, section 3.1: a prediction that covers half of its partner is a hit, each true object once."""
    truths, predictions = map(objects_of, scene(seed))
    hits = [t for t in truths if any(partner(p, truths) == t and 2 * len(p & t) >= len(t) for p in predictions)]
    precision, recall = len(hits) / len(predictions), len(hits) / len(truths)

    assert object_f1(*scene(seed)) == pytest.approx(2 * precision * recall / (precision + recall), abs=ROUNDING)


@pytest.mark.parametrize("seed", SEEDS)
def test_hausdorff_distances_equal_their_definitions_on_sets(seed: int) -> None:
    """Sirinukunwattana 2017, eq. 8 to 10, every pair of pixels measured; and the plain mean over true objects."""
    truths, predictions = map(objects_of, scene(seed))
    there = [partner_distance(t, predictions) for t in truths]
    back = [partner_distance(p, truths) for p in predictions]

    expected = (weighted(there, truths) + weighted(back, predictions)) / 2
    assert object_hausdorff(*scene(seed)) == pytest.approx(expected, abs=1e-9)  # roots of whole numbers, by two libraries
    assert hausdorff(*scene(seed)) == pytest.approx(np.mean(there), abs=1e-9)
