"""Tests of `nuclick_qp.run.plausible_sizes`: a wrong pixel size is told by the outlines that it gives."""

from collections.abc import Callable
from pathlib import Path

import pytest
from shapely import Point

import nuclick_qp
from drawn_projects import DISCS
from fakes import DarkIsObject, make_card
from nuclick_qp.kinds import PromptKind
from nuclick_qp.model.predictor import Predictor
from nuclick_qp.prompts import Outline, Prompt, Status
from nuclick_qp.run.plausible_sizes import warn_of_odd_sizes


def circles(radius: float, count: int, kind: PromptKind = "point") -> list[Outline]:
    """Give outlines of one size."""
    stroke = ((0.0, 0.0),) if kind == "point" else ((0.0, 0.0), (1.0, 0.0))
    return [Outline(Prompt(kind, (stroke,)), Status.OK, Point(0, 0).buffer(radius), 0.9)] * count


@pytest.mark.parametrize(
    ("radius", "mpp", "kind", "warns"),
    [
        (16, 0.25, "point", False),
        (16, 0.05, "point", True),  # 1.6 um
        (16, 2.0, "point", True),  # 64 um
        (200, 0.5, "line", False),
        (16, 0.25, "line", True),
    ],
)
def test_outlines_far_from_the_size_of_objects_are_told(
    caplog: pytest.LogCaptureFixture, radius: float, mpp: float, kind: PromptKind, warns: bool
) -> None:
    """Once, with what the file states."""
    warn_of_odd_sizes(circles(radius, 20, kind), mpp=mpp, slide_mpp=0.25, source="a.svs")

    assert len(caplog.records) == warns
    assert all("a.svs" in line and "itself states 0.25" in line for line in caplog.messages)


def test_a_few_outlines_say_nothing(caplog: pytest.LogCaptureFixture) -> None:
    """One may be a speck, and somebody may want specks."""
    warn_of_odd_sizes([*circles(1, 4), *circles(16, 9)], mpp=0.25, slide_mpp=None, source="a.svs")
    warn_of_odd_sizes(circles(1, 4), mpp=0.25, slide_mpp=None, source="a.svs")

    assert caplog.messages == []


def test_a_wrong_pixel_size_is_told_by_what_it_gives(draw_discs: Callable[..., Path], caplog: pytest.LogCaptureFixture) -> None:
    """Discs of 18 px, said to be of 0.25 um and of 0.1 um each."""
    predictor = Predictor(make_card(min_object_px=10), DarkIsObject(), device="cpu", precision="float32")
    discs = [*DISCS, (340.0, 60.0, 9.0)]
    path, centres = draw_discs(discs), [(x, y) for x, y, _ in discs]

    nuclick_qp.segment(path, centres, mpp=0.25, predictor=predictor)
    assert caplog.messages == []
    nuclick_qp.segment(path, centres, mpp=0.1, predictor=predictor)

    [line] = caplog.messages
    assert "is a pixel size of 0.1 um right? The file itself states none" in line
