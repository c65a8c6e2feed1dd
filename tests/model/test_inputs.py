"""Tests of `nuclick_qp.model.inputs`: what the network is shown, against maps that are drawn one by one."""

from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from nuclick_qp.geometry import Window
from nuclick_qp.guidance.signals import MarkedPatches, mark_patches
from nuclick_qp.model.inputs import draw_inputs
from nuclick_qp.prompts import Prompt, click_at
from signals_one_by_one import build_inputs

SIDE = 24
CPU = torch.device("cpu")
places = st.tuples(st.floats(-4, SIDE + 4, width=16), st.floats(-4, SIDE + 4, width=16))
inside = st.tuples(st.floats(0, SIDE - 1, width=16), st.floats(0, SIDE - 1, width=16))
clicks = inside.map(lambda xy: click_at(*xy))
squiggles = st.lists(inside, min_size=2, max_size=4).map(lambda stroke: Prompt("line", (tuple(stroke),)))
looks = st.tuples(st.one_of(clicks, squiggles), st.lists(places, max_size=6), st.sampled_from([1.0, 2.0]))


def _drawn(patches: MarkedPatches, *, channels: int = 5, device: torch.device = CPU) -> NDArray[np.float32]:
    drawn: NDArray[np.float32] = draw_inputs(patches, channels=channels, device=device).cpu().numpy()
    return drawn


@settings(max_examples=60, deadline=None)
@given(
    seen=st.lists(looks, min_size=1, max_size=5),
    radius=st.sampled_from([0.0, 1.0, 3.0]),
    cuts=st.lists(st.integers(0, 5), max_size=2),
)
def test_inputs_are_those_that_are_drawn_one_by_one(
    seen: list[tuple[Prompt, list[tuple[float, float]], float]], radius: float, cuts: list[int]
) -> None:
    """Any prompts, neighbours and scales, in any parts: bit by bit the maps of the paper's definition."""
    prompts = [prompt for prompt, _, _ in seen]
    windows = [Window(0, 0, SIDE, SIDE, scale) for _, _, scale in seen]
    others = [np.array(xy, np.float64).reshape(-1, 2) for _, xy, _ in seen]
    pixels = np.random.default_rng(0).integers(0, 256, (len(seen), SIDE, SIDE, 3), np.uint8)
    expected = build_inputs(pixels, prompts, windows=windows, others_xy=others, click_radius_px=radius)

    marked = mark_patches(pixels, prompts, windows=windows, others_xy=others, click_radius_px=radius)

    ends = [0, *sorted(cuts), len(seen)]
    parts = [marked.part(start, stop) for start, stop in pairwise(ends)]
    assert np.array_equal(_drawn(marked), expected)
    assert np.array_equal(_drawn(MarkedPatches.joined(parts)), expected)
    under = np.zeros((len(seen), SIDE, SIDE), bool)
    under[tuple(marked.under.T)] = True
    assert np.array_equal(under, build_inputs(pixels, prompts, windows=windows, others_xy=others)[:, 3] > 0)


def test_channels_lie_last_in_memory() -> None:
    """As convolutions want them: nothing is copied on the way."""
    drawn = draw_inputs(MarkedPatches.without_marks(np.zeros((2, SIDE, SIDE, 3), np.uint8)), channels=5, device=CPU)

    assert drawn.is_contiguous(memory_format=torch.channels_last)


def test_network_without_exclusion_is_shown_none() -> None:
    """Four channels: the pixels, and what is wanted."""
    window, pixels = Window(0, 0, SIDE, SIDE), np.full((1, SIDE, SIDE, 3), 51, np.uint8)
    marked = mark_patches(pixels, [click_at(3.5, 4.5)], windows=[window], others_xy=[np.array([[9.5, 9.5]])])

    drawn = _drawn(marked, channels=4)

    assert drawn.shape == (1, 4, SIDE, SIDE)
    assert drawn[0, :3] == pytest.approx(0.2)
    assert np.argwhere(drawn[0, 3]).tolist() == [[4, 3]]


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device on this machine")
def test_a_gpu_draws_what_the_cpu_draws() -> None:
    """Bit by bit."""
    window = Window(0, 0, SIDE, SIDE)
    pixels = np.random.default_rng(0).integers(0, 256, (7, SIDE, SIDE, 3), np.uint8)
    prompts = [click_at(3.5 + index, 4.5) for index in range(7)]
    others = [np.array([[9.5, 9.5], [3.5, 5.5]])] * 7
    marked = mark_patches(pixels, prompts, windows=[window] * 7, others_xy=others, click_radius_px=2)

    assert np.array_equal(_drawn(marked, device=torch.device("cuda")), _drawn(marked))
