"""Tests of `nuclick_qp.training`: samples, augmentation, and a network over-fitted to drawn discs."""

import csv
import errno
import importlib.util
import io
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from pydantic import ValidationError
from scipy import ndimage
from skimage.draw import disk

from disc_training import disc_config
from nuclick_qp.errors import LabelsError, NuClickError, OptionError, TrainingDataError, WeightsError, WriteRefusedError
from nuclick_qp.model.cards import read_card
from nuclick_qp.model.checkpoints import load_network
from nuclick_qp.stopping import Stopped
from nuclick_qp.storage.locks import hold
from nuclick_qp.training import step
from nuclick_qp.training.augment import augment_colours
from nuclick_qp.training.config import Augmentation, TrainingConfig, read_config
from nuclick_qp.training.flat_images import flatten_images
from nuclick_qp.training.images import LabelledImage, load_folder
from nuclick_qp.training.loop import train
from nuclick_qp.training.patches import Batch, draw_batch
from nuclick_qp.training.state import TrainingState
from nuclick_qp.training.training_run import TrainingRun

CENTRES = [(30, 30), (30, 90), (90, 30), (90, 90), (60, 60)]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Draw two images of five dark discs each, with labels."""
    folder = tmp_path / "discs"
    folder.mkdir()
    for name in ("one", "two"):
        pixels, labels = np.full((120, 120, 3), 220, np.uint8), np.zeros((120, 120), np.uint16)
        for number, centre in enumerate(CENTRES, 1):
            pixels[disk(centre, 9)], labels[disk(centre, 9)] = (90, 60, 140), number
        Image.fromarray(pixels).save(folder / f"{name}.png")
        Image.fromarray(labels).save(folder / f"{name}_label.png")
    return tmp_path


def _config(**changes: Any) -> TrainingConfig:
    return disc_config(**({"steps": 6, "warmup_steps": 2, "validate_every": 3, "ema_decay": 0.9} | changes))


def _drawn(images: Sequence[LabelledImage], config: TrainingConfig, seed: int = 0) -> Batch:
    """Draw one batch on the CPU."""
    return draw_batch(flatten_images(images, config), config, torch.Generator().manual_seed(seed))


def test_patches_hold_the_wanted_object_under_the_click(data: Path) -> None:
    """One inclusion pixel, on the wanted mask; exclusion on none of it; masks apart."""
    images, _ = load_folder(_config().sources[0], root=data, mpp=0.25)
    batch = _drawn(images, _config(patch_px=64, batch_size=32, exclusion_drop=0.0), 0)

    assert batch.inputs.shape == (32, 5, 64, 64)
    inclusion, exclusion = batch.inputs[:, 3:4], batch.inputs[:, 4:5]
    assert (inclusion.sum((1, 2, 3)) == 1).all()
    assert ((inclusion * batch.wanted).sum((1, 2, 3)) == 1).all()
    assert (exclusion * inclusion).sum() == 0
    assert (exclusion * batch.wanted).sum() == 0
    assert (exclusion * batch.others).sum() == exclusion.sum() > 0
    assert (batch.wanted * batch.others).sum() == 0


def test_clicks_may_be_discs_in_training_as_in_use(data: Path) -> None:
    """A disc round each click that the same draws make as one pixel; the card tells use the radius."""
    images, _ = load_folder(_config().sources[0], root=data, mpp=0.25)
    pixels, discs = (
        _drawn(images, _config(patch_px=64, batch_size=8, click_radius_px=radius), 0) for radius in (0, 3)
    )

    rows, cols = np.mgrid[:64, :64]
    for pixel, disc in zip(pixels.inputs.numpy(), discs.inputs.numpy(), strict=True):
        ((row, col),) = np.argwhere(pixel[3])
        assert np.array_equal(disc[3] > 0, (rows - row) ** 2 + (cols - col) ** 2 <= 9)
        excluded = ndimage.distance_transform_edt(pixel[4] == 0) <= 3 if pixel[4].any() else np.zeros((64, 64), bool)
        assert np.array_equal(disc[4] > 0, excluded & (disc[3] == 0))
    assert torch.equal(pixels.wanted, discs.wanted)
    with pytest.raises(ValidationError, match="is for points"):
        _config(prompt="line", click_radius_px=3)


def test_what_use_has_to_know_goes_into_the_card(data: Path, tmp_path: Path) -> None:
    """Use draws clicks as training did, and makes objects as the configuration says."""
    config = _config(steps=1, click_radius_px=2.5, threshold=0.4, min_object_px=10, max_hole_px=64)

    card = train(config, TrainingRun(data, tmp_path / "out", workers=0))

    assert (card.click_radius_px, card.threshold, card.min_object_px, card.max_hole_px) == (2.5, 0.4, 10, 64)


def test_the_loss_is_that_of_the_configuration(data: Path, tmp_path: Path) -> None:
    """The first step's loss moves when a term is added, and the same batch is drawn."""
    losses = []
    for name, loss in (("plain", {}), ("rim", {"rim": 5.0}), ("even", {"weighted": False})):
        run = TrainingRun(data, tmp_path / name, workers=0)
        train(_config(steps=1, loss=loss), run, on_step=lambda progress: losses.append(progress.row.loss if progress.row else 0.0))

    assert losses[1] > losses[0] + 1
    assert losses[2] < losses[0]


