"""The training loop: flat, resumable, the same on CPU and GPU."""

import contextlib
import csv
import json
import math
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from nuclick_qp.errors import TrainingDataError, WeightsError
from nuclick_qp.files import write_atomically
from nuclick_qp.model.cards import Card, NetworkFacts, read_card
from nuclick_qp.model.checkpoints import load_network, save_weights
from nuclick_qp.model.losses import hybrid_loss
from nuclick_qp.model.network import NetworkSettings, NuClickNet, count_parameters
from nuclick_qp.training.augment import augment_colours
from nuclick_qp.training.config import Augmentation, TrainingConfig
from nuclick_qp.training.samples import Batch, LabelledImage, draw_batch, load_source

VALIDATION_BATCHES = 8
VALIDATION_SEED = 1_000_003


@dataclass(frozen=True, slots=True)
class TrainingRun:
    """Where a run reads and writes, and on what.

    Attributes
    ----------
    data
        Folder that the folders of the sources are relative to.
    out
        Folder of checkpoint, log and finished weights; a checkpoint in it is gone on with.
    device
        ``cpu``, ``cuda``, ``cuda:1``, ``mps``.
    workers
        Processes that make batches beside the training.
    init
        Card of the model whose weights the run starts from (NAME.json with NAME.safetensors beside
        it); None starts from random ones.
    """

    data: Path
    out: Path
    device: str = "cpu"
    workers: int = 1
    init: Path | None = None


def train(config: TrainingConfig, run: TrainingRun) -> Card:
    """Train a network from its configuration, or go on where a stopped run was.

    Writes ``checkpoint.pt``, ``log.csv`` and, at the end, ``NAME.safetensors`` with ``NAME.json``
    into the output folder. Ctrl-C writes a checkpoint before it stops the run.

    Raises
    ------
    TrainingDataError
        Before the first step, if an image or label cannot be learned from.
    WeightsError
        If the folder holds the checkpoint of another configuration.
    """
    training, validation = _load_images(config, run.data)
    run.out.mkdir(parents=True, exist_ok=True)
    start = None if run.init is None else read_card(run.init)
    state = _State.new(config, run.device)
    if start is not None and run.init is not None:
        state.begin_with(load_network(start, run.init.with_suffix(".safetensors")))
    checkpoint = run.out / "checkpoint.pt"
    if checkpoint.exists():
        state.restore(checkpoint)
    try:
        _run_steps(state, run, training, validation)
    finally:
        state.store(checkpoint)
    return export(state.average, config, run.out, start=start)


def export(net: NuClickNet, config: TrainingConfig, out: Path, *, start: Card | None = None) -> Card:
    """Write the weights and the card of a trained network.

    Parameters
    ----------
    start
        The model that the training started from; its own training goes into the card.
    """
    checksum = save_weights(net, out / f"{config.name}.safetensors")
    settings = net.settings
    card = Card(
        name=config.name,
        description=config.description,
        prompt=config.prompt,
        mpp=config.mpp,
        patch_px=config.patch_px,
        min_object_px=config.min_object_px,
        max_hole_px=config.max_hole_px,
        network=NetworkFacts(
            width=settings.width, ms_blocks=settings.ms_blocks, in_channels=settings.in_channels, ms3_dilation=settings.ms3_dilation
        ),
        licence=config.licence,
        sha256=checksum,
        parameters=count_parameters(net),
        training={
            "config": config.model_dump(mode="json"),
            "commit": _git_commit(),
            "torch": torch.__version__,
            "init": None if start is None else {"name": start.name, "sha256": start.sha256, "training": start.training},
        },
    )
    write_atomically(out / f"{config.name}.json", (card.model_dump_json(indent=2) + "\n").encode())
    return card


