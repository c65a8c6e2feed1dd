"""Tests of `nuclick_qp.training.patches` and what it is made of: batches are like patches that are made one by one."""

from collections.abc import Callable
from dataclasses import fields, is_dataclass
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy import ndimage
from scipy.stats import ks_2samp
from skimage.draw import disk, ellipse

from nuclick_qp.guidance.simulated import distance_inside
from nuclick_qp.training.augment import augment_colours
from nuclick_qp.training.batches import BatchMaker
from nuclick_qp.training.config import TrainingConfig
from nuclick_qp.training.flat_images import FlatImages, flatten_images
from nuclick_qp.training.images import LabelledImage, labelled_image
from nuclick_qp.training.marks import discs
from nuclick_qp.training.patches import draw_batch
from nuclick_qp.training.rings import draw_rings
from nuclick_qp.training.warp import Placed, mean_of_four, random_turns, sample_labels, sample_pixels
from patches_one_by_one import Patch, draw_patches
from signals_one_by_one import draw_clicks

SIDE = 64
DRAWS = {"point": 1024, "line": 512}
LEAST_P = 1e-3  # of a Kolmogorov-Smirnov test of draws with fixed seeds


def _image(shape: tuple[int, int], *, zoom: float, weight: float, seed: int) -> LabelledImage:
    """Draw objects of all sorts on a soft texture: discs, a slim ellipse, a ring, a bar of one pixel, a speck, one at the border."""
    rng = np.random.default_rng(seed)
    texture = np.stack([ndimage.gaussian_filter(rng.normal(size=shape), 2) * 200 + level for level in (190, 150, 200)], axis=-1)
    labels = np.zeros(shape, np.int32)
    labels[disk((30, 30), 11, shape=shape)] = 2
    labels[disk((30, 52), 11, shape=shape)] = 3  # touches it
    labels[ellipse(62, 40, 6, 18, shape=shape, rotation=0.5)] = 5
    labels[disk((0, 80), 14, shape=shape)] = 6
    labels[disk((80, 80), 15, shape=shape)] = 9
    labels[disk((80, 80), 7, shape=shape)] = 0
    labels[84:85, 10:30] = 11
    labels[5:7, 5:8] = 12  # too small to be clicked on
    texture[labels > 0] -= 60
    return labelled_image("drawn", np.clip(texture, 0, 255).astype(np.uint8), labels, zoom=zoom, weight=weight)


def _images(config: TrainingConfig) -> list[LabelledImage]:
    """Give two of them; objects for squiggles are three times as large, as glands are."""
    images = [_image((100, 120), zoom=1.0, weight=1.0, seed=1), _image((120, 100), zoom=1.6, weight=3.0, seed=2)]
    if config.prompt == "point":
        return images
    larger = [(image.pixels.repeat(3, 0).repeat(3, 1), image.labels.repeat(3, 0).repeat(3, 1)) for image in images]
    return [labelled_image("drawn", *parts, zoom=1.0, weight=image.weight) for parts, image in zip(larger, images, strict=True)]


def _config(**changes: Any) -> TrainingConfig:
    fields: dict[str, Any] = {
        "name": "drawn",
        "prompt": "point",
        "description": "drawn objects",
        "licence": "GPL-3.0-or-later",
        "sources": [{"folder": "drawn", "mpp": 0.25}],
        "patch_px": SIDE,
        "batch_size": 64,
    }
    return TrainingConfig.model_validate(fields | changes)


