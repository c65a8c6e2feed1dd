"""What an export tells its user: the JSON object of `export --json`, kept as `export.json`."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from nuclick_qp.errors import WriteRefusedError
from nuclick_qp.export.target import Target, write_file
from nuclick_qp.storage.atomic import make_folder
from nuclick_qp.storage.plain_files import read_file

RECORD = "export.json"


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True)


class TileReport(_Frozen):
    """Where a tile lies: its pixel (col, row) is at `x` + col * `downsample`, `y` + row * `downsample`."""

    name: str
    x: float
    y: float
    width: int
    height: int
    downsample: float
    mpp: float | None


class ImageExport(_Frozen):
    """What became of one image.

    Attributes
    ----------
    status
        ``ok``; ``nothing``: it has no objects, or no regions; ``failed``: `error` says why, and
        tiles that were done before are kept.
    objects
        Objects written, once for each tile they are in.
    cut
        Objects that reach beyond their tile.
    covered, unseen
        Objects of which smaller ones hide a part; objects without a pixel of their own: hidden, or
        too small for the pixel size.
    broken
        Objects left out because their outline encloses nothing.
    """

    image: str
    status: Literal["ok", "nothing", "failed"]
    error: str | None = None
    objects: int = 0
    cut: int = 0
    covered: int = 0
    unseen: int = 0
    broken: int = 0
    tiles: tuple[TileReport, ...] = ()


class ExportReport(_Frozen):
    """A whole export.

    Attributes
    ----------
    unknown_classes
        Classes that were asked for and that no object has: most likely a typing error.
    classes
        Full class names of all objects, of those left out too; an empty text is unclassified.
    files
        All files written but the record itself, relative to the folder.
    quoted_cells
        Cells of the table that have an apostrophe in front, because a spreadsheet would execute them.
    """

    project: str
    engine: str
    version: str
    format: str
    options: dict[str, Any]
    unknown_classes: tuple[str, ...] = ()
    classes: tuple[str, ...] = ()
    images: tuple[ImageExport, ...]
    files: tuple[str, ...]
    quoted_cells: int = 0

    @property
    def all_ok(self) -> bool:
        """Tell whether every image gave what was asked for."""
        return not self.unknown_classes and all(image.status != "failed" for image in self.images)


def prepare_folder(folder: Path, *, overwrite: bool) -> tuple[str, ...]:
    """Make the folder of an export, and give the files of an earlier one that is to be replaced.

    Raises
    ------
    WriteRefusedError
        If it cannot be made, holds anything and nothing is to be replaced, or was not made by an
        export.
    """
    make_folder(folder, option="--output")
    if not any(folder.iterdir()):
        return ()
    if not overwrite:
        raise WriteRefusedError(f"{folder} is not empty; name another folder, or pass --overwrite to replace an earlier export in it")
    try:
        record = ExportReport.model_validate_json(read_file(folder / RECORD))
    except (OSError, ValidationError) as err:
        raise WriteRefusedError(f"{folder} holds files and no {RECORD} of an earlier export that can be read; name another folder") from err
    return record.files


def write_export_record(target: Target, report: ExportReport) -> None:
    """Write the record of an export.

    Raises
    ------
    WriteRefusedError
        If the disk refuses.
    """
    write_file(target, RECORD, (json.dumps(report.model_dump(mode="json"), ensure_ascii=False, indent=1) + "\n").encode())


def remove_stale(folder: Path, names: Sequence[str]) -> None:
    """Remove files of an earlier export; names that lead out of the folder are left alone."""
    root = folder.resolve()
    for name in names:
        path = (root / name).resolve()
        if path.is_relative_to(root) and path.is_file():
            path.unlink()