@dataclass(slots=True)
class _State:
    """What changes from step to step, and all that a checkpoint holds."""

    config: TrainingConfig
    device: torch.device
    step: int
    net: NuClickNet
    average: NuClickNet
    optimizer: torch.optim.AdamW

    @classmethod
    def new(cls, config: TrainingConfig, device: str) -> "_State":
        torch.manual_seed(config.seed)
        settings = NetworkSettings(width=config.width, ms_blocks=config.ms_blocks)
        where = torch.device(device)
        net, average = (_channels_last(NuClickNet(settings).to(where)) for _ in range(2))
        average.eval()
        average.load_state_dict(net.state_dict())
        decay = [p for p in net.parameters() if p.ndim > 1]
        rest = [p for p in net.parameters() if p.ndim <= 1]  # biases and batch norm are not decayed
        groups = [{"params": decay, "weight_decay": config.weight_decay}, {"params": rest, "weight_decay": 0.0}]
        return cls(config, where, 0, net, average, torch.optim.AdamW(groups, lr=config.learning_rate))

    def begin_with(self, start: NuClickNet) -> None:
        if start.settings != self.net.settings:
            raise WeightsError(f"--init has a network of {start.settings}, the configuration asks for {self.net.settings}; change one")
        self.net.load_state_dict(start.state_dict())
        self.average.load_state_dict(start.state_dict())

    def store(self, path: Path) -> None:
        temporary = path.with_suffix(".tmp")
        parts = {name: getattr(self, name).state_dict() for name in ("net", "average", "optimizer")}
        torch.save({**parts, "step": self.step, "config": self.config.model_dump_json()}, temporary)
        temporary.replace(path)

    def restore(self, path: Path) -> None:
        stored = torch.load(path, map_location=self.device, weights_only=True)
        if json.loads(stored["config"]) != json.loads(self.config.model_dump_json()):
            raise WeightsError(f"{path} comes from another configuration; choose another output folder or remove it")
        for name in ("net", "average", "optimizer"):
            getattr(self, name).load_state_dict(stored[name])
        self.step = stored["step"]


class _Batches(Dataset[Batch]):
    """Batch number k of a run; the same whenever and wherever it is made."""

    def __init__(self, images: list[LabelledImage], config: TrainingConfig, *, seed: int, augment: bool) -> None:
        self.images, self.config, self.seed, self.augment = images, config, seed, augment

    def __getitem__(self, step: int) -> Batch:
        batch = draw_batch(self.images, self.config, np.random.default_rng([self.seed, step]))
        if self.augment:
            generator = torch.Generator().manual_seed(self.seed * 1_000_000_007 + step)
            settings: Augmentation = self.config.augmentation
            batch.inputs[:, :3] = augment_colours(batch.inputs[:, :3], settings, generator)
        return batch


def _load_images(config: TrainingConfig, root: Path) -> tuple[list[LabelledImage], list[LabelledImage]]:
    training: list[LabelledImage] = []
    validation: list[LabelledImage] = []
    for source in config.sources:
        train_part, validation_part = load_source(source, root=root, mpp=config.mpp)
        training += train_part
        validation += validation_part
    if not training or not validation:
        raise TrainingDataError(f"{len(training)} images to train on and {len(validation)} to validate on; correct `validation`")
    return training, validation


def _run_steps(state: _State, run: TrainingRun, training: list[LabelledImage], validation: list[LabelledImage]) -> None:
    """Take all steps that are left, with validations and checkpoints between them."""
    config = state.config
    only_objects = config.model_copy(update={"background_share": 0.0})  # the Dice of nothing says nothing
    held_out = _Batches(validation, only_objects, seed=VALIDATION_SEED, augment=False)
    check = [held_out[i] for i in range(VALIDATION_BATCHES)]
    stored_at, loss_sum, since, started = time.monotonic(), 0.0, state.step, time.monotonic()
    for batch in _load_batches(_Batches(training, config, seed=config.seed, augment=True), run.workers, range(state.step, config.steps)):
        loss_sum += _take_step(state, batch)
        if state.step % config.validate_every == 0 or state.step == config.steps:
            seconds = (time.monotonic() - started) / (state.step - since)
            row = {"step": state.step, "loss": loss_sum / (state.step - since), "dice": _mean_dice(state, check), "s_per_step": seconds}
            _log(run.out / "log.csv", row)
            loss_sum, since, started = 0.0, state.step, time.monotonic()
        if time.monotonic() - stored_at > config.checkpoint_minutes * 60:
            state.store(run.out / "checkpoint.pt")
            stored_at = time.monotonic()


