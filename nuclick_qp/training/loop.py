"""The training loop: flat, resumable, the same on CPU and GPU."""

import logging
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import torch
from torch import Tensor

from nuclick_qp.errors import OptionError, WriteRefusedError
from nuclick_qp.model.cards import Card, find_card
from nuclick_qp.model.checkpoints import load_network
from nuclick_qp.model.devices import choose_device
from nuclick_qp.model.network import NuClickNet
from nuclick_qp.stopping import Stopped, hold_back_stops
from nuclick_qp.storage.atomic import make_folder
from nuclick_qp.storage.locks import hold
from nuclick_qp.storage.plain_files import is_folder, is_hidden, is_there
from nuclick_qp.training.batches import BatchMaker, in_order
from nuclick_qp.training.config import TrainingConfig
from nuclick_qp.training.finish import finish
from nuclick_qp.training.images import LabelledImage
from nuclick_qp.training.lanes import Lanes, choose_lanes, get_ready
from nuclick_qp.training.lesson import Lesson, NuClickLesson
from nuclick_qp.training.log import LogRow, TrainingLog
from nuclick_qp.training.pace import STEPS_BETWEEN_LOOKS, Pace, with_steps
from nuclick_qp.training.patches import Batch
from nuclick_qp.training.sources import load_images
from nuclick_qp.training.state import TrainingState, move_towards
from nuclick_qp.training.step import autocast, take_step, to_device
from nuclick_qp.training.teacher import Teacher
from nuclick_qp.training.training_run import TrainingRun

logger = logging.getLogger(__name__)

VALIDATION_SEED = 1_000_003


@dataclass(frozen=True, slots=True)
class TrainingProgress:
    """How far a run is: steps done of all steps, the loss of the last (on a GPU of one of the last 20), and the last log row."""

    step: int
    steps: int
    loss: float
    row: LogRow | None


Images = tuple[list[LabelledImage], list[LabelledImage]]  # to train on, and to validate on
OnStep = Callable[[TrainingProgress], None]
Result = TypeVar("Result")


def train(config: TrainingConfig, run: TrainingRun, *, images: Images | None = None, on_step: OnStep = lambda progress: None) -> Card:
    """Train a network from its configuration, or go on where a stopped run was.

    Writes ``checkpoint.pt``, ``log.csv``, ``curve.png`` and, at the end, ``NAME.safetensors`` with
    ``NAME.json`` into the output folder. Ctrl-C ends the step at hand and writes a checkpoint before it
    stops the run; after a kill the run goes on from the last checkpoint. Either way it ends with the
    weights of an undisturbed one, to the bit on a CPU.

    Parameters
    ----------
    images
        Those to train on and to validate on, where they are read already; else the sources are read.

    Raises
    ------
    OptionError
        If the configuration keeps a share of weights that the run does not start from, or has a teacher
        that sees patches in another way; or if the run is to fit into minutes, and has none.
    WriteRefusedError
        If the output folder cannot hold files; before any image is read if it is a file, or out of reach.
    LabelsError, TrainingDataError
        Before the first step, if an image or label cannot be read, or not be learned from.
    DeviceError
        If the device is not there, before any image is read.
    WeightsError
        If the folder holds the checkpoint of another configuration.
    KeyboardInterrupt
        After Ctrl-C, when the checkpoint is written.
    Stopped
        Likewise, when the minutes of the run are over.
    """
    if config.init_share and run.init is None:
        raise OptionError("`init_share` keeps a share of the weights that a run starts from; name them with --init, or remove that key")
    device = choose_device(run.device)
    start, first = _read_start(run.init, config)
    teacher = Teacher.of(config, device)

    def into_model(state: TrainingState, learned_from: Images) -> Card:
        if first is not None:
            move_towards(state.average, first.to(state.device), share=config.init_share)
        taught_by = None if teacher is None else teacher.card
        training, validation = learned_from
        return finish(state.average, state.config, run.out, images=training, validation=validation, start=start, teacher=taught_by)

    lesson = NuClickLesson.of(config, teacher)
    return learn(lesson, config, run, images=images, first=first, on_step=on_step, then=into_model)


