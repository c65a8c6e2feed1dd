"""Prompts that mean one object: a double click, two observers, two squiggles in a gland."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from torch import Tensor, nn
from torch.nn import functional

from drawn_projects import MakeProject, objects_of, points_at, run_on
from fakes import DarkIsObject, make_card
from nuclick_qp.model.predictor import Predictor
from nuclick_qp.prompts import Outline, Prompt, Status, click_at
from nuclick_qp.segmentation.prompts_to_outlines import segment_prompts
from nuclick_qp.segmentation.same_object import close_pairs
from nuclick_qp.segmentation.segment_options import SegmentOptions
from nuclick_qp.slides import open_slide

DrawDiscs = Callable[..., Path]
DISC = (60.0, 60.0, 9.0)
CLEARANCE = 8  # px


class KeepsOut(nn.Module):
    """A network whose object is whatever is dark and not near an exclusion point: what close clicks do to a real one."""

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, 5, P, P) to logits (N, 1, P, P)."""
        near = functional.max_pool2d(x[:, 4:5], 2 * CLEARANCE + 1, stride=1, padding=CLEARANCE)
        logits: Tensor = DarkIsObject()(x) - 40 * near
        return logits


def keeps_out(**card: object) -> Predictor:
    """Give a predictor with that network."""
    return Predictor(make_card(**card), KeepsOut(), device="cpu", precision="float32")


def segment(path: Path, *prompts: Prompt, predictor: Predictor, context: tuple[Prompt, ...] = (), exclusion: bool = True) -> list[Outline]:
    """Segment prompts of one plane at the resolution of the network."""
    with open_slide(path) as slide:
        options = SegmentOptions(use_exclusion=exclusion)
        return segment_prompts(prompts, slide, predictor=predictor, mpp=0.25, context=context, options=options)


@pytest.mark.parametrize("exclusion", [True, False])
@pytest.mark.parametrize("away", [0.3, 1, 3, 5])
def test_second_click_costs_the_nucleus_nothing(draw_discs: DrawDiscs, away: float, exclusion: bool) -> None:
    """The first gets the outline that it would have alone, the second is told whose object it marks."""
    path = draw_discs([DISC])
    (alone,) = segment(path, click_at(58, 60), predictor=keeps_out())

    first, second = segment(path, click_at(58, 60), click_at(58 + away, 60), predictor=keeps_out(), exclusion=exclusion)

    assert (first.status, first.polygon, first.probability) == (Status.OK, alone.polygon, alone.probability)
    assert (second.status, second.detail) == (Status.DUPLICATE, "the point at (58.0, 60.0) marks the same object")


def test_three_clicks_are_one_outline_and_two_duplicates(draw_discs: DrawDiscs) -> None:
    """And a click elsewhere is none of their business."""
    path = draw_discs([DISC, (200.0, 100.0, 9.0)])
    clicks = [click_at(58, 60), click_at(200, 100), click_at(60, 62), click_at(61, 59)]

    outlines = segment(path, *clicks, predictor=keeps_out())

    assert [outline.status for outline in outlines] == [Status.OK, Status.OK, Status.DUPLICATE, Status.DUPLICATE]


def test_two_small_nuclei_that_lie_close_are_two(draw_discs: DrawDiscs) -> None:
    """Close clicks are looked at, not thrown together."""
    path = draw_discs([(60.0, 60.0, 2.0), (65.0, 60.0, 2.0)])
    predictor = Predictor(make_card(min_object_px=10), DarkIsObject(), device="cpu", precision="float32")

    outlines = segment(path, click_at(60, 60), click_at(65, 60), predictor=predictor)

    assert [outline.status for outline in outlines] == [Status.OK, Status.OK]


def test_click_of_a_class_that_is_left_alone_is_no_neighbour_of_itself(draw_discs: DrawDiscs) -> None:
    """Two observers with a class each, segmented class by class: the first run has to give the whole nucleus."""
    path = draw_discs([DISC])

    (outline,) = segment(path, click_at(58, 60), context=(click_at(61, 60, class_name="Other"),), predictor=keeps_out())

    assert outline.polygon is not None
    assert outline.polygon.area == pytest.approx(np.pi * 81, rel=0.04)


def test_two_squiggles_in_one_gland_give_it_once(draw_discs: DrawDiscs) -> None:
    """As two clicks in a nucleus."""
    path = draw_discs([(100.0, 100.0, 20.0)])
    lines = [Prompt("line", (((92.0, y), (108.0, y)),)) for y in (98.0, 103.0)]

    first, second = segment(path, *lines, predictor=keeps_out(prompt="line"))

    assert (first.status, second.status) == (Status.OK, Status.DUPLICATE)
    assert first.polygon is not None
    assert first.polygon.area == pytest.approx(np.pi * 400, rel=0.04)


def test_a_rerun_has_nothing_to_do(make_project: MakeProject) -> None:
    """The duplicate of a click that is done is told without the network, which would cut the outline that stands."""
    project = make_project(points_at((58, 60), (61, 60)))
    first = run_on(project, {"point": keeps_out()})
    before = objects_of(project)

    again = run_on(project, {"point": Predictor(make_card(), NeverRuns(), device="cpu", precision="float32")})

    assert first.images[0].statuses == {"duplicate": 1, "ok": 1}
    assert again.images[0].statuses == {"duplicate": 1, "unchanged": 1}
    assert again.all_ok
    assert [item.object_id for item in objects_of(project)] == [item.object_id for item in before]


class NeverRuns(nn.Module):
    """A network that no test should reach."""

    def forward(self, x: Tensor) -> Tensor:
        """Fail."""
        pytest.fail(f"the network was given {len(x)} patches")


def test_close_pairs_are_found_by_the_nearest_points() -> None:
    """Of squiggles, not of their middles; each pair once."""
    strokes = ((0.0, 0.0), (100.0, 0.0)), ((99.0, 5.0), (200.0, 5.0)), ((0.0, 90.0), (9.0, 90.0))
    lines = [Prompt("line", (stroke,)) for stroke in strokes]

    assert [(pair.first, pair.later) for pair in close_pairs(lines, within=6)] == [(0, 1)]
    assert close_pairs(lines, within=4) == []
    assert close_pairs([], within=4) == []