def _load_batches(batches: _Batches, workers: int, steps: range) -> Iterator[Batch]:
    loader = DataLoader(
        batches, batch_size=None, sampler=steps, num_workers=workers, prefetch_factor=4 if workers else None, collate_fn=_as_is  # type: ignore[arg-type]  # with batch_size=None it gets a sample, not a list
    )
    yield from loader


def _channels_last(net: NuClickNet) -> NuClickNet:
    """Lay the weights out as oneDNN and cuDNN are fastest with."""
    return net.to(memory_format=torch.channels_last)  # type: ignore[call-overload,no-any-return]  # torch lacks this overload


def _as_is(batch: Batch) -> Batch:
    return batch


def _take_step(state: _State, batch: Batch) -> float:
    """Take one step of the optimizer and of the average, and give the loss."""
    config = state.config
    for group in state.optimizer.param_groups:
        group["lr"] = config.learning_rate * _schedule(state.step, config)
    state.net.train()
    with _autocast(state.device):
        logits = state.net(_to(batch.inputs, state.device))
    loss = hybrid_loss(logits, _to(batch.wanted, state.device), _to(batch.others, state.device), max_ratio=config.max_ratio)
    state.optimizer.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call]  # torch has no annotation here
    torch.nn.utils.clip_grad_norm_(state.net.parameters(), 5.0)
    state.optimizer.step()
    state.step += 1
    _follow(state.average, state.net, min(config.ema_decay, state.step / (state.step + 10)))
    return float(loss.detach())


def _schedule(step: int, config: TrainingConfig) -> float:
    """Give the factor of the learning rate: linear warm-up, then half a cosine down to 1 %."""
    warm = min(1.0, (step + 1) / max(config.warmup_steps, 1))
    return warm * (0.01 + 0.99 * (1 + math.cos(math.pi * step / config.steps)) / 2)


@torch.no_grad()
def _follow(average: NuClickNet, net: NuClickNet, decay: float) -> None:
    """Move the average of weights and batch norm statistics towards the network."""
    for kept, new in zip(average.state_dict().values(), net.state_dict().values(), strict=True):
        if kept.is_floating_point():
            kept.lerp_(new, 1 - decay)
        else:
            kept.copy_(new)


@torch.no_grad()
def _mean_dice(state: _State, batches: list[Batch]) -> float:
    """Give the mean Dice of the averaged network at 0.5 over the validation patches."""
    scores = []
    for batch in batches:
        with _autocast(state.device):
            mask = state.average(_to(batch.inputs, state.device)).float() > 0
        wanted = _to(batch.wanted, state.device) > 0
        overlap = (mask & wanted).sum((1, 2, 3))
        scores.append(2 * overlap / (mask.sum((1, 2, 3)) + wanted.sum((1, 2, 3))))
    return float(torch.cat(scores).mean())


def _to(tensor: Tensor, device: torch.device) -> Tensor:
    return tensor.to(device, non_blocking=True).contiguous(memory_format=torch.channels_last)


def _autocast(device: torch.device) -> contextlib.AbstractContextManager[Any]:
    """bfloat16 on CPU and CUDA; MPS trains in float32, where its autocast is still patchy."""
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=device.type != "mps")


def _log(path: Path, row: dict[str, float]) -> None:
    new = not path.exists()
    with path.open("a", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, fieldnames=list(row))
        if new:
            writer.writeheader()
        writer.writerow(row)


def _git_commit() -> str:
    """Give the commit of the source tree, with a + when it has changes; `unknown` outside one."""
    here = Path(__file__).parent
    try:
        commit = subprocess.run(["git", "rev-parse", "HEAD"], cwd=here, capture_output=True, text=True, check=True).stdout.strip()
        changed = subprocess.run(["git", "status", "--porcelain", "--", "."], cwd=here, capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return commit + ("+" if changed else "")
