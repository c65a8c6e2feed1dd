"""How far a batch is, on stderr: a bar in a terminal, elsewhere one line a minute."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn

from nuclick_qp.cluster.batch_course import BatchProgress, Course
from nuclick_qp_cli.progress import Lines, about, telling_once

Shown = tuple[Callable[[Course], None], Callable[[str], None]]


@contextmanager
def show_batch(stopped: Callable[[], bool]) -> Iterator[BatchProgress]:
    """Give what a batch calls, and show how far it is while it lasts.

    Parameters
    ----------
    stopped
        Whether the user asked for a stop; that it was noticed is told.
    """
    console = Console(stderr=True)
    with _bar(console) if console.is_terminal else _lines() as (show, say):
        yield BatchProgress(show, telling_once(stopped, say))


@contextmanager
def _bar(console: Console) -> Iterator[Shown]:
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), TextColumn("{task.fields[pace]}", markup=False))
    with Progress(*columns, console=console) as bars:
        bar = bars.add_task("opening", total=None, pace="")

        def show(course: Course) -> None:
            bars.update(bar, description=_where(course), completed=course.images_done, total=course.images, pace=_pace(course))

        yield show, lambda text: bars.console.print(text, markup=False)


@contextmanager
def _lines() -> Iterator[Shown]:
    lines = Lines()
    yield lambda course: lines.say_now_and_then(lambda: f"{_where(course)}, {_pace(course)}"), lines.say


def _where(course: Course) -> str:
    return f"{course.projects_done} of {course.projects} projects, {course.images_done} of {course.images} images"


def _pace(course: Course) -> str:
    left = "" if course.seconds_left is None else f", {about(course.seconds_left)} left"
    workers = f"{course.workers} worker(s): {course.clicks_per_second:.1f} clicks/s" if course.workers else "no worker has come yet"
    return f"{workers}{left}"