@pytest.mark.parametrize(("hardware", "expected"), [("bfloat16", torch.bfloat16), ("float32", torch.float32), ("float16", torch.float32)])
def test_bfloat16_is_for_devices_that_have_it(monkeypatch: pytest.MonkeyPatch, hardware: str, expected: torch.dtype) -> None:
    """Emulated it is many times slower than float32."""
    monkeypatch.setattr(step, "choose_precision", lambda device: hardware)

    with step.autocast(torch.device("cpu")):
        product = torch.ones(2, 2) @ torch.ones(2, 2)

    assert product.dtype == expected


def test_objects_keep_their_size_under_rotation_and_zoom(data: Path) -> None:
    """Without zoom a disc of radius 9 stays one; with a source at 0.5 um/px it is drawn twice as large."""
    config = _config(patch_px=64, batch_size=16, augmentation={"zoom": 1.0})
    for mpp, area in ((0.25, np.pi * 81), (0.5, np.pi * 324)):
        source = config.sources[0].model_copy(update={"mpp": mpp})
        images, _ = load_folder(source, root=data, mpp=0.25)

        wanted = _drawn(images, config, 1).wanted.sum((1, 2, 3))

        assert float(wanted.max()) == pytest.approx(area, rel=0.06)


def test_images_of_unknown_resolution_are_scaled_by_their_objects(data: Path) -> None:
    """`object_area_px` brings the median object to that area, by a factor of 2 at most."""
    source = _config().sources[0].model_copy(update={"mpp": None, "object_area_px": 500.0})
    (image,), _ = load_folder(source, root=data, mpp=0.25)
    assert image.zoom == pytest.approx(np.sqrt(500 / np.count_nonzero(image.labels == 1)))

    (image,), _ = load_folder(source.model_copy(update={"object_area_px": 50_000.0}), root=data, mpp=0.25)
    assert image.zoom == 2


def test_same_seed_gives_the_same_batch(data: Path) -> None:
    """A batch is a function of its generator; another seed gives another one."""
    images, _ = load_folder(_config().sources[0], root=data, mpp=0.25)
    one, two, other = (_drawn(images, _config(), seed).inputs for seed in (3, 3, 4))

    assert torch.equal(one, two)
    assert not torch.equal(one, other)


def test_clicks_on_background_want_nothing(data: Path) -> None:
    """An inclusion pixel away from all objects, an empty target, the objects among the others."""
    images, _ = load_folder(_config().sources[0], root=data, mpp=0.25)

    batch = _drawn(images, _config(patch_px=64, batch_size=32, background_share=0.999), 0)

    assert batch.wanted.sum() == 0
    assert (batch.inputs[:, 3].sum((1, 2)) == 1).all()
    assert (batch.inputs[:, 3:4] * batch.others).sum() == 0
    assert batch.others.sum() > 0


