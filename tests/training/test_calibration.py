"""Tests of `nuclick_qp.training.calibration`."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from fakes import DarkIsObject, make_card
from nuclick_qp.model.cards import read_card
from nuclick_qp.model.predictor import Predictor
from nuclick_qp.storage.labels import read_pair
from nuclick_qp.training.calibration import fit_curve, measure_fits
from nuclick_qp.training.images import LabelledImage, labelled_image

DrawPair = Callable[..., Path]
DISCS = [(60.0, 60.0, 9.0), (300.0, 200.0, 10.0), (203.0, 150.0, 8.0)]


def _image(folder: Path, *, zoom: float = 1.0) -> LabelledImage:
    pixels, labels = read_pair(folder / "discs.png", folder / "discs_label.png")
    return labelled_image("discs", pixels, labels, zoom=zoom, weight=1.0)


def test_outlines_are_compared_with_the_object_that_was_prompted_for(draw_pair: DrawPair) -> None:
    """Discs are found as they are labelled; where one that is labelled cannot be seen, its click has no outline."""
    seen, unseen = DISCS, ((100.0, 250.0, 9.0),)
    predictor = Predictor(make_card(), DarkIsObject(), device="cpu", precision="float32")

    fits = measure_fits([_image(draw_pair("discs", seen, unseen=unseen))], predictor, seed=0, most=4)

    assert (len(fits.told), fits.missed) == (3, 1)
    assert (fits.measured > 0.9).all()
    assert (fits.told > 0.9).all()


def test_objects_are_prompted_for_again_where_there_are_few(draw_pair: DrawPair) -> None:
    """Four rounds at most; squiggles go the same way, at the scale of the image."""
    image = _image(draw_pair("discs", DISCS), zoom=2.0)
    predictor = Predictor(make_card(prompt="line"), DarkIsObject(), device="cpu", precision="float32")

    fits = measure_fits([image, image], predictor, seed=0, most=1000)

    assert np.bincount(fits.image).tolist() == [12, 12]
    assert (fits.measured > 0.9).all()


def test_the_curve_gives_back_what_was_measured() -> None:
    """Says 0.9 and means 0.6: outlines of which it says so are expected to overlap by 0.6, on the way there in between."""
    rng = np.random.default_rng(0)
    told = rng.uniform(0.5, 1, 4000)
    measured = np.clip(2 * told - 1.2 + rng.normal(0, 0.05, 4000), 0, 1)

    card = make_card(calibration=fit_curve(told, measured))

    assert [card.expected_iou(p) for p in (0.7, 0.8, 0.9)] == pytest.approx([0.2, 0.4, 0.6], abs=0.03)
    assert card.expected_iou(1.0) == pytest.approx(0.8, abs=0.05)
    x, y = card.calibration[0]
    assert [card.expected_iou(p) for p in (0.0, x / 2)] == pytest.approx([0.0, y / 2])  # below the first pair


def test_a_handful_of_outlines_make_no_curve() -> None:
    """Two pairs of 20 outlines each are the least."""
    assert fit_curve(np.linspace(0.8, 0.9, 39), np.full(39, 0.5)) == ()
    assert len(fit_curve(np.linspace(0.8, 0.9, 40), np.linspace(0.4, 0.6, 40))) == 2


def test_what_falls_is_made_level() -> None:
    """Of a network that is less right the surer it is nothing can be learnt but the mean."""
    curve = fit_curve(np.linspace(0.8, 0.9, 100), np.linspace(0.6, 0.4, 100))

    assert [y for _, y in curve] == pytest.approx([0.5, 0.5])
    assert make_card(calibration=curve).expected_iou(0.85) == pytest.approx(0.5)


def test_cards_without_a_calibration_are_read(tmp_path: Path) -> None:
    """Those of before, and users' own: they say what the network says."""
    (tmp_path / "old.json").write_text(make_card().model_dump_json(exclude={"calibration"}))

    card = read_card(tmp_path / "old.json")

    assert card.calibration == ()
    assert card.expected_iou(0.7) == 0.7


@pytest.mark.parametrize("curve", [((0.5, 0.5),), ((0.5, 0.5), (0.5, 0.6)), ((0.5, 0.5), (0.6, 0.4)), ((0.5, 0.5), (1.2, 0.6))])
def test_a_curve_that_does_not_rise_is_refused(curve: tuple[tuple[float, float], ...]) -> None:
    """A more probable outline is never expected to fit worse."""
    with pytest.raises(ValueError, match="calibration"):
        make_card(calibration=curve)
