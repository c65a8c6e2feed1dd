"""From the outlines of a QuPath project to a model that suits them, measured and ready for use."""

import hashlib
import logging
import re
import time
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from nuclick_qp.errors import WeightsError
from nuclick_qp.model.cards import FOLDER_VARIABLE, WEIGHTS_SUFFIX, Card, find_card, read_card, user_models_folder
from nuclick_qp.model.checkpoints import load_network
from nuclick_qp.model.devices import choose_device
from nuclick_qp.model.foreign import check_free, import_checkpoint
from nuclick_qp.model.import_options import ImportOptions
from nuclick_qp.model.predictor import Predictor
from nuclick_qp.qupath.open_project import open_project
from nuclick_qp.run.run_record import RECORD_FOLDER
from nuclick_qp.storage.atomic import make_folder, write_atomically
from nuclick_qp.storage.plain_files import LARGEST_SMALL_FILE, is_there, read_file
from nuclick_qp.training.config import TrainingConfig
from nuclick_qp.training.finish import finish
from nuclick_qp.training.loop import Images, OnStep, train
from nuclick_qp.training.sources import load_images
from nuclick_qp.training.state import TrainingState
from nuclick_qp.training.training_run import TrainingRun
from nuclick_qp.tuning.held_out import Measured, measure
from nuclick_qp.tuning.picture import draw_picture
from nuclick_qp.tuning.recipe import config_for, steps_within
from nuclick_qp.tuning.tune_options import TuneOptions

logger = logging.getLogger(__name__)

LAST_SECONDS = 10.0  # for weights and figures, after the last step


@dataclass(frozen=True, slots=True)
class Tuned:
    """What became of a tuning.

    Attributes
    ----------
    card
        Of the new model, which lies in `out`.
    learned
        Outlines that it learned from.
    before, after
        The model that it started from and the new one, on the outlines that were held out.
    out
        Folder of weights, card, log and figures.
    picture
        The figure of before and after; None where matplotlib is missing.
    installed
        Whether the new model is among the user's: only if it is better.
    """

    card: Card
    learned: int
    before: Measured
    after: Measured
    out: Path
    picture: Path | None
    installed: bool


class _Begun(BaseModel):
    """What a stopped tuning has to go on with; stored as ``tuning.json``."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    learns_from: str
    steps: int


def tune(project: Path, options: TuneOptions | None = None, *, on_step: OnStep = lambda progress: None) -> Tuned:
    """Tune a model to the outlines that somebody drew in a project, and put it among the user's models if it is better.

    Part of the outlines is held out (see `hold_out`), never shown in training, and measured before and
    after. The project is only read, so QuPath may have it open; what it has not saved is not seen.
    Ctrl-C leaves what is learned so far as a model in the output folder; the same call goes on with the
    same outlines, and begins anew with others.

    Raises
    ------
    OptionError
        If the name is taken, by a model that was not tuned to this project.
    WriteRefusedError
        If the models folder or the output folder cannot hold files.
    TrainingDataError
        If there are too few outlines, or nothing can be held out.
    NuClickError
        If project, slide, model or device cannot be used.
    KeyboardInterrupt
        After Ctrl-C.
    """
    since, options = time.monotonic(), options or TuneOptions()
    with open_project(project) as opened:
        path = opened.path.resolve()
    start, weights = find_card(options.init)
    name = options.name or default_name(start.name, path)
    target = user_models_folder() / f"{name}{WEIGHTS_SUFFIX}"
    check_free(target, overwrite=options.overwrite or _is_tuned_to(target, path))
    make_folder(target.parent, option=FOLDER_VARIABLE)
    out, root = options.out or path.parent / RECORD_FOLDER / "training" / name, options.image_root or path.parent
    make_folder(out, option="--out")
    config = config_for(start, path, options, name=name, steps=1)
    images = load_images(config, root)
    before = measure(images[1], Predictor(start, load_network(start, weights), device=options.device))
    spent = time.monotonic() - since
    begun = _begin(out, _Begun(learns_from=_digest(images, start, config), steps=0))
    steps = begun.steps or steps_within(60 * options.minutes - spent - LAST_SECONDS, config, options)
    config = config_for(start, path, options, name=name, steps=steps)
    write_atomically(out / "tuning.json", begun.model_copy(update={"steps": steps}).model_dump_json().encode())
    run = TrainingRun(root, out, device=options.device, workers=options.workers, threads=options.threads, init=options.init)
    try:
        card = train(config, run, images=images, on_step=on_step)
    except KeyboardInterrupt:
        _keep_so_far(config, run, images, start)
        raise
    after = measure(images[1], Predictor.load(str(out / f"{name}.json"), device=options.device))
    picture = draw_picture(images[1], before, after, out / "before-after.png")
    installed = after.iou > before.iou
    if installed:
        import_checkpoint(out / f"{name}.json", ImportOptions(name=name, overwrite=True))
    _forget(out)
    return Tuned(card, sum(len(image.centroids) for image in images[0]), before, after, out, picture, installed)


def default_name(start: str, project: Path) -> str:
    """Name a model after the one that it starts from and the folder of its project.

    Examples
    --------
    >>> default_name("nuclei", Path("/data/Ki67 (2024)/project.qpproj"))
    'nuclei-Ki67-2024'
    """
    ending = "-" + (re.sub(r"[^A-Za-z0-9]+", "-", project.parent.name).strip("-") or "mine")
    return (start.removesuffix(ending) + ending)[:100]


def _is_tuned_to(target: Path, project: Path) -> bool:
    """Tell whether the model at a place was tuned to a project, so that the next tuning of it may take its name."""
    try:
        sources = read_card(target.with_suffix(".json")).training["config"]["sources"]
        return [source["project"] for source in sources] == [str(project)]
    except (WeightsError, LookupError, TypeError):
        return False


def _digest(images: Images, start: Card, config: TrainingConfig) -> str:
    """Give a hash of all that a tuning learns from and is measured on."""
    digest = hashlib.sha256((start.sha256 + config.model_dump_json()).encode())
    for part in images:
        for image in part:
            digest.update(image.pixels.tobytes() + image.labels.tobytes())
        digest.update(b"|")
    return digest.hexdigest()


def _begin(out: Path, wanted: _Begun) -> _Begun:
    """Give the tuning that a folder holds, if it learns from the same; else make room for a new one."""
    try:
        begun = _Begun.model_validate_json(read_file(out / "tuning.json", most=LARGEST_SMALL_FILE))
    except (OSError, ValidationError):
        return wanted
    if begun.learns_from == wanted.learns_from and is_there(out / "checkpoint.pt"):
        return begun
    logger.info("%s holds the beginning of a tuning to other outlines; this one begins anew", out)
    _forget(out)
    return wanted


def _forget(out: Path) -> None:
    """Remove what a tuning goes on with, so that the next one begins anew."""
    for name in ("checkpoint.pt", "tuning.json"):
        (out / name).unlink(missing_ok=True)


def _keep_so_far(config: TrainingConfig, run: TrainingRun, images: Images, start: Card) -> None:
    """Write the weights of a tuning that was stopped; nobody has measured them."""
    if is_there(run.out / "checkpoint.pt"):
        state = TrainingState.new(config, choose_device(run.device))
        state.restore(run.out / "checkpoint.pt")
        finish(state.average, config, run.out, images=images[0], start=start)