@pytest.mark.parametrize("keep", [False, True])
def test_statistics_of_the_start_can_be_kept(data: Path, tmp_path: Path, keep: bool) -> None:
    """Batch norm then works with what it brought along, while its weights learn as all others do."""
    first = train(_config(steps=2), TrainingRun(data, tmp_path / "first", workers=0))
    start = tmp_path / "first" / "discs.safetensors"

    second = train(_config(keep_statistics=keep), TrainingRun(data, tmp_path / "second", workers=0, init=str(start)))

    before, after = load_network(first, start), load_network(second, tmp_path / "second" / "discs.safetensors")
    same = [torch.equal(one, other) for one, other in zip(before.buffers(), after.buffers(), strict=True) if one.is_floating_point()]
    assert all(same) if keep else not any(same)
    assert not torch.equal(before.enc1[0][1].weight, after.enc1[0][1].weight)  # type: ignore[index]  # a Sequential


def test_run_starts_from_another_model(data: Path, tmp_path: Path) -> None:
    """The weights are those of the start, and the card names it with its own training."""
    first = train(_config(), TrainingRun(data, tmp_path / "first", workers=0))
    start = str(tmp_path / "first" / "discs.json")

    second = train(_config(steps=1, learning_rate=1e-9), TrainingRun(data, tmp_path / "second", workers=0, init=start))

    assert second.training["init"] == {"name": "discs", "sha256": first.sha256, "training": first.training}
    old, new = (load_network(card, tmp_path / place / "discs.safetensors") for card, place in ((first, "first"), (second, "second")))
    assert torch.allclose(old.head.weight, new.head.weight, atol=1e-3)
    with pytest.raises(WeightsError, match="--init has a network of"):
        train(_config(width=0.2), TrainingRun(data, tmp_path / "third", workers=0, init=start))


def test_result_may_keep_a_share_of_the_start(data: Path, tmp_path: Path) -> None:
    """A quarter of the start and three quarters of what the run without the key ends with."""
    train(_config(), TrainingRun(data, tmp_path / "first", workers=0))
    start = str(tmp_path / "first" / "discs.json")
    for name, share in (("without", 0.0), ("with", 0.25)):
        train(_config(seed=1, init_share=share), TrainingRun(data, tmp_path / name, workers=0, init=start))

    first, without, mixed = (
        load_network(read_card(tmp_path / name / "discs.json"), tmp_path / name / "discs.safetensors").state_dict()
        for name in ("first", "without", "with")
    )
    for key in ("head.weight", "enc1.0.0.weight", "enc1.0.1.running_var"):
        assert not torch.allclose(first[key], without[key], atol=1e-3)
        assert torch.allclose(mixed[key], 0.25 * first[key] + 0.75 * without[key], atol=2e-3, rtol=2e-3)  # half precision
    with pytest.raises(OptionError, match="--init"):
        train(_config(init_share=0.5), TrainingRun(data, tmp_path / "out", workers=0))


def test_exclusion_may_be_dropped(data: Path) -> None:
    """Patches without exclusion teach the network to do without it."""
    images, _ = load_folder(_config().sources[0], root=data, mpp=0.25)
    batch = _drawn(images, _config(patch_px=64, exclusion_drop=1.0), 0)

    assert batch.inputs[:, 4].sum() == 0


