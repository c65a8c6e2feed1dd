"""Bringing back what a data file held before nuclick-qp first touched it."""

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, get_args

from nuclick_qp.annotations.going_back import Losses, losses
from nuclick_qp.annotations.sorting import FoundKind, FoundObject
from nuclick_qp.errors import NuClickError, UnreadableDataError, WriteRefusedError
from nuclick_qp.qupath.folder.side_files import update_summary
from nuclick_qp.qupath.folder_project import FolderProject, data_content, fingerprint_of, refuse_unsafe
from nuclick_qp.qupath.protocol import ImageEntry
from nuclick_qp.qupath.qpdata.data_file import DataFile, parse_data_file
from nuclick_qp.qupath.qpdata.found_objects import found_objects
from nuclick_qp.storage.atomic import replace_atomically, write_refusal
from nuclick_qp.storage.guarded import backup_of, qupath_backup_of, replace_data_file
from nuclick_qp.storage.plain_files import is_there

UNDONE_SUFFIX = ".nuclick-undone-"  # and eight digits of the content's SHA-256: restoring twice keeps both

RestoreStatus = Literal["restored", "refused", "unchanged", "no-backup", "failed"]


@dataclass(frozen=True, slots=True)
class Restored:
    """What became of one image.

    Attributes
    ----------
    status
        ``restored``: it holds what the backup holds, or would without `dry_run`. ``refused``: what a user
        drew would go, and nothing was done. ``unchanged``: it held what the backup holds already.
        ``no-backup``: no run has changed it, or one has made it from nothing. ``failed``: it is as it was.
    objects
        Objects in the backup, 0 where there is none.
    goes
        What is there now and not in the backup, or not so.
    detail
        Where the content that was replaced lies now, or why it failed; may be empty.
    """

    image: str
    status: RestoreStatus
    objects: int = 0
    goes: Losses = field(default_factory=Losses)
    detail: str = ""


def restore_images(
    project: FolderProject, entries: Sequence[ImageEntry], *, force: bool = False, dry_run: bool = False
) -> list[Restored]:
    """Bring back the first backup of each image; one that fails does not keep the others from it.

    Nothing gets lost: what a file held until now is kept beside it. The backup stays.

    Parameters
    ----------
    force
        Also where objects go that are not ours: what users drew or changed since the backup was made.
    dry_run
        Tell what would be done, and do nothing.
    """
    return [_try(project, entry, force=force, dry_run=dry_run) for entry in entries]


def _try(project: FolderProject, entry: ImageEntry, *, force: bool, dry_run: bool) -> Restored:
    try:
        has_backup = is_there(backup_of(project.data_path(entry)))
        if not has_backup and not dry_run:
            project.remove_stale_locks(entry)
        with project.hold(entry) if has_backup and not dry_run else nullcontext():
            return _restore(project, entry, force=force, dry_run=dry_run)
    except NuClickError as err:
        return Restored(entry.name, "failed", detail=str(err))


def _restore(project: FolderProject, entry: ImageEntry, *, force: bool, dry_run: bool) -> Restored:
    path = project.data_path(entry)
    backup = backup_of(path)
    old = data_content(backup)
    if old is None:
        return Restored(entry.name, "no-backup")
    then = parse_data_file(old, source=backup)
    objects = [(item.kind, item.class_name) for item, _ in then.root.walk()]
    now = data_content(path)
    refuse_unsafe(path, now, fingerprint=fingerprint_of(now))
    if now == old:
        return Restored(entry.name, "unchanged", len(objects))
    goes = Losses() if now is None else _goes(now, path, then)
    if goes.of_user and not force:
        return Restored(entry.name, "refused", len(objects), goes)
    undone = None if now is None else path.with_name(f"{path.name}{UNDONE_SUFFIX}{hashlib.sha256(now).hexdigest()[:8]}")
    if not dry_run:
        if undone is not None and now is not None:
            _keep(undone, now, like=path)
        replace_data_file(path, old, old=now, is_free=lambda: not qupath_backup_of(path).exists())
        update_summary(path, objects)
    return Restored(entry.name, "restored", len(objects), goes, "" if undone is None else str(undone))


def _goes(now: bytes, path: Path, then: DataFile) -> Losses:
    """Count what goes; of damaged data, which are what users restore for, nothing that anybody could still see."""
    try:
        return losses(_all_objects(parse_data_file(now, source=path)), _all_objects(then))
    except UnreadableDataError:
        return Losses()


def _all_objects(file: DataFile) -> Iterator[FoundObject]:
    return found_objects(file.root, outlines_of=get_args(FoundKind))


def _keep(path: Path, data: bytes, *, like: Path) -> None:
    try:
        with replace_atomically(path, like=like) as file:
            file.write(data)
    except OSError as err:
        raise WriteRefusedError(write_refusal(path, err)) from err
