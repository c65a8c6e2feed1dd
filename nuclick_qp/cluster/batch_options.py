"""Where a batch gets its workers from, and how often it tries."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

QueueSystem = Literal["slurm", "pbs", "sge"]


@dataclass(frozen=True, slots=True)
class JobQueue:
    """Workers as jobs of a cluster's queue.

    Attributes
    ----------
    system
        That of the queue.
    settings
        A YAML file as dask-jobqueue reads it: ``jobqueue: {slurm: {cores: ..., memory: ...}}``.
    jobs
        How many are kept running.
    """

    system: QueueSystem
    settings: Path
    jobs: int = 1


@dataclass(frozen=True, slots=True)
class ClusterOptions:
    """Where workers come from: of this machine, unless one of the others is named.

    Attributes
    ----------
    local
        Workers on this machine; its cores are shared out among them.
    scheduler
        Address of a scheduler that runs already.
    queue
        Jobs of a queue.
    retries
        How often an image is tried again when its worker has died, or when somebody has changed it meanwhile.
    """

    local: int = 2
    scheduler: str | None = None
    queue: JobQueue | None = None
    retries: int = 2