def test_colours_change_and_stay_in_range() -> None:
    """Every patch by itself, within [0, 1], the same for the same seed."""
    images = torch.rand(8, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    settings = Augmentation()
    one, two, other = (augment_colours(images, settings, torch.Generator().manual_seed(seed)) for seed in (1, 1, 2))

    assert torch.equal(one, two)
    assert not torch.equal(one, other)
    assert one.min() >= 0
    assert one.max() <= 1
    assert ((one - images).abs().mean((1, 2, 3)) > 1e-3).all()


def test_no_augmentation_leaves_colours_alone() -> None:
    """All amounts 0: what comes out is what went in, to rounding of the stain matrices."""
    images = torch.rand(4, 3, 32, 32, generator=torch.Generator().manual_seed(0)).clamp(min=0.01)
    nothing = Augmentation(stain=0, restain=0, brightness=0, contrast=0, noise=0, blur=0, shuffle=0)

    assert torch.allclose(augment_colours(images, nothing, torch.Generator().manual_seed(1)), images, atol=1e-4)


@pytest.mark.parametrize("threads", [1, 2])
def test_network_learns_drawn_discs(data: Path, tmp_path: Path, threads: int) -> None:
    """A tiny network over-fits in seconds: Dice of at least 0.8 on discs that it has not seen."""
    calm = {"zoom": 1.0, "stain": 0.0, "restain": 0.0, "noise": 0.0, "shuffle": 0.0, "blur": 0.0}
    config = _config(steps=60, batch_size=8, learning_rate=1e-2, validate_every=60, augmentation=calm)

    card = train(config, TrainingRun(data, tmp_path / "out", workers=0, threads=threads))

    rows = list(csv.DictReader((tmp_path / "out" / "log.csv").read_text().splitlines()))
    assert float(rows[-1]["dice"]) > 0.8
    assert load_network(card, tmp_path / "out" / "discs.safetensors") is not None
    assert read_card(tmp_path / "out" / "discs.json") == card
    assert card.training["config"]["steps"] == 60


@pytest.mark.usefixtures("heed_ctrl_c")
@pytest.mark.parametrize(("workers", "threads"), [(0, 1), (1, 1), (0, 2)])
def test_stopped_run_ends_like_one_that_was_not(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, workers: int, threads: int
) -> None:
    """Ctrl-C between optimizer and average, start again: the same weights, bit for bit, as without the stop."""
    whole = train(_config(), TrainingRun(data, tmp_path / "whole", workers=0, threads=threads))
    follow = TrainingState.follow

    def interrupt(state: TrainingState) -> None:
        if state.step == 3:
            signal.raise_signal(signal.SIGINT)
        follow(state)

    parts = TrainingRun(data, tmp_path / "parts", workers=workers, threads=threads)
    monkeypatch.setattr(TrainingState, "follow", interrupt)
    with pytest.raises(KeyboardInterrupt):
        train(_config(), parts)
    monkeypatch.setattr(TrainingState, "follow", follow)

    assert torch.load(tmp_path / "parts" / "checkpoint.pt", weights_only=True)["step"] == 3
    assert train(_config(), parts).sha256 == whole.sha256


def test_a_run_of_so_many_minutes_stops_with_a_checkpoint(data: Path, tmp_path: Path) -> None:
    """After the step at hand, and goes on from there to the weights of one without an end to its time."""
    whole = train(_config(), TrainingRun(data, tmp_path / "whole", workers=0))

    with pytest.raises(Stopped):
        train(_config(), TrainingRun(data, tmp_path / "parts", workers=0, minutes=1e-9))
    first = torch.load(tmp_path / "parts" / "checkpoint.pt", weights_only=True)["step"]

    assert first == 1  # a slice that is too short for reading the images gets somewhere, too
    assert train(_config(), TrainingRun(data, tmp_path / "parts", workers=0, minutes=60)).sha256 == whole.sha256


def test_a_run_that_fits_into_its_minutes_is_done_then(data: Path, tmp_path: Path) -> None:
    """With the steps that it had time for, which the card tells."""
    card = train(_config(steps=1000), TrainingRun(data, tmp_path, workers=0, minutes=1e-9, fit=True))

    assert card.training["config"]["steps"] == 1
    assert (tmp_path / f"{card.name}.safetensors").exists()


def test_a_run_that_fits_goes_on_beyond_the_steps_of_its_configuration(data: Path, tmp_path: Path) -> None:
    """These do not hold for it; each slice adds what it has time for."""
    run = TrainingRun(data, tmp_path, workers=0, minutes=1e-9, fit=True)

    taken = [train(_config(steps=1), run).training["config"]["steps"] for _ in range(3)]

    assert taken == [1, 2, 3]


def test_a_run_cannot_fit_into_minutes_that_nobody_named(data: Path, tmp_path: Path) -> None:
    """It would never end."""
    with pytest.raises(OptionError, match=r"--minutes"):
        train(_config(), TrainingRun(data, tmp_path, fit=True))


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device on this machine")
def test_a_gpu_trains_in_slices_and_from_a_teacher(data: Path, tmp_path: Path) -> None:
    """In bfloat16, with batches made there; it goes on from its checkpoint, which a CPU can go on from, too."""
    wide = train(_config(name="wide", width=0.1), TrainingRun(data, tmp_path / "wide", device="cuda"))
    config = _config(steps=30, validate_every=10, teacher={"model": str(tmp_path / "wide" / "wide.json")})
    run = TrainingRun(data, tmp_path / "out", device="cuda")
    with pytest.raises(Stopped):
        train(config, replace(run, minutes=1e-9))

    card = train(config, run)

    assert card.training["teacher"]["sha256"] == wide.sha256
    rows = list(csv.DictReader((tmp_path / "out" / "log.csv").read_text().splitlines()))
    assert [row["step"] for row in rows] == ["10", "20", "30"]
    assert float(rows[-1]["loss"]) < float(rows[0]["loss"])
    state = TrainingState.new(config, torch.device("cpu"))
    state.restore(tmp_path / "out" / "checkpoint.pt")
    assert state.step == 30


def test_checkpoint_of_another_configuration_is_refused(data: Path, tmp_path: Path) -> None:
    """Going on with other settings would give a model that no configuration describes."""
    train(_config(steps=1), TrainingRun(data, tmp_path / "out", workers=0))

    with pytest.raises(WeightsError, match=r"another configuration \(seed\)"):
        train(_config(steps=1, seed=2), TrainingRun(data, tmp_path / "out", workers=0))


def test_a_checkpoint_larger_than_any_is_not_read(tmp_path: Path) -> None:
    """As all files that are read as a whole; a hole of 2 GB costs whoever sends it nothing."""
    path = tmp_path / "checkpoint.pt"
    with path.open("wb") as file:
        file.truncate(2**31)

    with pytest.raises(WeightsError, match=r"are the most that is read"):
        TrainingState.new(_config(), torch.device("cpu")).restore(path)


def _spoil(folder: Path, problem: str) -> None:
    labels = folder / "one_label.png"
    match problem:
        case "missing":
            labels.unlink()
        case "size":
            Image.fromarray(np.ones((5, 5), np.uint16)).save(labels)
        case "empty":
            Image.fromarray(np.zeros((120, 120), np.uint16)).save(labels)
        case "mask":
            Image.fromarray(np.eye(120, dtype=np.uint8) * 255).save(labels)
        case "text":
            labels.write_text("no image")


@pytest.mark.parametrize("problem", ["missing", "size", "empty", "mask", "text"])
def test_bad_labels_stop_the_run_before_it_starts(data: Path, tmp_path: Path, problem: str) -> None:
    """The message names the file; no output folder is made."""
    _spoil(data / "discs", problem)

    with pytest.raises(LabelsError, match="one"):
        train(_config(), TrainingRun(data, tmp_path / "out", workers=0))
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("text", "said"),
    [("steps = ", "not valid TOML"), ('name = "a"', "Field required"), ("stepz = 3", "stepz|Field required"), (None, "cannot be read")],
)
def test_bad_configurations_are_one_clear_line(tmp_path: Path, text: str | None, said: str) -> None:
    """File, key and reason."""
    path = tmp_path / "config.toml"
    if text is not None:
        path.write_text(text)

    with pytest.raises(OptionError, match=said) as error:
        read_config(path)
    assert isinstance(error.value, NuClickError)
    assert "config.toml" in str(error.value)
    assert "\n" not in str(error.value)


