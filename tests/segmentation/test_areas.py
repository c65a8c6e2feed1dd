"""Tests of `nuclick_qp.segmentation.areas`: many areas at once, and the outlines of one."""

import gc
import itertools
import threading
import weakref
from collections.abc import Callable
from pathlib import Path
from random import Random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from torch import Tensor

from fakes import DarkIsObject, make_card
from nuclick_qp.errors import UnreadableSlideError
from nuclick_qp.model.predictor import Predictor
from nuclick_qp.prompts import Outline, Status, click_at
from nuclick_qp.segmentation import areas as areas_module
from nuclick_qp.segmentation.areas import Area, Found, with_surroundings
from nuclick_qp.segmentation.overlaps import Candidate
from nuclick_qp.segmentation.prompts_to_outlines import segment_prompts
from nuclick_qp.segmentation.segment_options import SegmentOptions
from nuclick_qp.slides import Slide, open_slide
from nuclick_qp.slides.array_reader import open_array

GRID = [(x + 7.0 * (y % 60 == 30), float(y), 9.0 + (x + y) % 3) for y in range(30, 280, 30) for x in range(25, 380, 30)]
TOUCHING = [(x, y, 15.5) for x, y, _ in GRID]  # so large that neighbours run into one another


@pytest.fixture(params=[1, 5, 1000])
def least_in_area(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    """Give areas of one tile, of a few prompts, and one area for all."""
    monkeypatch.setattr(areas_module, "LEAST_IN_AREA", request.param)
    return int(request.param)


class _PullsToTheClick(DarkIsObject):
    """Surer near the click, and nothing where a neighbour was clicked: touching discs compete for pixels."""

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, 5, P, P) to logits (N, 1, P, P)."""
        rows = (x.new_tensor(range(x.shape[2])) - x.shape[2] // 2)[:, None]
        cols = (x.new_tensor(range(x.shape[3])) - x.shape[3] // 2)[None]
        distance: Tensor = (rows**2 + cols**2).sqrt()
        return super().forward(x) - distance * 0.9


def _segment(slide: Slide, clicks: list[tuple[float, float]], net: DarkIsObject, **options: int) -> list[Outline]:
    predictor = Predictor(make_card(), net, device="cpu", precision="float32")
    chosen = SegmentOptions(**({"batch_size": 1, "tile_px": 64} | options))  # type: ignore[arg-type]  # whole numbers only
    return segment_prompts([click_at(x, y) for x, y in clicks], slide, predictor=predictor, mpp=0.25, options=chosen)


def test_areas_change_nothing(draw_discs: Callable[..., Path], least_in_area: int) -> None:
    """Objects that run into others of the next area, pairs of clicks across a border, second looks: as in one area."""
    clicks = [(x, y) for x, y, _ in TOUCHING] + [(x + 3.0, y) for x, y, _ in TOUCHING[::7]] + [(5.0, 295.0)]
    with open_slide(draw_discs(TOUCHING)) as slide:
        found = _segment(slide, clicks, _PullsToTheClick())
        whole = _segment(slide, clicks, _PullsToTheClick(), batch_size=1000, tile_px=4000)

    assert {outline.status for outline in whole} >= {Status.OK, Status.DUPLICATE, Status.EMPTY}
    assert found == whole


def test_what_is_settled_leaves_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a long slide never more masks are held than some rows of tiles have."""
    monkeypatch.setattr(areas_module, "LEAST_IN_AREA", 4)
    pixels: NDArray[np.uint8] = np.full((6000, 200, 3), 255, np.uint8)
    clicks = [(float(x), float(y)) for y in range(30, 5980, 30) for x in (40, 100, 160)]
    for x, y in clicks:
        pixels[int(y) - 8 : int(y) + 8, int(x) - 8 : int(x) + 8] = 0
    alive: set[int] = set()
    most = 0
    make = Candidate.__init__

    def count(candidate: Candidate, *arguments: object, **named: object) -> None:
        nonlocal most
        make(candidate, *arguments, **named)  # type: ignore[arg-type]
        alive.add(id(candidate.mask))
        weakref.finalize(candidate.mask, alive.discard, id(candidate.mask))
        most = max(most, len(alive))

    monkeypatch.setattr(Candidate, "__init__", count)
    with open_array(pixels) as slide:
        outlines = _segment(slide, clicks, DarkIsObject())

    gc.collect()
    assert all(outline.status is Status.OK for outline in outlines)
    assert len(clicks) == 597
    assert most < 200
    assert not alive


