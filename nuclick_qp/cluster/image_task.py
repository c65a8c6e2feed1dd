"""What a worker does: read an image, segment what is to be done in it, and give back what was found. It writes nothing."""

import logging
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from distributed import get_worker

from nuclick_qp import __version__
from nuclick_qp.annotations.objects import EntryContent
from nuclick_qp.errors import ClusterError, ModelError
from nuclick_qp.kinds import PromptKind
from nuclick_qp.qupath.image_by_image import work_or_error
from nuclick_qp.qupath.locate import SlidePlaces
from nuclick_qp.qupath.open_project import open_project
from nuclick_qp.qupath.protocol import ImageEntry
from nuclick_qp.run.image_work import ImageJob, read_planned, segment_planned
from nuclick_qp.run.models import ModelNames, Models
from nuclick_qp.run.resume import Plan
from nuclick_qp.run.run_options import Progress, RunOptions

if TYPE_CHECKING:  # importing it loads torch
    from nuclick_qp.run.image import Segmented

SECONDS_BETWEEN_EVENTS = 1.0
_stopped: set[str] = set()  # batches that were stopped; this process outlives them where the scheduler is not ours
_loaded: dict[object, Models] = {}  # the models of the last task; threads of a worker share them
_loading = threading.Lock()


@dataclass(frozen=True, slots=True)
class ImageTask:
    """One image, as it travels to a worker.

    Attributes
    ----------
    batch
        Names the batch, and the topic under which its workers tell how far they are.
    key
        Of the task.
    project
        Absolute path; workers see it under the same one.
    checksums
        Of the models' weights, by kind of prompt: those that the results will be said to come from.
    version
        Of nuclick-qp where the task was made.
    """

    batch: str
    key: str
    project: Path
    entry: ImageEntry
    names: ModelNames
    checksums: tuple[tuple[PromptKind, str], ...]
    options: RunOptions
    version: str


@dataclass(frozen=True, slots=True)
class ImageAnswer:
    """What became of an image on a worker.

    Attributes
    ----------
    content, plan
        What was read, and what was to be done; None where it could not be read.
    found
        What was found; None where there was nothing to do, or an error.
    error, host
        Why the image failed, and the machine that worked on it.
    device, precision
        Of the networks; ``none`` where none was needed.
    told
        Warnings by their level.
    """

    seconds: float
    content: EntryContent | None = None
    plan: Plan | None = None
    found: "Segmented | None" = None
    error: str | None = None
    host: str = ""
    device: str = "none"
    precision: str = "none"
    told: tuple[tuple[int, str], ...] = ()


def work_on_image(task: ImageTask) -> ImageAnswer:
    """Read and segment one image.

    Raises
    ------
    ClusterError
        If this worker has another version of nuclick-qp, or other weights.
    ModelError
        If a model cannot be loaded here. All images would fail for it.
    """
    host, since = socket.gethostname(), time.perf_counter()
    if task.version != __version__:
        raise ClusterError(f"the worker on {host} has nuclick-qp {__version__}, and this is {task.version}; install the same everywhere")
    with _messages() as told:
        done = work_or_error(lambda: _read_and_segment(task), image_name=task.entry.name)
    if isinstance(done, ClusterError | ModelError):
        raise type(done)(f"the worker on {host}: {done}")
    seconds = time.perf_counter() - since
    if isinstance(done, Exception):
        return ImageAnswer(seconds, error=str(done), host=host, told=tuple(told))
    content, plan, found = done
    models = _models_of(task)
    return ImageAnswer(seconds, content, plan, found, host=host, device=models.device, precision=models.precision, told=tuple(told))


def stop_batch(batch: str) -> None:
    """Let the tasks of a batch on this worker leave off: they give back what is done."""
    _stopped.add(batch)


def is_stopped(batch: str) -> bool:
    """Tell whether that was said here of a batch."""
    return batch in _stopped


def _read_and_segment(task: ImageTask) -> "tuple[EntryContent, Plan, Segmented | None]":
    models = _models_of(task)
    with open_project(task.project) as project:
        places = SlidePlaces(project.path, project.stored_uri, task.options.image_root)
        job = ImageJob(project, task.entry, models, task.options, _progress(task), places)
        content, plan = read_planned(job)
        if not plan.todo:
            return content, plan, None
        with _loading:  # once, whatever several threads of a worker begin with
            models.load()
        return content, plan, segment_planned(job, content, plan)


def _models_of(task: ImageTask) -> Models:
    """Give the models of a task; those of the last one stay loaded.

    Raises
    ------
    ClusterError
        If their weights are others than where the task was made.
    """
    wanted = (task.names, task.checksums)
    with _loading:
        if wanted not in _loaded:
            models = task.names.find()
            if checksums_of(models) != task.checksums:
                names = ", ".join(sorted(card.name for card in models.cards.values()))
                raise ClusterError(f"it has other weights for {names} than this machine; install the same everywhere")
            _loaded.clear()
            _loaded[wanted] = models
        return _loaded[wanted]


def checksums_of(models: Models) -> tuple[tuple[PromptKind, str], ...]:
    """Give the checksums of weights by kind of prompt."""
    return tuple(sorted((kind, card.sha256) for kind, card in models.cards.items()))


def _progress(task: ImageTask) -> Progress:
    """Tell how many prompts of an image are finished, now and then, to whoever follows the batch."""
    worker, done, told_at = get_worker(), 0, time.monotonic()

    def advance(count: int) -> None:
        nonlocal done, told_at
        done += count
        if time.monotonic() - told_at >= SECONDS_BETWEEN_EVENTS:
            told_at = time.monotonic()
            worker.log_event(task.batch, {"key": task.key, "done": done})

    return Progress(advance=advance, stopped=lambda: is_stopped(task.batch))


@contextmanager
def _messages() -> Iterator[list[tuple[int, str]]]:
    """Collect what this thread warns of: the user looks at another terminal."""
    told: list[tuple[int, str]] = []
    thread = threading.get_ident()

    class Collector(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            told.append((record.levelno, self.format(record)))

    collector, ours = Collector(logging.WARNING), logging.getLogger("nuclick_qp")
    collector.addFilter(lambda record: record.thread == thread)
    ours.addHandler(collector)
    try:
        yield told
    finally:
        ours.removeHandler(collector)
