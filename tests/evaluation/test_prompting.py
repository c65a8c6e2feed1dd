"""Tests of `nuclick_qp.evaluation.prompting`: prompts from labels, and whole evaluations of drawn discs."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from skimage.draw import disk

from fakes import DarkIsObject, make_card
from nuclick_qp.errors import LabelsError, OptionError
from nuclick_qp.evaluation.evaluation_options import EvaluationOptions
from nuclick_qp.evaluation.metrics import Scores
from nuclick_qp.evaluation.prompting import evaluate_folders, evaluate_image, prompts_of_truth
from nuclick_qp.geometry import Window
from nuclick_qp.guidance.simulated import skeleton_squiggle
from nuclick_qp.kinds import PromptKind
from nuclick_qp.model.predictor import Predictor
from nuclick_qp.prompts import Prompt
from signals_one_by_one import inclusion_map

DrawPair = Callable[..., Path]
DISCS = [(60.0, 60.0, 9.0), (100.0, 70.0, 7.0), (300.0, 200.0, 10.0), (203.0, 150.0, 8.0)]
PERFECT = Scores(**dict(zip(Scores.model_fields, (1, 1, 1, 1, 1, 0, 1, 1, 0), strict=True)))


@pytest.fixture
def truth() -> NDArray[np.int32]:
    """Draw a ring (2), a bar (5) and a single pixel (9) in 90 x 120."""
    labels = np.zeros((90, 120), np.int32)
    labels[disk((40, 40), 30)] = 2
    labels[disk((40, 40), 14)] = 0
    labels[60:72, 80:116] = 5
    labels[3, 100] = 9
    return labels


def _prompts(truth: NDArray[np.int32], kind: PromptKind, jitter_px: float = 0.0, seed: int = 0) -> list[Prompt]:
    return prompts_of_truth(truth, kind, jitter_px=jitter_px, rng=np.random.default_rng(seed))


def _pixels(prompt: Prompt, truth: NDArray[np.int32]) -> NDArray[np.bool_]:
    return inclusion_map(prompt, Window(0, 0, truth.shape[1], truth.shape[0])) > 0


def test_clicks_lie_on_pixel_centres_of_their_objects(truth: NDArray[np.int32]) -> None:
    """One click per object by rising label; the ring's centroid lies in its hole, so its click has moved."""
    ring, bar, pixel = _prompts(truth, "point")

    assert truth[_pixels(ring, truth)].tolist() == [2]
    assert (bar.anchor, pixel.anchor) == ((98.5, 66.5), (100.5, 3.5))


def test_squiggles_are_the_skeletons_of_their_objects(truth: NDArray[np.int32]) -> None:
    """Drawn at the scale of the labels, the strokes give the skeleton to the pixel."""
    squiggles = _prompts(truth, "line")

    assert [squiggle.kind for squiggle in squiggles] == ["line"] * 3
    for number, squiggle in zip((2, 5, 9), squiggles, strict=True):
        assert np.array_equal(_pixels(squiggle, truth), skeleton_squiggle(truth == number))


@pytest.mark.parametrize("jitter_px", [1.0, 5.0, 50.0])
def test_moved_clicks_stay_on_their_objects(truth: NDArray[np.int32], jitter_px: float) -> None:
    """A user who aims badly still hits; an object of one pixel leaves no choice."""
    drawn = [_prompts(truth, "point", jitter_px, seed) for seed in range(20)]

    for ring, bar, pixel in drawn:
        assert [truth[_pixels(prompt, truth)].item() for prompt in (ring, bar, pixel)] == [2, 5, 9]
    assert len({bar.anchor for _, bar, _ in drawn}) > 8


def test_small_jitter_has_the_standard_deviation_asked_for(truth: NDArray[np.int32]) -> None:
    """2 px on a bar of 12 x 36 is hardly ever drawn anew: along the bar the spread of 300 draws is 2 +- 0.25 (3 sigma)."""
    moved = [_prompts(truth, "point", 2.0, seed)[1].anchor[0] - 98.5 for seed in range(300)]

    assert np.std(moved) == pytest.approx(2.0, abs=0.25)


