"""Tests of `nuclick_qp.prompts`."""

import math

import numpy as np
import pytest

from nuclick_qp.errors import PromptError
from nuclick_qp.prompts import Plane, Prompt, click_at, too_small


def test_key_is_that_of_the_place_not_of_the_class() -> None:
    """Kind, coordinates and plane make the key; class, name and nesting do not."""
    prompt = click_at(12.345, 6.789)

    assert prompt.key == click_at(12.345, 6.789, class_name="Tumor").key
    assert prompt.key != click_at(12.365, 6.789).key
    assert prompt.key != click_at(12.345, 6.789, plane=Plane(z=1)).key
    assert prompt.key != Prompt("line", (((12.345, 6.789), (12.345, 6.789)),)).key


def test_key_survives_storage_as_float32() -> None:
    """QuPath keeps coordinates as 32-bit floats; reading them back gives the same key."""
    rng = np.random.default_rng(0)

    for x, y in rng.uniform(0, 200_000, (500, 2)):
        assert click_at(x, y).key == click_at(float(np.float32(x)), float(np.float32(y))).key


def test_key_covers_all_strokes() -> None:
    """A stroke more is another prompt."""
    first, second = ((1.0, 1.0), (5.0, 5.0)), ((9.0, 1.0), (9.0, 5.0))

    assert Prompt("line", (first,)).key != Prompt("line", (first, second)).key


def test_anchor_lies_on_the_squiggle() -> None:
    """The middle of the bounding box of an arc may lie in another object; its middle vertex does not."""
    arc = Prompt("line", (((0.0, 0.0), (10.0, 0.0), (10.0, 10.0)),))

    assert arc.anchor == (10.0, 0.0)
    assert arc.bounds == (0.0, 0.0, 10.0, 10.0)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_coordinates_that_are_no_numbers_are_refused(value: float) -> None:
    """NaN and infinity never get past the border; the message says what to do."""
    with pytest.raises(PromptError, match="delete it and draw it anew"):
        click_at(3.0, value)


def test_strokes_must_fit_the_kind() -> None:
    """A click is one point, a stroke of a squiggle at least two."""
    with pytest.raises(PromptError, match="fewer than 2 points"):
        Prompt("line", (((1.0, 1.0),),))
    with pytest.raises(PromptError, match="more than one point"):
        Prompt("point", (((1.0, 1.0), (2.0, 2.0)),))


def test_a_probability_below_a_limit_does_not_read_as_the_limit() -> None:
    """`uncertain: 0.50 only` would contradict the rule that 0.5 is sure."""
    assert too_small(0.4999) == "its outline has a probability of 0.49 only"
    assert too_small(0.29) == "its outline has a probability of 0.29 only"
