"""Scores of label images: figures worked out by hand, and laws. `test_metrics_by_definition` has a second way to the same figures."""

from dataclasses import astuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from nuclick_qp.evaluation.metrics import (
    PanopticQuality,
    Scores,
    aji,
    dice,
    hausdorff,
    mean_scores,
    object_dice,
    object_f1,
    object_hausdorff,
    panoptic_quality,
    score,
)

Labels = NDArray[np.int64]
Box = tuple[int, int, int, int]

ROUNDING = 1e-12  # sums of a few doubles in another order
SEEDS = range(12)


def figures(*values: float) -> Scores:
    """Give scores by their order in tables."""
    return Scores(**dict(zip(Scores.model_fields, values, strict=True)))


def draw(*boxes: Box, shape: tuple[int, int] = (12, 20)) -> Labels:
    """Label image of rectangles (top, left, height, width), numbered from 1; later ones win."""
    image = np.zeros(shape, np.int64)
    for label, (top, left, height, width) in enumerate(boxes, start=1):
        image[top : top + height, left : left + width] = label
    return image


def scattered(seed: int) -> tuple[Labels, Labels]:
    """Truth and a prediction that moves, loses, merges and invents rectangles, both with gaps in the labels."""
    rng = np.random.default_rng(seed)
    boxes = rng.integers((0, 0, 2, 2), (30, 40, 9, 9), (12, 4))
    moved = np.maximum(boxes[3:] + rng.integers((-2, -2, 0, 0), (3, 3, 1, 1), (9, 4)), 0)
    invented = (0, 0, 3, 4), (36, 2, 2, 5)
    truth, prediction = draw(*boxes.tolist(), shape=(40, 50)), draw(*moved.tolist(), *invented, shape=(40, 50))
    prediction[prediction == 2] = 5
    return truth * 7, prediction * 3


label_images = hnp.arrays(np.int64, (7, 9), elements=st.integers(0, 4))


# Truth: A of 4 x 4. Prediction: A moved right by 1 (12 of 20 pixels shared), and 2 x 2 further right.
MOVED = draw((2, 2, 4, 4)), draw((2, 3, 4, 4), (2, 10, 2, 2))


def test_aji_counts_the_pixels_of_unused_predictions() -> None:
    """12 shared of 20 in the union and 4 in a prediction that no true object chose."""
    assert aji(*MOVED) == pytest.approx(12 / 24, abs=ROUNDING)


def test_dice_compares_foreground_with_foreground() -> None:
    """Twice 12 shared pixels over 16 + 20."""
    assert dice(*MOVED) == pytest.approx(24 / 36, abs=ROUNDING)


def test_panoptic_quality_of_one_match_and_one_false_positive() -> None:
    """The match has IoU 0.6; F1 of one hit and one false positive is 2/3."""
    expected = PanopticQuality(0.6, 2 / 3, 0.4)

    found = panoptic_quality(*MOVED)

    assert astuple(found) == pytest.approx(astuple(expected), abs=ROUNDING)


def test_hausdorff_of_an_object_moved_by_one_pixel_is_one() -> None:
    """The prediction that is nobody's partner costs nothing here."""
    assert hausdorff(*MOVED) == 1


def test_object_f1_of_one_hit_and_one_false_positive() -> None:
    """12 of 16 pixels are covered, which is more than half."""
    assert object_f1(*MOVED) == pytest.approx(2 / 3, abs=ROUNDING)


def test_object_dice_weighs_objects_by_area() -> None:
    """From the truth 24/32; from the predictions 16/20 of 24/32 and 4/20 of 0."""
    assert object_dice(*MOVED) == pytest.approx((0.75 + 0.6) / 2, abs=ROUNDING)


def test_object_hausdorff_measures_an_object_without_partner_to_the_nearest() -> None:
    """Of all pixels of A and of the 2 x 2, (5, 2) in A has the longest way to the other: its nearest is (3, 10)."""
    from_spurious = np.hypot(8, 2)

    expected = (1 + 0.8 * 1 + 0.2 * from_spurious) / 2

    assert object_hausdorff(*MOVED) == pytest.approx(expected, abs=ROUNDING)