def test_squiggle_patches_hold_the_whole_gland(data: Path) -> None:
    """The squiggle lies on the wanted mask, which is all there; one exclusion pixel in each other object."""
    images, _ = load_folder(_config().sources[0], root=data, mpp=0.25)
    config = _config(prompt="line", patch_px=128, batch_size=16, exclusion_drop=0.0, exclusion_keep=1.0, augmentation={"zoom": 1.0})

    batch = _drawn(images, config, 0)

    inclusion, exclusion = batch.inputs[:, 3:4], batch.inputs[:, 4:5]
    assert (inclusion.sum((1, 2, 3)) >= 1).all()
    assert (inclusion * (1 - batch.wanted)).sum() == 0
    assert batch.wanted.sum((1, 2, 3)).numpy() == pytest.approx(np.pi * 81, rel=0.06)
    assert (exclusion * (1 - batch.others)).sum() == 0
    for places, others in zip(exclusion[:, 0], batch.others[:, 0], strict=True):
        assert places.sum() == ndimage.label(others.numpy())[1]


def test_a_gland_larger_than_a_patch_is_shown_at_a_coarser_scale(data: Path) -> None:
    """In use a squiggle that does not fit makes the scale coarser; its gland then fills most of the patch."""
    images, _ = load_folder(_config().sources[0], root=data, mpp=0.05)
    config = _config(prompt="line", patch_px=64, batch_size=16, augmentation={"zoom": 1.0})  # a disc has 90 px

    wanted = _drawn(images, config, 0).wanted[:, 0]

    largest = np.pi * (0.45 * 64) ** 2
    # A disc of 17 pixels across has corners: it fills 12 % more of its square than a round one where its sides lie along the patch.
    assert ((wanted.sum((1, 2)) > 0.8 * largest) & (wanted.sum((1, 2)) < 1.12 * largest)).all()
    assert wanted[:, 0].sum() == wanted[:, -1].sum() == wanted[:, :, 0].sum() == wanted[:, :, -1].sum() == 0


