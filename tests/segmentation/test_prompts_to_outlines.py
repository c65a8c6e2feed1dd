"""Tests of `nuclick_qp.segmentation.prompts_to_outlines`: the path of a click, on drawn discs."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import skimage.data
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn

from fakes import DarkIsObject, make_card
from nuclick_qp.model.predictor import Predictor
from nuclick_qp.prompts import Outline, Prompt, Status, click_at
from nuclick_qp.segmentation.prompts_to_outlines import segment_prompts
from nuclick_qp.segmentation.segment_options import SegmentOptions
from nuclick_qp.slides import open_slide

DrawDiscs = Callable[..., Path]
DISCS = [(60.0, 60.0, 9.0), (100.0, 70.0, 7.0), (300.0, 200.0, 10.0), (203.0, 150.0, 8.0), (380.0, 20.0, 9.0)]


def _segment(path: Path, prompts: list[Prompt], predictor: Predictor, **options: object) -> list[Outline]:
    with open_slide(path) as slide:
        return segment_prompts(prompts, slide, predictor=predictor, mpp=0.25, options=SegmentOptions(**options))  # type: ignore[arg-type]


def _clicks(discs: list[tuple[float, float, float]] = DISCS) -> list[Prompt]:
    return [click_at(x, y) for x, y, _ in discs]


def test_each_click_gives_the_disc_under_it(draw_discs: DrawDiscs, dark_predictor: Predictor) -> None:
    """Area within 4 % (pixels of a small disc), centre within a quarter of a pixel."""
    outlines = _segment(draw_discs(DISCS), _clicks(), dark_predictor)

    for outline, (x, y, radius) in zip(outlines, DISCS, strict=True):
        assert outline.polygon is not None
        assert outline.probability is not None
        assert outline.polygon.area == pytest.approx(np.pi * radius**2, rel=0.04)
        assert (outline.polygon.centroid.x, outline.polygon.centroid.y) == pytest.approx((x, y), abs=0.25)
        assert outline.probability > 0.99


@pytest.mark.parametrize("tile_px", [64, 150, 4000])
@pytest.mark.parametrize("batch_size", [1, 3, 64])
def test_batches_and_tiles_change_nothing(draw_discs: DrawDiscs, dark_predictor: Predictor, batch_size: int, tile_px: int) -> None:
    """A batch of 1 equals a batch of 64, whatever the tiles."""
    path = draw_discs(DISCS)
    expected = _segment(path, _clicks(), dark_predictor)

    assert _segment(path, _clicks(), dark_predictor, batch_size=batch_size, tile_px=tile_px) == expected


def test_order_of_prompts_changes_nothing(draw_discs: DrawDiscs, dark_predictor: Predictor) -> None:
    """Outline i belongs to prompt i, and is the same wherever the prompt stands."""
    path = draw_discs(DISCS)
    forward = _segment(path, _clicks(), dark_predictor)

    backward = _segment(path, _clicks()[::-1], dark_predictor)

    assert backward[::-1] == forward


@pytest.mark.parametrize("shift", [(1, 0), (13, 29), (0, 64)])
def test_shifting_image_and_prompts_shifts_the_outlines(draw_discs: DrawDiscs, dark_predictor: Predictor, shift: tuple[int, int]) -> None:
    """Nothing depends on where on the slide an object lies."""
    dx, dy = shift
    discs = DISCS[:4]
    moved = [(x + dx, y + dy, radius) for x, y, radius in discs]
    here = _segment(draw_discs(discs), _clicks(discs), dark_predictor)

    there = _segment(draw_discs(moved, name="moved.png"), _clicks(moved), dark_predictor)

    for before, after in zip(here, there, strict=True):
        assert before.polygon is not None
        assert after.polygon is not None
        old, new = np.asarray(before.polygon.exterior.coords), np.asarray(after.polygon.exterior.coords)  # type: ignore[union-attr]
        assert np.allclose(np.add(old, (dx, dy)), new, atol=1e-9)


def test_every_prompt_has_its_status(draw_discs: DrawDiscs, dark_predictor: Predictor) -> None:
    """Beside an object, in the void, off the slide, on a speck, on something too large."""
    path = draw_discs([*DISCS, (385.0, 285.0, 0.8), (220.0, 200.0, 70.0)])
    prompts = [
        click_at(60, 60),
        click_at(80, 60),
        click_at(20, 250),
        click_at(400.0, 150),
        click_at(-0.01, 10),
        click_at(385, 285),
        click_at(220, 200),
    ]

    outlines = _segment(path, prompts, dark_predictor)

    assert [outline.status for outline in outlines] == [
        Status.OK,
        Status.OUTSIDE_OWN_MASK,
        Status.EMPTY,
        Status.OUTSIDE_SLIDE,
        Status.OUTSIDE_SLIDE,
        Status.EMPTY,
        Status.TOO_LARGE,
    ]
    assert all(outline.detail for outline in outlines[1:])


def test_object_at_the_edge_of_the_slide_ends_there(draw_discs: DrawDiscs, dark_predictor: Predictor) -> None:
    """A half disc at the border is an object like any other; no outline leaves the slide."""
    (outline,) = _segment(draw_discs([(0.0, 100.0, 12.0)]), [click_at(3, 100)], dark_predictor)

    assert outline.polygon is not None
    assert outline.polygon.bounds[0] == 0
    assert outline.polygon.area == pytest.approx(np.pi * 12**2 / 2, rel=0.05)


def test_resolution_follows_from_pixel_sizes(draw_discs: DrawDiscs, dark_predictor: Predictor) -> None:
    """At 0.5 um/px the model at 0.25 sees the disc twice as large; the outline is that of the slide."""
    path = draw_discs([(150.0, 150.0, 10.0)])

    with open_slide(path) as slide:
        (outline,) = segment_prompts([click_at(150, 150)], slide, predictor=dark_predictor, mpp=0.5)

    assert outline.polygon is not None
    assert outline.polygon.area == pytest.approx(np.pi * 10**2, rel=0.05)


class _Recorder(nn.Module):
    """A network that keeps what it was shown."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[Tensor] = []
        self.network = DarkIsObject()

    def forward(self, x: Tensor) -> Tensor:
        self.seen.append(x.clone())
        logits: Tensor = self.network(x)
        return logits


