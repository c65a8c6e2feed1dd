"""What only the user can say about a checkpoint that others made."""

import re
from dataclasses import dataclass

from nuclick_qp.errors import OptionError

LICENCE_UNKNOWN = "unknown: stated by whoever made the checkpoint"
PLAIN_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,99}")
TAKEN_WORDS = ("default", "none")  # what --points and --lines understand besides names


@dataclass(frozen=True, slots=True)
class ImportOptions:
    """How an imported model is called and used.

    Attributes
    ----------
    name
        Name of the model and of its files; None takes the name of the checkpoint.
    licence
        Under which licence the weights may be used.
    mpp, patch_px
        Micrometres per pixel of the patches it was trained on, and their side in pixels.
    threshold
        Probability from which on a pixel belongs to the object: 0.5 in the paper and in
        nuclick_torch, 0.33 in tiatoolbox. A file does not say which of the two it comes from.
    overwrite
        Replace an imported model of the same name.

    Raises
    ------
    OptionError
        If the name is no plain file name, or a number is out of range.
    """

    name: str | None = None
    licence: str = LICENCE_UNKNOWN
    mpp: float = 0.25
    patch_px: int = 128
    threshold: float = 0.5
    overwrite: bool = False

    def __post_init__(self) -> None:
        if self.name is not None:
            _check_name(self.name)
        if not 0.01 <= self.mpp <= 100:
            raise OptionError(f"a model works at 0.01 to 100 um per pixel, not at {self.mpp:g}; correct --mpp")
        if not 0 < self.patch_px <= 2048 or self.patch_px % 32:
            raise OptionError(f"the side of a patch is a multiple of 32 px up to 2048, not {self.patch_px}; correct --patch")
        if not 0 < self.threshold < 1:
            raise OptionError(f"a threshold lies between 0 and 1, not at {self.threshold:g}; correct --threshold")


def is_model_name(name: str) -> bool:
    """Tell whether a name can be that of a model: a file name on all systems, and no word that `run` knows."""
    return bool(PLAIN_NAME.fullmatch(name)) and not name.endswith((".", ".json")) and name not in TAKEN_WORDS


def _check_name(name: str) -> None:
    """Refuse what is no file name on some system, or means something else where models are named."""
    if not PLAIN_NAME.fullmatch(name) or name.endswith((".", ".json")):
        raise OptionError(f"{name!r} cannot be the name of a model; give one of letters, digits, '.', '_' and '-' with --name")
    if name in TAKEN_WORDS:
        raise OptionError(f"{name!r} means something else to --points and --lines; give another --name")