@pytest.mark.parametrize("jitter_px", [2.0, 30.0])
def test_moved_squiggles_keep_their_shape_and_mark_their_objects(truth: NDArray[np.int32], jitter_px: float) -> None:
    """One move for all strokes; at least half of the pixels stay on the object, all on the image."""
    still = _prompts(truth, "line")
    drawn = [_prompts(truth, "line", jitter_px, seed) for seed in range(10)]

    for squiggles in drawn:
        for number, before, after in zip((2, 5, 9), still, squiggles, strict=True):
            pixels = _pixels(after, truth)
            moves = np.concatenate([np.subtract(new, old) for new, old in zip(after.strokes, before.strokes, strict=True)])
            assert (moves == moves[0]).all()
            assert pixels.sum() == _pixels(before, truth).sum()
            assert (truth[pixels] == number).mean() >= 0.5
    assert len({squiggles[1] for squiggles in drawn}) > 5


def test_moves_repeat_with_their_seed(truth: NDArray[np.int32]) -> None:
    """All randomness comes from the generator."""
    assert _prompts(truth, "line", 3.0, seed=4) == _prompts(truth, "line", 3.0, seed=4)


@pytest.mark.parametrize("kind", ["point", "line"])
@pytest.mark.parametrize("jitter_px", [0.0, 2.0])
def test_network_that_sees_every_object_is_perfect(draw_pair: DrawPair, kind: str, jitter_px: float) -> None:
    """From labels to prompts, through a run and back to pixels: nothing moves by half a pixel anywhere."""
    predictor = Predictor(make_card(prompt=kind), DarkIsObject(), device="cpu", precision="float32")

    (image,) = evaluate_folders([draw_pair("a/discs", DISCS)], predictor=predictor, options=EvaluationOptions(jitter_px=jitter_px))

    assert (image.image, image.n_objects, image.n_missed) == ("discs.png", 4, 0)
    assert Scores(**{name: getattr(image, name) for name in Scores.model_fields}) == PERFECT


def test_object_without_outline_is_missed(draw_pair: DrawPair, dark_predictor: Predictor) -> None:
    """Four of five found: DQ = 4 / (4 + 1/2), and what was found is right."""
    folder = draw_pair("a/discs", DISCS, unseen=((350.0, 80.0, 9.0),))

    image = evaluate_image(folder / "discs.png", folder / "discs_label.png", predictor=dark_predictor)

    assert (image.n_objects, image.n_missed) == (5, 1)
    assert image.sq == 1
    assert image.dq == pytest.approx(8 / 9)


def test_pixel_size_of_the_images_changes_the_scale(draw_pair: DrawPair, dark_predictor: Predictor) -> None:
    """Images of 0.5 um/px are shown enlarged to a network of 0.25 um/px; discs of 2 px then have enough pixels of it."""
    folder = draw_pair("a/discs", [(60.0, 60.0, 1.2), (100.0, 70.0, 1.2)])

    sizes = [EvaluationOptions(mpp=mpp) for mpp in (None, 0.25, 0.5)]
    missed = [evaluate_folders([folder], predictor=dark_predictor, options=options)[0].n_missed for options in sizes]

    assert missed == [2, 2, 0]


def test_images_of_several_folders_go_by_their_paths(draw_pair: DrawPair, dark_predictor: Predictor) -> None:
    """Two images of one name must not look like one."""
    folders = [draw_pair("a/discs", DISCS), draw_pair("b/discs", DISCS[:2])]
    draw_pair("b/others", DISCS[:1])

    images = evaluate_folders(folders, predictor=dark_predictor, options=EvaluationOptions(pattern="disc*"))

    expected = [((folder / "discs.png").as_posix(), count) for folder, count in zip(folders, (4, 2), strict=True)]
    assert [(image.image, image.n_objects) for image in images] == expected


def test_folder_named_twice_is_refused(draw_pair: DrawPair, dark_predictor: Predictor) -> None:
    """Its images would weigh double in the means."""
    folder = draw_pair("a/discs", DISCS)

    with pytest.raises(OptionError, match="named twice"):
        evaluate_folders([folder, folder / ".." / "a"], predictor=dark_predictor)


def test_missing_labels_stop_before_the_work(draw_pair: DrawPair, dark_predictor: Predictor, monkeypatch: pytest.MonkeyPatch) -> None:
    """Hours of evaluation are not lost to the last folder of a list."""
    folders = [draw_pair("a/discs", DISCS), draw_pair("b/discs", DISCS)]
    (folders[1] / "discs_label.png").unlink()
    monkeypatch.setattr(dark_predictor, "predict", lambda *_, **__: pytest.fail("the network was asked"))

    with pytest.raises(LabelsError, match=r"has no discs_label\.png"):
        evaluate_folders(folders, predictor=dark_predictor)