@pytest.fixture
def recorder() -> tuple[_Recorder, Predictor]:
    """Give a network that records, and its predictor."""
    net = _Recorder()
    return net, Predictor(make_card(), net, device="cpu", precision="float32")


def _exclusion(net: _Recorder) -> NDArray[np.intp]:
    return np.argwhere(torch.cat(net.seen)[:, 4].numpy())


def test_clicks_are_drawn_as_the_card_says(draw_discs: DrawDiscs, recorder: tuple[_Recorder, Predictor]) -> None:
    """A card with a radius of 2 px has discs of 13 px in both signals."""
    net, predictor = recorder
    predictor.card = predictor.card.model_copy(update={"click_radius_px": 2.0})

    _segment(draw_discs([(60, 60, 9)]), [click_at(60, 60), click_at(80, 60)], predictor)

    assert [signal.sum() for signal in net.seen[0][:, 3:].flatten(0, 1)] == [13] * 4


def test_a_disc_does_not_reach_into_a_neighbour(draw_discs: DrawDiscs, dark_predictor: Predictor) -> None:
    """Two discs 3 px apart and a click near the rim of one: only the object under the very click is kept."""
    discs = [(60.0, 60.0, 9.0), (81.0, 60.0, 9.0)]
    dark_predictor.card = dark_predictor.card.model_copy(update={"click_radius_px": 5.0})

    (outline,) = _segment(draw_discs(discs), [click_at(67, 60)], dark_predictor)

    assert outline.polygon is not None
    assert outline.polygon.area == pytest.approx(np.pi * 81, rel=0.05)


def test_neighbours_and_context_are_excluded(draw_discs: DrawDiscs, recorder: tuple[_Recorder, Predictor]) -> None:
    """Other prompts, prompts of other classes and standing detections mark what is not wanted."""
    net, predictor = recorder
    with open_slide(draw_discs(DISCS)) as slide:
        segment_prompts(
            [click_at(60, 60)], slide, predictor=predictor, mpp=0.25, neighbours_xy=np.array([[70.0, 80.0]]), context=[click_at(50, 62)]
        )

    assert _exclusion(net).tolist() == [[0, 34, 22], [0, 52, 42]]


def test_click_on_the_background_is_excluded_however_near_it_is(draw_discs: DrawDiscs, recorder: tuple[_Recorder, Predictor]) -> None:
    """It cuts off what an outline got too much of; a click of another class there could mean the same object."""
    net, predictor = recorder
    with open_slide(draw_discs(DISCS)) as slide:
        segment_prompts([click_at(60, 60)], slide, predictor=predictor, mpp=0.25, context=[click_at(62, 60, class_name="Ignore*")])

    assert _exclusion(net).tolist() == [[0, 32, 34]]


def test_detection_under_the_click_is_no_neighbour(draw_discs: DrawDiscs, recorder: tuple[_Recorder, Predictor]) -> None:
    """A detection within 3 um of a click is an older outline of the same object."""
    net, predictor = recorder
    with open_slide(draw_discs(DISCS)) as slide:
        segment_prompts([click_at(60, 60)], slide, predictor=predictor, mpp=0.25, neighbours_xy=np.array([[65.0, 63.0]]))

    assert not len(_exclusion(net))


def test_exclusion_can_be_left_out(draw_discs: DrawDiscs, recorder: tuple[_Recorder, Predictor]) -> None:
    """Without exclusion the fourth signal is empty (Table 9 of the paper)."""
    net, predictor = recorder

    _segment(draw_discs(DISCS), _clicks(), predictor, use_exclusion=False)

    assert not len(_exclusion(net))
    assert torch.cat(net.seen)[:, 3].sum() == len(DISCS)