def test_images_finer_than_the_network_are_shrunk(data: Path) -> None:
    """At half the resolution a disc has a quarter of its pixels, and its colours are averaged."""
    (image,), _ = load_folder(_config().sources[0], root=data, mpp=0.5)

    assert (image.zoom, image.labels.shape) == (1, (60, 60))
    assert np.count_nonzero(image.mask(0)) == pytest.approx(np.pi * 81 / 4, rel=0.1)
    assert (image.pixels[15, 15] == (90, 60, 140)).all()


TRAIN_UNTIL_KILLED = """
import os, signal, sys
from pathlib import Path
from nuclick_qp.training.config import TrainingConfig
from nuclick_qp.training.training_run import TrainingRun
from nuclick_qp.training.loop import train
config, data, out, last = sys.argv[1:]
kill = lambda progress: os.kill(os.getpid(), signal.SIGKILL) if progress.step == int(last) else None
run = TrainingRun(Path(data), Path(out), workers=0)
print(train(TrainingConfig.model_validate_json(config), run, on_step=kill).sha256)
"""


def test_a_killed_run_goes_on_from_its_checkpoint(data: Path, tmp_path: Path) -> None:
    """Kill -9 at step 5, the last checkpoint being of step 4: the same weights and log as without."""
    config = _config(checkpoint_minutes=1e-9).model_dump_json()

    def run(out: str, *, kill_at: int) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-c", TRAIN_UNTIL_KILLED, config, str(data), str(tmp_path / out), str(kill_at)]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    whole, killed, resumed = run("whole", kill_at=0), run("parts", kill_at=5), run("parts", kill_at=0)

    assert killed.returncode == -signal.SIGKILL
    assert resumed.stdout == whole.stdout != ""
    logs = [list(csv.DictReader((tmp_path / name / "log.csv").read_text().splitlines())) for name in ("whole", "parts")]
    assert [[row["step"] for row in log] for log in logs] == [["3", "6"], ["3", "6"]]
    assert [row["dice"] for row in logs[0]] == [row["dice"] for row in logs[1]]


