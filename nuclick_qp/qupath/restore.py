"""Bringing back what a data file held before nuclick-qp first touched it."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from nuclick_qp.errors import NuClickError, WriteRefusedError
from nuclick_qp.qupath.folder.side_files import update_summary
from nuclick_qp.qupath.folder_project import FolderProject, data_content, fingerprint_of, refuse_unsafe
from nuclick_qp.qupath.protocol import ImageEntry
from nuclick_qp.qupath.qpdata.data_file import parse_data_file
from nuclick_qp.storage.atomic import write_atomically
from nuclick_qp.storage.guarded import backup_of, replace_data_file, write_refusal

UNDONE_SUFFIX = ".nuclick-undone-"  # and eight digits of the content's SHA-256: restoring twice keeps both

RestoreStatus = Literal["restored", "unchanged", "no-backup", "failed"]


@dataclass(frozen=True, slots=True)
class Restored:
    """What became of one image.

    Attributes
    ----------
    status
        ``restored``: it holds what the backup holds, or would without `dry_run`. ``unchanged``: it did already.
        ``no-backup``: no run has changed it, or one has made it from nothing. ``failed``: it is as it was.
    objects
        Objects in the backup, 0 where there is none.
    detail
        Where the content that was replaced lies now, or why it failed; may be empty.
    """

    image: str
    status: RestoreStatus
    objects: int = 0
    detail: str = ""


def restore_images(project: FolderProject, entries: Sequence[ImageEntry], *, dry_run: bool = False) -> list[Restored]:
    """Bring back the first backup of each image; one that fails does not keep the others from it.

    Nothing gets lost: what a file held until now is kept beside it. The backup stays.

    Parameters
    ----------
    dry_run
        Tell what would be done, and do nothing.
    """
    return [_try(project, entry, dry_run=dry_run) for entry in entries]


def _try(project: FolderProject, entry: ImageEntry, *, dry_run: bool) -> Restored:
    try:
        return _restore(project, entry, dry_run=dry_run)
    except NuClickError as err:
        return Restored(entry.name, "failed", detail=str(err))


def _restore(project: FolderProject, entry: ImageEntry, *, dry_run: bool) -> Restored:
    path = project.data_path(entry)
    backup = backup_of(path)
    old = data_content(backup)
    if old is None:
        return Restored(entry.name, "no-backup")
    objects = [(item.kind, item.class_name) for item, _ in parse_data_file(old, source=backup).root.walk()]
    now = data_content(path)
    refuse_unsafe(path, now, fingerprint=fingerprint_of(now))
    if now == old:
        return Restored(entry.name, "unchanged", len(objects))
    undone = None if now is None else path.with_name(f"{path.name}{UNDONE_SUFFIX}{hashlib.sha256(now).hexdigest()[:8]}")
    if not dry_run:
        if undone is not None and now is not None:
            _keep(undone, now)
        replace_data_file(path, old, old=now)
        update_summary(path, objects)
    return Restored(entry.name, "restored", len(objects), "" if undone is None else str(undone))


def _keep(path: Path, data: bytes) -> None:
    try:
        write_atomically(path, data)
    except OSError as err:
        raise WriteRefusedError(write_refusal(path, err)) from err