def _batched(config: TrainingConfig, seed: int = 0) -> list[Patch]:
    """Draw patches as training does."""
    images = flatten_images(_images(config), config)
    generator = torch.Generator().manual_seed(seed)
    batches = [draw_batch(images, config, generator) for _ in range(DRAWS[config.prompt] // config.batch_size)]
    return [
        Patch(inputs, wanted[0] > 0, others[0] > 0)
        for batch in batches
        for inputs, wanted, others in zip(batch.inputs.numpy(), batch.wanted.numpy(), batch.others.numpy(), strict=True)
    ]


def _long_axis(mask: NDArray[np.bool_]) -> float:
    """Give the direction of the long axis of a mask in [0, pi)."""
    rows, cols = np.nonzero(mask)
    if len(rows) < 2:
        return 0.0
    (rr, rc), (_, cc) = np.cov(rows, cols)
    return float(np.arctan2(2 * rc, cc - rr) / 2 % np.pi)


MEASURES: dict[str, Callable[[Patch], float]] = {
    "area of the wanted object": lambda p: p.wanted.sum(),
    "area of the others": lambda p: p.others.sum(),
    "direction of the object": lambda p: _long_axis(p.wanted),
    "rows of the prompt": lambda p: np.argwhere(p.inputs[3])[:, 0].mean(),
    "cols of the prompt": lambda p: np.argwhere(p.inputs[3])[:, 1].mean(),
    "pixels of the prompt": lambda p: p.inputs[3].sum(),
    "depth of the prompt": lambda p: distance_inside(p.wanted)[p.inputs[3] > 0].mean(),
    "pixels of exclusion": lambda p: p.inputs[4].sum(),
    "exclusion on other objects": lambda p: (p.inputs[4] * p.others).sum(),
    "depth of exclusion": lambda p: distance_inside(p.others)[p.inputs[4] > 0].mean() if p.inputs[4].any() else -1,
    "share of white": lambda p: (p.inputs[:3].min(axis=0) > 0.999).mean(),
    "mean of red": lambda p: p.inputs[0].mean(),
    "mean of blue": lambda p: p.inputs[2].mean(),
    "contrast": lambda p: p.inputs[1].std(),
    "sharpness": lambda p: np.abs(np.diff(p.inputs[1])).mean(),
}

POINTS = {"patch_px": 96, "click_radius_px": 2.5, "background_share": 0.2, "exclusion_drop": 0.4, "exclusion_keep": 0.1}
LINES = {"prompt": "line", "patch_px": 128, "exclusion_drop": 0.3, "exclusion_keep": 0.4, "augmentation": {"off_centre_px": 6, "zoom": 1.3}}


@pytest.mark.parametrize("changes", [POINTS, {"augmentation": {"zoom": 2.5}}, LINES], ids=["points", "coarse points", "lines"])
def test_batches_are_distributed_like_patches_made_one_by_one(changes: dict[str, Any]) -> None:
    """Sizes, directions, prompts, exclusion, borders, colours: draws of both look like draws of one (Kolmogorov-Smirnov)."""
    config = _config(**changes)

    batched, slow = _batched(config), draw_patches(_images(config), config, DRAWS[config.prompt], np.random.default_rng(0))

    compared = {name: measure for name, measure in MEASURES.items() if config.prompt == "point" or name != "pixels of the prompt"}
    p_values = {name: ks_2samp([measure(p) for p in batched], [measure(p) for p in slow]).pvalue for name, measure in compared.items()}
    assert {name: p for name, p in p_values.items() if p < LEAST_P} == {}


@pytest.mark.parametrize(
    ("changes", "seen"),
    [
        ({"background_share": 0.1}, "area of the wanted object"),
        ({"exclusion_drop": 0.0}, "pixels of exclusion"),
        ({"exclusion_keep": 1.0}, "pixels of exclusion"),
        ({"click_radius_px": 2}, "pixels of the prompt"),
        ({"augmentation": {"zoom": 1.05}}, "sharpness"),
        ({"augmentation": {"off_centre_px": 4}}, "rows of the prompt"),
    ],
)
def test_a_difference_in_any_rule_would_be_seen(changes: dict[str, Any], seen: str) -> None:
    """The comparison above tells one configuration from another."""
    measure = MEASURES[seen]

    one, other = (_batched(_config(**POINTS | more)) for more in ({}, changes))

    assert ks_2samp([measure(p) for p in one], [measure(p) for p in other]).pvalue < LEAST_P


def test_squiggles_are_lines_of_one_pixel() -> None:
    """As skeletons are: inside the object, and within 10 % as long and thick as those that are made in the patch itself."""
    config = _config(**LINES)

    batched, slow = _batched(config), draw_patches(_images(config), config, DRAWS[config.prompt], np.random.default_rng(0))

    assert all(p.inputs[3].any() and not (p.inputs[3] * ~p.wanted).any() for p in batched)
    pixels, neighbours = np.array([[_pixels_and_neighbours(p) for p in patches] for patches in (batched, slow)]).mean(axis=1).T
    assert pixels[0] == pytest.approx(pixels[1], rel=0.1)
    assert neighbours[0] == pytest.approx(neighbours[1], rel=0.1)


def _pixels_and_neighbours(patch: Patch) -> tuple[float, float]:
    drawn = patch.inputs[3] > 0
    return drawn.sum(), ndimage.convolve(drawn.astype(int), np.ones((3, 3), int), mode="constant")[drawn].mean()


def _pretended(part: Any) -> Any:
    """Give the same with tensors that know their shape and no value, as the program knows those of a GPU."""
    if isinstance(part, torch.Tensor):
        return torch.empty(part.shape, dtype=part.dtype, device="meta")
    if not is_dataclass(part):
        return part
    kind: Callable[..., Any] = type(part)
    return kind(**{field.name: _pretended(getattr(part, field.name)) for field in fields(part)})


class _PretendedGenerator(torch.Generator):
    """A generator for such tensors: torch makes none."""

    device = torch.device("meta")


@pytest.mark.parametrize("changes", [POINTS | {"augmentation": {"rings": 0.5}}, LINES, {"augmentation": {"zoom": 2}}])
def test_no_batch_waits_for_the_gpu(changes: dict[str, Any]) -> None:
    """Tensors without values go all the way: no value is asked for, and none is made on the CPU and brought over unseen."""
    config = _config(**changes)
    images, generator = _pretended(flatten_images(_images(config), config)), _PretendedGenerator()

    batch = draw_batch(images, config, generator)
    colours = draw_rings(batch.inputs[:, :3], batch.wanted + batch.others, 0.5, generator)
    colours = augment_colours(colours, config.augmentation, generator)

    assert {part.device.type for part in (colours, batch.inputs, batch.wanted, batch.others)} == {"meta"}


def test_waiting_for_a_gpu_would_be_seen() -> None:
    """Tensors without values refuse all that a real GPU would have to be waited for, and to be mixed with those of the CPU."""
    pretended = torch.empty(3, device="meta")
    asked: list[Callable[[], Any]] = [
        lambda: pretended.sum().item(),
        lambda: bool(pretended.any()),
        lambda: pretended[pretended > 0],
        lambda: pretended + torch.ones(3),
    ]
    for ask in asked:
        with pytest.raises((RuntimeError, NotImplementedError), match="meta"):
            ask()


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("changes", [POINTS | {"augmentation": {"rings": 0.5}}, LINES])
def test_no_batch_waits_for_a_real_gpu(changes: dict[str, Any]) -> None:
    """PyTorch raises at any wait; the batch has the measures of one made on the CPU."""
    config = _config(**changes)
    device = torch.device("cuda")
    maker = BatchMaker.of(_images(config), config, device, seed=0, augment=True)
    torch.cuda.set_sync_debug_mode("error")
    try:
        batch = maker[0]
    finally:
        torch.cuda.set_sync_debug_mode("default")

    assert batch.inputs.isfinite().all()
    on_cpu = BatchMaker.of(_images(config), config, torch.device("cpu"), seed=0, augment=True)[0]
    assert float(batch.inputs.mean()) == pytest.approx(float(on_cpu.inputs.mean()), rel=0.1)


def test_discs_are_drawn_as_in_use() -> None:
    """Any radius, whole or not, and clicks at the border."""
    rng = np.random.default_rng(0)
    clicks = rng.random((3, 20, 24)) < 0.02
    clicks[0, 0, 0] = clicks[1, -1, 5] = True
    for radius in (0, 0.9, 1, 2.5, 5):
        expected = np.zeros(clicks.shape, np.float32)
        for signal, places in zip(expected, clicks, strict=True):
            draw_clicks(signal, np.argwhere(places), radius_px=radius)

        assert np.array_equal(discs(torch.from_numpy(clicks), radius).numpy(), expected > 0)


def _placed(images: FlatImages, scale: float) -> Placed:
    """Place eight patches at random in and beside the images."""
    generator = torch.Generator().manual_seed(3)
    centre = torch.rand((8, 2), generator=generator) * 200 - 40
    return Placed(torch.arange(8) % len(images.first), centre, random_turns(8, generator) * scale)


def test_four_samples_are_one_where_a_patch_is_not_coarse() -> None:
    """A GPU takes four everywhere, as it cannot tell which patches need them; they fall together, and none is lost where they do not."""
    images = flatten_images(_images(_config()), _config())
    for scale in (1.0, 1.39, 1.41, 3.0):
        placed = _placed(images, scale)

        assert torch.allclose(mean_of_four(images, placed, SIDE), sample_pixels(images, placed, SIDE, coarsest=9.0), atol=1e-5)
    one = sample_pixels(images, placed, SIDE, coarsest=1.0)
    assert not torch.allclose(mean_of_four(images, placed, SIDE), one, atol=1e-2)


def test_places_outside_an_image_are_white_and_nobody_s() -> None:
    """However far, on all sides, for the last image too, beyond which the pixels end."""
    images = flatten_images(_images(_config()), _config())
    far = torch.tensor([[-500.0, 50.0], [700.0, 50.0], [50.0, -900.0], [50.0, 900.0], [4000.0, 4000.0], [-80.0, -80.0]])
    placed = Placed(torch.tensor([0, 1, 0, 1, 1, 0]), far, torch.eye(2).repeat(6, 1, 1))

    assert (sample_pixels(images, placed, SIDE, coarsest=1.0) == 1).all()
    assert (sample_labels(images, placed, SIDE) == 0).all()


def test_an_object_that_the_grid_misses_gives_its_place_to_another() -> None:
    """At a tenth of the resolution a bar of one pixel mostly has none, and yet every patch has an object."""
    config = _config(augmentation={"zoom": 12.0}, batch_size=256)
    images = flatten_images(_images(config), config)

    batch = draw_batch(images, config, torch.Generator().manual_seed(0))

    assert (batch.wanted.sum((1, 2, 3)) > 0).all()
    assert ((batch.inputs[:, 3:4] * batch.wanted).sum((1, 2, 3)) == 1).all()
