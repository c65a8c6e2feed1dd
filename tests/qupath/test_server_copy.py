"""Tests of `nuclick_qp.qupath.folder.server_copy`: a pixel size that was set in QuPath and is not yet in the project file."""

import json
import logging
from collections.abc import Callable
from pathlib import Path

import pytest

from drawn_projects import points_at, run_on
from fixture_projects import DATA
from nuclick_qp.model.predictor import Predictors
from nuclick_qp.qupath.files_engine import open_files_project

MakeProject = Callable[..., Path]


def save_in_qupath(project: Path, um: float) -> Path:
    """Set another pixel size, as *File > Save* does after the Image tab; `project.qpproj` stays as it is."""
    copy = project.parent / "data/1/server.json"
    side = {"value": um, "unit": "µm"}
    copy.write_text(json.dumps({"builderType": "uri", "metadata": {"pixelCalibration": {"pixelWidth": side, "pixelHeight": side}}}))
    return copy


@pytest.mark.parametrize(("stated", "told"), [(0.25, "0.25"), (None, "none")])
def test_pixel_size_that_only_the_image_has_is_told_and_that_of_the_project_holds(
    make_project: MakeProject, predictors: Predictors, caplog: pytest.LogCaptureFixture, stated: float | None, told: str
) -> None:
    """QuPath itself opens the image with that of the project; one line, and no other outlines than without it."""
    project = make_project(points_at((60, 60)), mpp=stated)
    save_in_qupath(project, 0.5)

    report = run_on(project, predictors, mpp=0.25)

    assert report.ok == 1
    (line,) = [text for text in caplog.messages if "saved in QuPath" in text]
    assert line.startswith("image 'discs-0.png' was saved in QuPath with 0.5 um per pixel, and the project file states ")
    assert f"states {told}, which holds" in line
    assert "close the project in QuPath and run again" in line
    caplog.clear()
    run_on(project, predictors, mpp=0.25)
    assert caplog.messages == []


@pytest.mark.parametrize("content", [None, b"", b"\xff", b"[" * 100_000, b"[]", b"{}", b'{"metadata": 3}', "the same"])
def test_copy_that_tells_nothing_is_passed_over(
    make_project: MakeProject, predictors: Predictors, caplog: pytest.LogCaptureFixture, content: bytes | str | None
) -> None:
    """Absent, damaged, or with the same pixel size: QuPath never reads it, and nothing depends on it."""
    project = make_project(points_at((60, 60)))
    copy = save_in_qupath(project, 0.2501)
    if content is None:
        copy.unlink()
    elif isinstance(content, bytes):
        copy.write_bytes(content)

    assert run_on(project, predictors).ok == 1
    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING] == []


@pytest.mark.parametrize("version", ["0.3.2", "0.4.4", "0.6.0", "0.8"])
def test_copies_of_every_version_of_qupath_agree_with_their_project(version: str, caplog: pytest.LogCaptureFixture) -> None:
    """As QuPath left them, in the form that each version has."""
    project = open_files_project(DATA / version / "ihc")

    for entry in project.images():
        project.warn_of_unsaved_mpp(entry)

    assert caplog.messages == []
