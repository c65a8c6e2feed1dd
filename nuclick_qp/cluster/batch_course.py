"""How far a batch is."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from nuclick_qp.stopping import never


@dataclass
class Course:
    """How far a batch is.

    Attributes
    ----------
    projects, images
        All of them.
    projects_done, images_done, prompts_done
        Finished ones; prompts also of images that are being worked on.
    workers, threads
        Those that are there now; each thread works on an image.
    workers_seen, workers_lost
        All that were there, and how many of them went away without being asked to.
    repeated
        Images that were worked on again.
    """

    projects: int = 0
    images: int = 0
    projects_done: int = 0
    images_done: int = 0
    prompts_done: int = 0
    workers: int = 0
    threads: int = 0
    workers_seen: set[str] = field(default_factory=set)
    workers_lost: int = 0
    repeated: int = 0
    since: float = field(default_factory=time.monotonic)

    @property
    def seconds(self) -> float:
        """Time since the start."""
        return time.monotonic() - self.since

    @property
    def clicks_per_second(self) -> float:
        """Prompts finished per second, by all workers together."""
        return self.prompts_done / max(self.seconds, 1e-9)

    @property
    def seconds_left(self) -> float | None:
        """Time until the end, if later images take as long as those before; None before any is finished."""
        return self.seconds / self.images_done * (self.images - self.images_done) if self.images_done else None


@dataclass(frozen=True, slots=True)
class BatchProgress:
    """Where a batch tells how far it is: `show` is called twice a second; for `stopped` see `run_options.Progress`."""

    show: Callable[[Course], None] = lambda course: None
    stopped: Callable[[], bool] = never
