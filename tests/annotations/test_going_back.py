"""Tests of `nuclick_qp.annotations.going_back`: what of an image would go."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from shapely import box

from nuclick_qp.annotations.going_back import Losses, losses
from nuclick_qp.annotations.objects import PROMPT_KEY
from nuclick_qp.annotations.sorting import FoundObject
from nuclick_qp.prompts import Plane

POINTS = FoundObject("annotation", "points", (np.array([[1.0, 2.0], [3.0, 4.0]]),), class_name="Tumor")
LINE = FoundObject("annotation", "lines", (np.array([[1.0, 2.0], [3.0, 4.0]]),))
AREA = FoundObject("annotation", "area", outline=box(0, 0, 9, 9), measurements=(("a", float("nan")), ("b", 0.1)))
OURS = replace(AREA, kind="detection", metadata={PROMPT_KEY: "k"})
ALL = (POINTS, LINE, AREA, OURS)


def test_what_is_the_same_does_not_go() -> None:
    """NaN is NaN, a ring may begin anywhere, and 32-bit floats are near enough."""
    turned = replace(AREA, outline=box(0, 0, 9, 9).reverse(), measurements=(("a", float("nan")), ("b", float(np.float32(0.1)))))

    assert losses(ALL, (POINTS, LINE, turned, OURS)) == Losses()


def test_each_kind_is_counted() -> None:
    """Points one by one, and objects of ours apart from those of the user."""
    going = losses(ALL, ())

    assert going == Losses(points=2, lines=1, areas=1, outlines=1)
    assert going.of_user == 4


def test_points_added_to_an_annotation_are_counted_alone() -> None:
    """Not those that stood in it before."""
    more = replace(POINTS, strokes=(np.array([[1.0, 2.0], [5.0, 6.0], [3.0, 4.0]]),))

    assert losses([more], [POINTS]) == Losses(points=1)


@pytest.mark.parametrize(
    "changed",
    [
        {"class_name": "Stroma"},
        {"name": "looked at"},
        {"plane": Plane(1, 0)},
        {"outline": box(0, 0, 9, 9.1)},
        {"metadata": {"ANNOTATION_DESCRIPTION": "why"}},
        {"measurements": (("a", 1.0),)},
    ],
    ids=str,
)
def test_whatever_was_changed_is_counted(changed: dict[str, Any]) -> None:
    """Going back would undo it."""
    assert losses([replace(AREA, **changed)], [AREA]) == Losses(areas=1)


def test_copies_are_counted() -> None:
    """Two alike are one more than one."""
    assert losses([AREA, AREA], [AREA]) == Losses(areas=1)
