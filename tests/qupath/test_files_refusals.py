"""What the files engine refuses, and that every byte is then as before."""

import errno
import hashlib
import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest
from shapely import Point

from fixture_projects import DATA, entry_of, snapshot
from nuclick_qp.annotations.objects import Changes, ResultObject
from nuclick_qp.errors import UnreadableDataError, WriteRefusedError
from nuclick_qp.prompts import Plane
from nuclick_qp.qupath.files_engine import open_files_project
from nuclick_qp.qupath.folder_project import ABSENT
from nuclick_qp.qupath.protocol import Project

RESULT = ResultObject(Point(100, 100).buffer(5), "detection", "Tumor", Plane(), False, (100, 100), "a")


@pytest.fixture(params=("0.3.2", "0.4.4", "0.6.0", "0.8"))
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """Give a project of each QuPath version, to be written."""
    shutil.copytree(DATA / request.param / "ihc", tmp_path / "study")
    return tmp_path / "study"


def refused(project: Project, *, folder: Path, match: str, fingerprint: str | None = None, entry_id: str = "1") -> None:
    """Check that a write is refused in one line with file and reason, and that no byte changes."""
    entry = entry_of(project, entry_id)
    before = snapshot(folder)

    with pytest.raises(WriteRefusedError, match=match) as caught:
        project.write(entry, Changes((RESULT,)), fingerprint=fingerprint or project.read(entry).fingerprint)

    assert f"data{os.sep}{entry_id}{os.sep}data.qpdata" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert snapshot(folder) == before


def test_file_that_changed_since_it_was_read_is_not_written(folder: Path) -> None:
    """QuPath saved in between; its work stays."""
    project = open_files_project(folder)
    fingerprint = project.read(entry_of(project)).fingerprint
    shutil.copy(folder / "data" / "4" / "data.qpdata", folder / "data" / "1" / "data.qpdata")

    refused(project, folder=folder, fingerprint=fingerprint, match="has changed since it was read.*close the image in QuPath and run again")


def test_file_that_appeared_or_went_since_it_was_read_is_not_written(folder: Path) -> None:
    """Both are changes."""
    project = open_files_project(folder)
    fingerprint = project.read(entry_of(project)).fingerprint
    (folder / "data" / "1" / "data.qpdata").rename(folder / "data" / "6" / "data.qpdata")

    refused(project, folder=folder, fingerprint=fingerprint, match="has changed since it was read")
    refused(project, folder=folder, fingerprint=ABSENT, match="has changed since it was read", entry_id="6")


@pytest.mark.parametrize("change", ["saved", "gone"])
def test_project_that_was_saved_since_it_was_opened_is_not_written(folder: Path, change: str) -> None:
    """QuPath has it open, and may have the image open; not even an image that was never saved is made."""
    project = open_files_project(folder)
    path = folder / "project.qpproj"
    if change == "saved":
        path.write_bytes(path.read_bytes().replace(b'"modifyTimestamp"', b'"modifyTimestamp" '))
    else:
        path.rename(folder / "project.qpproj.backup")  # as QuPath does for a moment while it saves
    before = snapshot(folder)

    for entry_id, name in (("1", "ihc"), ("6", "nodata")):
        entry = entry_of(project, entry_id)
        with pytest.raises(WriteRefusedError, match=rf"project\.qpproj has changed since it was read.*'{name}.*close QuPath"):
            project.write(entry, Changes((RESULT,)), fingerprint=project.read(entry).fingerprint)

    assert snapshot(folder) == before


def test_image_that_qupath_is_saving_is_not_written(folder: Path) -> None:
    """QuPath's own backup is there only while it saves, or after it crashed."""
    (folder / "data" / "1" / "data.qpdata.bkp").write_bytes(b"old")

    refused(open_files_project(folder), folder=folder, match=r"data\.qpdata\.bkp exists: QuPath is saving.*open the image")


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (lambda data: data[: len(data) // 2], "cannot be read"),
        (lambda data: data[:-1], "cannot be read"),
        (lambda _: b"", "cannot be read"),
        (lambda _: b"PK\x03\x04 not a stream", "cannot be read"),
        (lambda _: b"\xac\xed\x00\x05t\x00\x05hello", "cannot be read"),
        (lambda data: data.replace(b"Data file version 3", b"Data file version 4"), "of data version 4.*update nuclick-qp"),
    ],
    ids=["half", "one byte short", "empty", "foreign", "Java, but not QuPath", "newer"],
)
def test_damaged_or_foreign_data_is_neither_read_nor_written(folder: Path, damage: Any, reason: str) -> None:
    """The error names the file and what to do; every byte stays."""
    path = folder / "data" / "1" / "data.qpdata"
    path.write_bytes(damage(path.read_bytes()))
    before = snapshot(folder)
    project = open_files_project(folder)
    entry = entry_of(project)
    fingerprint = hashlib.sha256(path.read_bytes()).hexdigest()

    with pytest.raises(UnreadableDataError, match=reason) as caught:
        project.read(entry)
    with pytest.raises(WriteRefusedError, match="nothing was written.*" + reason):
        project.write(entry, Changes((RESULT,)), fingerprint=fingerprint)

    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)
    assert snapshot(folder) == before


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        (errno.ENOSPC, "No space left.*free some disk space"),
        (errno.EACCES, "Permission denied.*right to write"),
        (errno.EROFS, "Read-only.*copy the folder"),
    ],
)
@pytest.mark.parametrize("call", ["open", "fsync", "replace"])
def test_full_or_read_only_disk_leaves_every_byte(
    folder: Path, monkeypatch: pytest.MonkeyPatch, call: str, code: int, reason: str
) -> None:
    """No new content, no backup, no temporary file."""

    def failing(*args: Any, **kwargs: Any) -> Any:
        raise OSError(code, os.strerror(code))

    project = open_files_project(folder)
    fingerprint = project.read(entry_of(project)).fingerprint
    monkeypatch.setattr(os, call, failing)

    refused(project, folder=folder, fingerprint=fingerprint, match=reason)


def test_folder_that_vanished_is_told(folder: Path) -> None:
    """A network share that went away while the model ran."""
    project = open_files_project(folder)
    fingerprint = project.read(entry_of(project)).fingerprint
    shutil.rmtree(folder / "data")

    refused(project, folder=folder, fingerprint=fingerprint, match="has changed since it was read")


def test_old_project_without_data_is_sent_to_qupath_first(folder: Path) -> None:
    """QuPath 0.2 reads an older kind of file than the one made here."""
    path = folder / "project.qpproj"
    path.write_text(json.dumps(json.loads(path.read_text("utf-8")) | {"version": "0.2.3"}), "utf-8")

    refused(open_files_project(folder), folder=folder, entry_id="6", match="open image 'nodata.png' in QuPath, save it")
