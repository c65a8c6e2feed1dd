"""What a user says of a tuning."""

from dataclasses import dataclass
from pathlib import Path

from nuclick_qp.errors import OptionError
from nuclick_qp.model.import_options import is_model_name


@dataclass(frozen=True, slots=True)
class TuneOptions:
    """What a user says of a tuning.

    Attributes
    ----------
    init
        Model to start from, by name or path; its kind of prompt is that of the new model.
    name
        Of the new model; None makes one of that of the start and that of the project's folder.
    classes
        Only outlines of these classes (an empty name for unclassified ones); empty takes all.
    minutes
        How long it may take, about, from start to figure.
    mpp
        Micrometres per pixel, where neither project nor slide states it.
    image_root
        Folder to search for slides that have moved; None is that of the project.
    out
        Folder for checkpoint, figures and weights; None is one beside the project.
    overwrite
        Replace a model of that name, whatever made it.
    device, workers, threads
        As for every training.

    Raises
    ------
    OptionError
        If the name can be none of a model, or there is no time.
    """

    init: str = "nuclei"
    name: str | None = None
    classes: tuple[str, ...] = ()
    minutes: float = 5.0
    mpp: float | None = None
    image_root: Path | None = None
    out: Path | None = None
    overwrite: bool = False
    device: str = "auto"
    workers: int = 1
    threads: int | None = None

    def __post_init__(self) -> None:
        if self.name is not None and not is_model_name(self.name):
            raise OptionError(
                f"{self.name!r} cannot be the name of a model; give one of letters, digits, '.', '_' and '-' with --name, "
                "but neither 'default' nor 'none'"
            )
        if not self.minutes > 0:
            raise OptionError(f"--minutes {self.minutes:g} leaves no time; give 5, or more")
