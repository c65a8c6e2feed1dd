"""Where a training reads and writes, and on what; apart from its configuration, so that the command line starts without pydantic."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class TrainingRun:
    """Where a run reads and writes, and on what.

    Attributes
    ----------
    data
        Folder that the folders of the sources are relative to.
    out
        Folder of checkpoint, log and finished weights; a run whose checkpoint lies in it continues.
    device
        ``auto``, ``cpu``, ``cuda``, ``cuda:1``, ``mps``.
    workers
        Processes that make batches beside the training; CUDA makes its own.
    threads
        On a CPU, cores that train, each on its part of a batch; None takes what ``OMP_NUM_THREADS`` says,
        else all, as long as each gets 8 patches. It goes into the result, as batch norm sees parts.
    minutes
        The run stops, as on Ctrl-C, after the step in which it is this old; None lets it end.
    fit
        The run takes as many steps as its minutes hold, whatever the configuration says, and its learning
        rate falls over these. How many there are goes into the card.
    compiled
        ``torch.compile`` fuses the operations of the network in training. It takes a minute at the start, and
        needs Triton on a GPU, or a C++ compiler on a CPU.
    init
        Model whose weights the run starts from: its name, or the path of its card, weights or folder;
        None starts from random ones.
    """

    data: Path
    out: Path
    device: str = "auto"
    workers: int = 1
    threads: int | None = None
    minutes: float | None = None
    fit: bool = False
    compiled: bool = False
    init: str | None = None
