"""How far a run or a training is, on stderr: a bar in a terminal, elsewhere one line a minute."""

import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from nuclick_qp.plain_text import LONGEST_NAME, printable
from nuclick_qp.run.run_options import ImageStart
from nuclick_qp.run.run_options import Progress as RunProgress
from nuclick_qp_cli.terminal import note

if TYPE_CHECKING:  # importing it loads torch
    from nuclick_qp.training.loop import TrainingProgress

SECONDS_BETWEEN_LINES = 60.0
SECONDS_BETWEEN_EVENTS = 0.25
STOPPING = "stopping: what is done is being written; Ctrl-C again stops at once"


class RunCourse:
    """How far a run is, and how long it may still take.

    How much work the later images hold is not known before they are read, and reading all of them first
    would double the time of a run with nothing to do: they are taken to hold as much as those before.
    """

    def __init__(self) -> None:
        self._since = time.monotonic()
        self.image = ImageStart("", prompts=0, number=0, images=0)
        self.done_here = 0
        self._begun = self._done = 0  # prompts of the images so far, and those of them that are finished

    def start(self, image: ImageStart) -> None:
        """Note that work on an image begins."""
        self.image, self.done_here = image, 0
        self._begun += image.prompts

    def advance(self, count: int) -> None:
        """Note that so many more prompts of the image are finished."""
        self.done_here += count
        self._done += count

    @property
    def clicks_per_second(self) -> float:
        """Prompts finished per second since the start."""
        return self._done / max(time.monotonic() - self._since, 1e-9)

    @property
    def seconds_left(self) -> float | None:
        """Time until the end of the run; None before anything is finished."""
        if not self._done:
            return None
        later = self._begun / self.image.number * (self.image.images - self.image.number)
        return (self.image.prompts - self.done_here + later) / self.clicks_per_second

    @property
    def where(self) -> str:
        """Which image of how many."""
        return f"image {self.image.number} of {self.image.images}: {printable(self.image.name, longest=LONGEST_NAME)}"

    @property
    def pace(self) -> str:
        """Speed, and time left."""
        left = self.seconds_left
        return "" if left is None else f"{self.clicks_per_second:.1f} clicks/s, {about(left)} left"


class Lines:
    """Says something now and then, where there is no terminal.

    Parameters
    ----------
    apart_s
        Seconds between two lines.
    """

    def __init__(self, apart_s: float = SECONDS_BETWEEN_LINES) -> None:
        self._apart_s = apart_s
        self._told_at = -apart_s

    def say(self, text: str) -> None:
        """Print a line to stderr; that nobody reads it any more is no reason to end the work."""
        with suppress(OSError, ValueError):
            note(text)
            sys.stderr.flush()

    def say_now_and_then(self, text: Callable[[], str]) -> None:
        """Print a line unless one was printed a moment ago."""
        if time.monotonic() - self._told_at >= self._apart_s:
            self._told_at = time.monotonic()
            self.say(text())


@contextmanager
def show_progress(stopped: Callable[[], bool], *, as_json: bool = False) -> Iterator[RunProgress]:
    """Give what a run calls, and show how far it is while it lasts.

    Parameters
    ----------
    stopped
        Whether the user asked for a stop; that it was noticed is told.
    as_json
        Tell it to a program, see `_events`.
    """
    console = Console(stderr=True)
    with _events() if as_json else _bar(console) if console.is_terminal else _lines() as (course, show, say):

        def start_image(image: ImageStart) -> None:
            course.start(image)
            show()

        def advance(count: int) -> None:
            course.advance(count)
            show()

        yield RunProgress(start_image, advance, telling_once(stopped, say))


def telling_once(stopped: Callable[[], bool], say: Callable[[str], None]) -> Callable[[], bool]:
    """Give the same question, which says when it is first answered with yes that the stop was noticed."""
    has_told = False

    def is_stopped() -> bool:
        nonlocal has_told
        if stopped() and not has_told:
            has_told = True
            say(STOPPING)
        return has_told

    return is_stopped


Shown = tuple[RunCourse, Callable[[], None], Callable[[str], None]]


@contextmanager
def _bar(console: Console) -> Iterator[Shown]:
    columns = (_text("description"), BarColumn(), MofNCompleteColumn(), _text("fields[pace]"))
    with Progress(*columns, console=console) as bars:
        bar, course = bars.add_task("opening", total=None, pace=""), RunCourse()

        def show() -> None:
            bars.update(bar, description=course.where, completed=course.done_here, total=course.image.prompts, pace=course.pace)

        yield course, show, lambda text: bars.console.print(text, markup=False)


@contextmanager
def _lines() -> Iterator[Shown]:
    lines, course = Lines(), RunCourse()

    def line() -> str:
        counts = f"{course.done_here} of {course.image.prompts} prompts"
        return ", ".join(part for part in (course.where, counts, course.pace) if part)

    def show() -> None:
        if course.image.prompts:
            lines.say_now_and_then(line)

    yield course, show, lines.say


@contextmanager
def _events() -> Iterator[Shown]:
    """Tell how far a run is as JSON objects, at most a few each second, but the first of each image at once."""
    lines, course = Lines(SECONDS_BETWEEN_EVENTS), RunCourse()

    def event() -> str:
        at, left = course.image, course.seconds_left
        where = {"image": at.name, "number": at.number, "images": at.images, "prompts": at.prompts, "done": course.done_here}
        pace = {"clicks_per_second": round(course.clicks_per_second, 2), "seconds_left": None if left is None else round(left, 1)}
        return json.dumps(where | pace)

    def show() -> None:
        if course.done_here in (0, course.image.prompts):
            lines.say(event())
        else:
            lines.say_now_and_then(event)

    yield course, show, lines.say


@contextmanager
def show_training() -> Iterator["Callable[[TrainingProgress], None]"]:
    """Give the callback of a training run, shown with the last loss and validation Dice."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield _training_lines()
        return
    columns = (BarColumn(), MofNCompleteColumn(), _text("description"), TimeRemainingColumn(elapsed_when_finished=True))
    with Progress(*columns, console=console) as bars:
        bar = bars.add_task("reading images", total=None)
        yield lambda at: bars.update(bar, completed=at.step, total=at.steps, description=_losses(at))


def _training_lines() -> "Callable[[TrainingProgress], None]":
    lines, since, first = Lines(), time.monotonic(), 0

    def show(at: "TrainingProgress") -> None:
        nonlocal first
        first = first or at.step
        each = (time.monotonic() - since) / (at.step - first + 1)
        lines.say_now_and_then(lambda: f"step {at.step} of {at.steps}, {_losses(at)}, {about(each * (at.steps - at.step))} left")

    return show


def _losses(at: "TrainingProgress") -> str:
    checked = "" if at.row is None else f", validation Dice {at.row.dice:.3f} at {at.row.step}"
    return f"loss {at.loss:.3f}{checked}"


def _text(what: str) -> TextColumn:
    return TextColumn(f"{{task.{what}}}", markup=False)  # names may hold square brackets


def about(seconds: float) -> str:
    """Say a time as people do.

    Examples
    --------
    >>> about(8), about(100), about(3000), about(9000), about(400_000)
    ('about 8 s', 'about 2 min', 'about 50 min', 'about 2.5 h', 'about 4.6 days')
    """
    if seconds < 90:
        return f"about {seconds:.0f} s"
    if seconds < 5400:
        return f"about {seconds / 60:.0f} min"
    return f"about {seconds / 3600:.1f} h" if seconds < 172_800 else f"about {seconds / 86_400:.1f} days"
