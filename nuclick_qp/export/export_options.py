"""What an export is asked to do."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from nuclick_qp.errors import OptionError
from nuclick_qp.kinds import OBJECT_KINDS, ObjectKind

Format = Literal["masks", "coco", "geojson", "csv", "asap"]
TILED: tuple[Format, ...] = ("masks", "coco")  # formats whose coordinates are those of tiles


@dataclass(frozen=True, slots=True)
class ExportOptions:
    """What an export of a project does.

    Attributes
    ----------
    format
        What is written; see the modules of this package.
    images
        Glob of image names; the others are left alone.
    classes
        Full class names of the objects, an empty text for unclassified ones; when empty, all but
        Training, Validation and those that end in ``*``.
    kinds
        What counts as an object; annotations are those that are closed.
    regions
        Class of the annotations that limit what is exported. They are upright rectangles, themselves
        no objects, and each becomes one tile. None exports whole images.
    mpp
        Micrometres per pixel of the tiles; None for that of the image.
    pixels
        Write the pixels of tiles beside what is said about them.
    image_root
        Folder to search for slides that are not where the project says.
    overwrite
        Replace an earlier export in the same folder.

    Raises
    ------
    OptionError
        If the pixel size is not one, or the format has no use for it.
    """

    format: Format = "masks"
    images: str = "*"
    classes: tuple[str, ...] = ()
    kinds: tuple[ObjectKind, ...] = OBJECT_KINDS
    regions: str | None = None
    mpp: float | None = None
    pixels: bool = True
    image_root: Path | None = None
    overwrite: bool = False

    def __post_init__(self) -> None:
        if self.mpp is not None and not (math.isfinite(self.mpp) and self.mpp > 0):
            raise OptionError(f"--mpp {self.mpp} is not a pixel size; give micrometres per pixel, such as 0.25")
        if self.mpp is not None and self.format not in TILED:
            raise OptionError(f"--mpp is for {' and '.join(TILED)}; {self.format} keeps the coordinates of the image: leave --mpp out")


def kinds_named(names: Sequence[str]) -> tuple[ObjectKind, ...]:
    """Give the kinds of objects that a user names, in the singular or the plural.

    Raises
    ------
    OptionError
        If there is no such kind, or none is named.
    """
    known = {kind: kind for kind in OBJECT_KINDS} | {f"{kind}s": kind for kind in OBJECT_KINDS}
    if not names or (unknown := [name for name in names if name not in known]):
        raise OptionError(f"--kinds {unknown[0]!r} is none of {', '.join(OBJECT_KINDS)}" if names else "--kinds names nothing to export")
    return tuple(dict.fromkeys(known[name] for name in names))
