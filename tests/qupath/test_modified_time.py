"""The time of the last change in `project.qpproj`, and that nothing else in it changes."""

import json
import shutil
import time
from pathlib import Path
from typing import Any

import pytest
from shapely import Point

from fixture_projects import DATA, VERSIONS, entry_of
from nuclick_qp.annotations.objects import Changes, ResultObject
from nuclick_qp.errors import WriteRefusedError
from nuclick_qp.prompts import Plane
from nuclick_qp.qupath import files_engine
from nuclick_qp.qupath.files_engine import open_files_project
from nuclick_qp.qupath.folder import project_json
from nuclick_qp.qupath.protocol import Project
from nuclick_qp.qupath.qpdata.data_file import Edited, edit_data_file

RESULT = ResultObject(Point(100, 100).buffer(5), "detection", "Tumor", Plane(), False, (100, 100), "a")


@pytest.fixture(params=VERSIONS)
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """Give a project of each QuPath version, to be written."""
    return Path(shutil.copytree(DATA / request.param / "ihc", tmp_path / "study"))


def write(project: Project, entry_id: str) -> None:
    """Write a result into an image."""
    entry = entry_of(project, entry_id)
    project.write(entry, Changes((RESULT,)), fingerprint=project.read(entry).fingerprint)


def time_and_rest(folder: Path) -> tuple[int, bytes]:
    """Give the time of the last change, and the file without it."""
    data = (folder / "project.qpproj").read_bytes()
    head, rest = data.split(b'"modifyTimestamp": ')
    return int(json.loads(data)["modifyTimestamp"]), head + rest.lstrip(b"0123456789")


def test_closing_a_project_that_was_written_states_the_time(folder: Path) -> None:
    """In ms, as QuPath does, but whole seconds; every other byte of the project file stays."""
    before, rest = time_and_rest(folder)
    with open_files_project(folder) as project:
        write(project, "1")
        write(project, "2")

        assert time_and_rest(folder) == (before, rest)

    after, rest_after = time_and_rest(folder)
    assert before < after <= time.time_ns() // 1_000_000 < after + 60_000
    assert after % 1000 == 0
    assert rest_after == rest


def test_runs_on_other_images_of_a_project_do_not_refuse_one_another(folder: Path) -> None:
    """Each states the time when it ends; QuPath's own time is told from it, and refused."""
    with open_files_project(folder) as first, open_files_project(folder) as second:
        write(first, "1")
        with open_files_project(folder) as third:
            write(third, "3")
        write(second, "2")
    path = folder / "project.qpproj"
    with open_files_project(folder) as project:
        stated, _ = time_and_rest(folder)  # the last to end has stated it, perhaps a second later than the first
        path.write_bytes(path.read_bytes().replace(str(stated).encode(), str(stated + 123).encode()))

        with pytest.raises(WriteRefusedError, match="has changed since it was read"):
            write(project, "4")


def save_as_qupath(path: Path) -> bytes:
    """Put another file in the place of a project, as QuPath does when an image was renamed; give its content."""
    content = path.read_bytes().replace(b"ihc.png", b"renamed.png")
    new = path.with_suffix(".tmp")
    new.write_bytes(content)
    path.rename(path.with_suffix(".qpproj.backup"))
    new.rename(path)
    return content


def test_project_that_qupath_saves_while_an_image_is_worked_on_is_not_written(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A large image takes seconds, so it is looked at twice."""

    def slowly(*args: Any, **kwargs: Any) -> Edited:
        save_as_qupath(folder / "project.qpproj")
        return edit_data_file(*args, **kwargs)

    monkeypatch.setattr(files_engine, "edit_data_file", slowly)
    data = folder / "data/1/data.qpdata"
    before = data.read_bytes()

    with open_files_project(folder) as project, pytest.raises(WriteRefusedError, match="has changed since it was read"):
        write(project, "1")

    assert data.read_bytes() == before


def test_save_of_qupath_at_the_moment_of_stating_the_time_stays(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """However late it comes: only digits are written, into the file that was read."""
    path = folder / "project.qpproj"
    saved: list[bytes] = []

    def just_before_writing(*args: Any) -> bool:
        saved.append(save_as_qupath(path))
        return True

    with open_files_project(folder) as project:
        write(project, "1")
        monkeypatch.setattr(project_json, "_is_as_read", just_before_writing)

    assert [path.read_bytes()] == saved


def test_time_of_a_project_stays_when_nothing_was_written_or_somebody_saved_it(folder: Path) -> None:
    """Neither reading nor a refused write is a change, and QuPath's own file is not touched."""
    path = folder / "project.qpproj"
    before = path.read_bytes()
    with open_files_project(folder) as project:
        project.read(entry_of(project))
    assert path.read_bytes() == before

    with open_files_project(folder) as project:
        write(project, "1")
        path.write_bytes(before + b"\n")

    assert path.read_bytes() == before + b"\n"


def test_time_among_the_metadata_of_an_image_is_not_that_of_the_project(folder: Path) -> None:
    """The key counts before the list of images only; a project without it gets none."""
    path = folder / "project.qpproj"
    content = json.loads(path.read_text("utf-8"))
    del content["modifyTimestamp"]
    content["images"][0]["metadata"] = {"modifyTimestamp": 7}
    path.write_text(json.dumps(content), "utf-8")
    before = path.read_bytes()

    with open_files_project(folder) as project:
        write(project, "1")

    assert path.read_bytes() == before
