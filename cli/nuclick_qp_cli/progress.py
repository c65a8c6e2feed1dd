"""Progress bars on stderr: of a run, with clicks per second, and of a training."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.text import Text

from nuclick_qp.plain_text import LONGEST_NAME, printable
from nuclick_qp.run.run_options import Progress as RunProgress

if TYPE_CHECKING:  # importing it loads torch
    from nuclick_qp.training.loop import TrainingProgress


class ClicksPerSecond(ProgressColumn):
    """Prompts finished per second, over the last part of the run."""

    def render(self, task: Task) -> Text:
        """Give the text of the column."""
        speed = task.finished_speed or task.speed
        return Text(f"{speed:.0f} clicks/s" if speed else "- clicks/s")


@contextmanager
def show_progress(stopped: Callable[[], bool]) -> Iterator[RunProgress]:
    """Give the two callbacks of a run, drawn as one bar for the image at hand while the run lasts."""
    name = TextColumn("{task.description}", markup=False)  # names may hold square brackets
    columns = (name, BarColumn(), MofNCompleteColumn(), ClicksPerSecond(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True)) as bars:
        bar = bars.add_task("opening", total=None)

        def start_image(image: str, prompts: int) -> None:
            bars.reset(bar, total=prompts, description=printable(image, longest=LONGEST_NAME))

        def advance(count: int) -> None:
            bars.advance(bar, count)

        told = False

        def tell_stop() -> bool:
            nonlocal told
            if stopped() and not told:
                told = True
                bars.print("stopping: what is done is being written; Ctrl-C again stops at once")
            return told

        yield RunProgress(start_image, advance, tell_stop)


@contextmanager
def show_training() -> Iterator["Callable[[TrainingProgress], None]"]:
    """Give the callback of a training run, drawn as one bar with the last loss and validation Dice."""
    text = TextColumn("{task.description}", markup=False)
    columns = (BarColumn(), MofNCompleteColumn(), text, TimeRemainingColumn(elapsed_when_finished=True))
    with Progress(*columns, console=Console(stderr=True)) as bars:
        bar = bars.add_task("reading images", total=None)

        def show(progress: "TrainingProgress") -> None:
            checked = "" if progress.row is None else f", validation Dice {progress.row.dice:.3f} at {progress.row.step}"
            bars.update(bar, completed=progress.step, total=progress.steps, description=f"loss {progress.loss:.3f}{checked}")

        yield show