def test_score_gives_the_figures_of_the_single_functions() -> None:
    """One call equals nine."""
    truth, prediction = scattered(3)
    quality = panoptic_quality(truth, prediction)

    found = score(truth, prediction)

    pixels = aji(truth, prediction), dice(truth, prediction), quality.sq, quality.dq, quality.pq, hausdorff(truth, prediction)
    glands = object_f1(truth, prediction), object_dice(truth, prediction), object_hausdorff(truth, prediction)
    assert found == figures(*pixels, *glands)


def test_aji_lets_two_true_objects_choose_the_same_prediction() -> None:
    """One prediction of 4 x 8 over two 4 x 4: 16 + 16 shared, unions of 32 each, nothing unused."""
    truth, prediction = draw((0, 0, 4, 4), (0, 4, 4, 4)), draw((0, 0, 4, 8))

    assert aji(truth, prediction) == pytest.approx(32 / 64, abs=ROUNDING)


def test_aji_adds_a_missed_object_to_the_union() -> None:
    """16 of 16 shared by the one, 9 pixels of the other in nobody's reach."""
    truth, prediction = draw((0, 0, 4, 4), (6, 10, 3, 3)), draw((0, 0, 4, 4))

    assert aji(truth, prediction) == pytest.approx(16 / 25, abs=ROUNDING)


def test_aji_chooses_by_iou_and_not_by_shared_pixels() -> None:
    """A 2 x 5 truth: 6 pixels lie in a blob of 60 (IoU 6/64), 4 in a prediction of 4 (IoU 4/10)."""
    truth, prediction = draw((0, 0, 2, 5)), draw((0, 0, 6, 10), (0, 0, 2, 2))
    unused = 56

    assert aji(truth, prediction) == pytest.approx(4 / (10 + unused), abs=ROUNDING)


def test_iou_of_exactly_half_is_no_panoptic_match() -> None:
    """Kirillov 2019: more than half, or a match would not be unique."""
    truth, prediction = draw((0, 0, 4, 4)), draw((0, 0, 4, 2))

    assert panoptic_quality(truth, prediction) == PanopticQuality(0, 0, 0)


def test_two_halves_of_a_gland_are_one_hit_and_one_false_positive() -> None:
    """Each half covers 50 % of the truth, which is enough, but a true object counts once."""
    truth, prediction = draw((0, 0, 4, 4)), draw((0, 0, 4, 2), (0, 2, 4, 2))

    assert object_f1(truth, prediction) == pytest.approx(2 / 3, abs=ROUNDING)


def test_less_than_half_of_a_gland_is_no_hit() -> None:
    """7 of 16 pixels, although every pixel of the prediction is right."""
    assert object_f1(draw((0, 0, 4, 4)), draw((0, 0, 1, 4), (1, 0, 1, 3))) == 0


def test_a_prediction_belongs_to_the_gland_it_shares_most_pixels_with() -> None:
    """Of 3 x 3 pixels 4 fill one true object and 5 lie in another of 25: that one is its partner, and not covered."""
    truth, prediction = draw((0, 0, 5, 5), (1, 1, 2, 2)), draw((0, 0, 3, 3))

    assert object_f1(truth, prediction) == 0


def test_hausdorff_sees_a_filled_hole() -> None:
    """The centre of a filled 9 x 9 is 3 pixels from a ring of width 2, though both have the same outer border."""
    ring = draw((1, 1, 9, 9))
    ring[3:8, 3:8] = 0

    assert hausdorff(ring, draw((1, 1, 9, 9))) == 3


def test_hausdorff_counts_a_missed_object_at_its_nearest_prediction() -> None:
    """Found exactly: 0. Missed: 9 to the far end of the square's neighbour, not to the larger one beyond it."""
    truth = draw((0, 8, 2, 3), (0, 0, 2, 2))
    prediction = draw((0, 8, 2, 3), (0, 12, 5, 5))

    assert hausdorff(truth, prediction) == pytest.approx((0 + 9) / 2, abs=ROUNDING)


@given(label_images, label_images, st.permutations(range(1, 5)), st.permutations(range(1, 5)))
@settings(max_examples=60, deadline=None)
def test_names_of_labels_change_nothing(truth: Labels, prediction: Labels, one: list[int], other: list[int]) -> None:
    """Labels are names: permuted, and with gaps, they give the same figures, also where partners tie."""
    to_truth, to_prediction = np.array([0, *one]) * 1000, np.array([0, *other]) * 13

    renamed = score(to_truth[truth], to_prediction[prediction])

    assert renamed.model_dump() == pytest.approx(score(truth, prediction).model_dump(), abs=ROUNDING)