def test_an_error_in_one_area_reaches_the_caller_and_ends_the_others(
    draw_discs: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A tile that cannot be read: its error is that of the call, and most of the slide is not looked at any more."""
    monkeypatch.setattr(areas_module, "LEAST_IN_AREA", 1)
    looks = itertools.count()
    before = threading.active_count()

    class Counts(DarkIsObject):
        def forward(self, x: Tensor) -> Tensor:
            next(looks)
            return super().forward(x)

    with open_slide(draw_discs(GRID)) as slide:
        read, reads = slide.read, itertools.count()

        def fail(window: object) -> NDArray[np.uint8]:
            if next(reads) == 3:
                raise UnreadableSlideError("slide.png is damaged")
            return read(window)  # type: ignore[arg-type]

        monkeypatch.setattr(slide, "read", fail)
        with pytest.raises(UnreadableSlideError, match="damaged"):
            _segment(slide, [(x, y) for x, y, _ in GRID], Counts())

    assert next(looks) < len(GRID) / 2
    assert threading.active_count() <= before + 8  # the cores of two predictors, and none of an area


def test_an_error_behind_the_areas_ends_their_threads(draw_discs: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> None:
    """Before the slide is closed that they read from."""
    monkeypatch.setattr(areas_module, "LEAST_IN_AREA", 1)

    def fail(*_: object) -> list[object]:
        raise RuntimeError("no outline")

    monkeypatch.setattr("nuclick_qp.segmentation.prompts_to_outlines.trace_outlines", fail)
    with open_slide(draw_discs(GRID)) as slide:
        with pytest.raises(RuntimeError, match="no outline"):
            _segment(slide, [(x, y) for x, y, _ in GRID], DarkIsObject())
        assert not [thread for thread in threading.enumerate() if thread.name.startswith("area")]


def test_a_stop_keeps_what_is_found(draw_discs: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> None:
    """Every prompt has its outline as without a stop, or is stopped; counts are told from one thread at a time."""
    monkeypatch.setattr(areas_module, "LEAST_IN_AREA", 1)
    predictor = Predictor(make_card(), DarkIsObject(), device="cpu", precision="float32")
    prompts = [click_at(x, y) for x, y, _ in GRID]
    told: list[int] = []
    inside = threading.Lock()

    def on_done(count: int) -> None:
        assert inside.acquire(blocking=False)
        told.append(count)
        inside.release()

    options = SegmentOptions(batch_size=1, tile_px=64)
    with open_slide(draw_discs(GRID)) as slide:
        whole = segment_prompts(prompts, slide, predictor=predictor, mpp=0.25, options=options)
        found = segment_prompts(
            prompts, slide, predictor=predictor, mpp=0.25, options=options, on_done=on_done, stopped=lambda: sum(told) >= 20
        )

    done = [outline for outline in found if outline.status is not Status.STOPPED]
    assert 20 <= len(done) < len(GRID)
    assert len(done) == sum(told)
    assert all(outline == other for outline, other in zip(found, whole, strict=True) if outline.status is not Status.STOPPED)


Box = tuple[float, float, float, float]
boxes = st.tuples(st.integers(0, 20), st.integers(0, 20), st.integers(1, 8), st.integers(1, 8)).map(
    lambda box: (float(box[0]), float(box[1]), float(box[0] + box[2]), float(box[1] + box[3]))
)


@given(st.lists(boxes, max_size=12), st.integers(0, 12), st.randoms())
def test_an_area_comes_once_with_all_that_it_meets(given_boxes: list[Box], known: int, random: Random) -> None:
    """Whatever the order in which they become known; after a stop with what is known."""
    areas = [Area((number,), box) for number, box in enumerate(given_boxes)]
    order = list(range(len(areas)))
    random.shuffle(order)
    found: list[tuple[int, Found]] = [(number, {number: Outline(click_at(number, 0), Status.EMPTY)}) for number in order[:known]]

    given_back = list(with_surroundings(areas, iter(found)))

    assert sorted(number for own, _ in given_back for number in own) == sorted(order[:known])
    for own, beside in given_back:
        (number,) = own
        left, top, right, bottom = given_boxes[number]
        meets = {
            other
            for other in order[:known]
            if other != number
            and given_boxes[other][0] <= right
            and given_boxes[other][2] >= left
            and given_boxes[other][1] <= bottom
            and given_boxes[other][3] >= top
        }
        assert beside.keys() == meets