def test_shipped_model_gives_the_same_outlines_in_any_batch(tmp_path: Path) -> None:
    """A batch of 1 equals a batch of 64 with trained weights, too: to rounding of sums in another order."""
    predictor = Predictor.load("nuclei", device="cpu", precision="float32")
    places = json.loads((Path(__file__).parents[2] / "examples" / "ihc_prompts.json").read_text())["stroma"][:24]
    prompts = [click_at(x, y) for x, y in places]
    Image.fromarray(skimage.data.immunohistochemistry()).save(tmp_path / "ihc.png")

    results = []
    for batch_size in (1, 64):
        with open_slide(tmp_path / "ihc.png") as slide:
            results.append(segment_prompts(prompts, slide, predictor=predictor, mpp=0.5, options=SegmentOptions(batch_size=batch_size)))

    for one, many in zip(*results, strict=True):
        assert one.status == many.status
        if one.polygon and many.polygon:
            first, second = one.polygon, many.polygon
            assert first.intersection(second).area / first.union(second).area > 0.999


def test_a_gland_much_larger_than_its_squiggle_is_shown_whole(draw_discs: DrawDiscs) -> None:
    """A disc of 110 px under a stroke of 4 px does not fit into 64 px; at twice the scale it does. So it is with a click."""
    slide = draw_discs([(150, 150, 55), (300, 150, 9)])
    squiggles = [Prompt("line", (((148.0, 150.0), (152.0, 151.0)),)), Prompt("line", (((298.0, 150.0), (302.0, 151.0)),))]
    predictor = Predictor(make_card(prompt="line"), DarkIsObject(), device="cpu", precision="float32")

    large, small = _segment(slide, squiggles, predictor)
    (clicked,) = _segment(slide, [click_at(150, 150)], Predictor(make_card(), DarkIsObject(), device="cpu", precision="float32"))

    assert large.polygon is not None
    assert large.polygon.area == pytest.approx(np.pi * 55**2, rel=0.03)
    assert small.polygon is not None
    assert small.polygon.area == pytest.approx(np.pi * 81, rel=0.04)
    assert clicked.polygon == large.polygon
    assert [_segment(slide, [squiggle], predictor) for squiggle in squiggles] == [[large], [small]]


def test_a_gland_larger_than_four_patches_is_too_large(draw_discs: DrawDiscs) -> None:
    """The scale is not made coarser for ever: what is found there would be no gland."""
    predictor = Predictor(make_card(prompt="line", patch_px=32), DarkIsObject(), device="cpu", precision="float32")

    (outline,) = _segment(draw_discs([(150, 150, 80)]), [Prompt("line", (((148.0, 150.0), (152.0, 151.0)),))], predictor)

    assert outline.status is Status.TOO_LARGE
    assert "32 um" in outline.detail


def test_squiggle_that_spans_the_country_is_too_large(draw_discs: DrawDiscs) -> None:
    """A slip of the hand fails by itself, before it fills the memory."""
    predictor = Predictor(make_card(prompt="line"), DarkIsObject(), device="cpu", precision="float32")

    outlines = _segment(draw_discs(DISCS), [Prompt("line", (((60.0, 60.0), (61.0, 61.0), (1e6, 61.0)),))], predictor)

    assert [outline.status for outline in outlines] == [Status.TOO_LARGE]


def test_squiggle_marks_the_object_it_crosses(draw_discs: DrawDiscs) -> None:
    """A line prompt goes the same way as a click, with a line for its signal."""
    predictor = Predictor(make_card(prompt="line"), DarkIsObject(), device="cpu", precision="float32")

    (outline,) = _segment(draw_discs(DISCS), [Prompt("line", (((55.0, 60.0), (65.0, 62.0)),))], predictor)

    assert outline.polygon is not None
    assert outline.polygon.area == pytest.approx(np.pi * 81, rel=0.04)


def test_progress_counts_every_prompt(draw_discs: DrawDiscs, dark_predictor: Predictor) -> None:
    """The sum of all calls is the number of prompts, those off the slide included."""
    counts: list[int] = []
    with open_slide(draw_discs(DISCS)) as slide:
        segment_prompts([*_clicks(), click_at(-5, -5)], slide, predictor=dark_predictor, mpp=0.25, on_done=counts.append)

    assert sum(counts) == len(DISCS) + 1


def test_no_prompts_give_no_outlines(draw_discs: DrawDiscs, dark_predictor: Predictor) -> None:
    """Nothing in, nothing out, and nothing read."""
    assert _segment(draw_discs(DISCS), [], dark_predictor) == []


def test_planes_and_classes_stay_with_the_prompt(draw_discs: DrawDiscs, dark_predictor: Predictor) -> None:
    """The outline carries the prompt it belongs to, untouched."""
    prompt = replace(click_at(60, 60, class_name="Tumor: Positive"), name="n 1")

    (outline,) = _segment(draw_discs(DISCS), [prompt], dark_predictor)

    assert outline.prompt is prompt