@given(label_images)
@settings(max_examples=30, deadline=None)
def test_an_image_agrees_with_itself(truth: Labels) -> None:
    """Scores of 1 and distances of 0, also for objects in several parts and for no object at all."""
    assert score(truth, truth) == figures(1, 1, 1, 1, 1, 0, 1, 1, 0)


@given(label_images, label_images)
@settings(max_examples=60, deadline=None)
def test_scores_stay_in_their_range(truth: Labels, prediction: Labels) -> None:
    """0 to 1 and 0 to the diagonal, for whatever images."""
    found = score(truth, prediction)

    distances = np.array([found.hausdorff, found.hausdorff_obj])
    shares = np.array([found.aji, found.dice, found.sq, found.dq, found.pq, found.f1, found.dice_obj])
    assert ((shares >= 0) & (shares <= 1)).all()
    assert ((distances >= 0) & (distances <= np.hypot(7, 9))).all()


@pytest.mark.parametrize("seed", SEEDS)
def test_truth_and_prediction_may_change_places(seed: int) -> None:
    """Dice, PQ, object Dice and object Hausdorff are symmetric; AJI, F1 and the mean Hausdorff need not be."""
    truth, prediction = scattered(seed)

    there, back = score(truth, prediction), score(prediction, truth)

    for name in ("dice", "sq", "dq", "pq", "dice_obj", "hausdorff_obj"):
        assert getattr(there, name) == pytest.approx(getattr(back, name), abs=ROUNDING)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_margin_of_background_changes_nothing(seed: int) -> None:
    """Only objects count, not the image around them."""
    truth, prediction = scattered(seed)

    padded = score(np.pad(truth, ((3, 11), (5, 2))), np.pad(prediction, ((3, 11), (5, 2))))

    assert padded.model_dump() == pytest.approx(score(truth, prediction).model_dump(), abs=ROUNDING)


@pytest.mark.parametrize("dtype", [np.uint8, np.int32, np.uint64])
def test_the_integer_type_of_labels_changes_nothing(dtype: type[np.integer]) -> None:
    """Label images come from PNG (uint8, uint16), SciPy (int32) and others."""
    truth, prediction = scattered(0)

    assert score(truth.astype(dtype), prediction.astype(dtype)) == score(truth, prediction)


def test_two_empty_images_agree() -> None:
    """Nothing to find and nothing found is a perfect result."""
    assert score(draw(), draw()) == figures(1, 1, 1, 1, 1, 0, 1, 1, 0)


@pytest.mark.parametrize("image", [draw((0, 0, 4, 4)), np.ones((12, 20), np.int64)], ids=["object", "no background"])
def test_one_empty_image_is_the_worst_result(image: Labels) -> None:
    """Scores are 0 and distances the diagonal, whichever image is empty."""
    far = float(np.hypot(12, 20))
    worst = figures(0, 0, 0, 0, 0, far, 0, 0, far)

    assert score(image, draw()) == worst
    assert score(draw(), image) == worst


def test_images_of_different_shape_are_refused() -> None:
    """(12, 20) and (20, 12) have as many pixels but do not lie on one another."""
    with pytest.raises(ValueError, match=r"truth has shape \(12, 20\) and prediction \(20, 12\)"):
        score(draw(), draw(shape=(20, 12)))


def test_mean_scores_averages_each_figure_over_images() -> None:
    """Every image has the same weight, however many objects it holds."""
    one, other = figures(1, 1, 1, 1, 1, 0, 1, 1, 0), figures(0, 0.5, 0.4, 0.5, 0.2, 8, 0.5, 0, 3)

    found = mean_scores([one, other])

    expected = figures(0.5, 0.75, 0.7, 0.75, 0.6, 4, 0.75, 0.5, 1.5)
    assert found.model_dump() == pytest.approx(expected.model_dump(), abs=ROUNDING)


def test_no_scores_have_no_mean() -> None:
    """An evaluation without images must not look like a result."""
    with pytest.raises(ValueError, match="no scores"):
        mean_scores([])