def test_the_curve_is_a_picture(data: Path, tmp_path: Path) -> None:
    """curve.png opens, is not empty, and is drawn anew with every row."""
    train(_config(), TrainingRun(data, tmp_path / "out", workers=0))

    with Image.open(tmp_path / "out" / "curve.png") as picture:
        assert picture.width > 500
        assert len(np.unique(np.asarray(picture.convert("L")))) > 10


@pytest.mark.parametrize("text", ["a,b\n1,2\n", "step,loss,dice,seconds_per_step,waiting_share\none,2,3,4,5\n"])
def test_a_foreign_log_is_refused(data: Path, tmp_path: Path, text: str) -> None:
    """A log.csv that is not ours is not overwritten."""
    out = tmp_path / "out"
    out.mkdir()
    (out / "log.csv").write_text(text)

    with pytest.raises(TrainingDataError, match="not the log"):
        train(_config(), TrainingRun(data, out, workers=0))
    assert (out / "log.csv").read_text() == text


@pytest.mark.usefixtures("modes_hold")
def test_an_output_in_a_locked_folder_is_told_before_any_image_is_read(tmp_path: Path) -> None:
    """In one line, as one that is a file."""
    (tmp_path / "locked").mkdir(mode=0)

    with pytest.raises(WriteRefusedError, match="may not enter; choose another folder for --out"):
        train(_config(), TrainingRun(tmp_path / "no data", tmp_path / "locked" / "out", workers=0))


@pytest.mark.usefixtures("modes_hold")
@pytest.mark.parametrize("kind", ["locked file", "folder"])
def test_a_log_that_cannot_be_read_is_told(data: Path, tmp_path: Path, kind: str) -> None:
    """Its rows would be lost with the next; no traceback."""
    log = tmp_path / "out" / "log.csv"
    log.parent.mkdir()
    if kind == "folder":
        log.mkdir()
    else:
        log.touch(mode=0)

    with pytest.raises(TrainingDataError, match=r"log\.csv cannot be read"):
        train(_config(), TrainingRun(data, tmp_path / "out", workers=0))


