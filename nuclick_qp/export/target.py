"""What every format is given, and what it gives back."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Generic, TypeVar

from nuclick_qp.annotations.objects import UNCLASSIFIED
from nuclick_qp.errors import WriteRefusedError
from nuclick_qp.export.export_options import ExportOptions
from nuclick_qp.export.tiles import ExportTile
from nuclick_qp.qupath.locate import SlidePlaces
from nuclick_qp.storage.atomic import write_atomically

RowT = TypeVar("RowT")


@dataclass(frozen=True, slots=True)
class Target:
    """Where an export goes, and what it is asked to do.

    Attributes
    ----------
    class_colours
        Packed ARGB colours of the project's list of classes, by full name.
    """

    folder: Path
    options: ExportOptions
    places: SlidePlaces
    class_colours: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Written(Generic[RowT]):
    """What was exported at once: one tile, or one image for formats without tiles.

    Attributes
    ----------
    files
        Names of the files written, relative to the folder of the export.
    rows
        What the summary of the format, written last, needs of it.
    objects
        Number of objects in it.
    cut
        Those that reach beyond the tile.
    covered, unseen
        Those of which other objects hide a part, and those that have no pixel at all.
    """

    files: tuple[str, ...] = ()
    rows: tuple[RowT, ...] = ()
    tile: ExportTile | None = None
    objects: int = 0
    cut: int = field(default=0, kw_only=True)
    covered: int = field(default=0, kw_only=True)
    unseen: int = field(default=0, kw_only=True)


@dataclass(frozen=True, slots=True)
class Summarised:
    """What was written about all images together.

    Attributes
    ----------
    files
        Names of the files written, relative to the folder of the export.
    quoted_cells
        Cells of the table with an apostrophe in front, because a spreadsheet would execute them.
    """

    files: tuple[str, ...] = ()
    quoted_cells: int = 0


def number_classes(names: Iterable[str | None]) -> dict[str, int]:
    """Give classes numbers from 1 in the order of their names, the same for the same classes."""
    return {name: number for number, name in enumerate(sorted({name or UNCLASSIFIED for name in names}), start=1)}


def write_file(target: Target, name: str, data: bytes) -> str:
    """Write a file into the folder of the export, all of it or nothing, and give its name.

    Raises
    ------
    WriteRefusedError
        If the disk refuses.
    """
    path = target.folder / name
    try:
        path.parent.mkdir(exist_ok=True)
        write_atomically(path, data)
    except OSError as err:
        raise WriteRefusedError(f"{path} cannot be written ({err.strerror}); free some space, or choose another folder") from err
    return name
