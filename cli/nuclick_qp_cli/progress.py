"""A progress bar on stderr, with clicks per second."""

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.text import Text

from nuclick_qp.options import Progress as RunProgress


class ClicksPerSecond(ProgressColumn):
    """Prompts finished per second, over the last part of the run."""

    def render(self, task: Task) -> Text:
        """Give the text of the column."""
        speed = task.finished_speed or task.speed
        return Text(f"{speed:.0f} clicks/s" if speed else "- clicks/s")


@contextmanager
def show_progress() -> Iterator[RunProgress]:
    """Give the two callbacks of a run, drawn as one bar for the image at hand while the run lasts."""
    name = TextColumn("{task.description}", markup=False)  # names may hold square brackets
    columns = (name, BarColumn(), MofNCompleteColumn(), ClicksPerSecond(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True)) as bars:
        bar = bars.add_task("opening", total=None)

        def start_image(image: str, prompts: int) -> None:
            bars.reset(bar, total=prompts, description=image)

        def advance(count: int) -> None:
            bars.advance(bar, count)

        yield RunProgress(start_image, advance)
