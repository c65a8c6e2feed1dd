"""Taking our outlines out of a project or a file, and nothing else."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from nuclick_qp.annotations.objects import Changes, EntryContent, mark_key
from nuclick_qp.errors import ProjectNotFoundError
from nuclick_qp.formats.asap import reading as asap_reading
from nuclick_qp.formats.asap import writing as asap_writing
from nuclick_qp.formats.geojson import reading as geojson_reading
from nuclick_qp.formats.geojson import writing as geojson_writing
from nuclick_qp.qupath.choosing import choose_images
from nuclick_qp.qupath.image_by_image import work_or_error
from nuclick_qp.qupath.open_project import Engine, open_project
from nuclick_qp.qupath.protocol import ImageEntry, Project
from nuclick_qp.storage.locks import hold, remove_stale_lock
from nuclick_qp.storage.plain_files import is_folder, is_hidden, is_there

CORNER = (0, 0)  # where outlines lie does not matter to what goes


@dataclass(frozen=True, slots=True)
class Cleared:
    """What became of one image, or of a file.

    Attributes
    ----------
    status
        ``cleared``: no outline of ours is left, but for edited ones that stay; ``failed``: it is as it was.
    removed, unmarked
        Outlines of ours that went, and marks of prompts without one; or would without `dry_run`.
    edited
        Outlines of ours that stay because the user has changed them.
    detail
        Why it failed.
    """

    image: str
    status: Literal["cleared", "failed"]
    removed: int = 0
    unmarked: int = 0
    edited: int = 0
    detail: str = ""


def clear(
    path: Path | str, *, images: str = "*", engine: Engine = "auto", edited: bool = False, dry_run: bool = False
) -> list[Cleared]:
    """Remove the outlines of ours from a QuPath project, an ASAP file or a GeoJSON file.

    What users drew stays as it is. So do outlines of ours that they reshaped, or gave a class that is
    not that of their prompt.

    Parameters
    ----------
    path
        A ``.qpproj`` file or the folder of one; a file whose name ends in ``.xml`` (ASAP's); any other file
        (GeoJSON, packed or not).
    images
        Glob of image names of a project; the others are left alone.
    engine
        What reads and writes a project.
    edited
        Whether edited outlines go, too.
    dry_run
        Count, and write nothing.

    Returns
    -------
    list of Cleared
        One for each image of a project, one for a file.

    Raises
    ------
    ProjectError, OptionError
        If there is no such project or file, or no such image in it.
    PromptError, WriteRefusedError
        If a file cannot be read or written.
    """
    path = Path(path)
    if not is_there(path) and not is_hidden(path):
        raise ProjectNotFoundError(f"{path} does not exist; give a QuPath project or its folder, an ASAP file or a GeoJSON file")
    if not is_folder(path) and path.suffix.lower() != ".qpproj":
        return [_clear_file(path, edited=edited, dry_run=dry_run)]
    with open_project(path, engine=engine) as project:
        entries = choose_images(project, images, remedy="name the project that `run` wrote into")
        return [_clear_image(project, entry, edited=edited, dry_run=dry_run) for entry in entries]


def _clear_image(project: Project, entry: ImageEntry, *, edited: bool, dry_run: bool) -> Cleared:
    def work() -> Cleared:
        content = project.read(entry)
        if dry_run or not _gone(content, edited=edited):
            if not dry_run:
                project.remove_stale_locks(entry)
            return _cleared(entry.name, content, edited=edited)
        with project.hold(entry):
            content = project.read(entry)  # anew: a run may have been at it
            project.write(entry, Changes((), _gone(content, edited=edited)), fingerprint=content.fingerprint)
        return _cleared(entry.name, content, edited=edited)

    done = work_or_error(work, image_name=entry.name)
    return Cleared(entry.name, "failed", detail=str(done)) if isinstance(done, Exception) else done


def _clear_file(path: Path, *, edited: bool, dry_run: bool) -> Cleared:
    content = _read_file(path)
    if dry_run or not _gone(content, edited=edited):
        if not dry_run:
            remove_stale_lock(path)
        return _cleared(path.name, content, edited=edited)
    with hold(path):
        content = _read_file(path)  # anew: a run may have been at it
        gone = _gone(content, edited=edited)
        if asap_reading.is_asap(path):
            asap_writing.write_objects(path, (), origin=CORNER, drop_keys=gone)
        else:
            geojson_writing.write_objects(path, (), merge=True, drop_keys=gone)
    return _cleared(path.name, content, edited=edited)


def _read_file(path: Path) -> EntryContent:
    if asap_reading.is_asap(path):
        return asap_reading.read_prompts(path, origin=CORNER)
    return geojson_reading.read_prompts(path, must_have_features=False)


def _gone(content: EntryContent, *, edited: bool) -> frozenset[str]:
    """Give the keys of the results that go."""
    classes = {prompt.key: prompt.class_name for prompt in content.prompts}
    marks = frozenset(mark_key(key) for key, _ in content.marks)
    kept = {one.key for one in content.results if not edited and one.is_edited(classes.get(one.key, one.class_name))}
    return marks | {one.key for one in content.results} - kept


def _cleared(name: str, content: EntryContent, *, edited: bool) -> Cleared:
    gone = _gone(content, edited=edited)
    removed = sum(result.key in gone for result in content.results)
    return Cleared(name, "cleared", removed, len(content.marks), len(content.results) - removed)
