"""A progress bar on stderr, with clicks per second."""

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.text import Text

from nuclick_qp.pipeline import Progress as RunProgress


class ClicksPerSecond(ProgressColumn):
    """Prompts finished per second, over the last part of the run."""

    def render(self, task: Task) -> Text:
        """Give the text of the column."""
        speed = task.finished_speed or task.speed
        return Text(f"{speed:.0f} clicks/s" if speed else "- clicks/s")


@contextmanager
def show_progress() -> Iterator[RunProgress]:
    """Give the two callbacks of a run, drawn as one bar per image while the run lasts."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), ClicksPerSecond(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True)) as bars:

        def start_image(name: str, prompts: int) -> None:
            bars.add_task(name, total=prompts)

        def advance(count: int) -> None:
            bars.advance(bars.task_ids[-1], count)

        yield RunProgress(start_image, advance)
