"""Tests of what the number of images in a project costs each of them."""

import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from drawn_projects import ours_of, points_at
from nuclick_qp.model.predictor import Predictors
from nuclick_qp.qupath.folder import project_json
from nuclick_qp.qupath.open_project import open_project
from nuclick_qp.run.project import segment_project
from nuclick_qp.run.report import RunReport
from nuclick_qp.run.run_options import ImageStart, Progress

MakeProject = Callable[..., Path]
IMAGES = 8
CHANGED_FROM = 4


@pytest.fixture
def settled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a project that was made just now count as one at rest."""
    monkeypatch.setattr(project_json, "SETTLED_NS", 0)


@pytest.fixture
def hashed(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Count the bytes of project files that are hashed, once for each time that all of one is read."""
    counted: list[int] = []

    def sha256(data: bytes) -> object:
        counted.append(len(data))
        return hashlib.sha256(data)

    monkeypatch.setattr(project_json, "hashlib", SimpleNamespace(sha256=sha256))
    return counted


def run(project: Path, predictors: Predictors, start_image: Callable[[ImageStart], None] = lambda image: None) -> RunReport:
    """Run over a project, and do something before each image."""
    with open_project(project, engine="files") as opened:
        return segment_project(opened, predictors, progress=Progress(start_image=start_image))


@pytest.mark.usefixtures("settled")
def test_the_project_file_is_not_read_for_each_image(make_project: MakeProject, predictors: Predictors, hashed: list[int]) -> None:
    """It grows with the images: opening it, the first write and the time of the change read it, and no other image."""
    project = make_project(points_at((60, 60)), images=IMAGES)

    report = run(project, predictors)

    assert report.ok == IMAGES
    assert len(hashed) == 3


def test_a_project_file_that_was_saved_just_now_is_read_each_time(
    make_project: MakeProject, predictors: Predictors, hashed: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Within a tick of the clock of its disk, a change leaves no other trace than the content."""
    monkeypatch.setattr(project_json, "SETTLED_NS", 3_600 * 10**9)
    project = make_project(points_at((60, 60)), images=IMAGES)

    run(project, predictors)

    assert len(hashed) == 2 + 2 * IMAGES


def write_in_place(project: Path) -> None:
    """Change some bytes, and neither size nor time."""
    before = project.stat()
    with project.open("r+b") as file:
        data = file.read()
        file.seek(data.index(b"discs-7"))
        file.write(b"DISCS-7")
    os.utime(project, ns=(before.st_atime_ns, before.st_mtime_ns))


def put_in_its_place(project: Path) -> None:
    """Save as QuPath does: a new file takes the name of the old one; here with its size and time."""
    before = project.stat()
    new = project.with_suffix(".new")
    new.write_bytes(project.read_bytes().replace(b"discs-7", b"DISCS-7"))
    os.utime(new, ns=(before.st_atime_ns, before.st_mtime_ns))
    new.replace(project)


@pytest.mark.usefixtures("settled")
@pytest.mark.parametrize("change", [write_in_place, put_in_its_place, Path.unlink])
def test_a_project_file_that_changes_in_the_middle_of_a_run_stops_all_later_writes(
    change: Callable[[Path], None], make_project: MakeProject, predictors: Predictors
) -> None:
    """Even one of the same size, that claims to be as old as before. The image before may just be written, or come too late."""
    project = make_project(points_at((60, 60)), images=IMAGES)

    report = run(project, predictors, lambda image: change(project) if image.number == CHANGED_FROM else None)

    written = report.ok
    assert written in (CHANGED_FROM - 2, CHANGED_FROM - 1)
    assert [image.status for image in report.images] == ["ok"] * written + ["failed"] * (IMAGES - written)
    assert all("project is open in QuPath" in (image.error or "") for image in report.images[written:])
    assert [len(ours_of(project, str(n))) for n in range(1, IMAGES + 1)] == [1] * written + [0] * (IMAGES - written)


@pytest.mark.usefixtures("settled")
def test_the_time_of_a_change_by_another_run_of_ours_stops_nothing(make_project: MakeProject, predictors: Predictors) -> None:
    """It changes the state of the file; what is read then tells that it is ours."""
    project = make_project(points_at((60, 60)), images=IMAGES)

    def finish_other_run(image: ImageStart) -> None:
        if image.number == CHANGED_FROM:
            project_json.set_modified(project_json.read_project_file(project), now_ms=1_900_000_000_000)

    report = run(project, predictors, finish_other_run)

    assert report.ok == IMAGES
