"""The contingency table of two label images, worked out by hand."""

import numpy as np
import pytest
from numpy.typing import NDArray

from nuclick_qp.evaluation.comparison import best_pairs, compare, partner_distances

TRUTH = np.array([[0, 9, 9, 4], [0, 9, 9, 4]])
PREDICTION = np.array([[0, 1, 8, 8], [5, 1, 8, 8]])
NOTHING = np.zeros((2, 4), np.int64)


def test_compare_renames_objects_by_their_first_pixel() -> None:
    """Label 9 comes before 4 in reading order, 1 before 8 before 5."""
    both = compare(TRUTH, PREDICTION)

    assert both.truth.labels[0].tolist() == [0, 1, 1, 2]
    assert both.prediction.labels[1].tolist() == [3, 1, 2, 2]


def test_compare_counts_shared_pixels_of_each_pair() -> None:
    """9 meets 1 and 8, 4 meets 8, and 5 meets nobody."""
    both = compare(TRUTH, PREDICTION)

    assert list(zip(both.rows, both.cols, both.shared, strict=True)) == [(0, 0, 2), (0, 1, 2), (1, 1, 2)]
    assert both.iou.tolist() == [2 / 4, 2 / 6, 2 / 4]
    assert (both.truth.area.tolist(), both.prediction.area.tolist()) == ([4, 2], [2, 4, 1])


def test_best_pairs_takes_the_first_of_equals_and_tells_who_has_none() -> None:
    """Owner 2 has pairs 0 and 3 of one value, owner 0 has pair 2, owner 1 none."""
    owners, values = np.array([2, 2, 0, 2]), np.array([7, 6, 1, 7])

    assert best_pairs(owners, values, 3).tolist() == [2, -1, 0]


def test_partner_distances_measure_an_object_without_partner_to_the_nearest() -> None:
    """5 touches nobody: its pixel (1, 0) is sqrt 5 from the far corner (0, 2) of 9. The others end one column off."""
    found = partner_distances(compare(TRUTH, PREDICTION))

    assert found.of_truth.tolist() == [1, 1]
    assert found.of_prediction.tolist() == [1, 1, pytest.approx(5**0.5)]


def test_partner_distances_are_the_diagonal_where_the_other_image_is_empty() -> None:
    """No object lies farther away than this."""
    found = partner_distances(compare(TRUTH, NOTHING))

    assert found.of_truth.tolist() == [np.hypot(2, 4)] * 2
    assert found.of_prediction.size == 0


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (np.zeros((2, 5, 5), np.int64), "3 dimensions"),
        (np.full((5, 5), 0.7), "float64, not of integers"),
        (np.ones((5, 5), np.bool_), "bool, not of integers"),
        (np.full((5, 5), -1), "negative label -1"),
    ],
    ids=["stack", "probabilities", "mask", "negative"],
)
def test_what_is_no_label_image_is_refused(image: NDArray[np.int64], message: str) -> None:
    """Stacks would join neighbours, probabilities would become thousands of objects."""
    with pytest.raises(ValueError, match=message):
        compare(image, image)


def test_a_field_without_pixels_has_no_objects() -> None:
    """A tile may be cut down to nothing at the edge of a slide."""
    both = compare(NOTHING[:0], NOTHING[:0])

    assert both.both_empty
