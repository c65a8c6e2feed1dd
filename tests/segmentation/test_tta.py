"""Tests of `nuclick_qp.segmentation.tta`: several views of a patch, one answer."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from fakes import DarkIsObject, make_card
from nuclick_qp.guidance.signals import MarkedPatches
from nuclick_qp.model.inputs import draw_inputs
from nuclick_qp.model.network import NuClickNet
from nuclick_qp.model.network_settings import NetworkSettings
from nuclick_qp.model.predictor import Predictor
from nuclick_qp.prompts import Status, click_at
from nuclick_qp.segmentation.prompts_to_outlines import segment_prompts
from nuclick_qp.segmentation.segment_options import SegmentOptions
from nuclick_qp.segmentation.tta import predict_augmented
from nuclick_qp.slides import open_slide

ROUNDING = 1e-6  # sums of up to five probabilities in single precision


class _SaysWhereAsked(nn.Module):
    """A network whose object is the prompt itself, and that keeps what it was shown."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[Tensor] = []

    def forward(self, x: Tensor) -> Tensor:
        self.seen.append(x.clone())
        return x[:, 3:4] * 100 - 50


def _predictor(net: nn.Module, prompt: str) -> Predictor:
    return Predictor(make_card(prompt=prompt), net, device="cpu", precision="float32")


def _patches(*, count: int = 3) -> MarkedPatches:
    """Noise, a click in the middle of each patch, and neighbours, one of them two pixels below the click."""
    pixels = np.random.default_rng(0).integers(0, 256, (count, 32, 32, 3), np.uint8)
    clicks = np.array([(patch, 16, 16) for patch in range(count)]).reshape(-1, 3)
    others = np.array([(patch, row, col) for patch in range(count) for row, col in ((18, 16), (3, 29))]).reshape(-1, 3)
    return MarkedPatches(pixels, clicks, clicks, others)


def _drawn(patches: MarkedPatches) -> NDArray[np.float32]:
    drawn: NDArray[np.float32] = draw_inputs(patches, channels=5, device=torch.device("cpu")).numpy()
    return drawn


def test_clicks_are_moved_by_two_pixels_in_four_directions() -> None:
    """A fifth of the answer each, mirrored back to where the patch lies."""
    probability = predict_augmented(_predictor(_SaysWhereAsked(), "point"), _patches(count=1), batch_size=8)

    expected = np.zeros((1, 32, 32))
    for row, col in ((16, 16), (14, 16), (18, 16), (16, 14), (16, 18)):
        expected[0, row, col] = 0.2
    assert probability.dtype == np.float32
    assert probability == pytest.approx(expected, abs=ROUNDING)


def test_squiggles_are_mirrored_and_not_moved() -> None:
    """Four looks at the same squiggle give the same pixels."""
    squiggle = np.array([(0, row, 7) for row in range(5, 12)])
    patches = replace(_patches(count=1), under=squiggle, inclusion=squiggle)

    probability = predict_augmented(_predictor(_SaysWhereAsked(), "line"), patches, batch_size=8)

    assert probability == pytest.approx(_drawn(patches)[:, 3], abs=ROUNDING)


@pytest.mark.parametrize(("prompt", "views"), [("point", 5), ("line", 4)])
def test_every_view_is_another(prompt: str, views: int) -> None:
    """Pixels and signals differ between any two views, and the first is the patch as it lies."""
    net, patches = _SaysWhereAsked(), _patches(count=1)

    predict_augmented(_predictor(net, prompt), patches, batch_size=8)

    assert len({view.numpy().tobytes() for view in net.seen}) == len(net.seen) == views
    assert np.array_equal(net.seen[0].numpy(), _drawn(patches))


def test_moved_click_is_never_excluded() -> None:
    """A click that comes to lie on a neighbour's place takes it; the inputs stay as they are."""
    net, patches = _SaysWhereAsked(), _patches()
    before = _drawn(patches)

    predict_augmented(_predictor(net, "point"), patches, batch_size=8)

    seen = torch.cat(net.seen)
    assert (seen[:, 3] * seen[:, 4]).max() == 0
    assert sorted({int(patch.sum()) for patch in seen[:, 4]}) == [1, 2]
    assert np.array_equal(_drawn(patches), before)


@pytest.mark.parametrize("prompt", ["point", "line"])
@pytest.mark.parametrize("batch_size", [1, 2, 64])
def test_batch_size_does_not_change_the_mean(prompt: str, batch_size: int) -> None:
    """As without augmentation: only float32 rounding of differently shaped products may differ."""
    torch.manual_seed(0)
    predictor = _predictor(NuClickNet(NetworkSettings(width=0.1)), prompt)

    whole = predict_augmented(predictor, _patches(count=5), batch_size=5)

    assert np.allclose(predict_augmented(predictor, _patches(count=5), batch_size=batch_size), whole, atol=1e-5)


def test_no_patches_give_no_probabilities() -> None:
    """As `Predictor.predict` does."""
    assert predict_augmented(_predictor(DarkIsObject(), "point"), _patches(count=0), batch_size=8).shape == (0, 32, 32)


@pytest.mark.parametrize("batch_size", [1, 3, 64])
def test_object_is_marked_by_the_click_that_was_set(draw_discs: Callable[..., Path], dark_predictor: Predictor, batch_size: int) -> None:
    """A network that does not care for clicks: on the rim of a disc moved clicks miss it, yet it is found as without moves."""
    discs = [(60.0, 60.0, 9.0), (100.0, 70.0, 7.0), (300.0, 200.0, 10.0)]
    prompts = [click_at(x + radius - 1, y) for x, y, radius in discs]

    with open_slide(draw_discs(discs)) as slide:
        plain, augmented = (
            segment_prompts(prompts, slide, predictor=dark_predictor, mpp=0.25, options=SegmentOptions(batch_size=batch_size, tta=tta))
            for tta in (False, True)
        )

    assert [outline.status for outline in augmented] == [Status.OK] * 3
    assert [o.polygon for o in augmented if o.polygon] == [o.polygon for o in plain if o.polygon]