def test_checkpoint_that_cannot_be_written_leaves_the_one_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A full disk costs the steps since, never the run; no temporary file is left."""
    state = TrainingState.new(_config(), torch.device("cpu"))
    state.store(tmp_path / "checkpoint.pt")
    before = (tmp_path / "checkpoint.pt").read_bytes()

    def full(_descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    state.step = 5
    with pytest.raises(OSError, match="No space left"):
        state.store(tmp_path / "checkpoint.pt")

    assert [(p.name, p.read_bytes()) for p in tmp_path.iterdir()] == [("checkpoint.pt", before)]


def test_without_matplotlib_there_is_a_warning_and_no_curve(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """It is an extra of the installation; the training itself needs none."""
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)

    train(_config(), TrainingRun(data, tmp_path / "out", workers=0))

    assert "matplotlib is missing; pip install 'nuclick-qp[train]'" in caplog.text
    assert sorted(p.suffix for p in (tmp_path / "out").iterdir()) == [".csv", ".json", ".pt", ".safetensors"]


def test_a_broken_checkpoint_is_one_clear_line(data: Path, tmp_path: Path) -> None:
    """The message names the file and says what to do."""
    out = tmp_path / "out"
    out.mkdir()
    (out / "checkpoint.pt").write_bytes(b"no checkpoint")

    with pytest.raises(WeightsError, match=r"checkpoint\.pt is not a checkpoint") as error:
        train(_config(), TrainingRun(data, out, workers=0))
    assert "\n" not in str(error.value)
    assert (out / "checkpoint.pt").read_bytes() == b"no checkpoint"


def stored(**changes: object) -> bytes:
    """Give a file as `torch.save` writes it, of a checkpoint with other parts."""
    file = io.BytesIO()
    good = {"step": 1, "config": _config().model_dump_json(), "net": {}, "average": {}, "optimizer": {}}
    torch.save({**good, **changes}, file)
    return file.getvalue()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\x80",
        stored(config=None),
        stored(config="[]"),
        stored(config="{"),
        stored(),
        stored(net={"x": torch.ones(1)}),
        stored(step="x"),
    ],
    ids=["empty", "one byte", "no configuration", "a list", "no JSON", "no weights", "other weights", "no step"],
)
def test_whatever_lies_in_place_of_a_checkpoint_is_one_clear_line(data: Path, tmp_path: Path, content: bytes) -> None:
    """Also what torch reads without a word, and what it raises odd errors for."""
    out = tmp_path / "out"
    out.mkdir()
    (out / "checkpoint.pt").write_bytes(content)

    with pytest.raises(WeightsError, match=r"checkpoint\.pt (is not a checkpoint|comes from another)") as error:
        train(_config(), TrainingRun(data, out, workers=0))

    assert "\n" not in str(error.value)
    assert (out / "checkpoint.pt").read_bytes() == content


def test_a_finished_training_goes_on_with_more_steps(data: Path, tmp_path: Path) -> None:
    """From where it was, and other keys may not change; fewer steps than taken are refused, as they cannot be taken back."""
    out = TrainingRun(data, tmp_path / "out", workers=0)
    train(_config(), out)

    train(_config(steps=9), out)

    assert [line.split(",")[0] for line in (out.out / "log.csv").read_text().splitlines()] == ["step", "3", "6", "9"]
    with pytest.raises(WeightsError, match="has taken 9 steps, the configuration asks for 6"):
        train(_config(), out)
    with pytest.raises(WeightsError, match=r"another configuration \(learning_rate, seed\)"):
        train(_config(steps=12, seed=5, learning_rate=1.0), out)


def test_a_start_for_the_other_kind_of_prompt_is_told(data: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """It is allowed: the shipped model of glands started from one for nuclei."""
    train(_config(steps=1), TrainingRun(data, tmp_path / "points", workers=0))

    train(_config(steps=1, prompt="line"), TrainingRun(data, tmp_path / "lines", workers=0, init=str(tmp_path / "points" / "discs.json")))

    assert "is a model for points; discs, for lines, only starts from its weights" in caplog.text


def test_an_output_folder_that_is_a_file_is_told_before_images_are_read(tmp_path: Path) -> None:
    """No image is there at all, and yet the first word is about the folder."""
    (tmp_path / "out").write_text("mine")

    with pytest.raises(WriteRefusedError, match="choose another folder for --out"):
        train(_config(), TrainingRun(tmp_path / "nothing", tmp_path / "out", workers=0))
    assert (tmp_path / "out").read_text() == "mine"


def test_two_trainings_in_one_folder_wait_for_each_other(data: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The second goes on from what the first has left, and says what it waits for."""
    run = TrainingRun(data, tmp_path / "out", workers=0)
    run.out.mkdir()
    with ThreadPoolExecutor() as pool, hold(run.out / "checkpoint.pt"):
        second = pool.submit(train, _config(), run)
        until = time.monotonic() + 120
        while "waiting for" not in caplog.text and not second.done() and time.monotonic() < until:
            time.sleep(0.05)
        assert "waiting for another run on the training in" in caplog.text
        assert not (run.out / "log.csv").exists()
    assert second.result(timeout=300).name == "discs"


@pytest.mark.parametrize(("tells_scale", "expected"), [(True, pytest.approx(2 * 9, rel=0.03)), (False, None)])
def test_a_model_whose_objects_are_alike_keeps_their_size(data: Path, tmp_path: Path, tells_scale: bool, expected: object) -> None:
    """Discs of radius 9, in patch pixels; only where the configuration says that they tell the scale of an image."""
    card = train(_config(tells_scale=tells_scale, steps=1), TrainingRun(data=data, out=tmp_path / "run"))

    assert card.object_px == expected
    assert read_card(tmp_path / "run" / "discs.json").object_px == card.object_px


def test_squiggles_tell_no_scale() -> None:
    """A gland may have any size, and its squiggle has told one already."""
    with pytest.raises(ValidationError, match="`tells_scale` is for points"):
        _config(prompt="line", tells_scale=True)
