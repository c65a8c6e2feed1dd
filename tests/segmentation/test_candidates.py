"""Tests of `nuclick_qp.segmentation.candidates`: a click on tissue gets an answer, one on the ground does not."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from skimage.draw import disk
from torch import Tensor

from fakes import DarkIsObject, make_card
from nuclick_qp.model.predictor import Predictor
from nuclick_qp.prompts import UNCERTAIN_BELOW, Outline, Prompt, Status, click_at
from nuclick_qp.segmentation.prompts_to_outlines import segment_prompts
from nuclick_qp.slides import open_slide

WHITE, STROMA, PALE, NUCLEUS = (242, 240, 243), (215, 170, 205), (200, 140, 190), (90, 60, 150)
BLACK, GLOW, FAINT = (6, 4, 8), (40, 60, 250), (30, 40, 80)
Discs = list[tuple[float, float, float, tuple[int, int, int]]]


def _paint(path: Path, ground: tuple[int, int, int], discs: Discs) -> Path:
    pixels = np.full((300, 400, 3), ground, np.uint8)
    for x, y, radius, colour in discs:
        pixels[disk((y - 0.5, x - 0.5), radius, shape=(300, 400))] = colour
    Image.fromarray(pixels).save(path)
    return path


def _segment(path: Path, *prompts: Prompt, predictor: Predictor) -> list[Outline]:
    with open_slide(path) as slide:
        return segment_prompts(list(prompts), slide, predictor=predictor, mpp=0.25)


def test_a_pale_nucleus_gets_its_outline_though_nothing_reaches_the_threshold(tmp_path: Path, dark_predictor: Predictor) -> None:
    """The network gives it 3 % and the stroma round it less: the outline is that of the disc, and uncertain."""
    path = _paint(tmp_path / "pale.png", STROMA, [(100, 100, 12, PALE)])

    (outline,) = _segment(path, click_at(103, 98), predictor=dark_predictor)

    assert outline.status is Status.UNCERTAIN
    assert outline.polygon is not None
    assert outline.polygon.area == pytest.approx(np.pi * 144, rel=0.15)  # seen at twice the scale, where half a pixel is 8 % of the width
    assert outline.probability is not None
    assert outline.probability < UNCERTAIN_BELOW
    assert outline.detail


def test_a_click_beside_a_nucleus_on_tissue_gets_an_answer_and_takes_nothing_from_it(tmp_path: Path, dark_predictor: Predictor) -> None:
    """A pale disc that touches a dark one: the dark one is as if it were clicked alone."""
    path = _paint(tmp_path / "two.png", STROMA, [(120, 100, 10, PALE), (100, 100, 12, NUCLEUS)])
    (alone,) = _segment(path, click_at(100, 100), predictor=dark_predictor)

    dark, pale = _segment(path, click_at(100, 100), click_at(123, 100), predictor=dark_predictor)

    assert dark == alone
    assert pale.status is Status.UNCERTAIN
    assert pale.polygon is not None
    assert dark.polygon is not None
    assert pale.polygon.intersection(dark.polygon).area < 0.1 * pale.polygon.area
    assert pale.polygon.area < np.pi * 100 * 1.2


@pytest.mark.parametrize("place", [(200, 200), (50, 250)])
def test_a_click_on_white_is_empty(tmp_path: Path, dark_predictor: Predictor, place: tuple[int, int]) -> None:
    """Glass holds nothing, whatever the network would make of it."""
    path = _paint(tmp_path / "white.png", WHITE, [(100, 100, 12, PALE), (51, 250, 1, PALE)])

    (outline,) = _segment(path, click_at(*place), predictor=dark_predictor)

    assert outline.status is Status.EMPTY


def test_even_tissue_without_any_object_gets_no_outline_of_the_whole_patch(tmp_path: Path, dark_predictor: Predictor) -> None:
    """Nothing stands out, so there is nothing to draw."""
    (outline,) = _segment(_paint(tmp_path / "even.png", STROMA, []), click_at(100, 100), predictor=dark_predictor)

    assert outline.status is Status.EMPTY


class _BrightIsObject(DarkIsObject):
    """What a brightfield model makes of glowing nuclei: the brightest is most of an object, and nothing is enough."""

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, 5, P, P) to logits (N, 1, P, P)."""
        return -super().forward(x) - 12