def learn(
    lesson: Lesson,
    config: TrainingConfig,
    run: TrainingRun,
    *,
    images: Images | None = None,
    first: NuClickNet | None = None,
    on_step: OnStep = lambda progress: None,
    then: Callable[[TrainingState, Images], Result],
) -> Result:
    """Teach a network any lesson, as `train` does: with its checkpoints, stops, log, and what it raises.

    Parameters
    ----------
    images
        As of `train`.
    first
        What the weights are at first; None for random ones.
    then
        Makes something of the state after the last step, and of the images, while the folder is still held.
    """
    if run.fit and run.minutes is None:
        raise OptionError("a run that is to fit into its minutes must be given some; say how many with --minutes")
    if run.fit:
        config = with_steps(config)  # a run that goes on may have taken more than the configuration says
    device = choose_device(run.device)
    get_ready(device)
    if is_hidden(run.out):
        raise WriteRefusedError(f"{run.out} lies in a folder that this user may not enter; choose another folder for --out")
    if is_there(run.out) and not is_folder(run.out):
        raise WriteRefusedError(f"{run.out} is a file; choose another folder for --out")
    until = math.inf if run.minutes is None else time.monotonic() + 60 * run.minutes
    images = images or load_images(config, run.data)
    make_folder(run.out, option="--out")
    state = TrainingState.new(config, device, lesson)
    if first is not None:
        state.begin_with(first)
    checkpoint = run.out / "checkpoint.pt"
    with hold(checkpoint, name=f"the training in {run.out}"):  # two in one folder would mix their checkpoints
        if is_there(checkpoint):
            state.restore(checkpoint)
        log = TrainingLog(run.out, name=config.name)
        log.drop_after(state.step)
        with hold_back_stops() as stopped:
            _run_steps(state, run, images, until=until, log=log, on_step=on_step, stopped=stopped)
            state.store(checkpoint)
        if stopped():
            raise KeyboardInterrupt
        if state.step < state.config.steps:
            raise Stopped
        return then(state, images)


def _read_start(name: str | None, config: TrainingConfig) -> tuple[Card | None, NuClickNet | None]:
    """Read the model that a run starts from; one for the other kind of prompt is a start, too (`glands` began so), but told."""
    if name is None:
        return None, None
    card, weights = find_card(name)
    if card.prompt != config.prompt:
        kinds = card.name, card.prompt, config.name, config.prompt
        logger.warning("--init %s is a model for %ss; %s, for %ss, only starts from its weights", *kinds)
    return card, load_network(card, weights)


def _run_steps(
    state: TrainingState,
    run: TrainingRun,
    images: Images,
    *,
    until: float,
    log: TrainingLog,
    on_step: OnStep,
    stopped: Callable[[], bool],
) -> None:
    """Take the steps that are left, until a stop or a time, with validations and checkpoints between them."""
    config, pace = state.config, Pace(until, run.fit)
    check = _validation_batches(images[1], state)
    maker = BatchMaker.of(images[0], config, state.device, seed=config.seed, augment=True, lesson=state.lesson)
    batches = in_order(maker, range(state.step, state.config.steps), workers=run.workers)
    stored_at = since = time.monotonic()
    count = choose_lanes(run.threads, batch_size=config.batch_size, device=state.device)
    lanes = Lanes(state.net, count, compiled=run.compiled)
    losses: list[Tensor] = []
    waited, row, loss, over = 0.0, None, math.nan, False
    while state.step < state.config.steps and not over and not stopped():
        asked = time.monotonic()
        batch = next(batches)
        waited += time.monotonic() - asked
        losses.append(take_step(state, batch, lanes))
        if state.device.type == "cpu" or state.step % STEPS_BETWEEN_LOOKS == 0:
            loss = float(losses[-1])  # a GPU has to be waited for
        over = pace.look(state)
        if state.step % config.validate_every == 0 or state.step == state.config.steps:
            mean = float(torch.stack(losses).mean())
            seconds = time.monotonic() - since  # after a GPU has been waited for
            row = LogRow(state.step, mean, _mean_dice(state, check), seconds / len(losses), waited / seconds)
            log.add(row)
            losses, waited, since = [], 0.0, time.monotonic()
        on_step(TrainingProgress(state.step, state.config.steps, loss, row))
        if time.monotonic() - stored_at > config.checkpoint_minutes * 60:
            state.store(run.out / "checkpoint.pt")
            stored_at = time.monotonic()


def _validation_batches(images: Sequence[LabelledImage], state: TrainingState) -> list[Batch]:
    """Draw the same patches at every start, in plain colours."""
    only_objects = state.config.model_copy(update={"background_share": 0.0})  # the Dice of nothing says nothing
    held_out = BatchMaker.of(images, only_objects, state.device, seed=VALIDATION_SEED, augment=False, lesson=state.lesson)
    return [held_out[i] for i in range(max(1, state.config.validation_patches // state.config.batch_size))]


@torch.no_grad()
def _mean_dice(state: TrainingState, batches: Sequence[Batch]) -> float:
    """Give the mean Dice of the averaged network at 0.5 over the validation patches."""
    scores = []
    for batch in batches:
        there = to_device(batch, state.device)
        with autocast(state.device):
            mask = state.lesson.probability(state.average, there) > 0.5
        wanted = there.wanted > 0
        overlap = (mask & wanted).sum((1, 2, 3))
        scores.append(2 * overlap / (mask.sum((1, 2, 3)) + wanted.sum((1, 2, 3))))
    return float(torch.cat(scores).mean())
