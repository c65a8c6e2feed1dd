"""Tests of `nuclick_qp.evaluation.tables.measuring`: scores of a method on images."""

from collections.abc import Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

from nuclick_qp.evaluation.baselines.classic import Watershed
from nuclick_qp.evaluation.baselines.fair import Chosen
from nuclick_qp.evaluation.baselines.method import Pair
from nuclick_qp.evaluation.metrics import score
from nuclick_qp.evaluation.tables.measuring import measure
from paper_rows import settings_of

TRUTH = np.pad(np.ones((10, 10), np.int32), 5)
IMAGE = np.zeros((20, 20, 3), np.uint8)


class HalfOfIt:
    """Finds the left half of every object."""

    def fit(self, images: Sequence[Pair]) -> None:
        """Learn nothing."""

    def segment(self, image: NDArray[np.uint8], truth: NDArray[np.int32]) -> NDArray[np.int32]:
        return np.where(np.arange(20) < 10, truth, 0)


def test_each_image_has_the_scores_of_evaluate() -> None:
    """Under its name, with seconds and commit; the settings are those that were given."""
    settings = settings_of(images=["one", "none"])

    row = measure(HalfOfIt(), settings, [(IMAGE, TRUTH), (IMAGE, np.zeros_like(TRUTH))], train_seconds=2.0, curve="log.csv")

    assert row.settings == settings
    assert row.scores["one"] == score(TRUTH, np.where(np.arange(20) < 10, TRUTH, 0))
    assert row.scores["one"].aji == 0.5
    assert row.scores["none"].aji == 1
    assert (row.device, row.train_seconds, row.curve) == ("cpu", 2.0, "log.csv")
    assert row.segment_seconds >= 0
    assert row.commit


def test_a_row_keeps_the_settings_that_were_chosen_for_it() -> None:
    """So that the column of fair settings can be checked, and used again."""
    method = Chosen([HalfOfIt(), Watershed()])
    method.fit([(IMAGE, TRUTH)])

    rows = [measure(one, settings_of(images=["one"]), [(IMAGE, TRUTH)]) for one in (method, Watershed())]

    assert [row.chosen for row in rows] == [str(method.best), ""]


def test_images_and_names_go_together() -> None:
    """One image too few is no row."""
    with pytest.raises(ValueError, match="zip"):
        measure(HalfOfIt(), settings_of(images=["one", "two"]), [(IMAGE, TRUTH)])