def test_in_fluorescence_the_ground_is_dark(tmp_path: Path) -> None:
    """Bright and faint nuclei get their outlines, a click on the dark between them gets none."""
    predictor = Predictor(make_card(), _BrightIsObject(), device="cpu", precision="float32")
    path = _paint(tmp_path / "glow.png", BLACK, [(100, 100, 10, (255, 255, 255)), (160, 100, 10, GLOW), (100, 200, 10, FAINT)])

    white, blue, faint, ground = _segment(
        path, click_at(100, 100), click_at(160, 100), click_at(100, 200), click_at(250, 100), predictor=predictor
    )

    assert [one.status for one in (white, blue, faint)] == [Status.OK, Status.UNCERTAIN, Status.UNCERTAIN]
    assert ground.status is Status.EMPTY


def test_a_small_nucleus_under_the_click_counts(tmp_path: Path, dark_predictor: Predictor) -> None:
    """30 px are an object, for nothing else lies under the click; the card's 50 px are for parts."""
    (outline,) = _segment(_paint(tmp_path / "small.png", STROMA, [(100, 100, 3.2, NUCLEUS)]), click_at(100, 100), predictor=dark_predictor)

    assert outline.polygon is not None
    assert outline.status is Status.OK


def test_what_does_not_fit_is_seen_at_twice_the_scale(tmp_path: Path, dark_predictor: Predictor) -> None:
    """A disc of 76 px does not fit into a patch of 64 px; one of 150 px is too large even then."""
    path = _paint(tmp_path / "large.png", WHITE, [(80, 80, 38, NUCLEUS), (280, 150, 75, NUCLEUS)])

    large, huge = _segment(path, click_at(80, 80), click_at(280, 150), predictor=dark_predictor)

    assert (large.status, huge.status) == (Status.OK, Status.TOO_LARGE)
    assert large.polygon is not None
    assert large.polygon.area == pytest.approx(np.pi * 38**2, rel=0.05)


def test_a_squiggle_on_tissue_gets_its_answer_too(tmp_path: Path) -> None:
    """Lines go the same way."""
    predictor = Predictor(make_card(prompt="line"), DarkIsObject(), device="cpu", precision="float32")
    path = _paint(tmp_path / "gland.png", STROMA, [(100, 100, 20, PALE)])

    (outline,) = _segment(path, Prompt("line", (((92.0, 100.0), (108.0, 103.0)),)), predictor=predictor)

    assert outline.status is Status.UNCERTAIN
    assert outline.polygon is not None
    assert outline.polygon.area == pytest.approx(np.pi * 400, rel=0.1)


def test_the_card_says_what_a_probability_is_worth(tmp_path: Path) -> None:
    """A calibration on which nothing is expected to fit makes every outline uncertain, and changes none."""
    path = _paint(tmp_path / "one.png", STROMA, [(100, 100, 12, NUCLEUS)])
    cards = make_card(), make_card(calibration=((0, 0), (1, 0.4)))
    predictors = [Predictor(card, DarkIsObject(), device="cpu", precision="float32") for card in cards]

    (plain,), (calibrated,) = (_segment(path, click_at(100, 100), predictor=predictor) for predictor in predictors)

    assert (plain.status, calibrated.status) == (Status.OK, Status.UNCERTAIN)
    assert plain.probability is not None
    assert calibrated.probability == pytest.approx(0.4 * plain.probability)
    assert plain.polygon == calibrated.polygon
