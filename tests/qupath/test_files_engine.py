"""The engine that reads and writes QuPath projects without Java."""

import errno
import json
import logging
import os
import shutil
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from shapely import Polygon

from edited_files import emitted
from fixture_projects import DATA, VERSIONS, drawn_in, entry_of, prompts_in, snapshot
from nuclick_qp.annotations.objects import Changes, ResultObject
from nuclick_qp.errors import UnreadableDataError
from nuclick_qp.prompts import Plane
from nuclick_qp.qupath.files_engine import open_files_project
from nuclick_qp.qupath.folder_project import ABSENT
from nuclick_qp.qupath.protocol import Project
from nuclick_qp.qupath.qpdata.data_file import parse_data_file


def copy_of(version: str, tmp_path: Path) -> Path:
    """Give a copy of a fixture project that may be written."""
    folder = tmp_path / "study"
    shutil.copytree(DATA / version / "ihc", folder)
    return folder


@pytest.fixture(params=VERSIONS)
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """Give a project of each QuPath version, to be written."""
    return copy_of(request.param, tmp_path)


def result(key: str, x: float = 100, y: float = 100, **changes: Any) -> ResultObject:
    """Give a result as a run makes them: a square around its prompt."""
    square = Polygon([(x - 5, y - 5), (x + 5, y - 5), (x + 5, y + 5), (x - 5, y + 5)])
    made = ResultObject(square, "detection", "Tumor", Plane(), False, (x, y), key, 0.5, "m")
    return replace(made, **changes)


def write(project: Project, add: tuple[ResultObject, ...], remove: tuple[str, ...] = (), entry_id: str = "1") -> None:
    """Read an image and write into it."""
    entry = entry_of(project, entry_id)
    project.write(entry, Changes(add, frozenset(remove)), fingerprint=project.read(entry).fingerprint)


@pytest.mark.parametrize("version", VERSIONS)
def test_prompts_are_the_points_and_lines_that_qupath_reads(version: str) -> None:
    """All of them, in order, with class, name, plane and nesting."""
    project = open_files_project(DATA / version / "ihc")
    expected = drawn_in(version)

    found = prompts_in(project, expected)

    assert found == expected
    assert len(found["1"]) > 60


def test_detections_and_cells_of_others_are_neighbours(folder: Path) -> None:
    """Ten detections and a cell; the tile is none; nothing is ours."""
    project = open_files_project(folder)

    content = project.read(entry_of(project))

    assert len(content.neighbours) == 11
    assert (content.results, content.bad_prompts) == ((), ())


def test_points_inside_a_tma_core_are_prompts(folder: Path) -> None:
    """The whole tree is walked."""
    project = open_files_project(folder)

    content = project.read(entry_of(project, "2"))

    assert content.prompts
    assert all(p.nested for p in content.prompts)


def test_image_that_was_never_saved_has_no_prompts(folder: Path) -> None:
    """No data.qpdata is not an error."""
    project = open_files_project(folder)

    content = project.read(entry_of(project, "6"))

    assert (content.prompts, content.fingerprint) == ((), ABSENT)


def test_reading_changes_nothing(folder: Path) -> None:
    """Not a byte of any file."""
    before = snapshot(folder)

    with open_files_project(folder) as project:
        for entry in project.images():
            project.read(entry)

    assert snapshot(folder) == before


def test_interrupted_save_of_qupath_is_told(folder: Path) -> None:
    """Only QuPath should put back what it moved away."""
    path = folder / "data" / "1" / "data.qpdata"
    path.rename(path.with_name("data.qpdata.bkp"))
    project = open_files_project(folder)

    with pytest.raises(UnreadableDataError, match=r"data\.qpdata is missing and data\.qpdata\.bkp is there") as caught:
        project.read(entry_of(project))

    assert "image 'ihc.png'; open the image in QuPath, save it" in str(caught.value)


def test_results_are_read_back(folder: Path) -> None:
    """With key, model and place; the prompts are what they were."""
    project = open_files_project(folder)
    before = project.read(entry_of(project))

    write(project, (result("a"), result("b", 200, 50, kind="annotation"), result("c", 300, 300, kind="cell")))

    content = project.read(entry_of(project))
    assert [(r.key, r.model, r.centroid) for r in content.results] == [
        ("a", "m", (100, 100)),
        ("b", "m", (200, 50)),
        ("c", "m", (300, 300)),
    ]
    assert content.prompts == before.prompts
    assert content.neighbours == before.neighbours
    assert content.fingerprint != before.fingerprint


def test_only_the_files_of_the_image_change(folder: Path) -> None:
    """The data file, its backup and the counts; never the project file."""
    before = snapshot(folder)

    write(open_files_project(folder), (result("a"),))

    after = snapshot(folder)
    changed = {name for name in after if after[name] != before.get(name)}
    assert changed == {"data/1/data.qpdata", "data/1/data.qpdata.nuclick-backup", "data/1/summary.json"}
    assert after["data/1/data.qpdata.nuclick-backup"] == before["data/1/data.qpdata"]
    assert before.keys() <= after.keys()


def test_taking_all_results_out_again_gives_the_old_bytes(folder: Path) -> None:
    """Everything of the user is byte for byte what it was."""
    path = folder / "data" / "1" / "data.qpdata"
    before = path.read_bytes()
    project = open_files_project(folder)

    write(project, (result("a"), result("b", 200, nested=True)))
    assert path.read_bytes() != before
    write(project, (), ("a", "b"))

    assert path.read_bytes() == before


def test_rerun_replaces_only_the_results_of_its_own_prompts(folder: Path) -> None:
    """Other results of ours and the user's detections stay."""
    project = open_files_project(folder)
    write(project, (result("a"), result("b", 200)))
    neighbours = project.read(entry_of(project)).neighbours

    write(project, (result("a", 110),), ("a",))

    content = project.read(entry_of(project))
    assert sorted((r.key, r.centroid) for r in content.results) == [("a", (110, 100)), ("b", (200, 100))]
    assert content.neighbours == neighbours


def test_second_write_keeps_the_first_backup(folder: Path) -> None:
    """The backup is the file before any run of ours."""
    before = (folder / "data" / "1" / "data.qpdata").read_bytes()
    project = open_files_project(folder)

    write(project, (result("a"),))
    write(project, (result("b"),))

    assert (folder / "data" / "1" / "data.qpdata.nuclick-backup").read_bytes() == before


def test_no_changes_write_nothing(folder: Path) -> None:
    """Not even a backup; neither does removing what is not there."""
    before = snapshot(folder)
    project = open_files_project(folder)

    write(project, ())
    write(project, (), ("not there",))

    assert snapshot(folder) == before


def test_counts_are_those_of_the_new_objects(folder: Path) -> None:
    """As QuPath would count them; all else in the summary stays."""
    path = folder / "data" / "1" / "summary.json"
    before = json.loads(path.read_text("utf-8"))

    write(open_files_project(folder), (result("a"), result("b", kind="annotation", class_name=None), result("c", kind="cell")))

    after = json.loads(path.read_text("utf-8"))
    old, new = before["hierarchy"], after["hierarchy"]
    assert new["nObjects"] == old["nObjects"] + 3
    assert Counter(new["objectTypeCounts"]) == Counter(old["objectTypeCounts"]) + Counter(Annotations=1, Detections=1, Cells=1)
    assert Counter(new["annotationClassificationCounts"]) == Counter(old["annotationClassificationCounts"]) + Counter(Unclassified=1)
    assert Counter(new["detectionClassificationCounts"]) == Counter(old["detectionClassificationCounts"]) + Counter(Tumor=2)
    assert after["timestamp"] == (folder / "data" / "1" / "data.qpdata").stat().st_mtime_ns // 1_000_000
    assert {k: v for k, v in after.items() if k not in ("timestamp", "hierarchy")} == {
        k: v for k, v in before.items() if k not in ("timestamp", "hierarchy")
    }


def test_counts_without_changes_equal_those_of_qupath(folder: Path) -> None:
    """Adding and removing a result leaves the counts that QuPath wrote."""
    path = folder / "data" / "2" / "summary.json"
    before = json.loads(path.read_text("utf-8"))["hierarchy"]
    project = open_files_project(folder)

    write(project, (result("a"),), entry_id="2")
    write(project, (), ("a",), entry_id="2")

    assert json.loads(path.read_text("utf-8"))["hierarchy"] == before


def test_class_that_is_new_to_the_project_joins_its_list(folder: Path) -> None:
    """At the end, once; classes that are listed or in use are not added."""
    path = folder / "classifiers" / "classes.json"
    before = json.loads(path.read_text("utf-8"))["pathClasses"]

    write(open_files_project(folder), tuple(result(str(i), class_name=c) for i, c in enumerate(("Gland", "Tumor", "Nucleus", "Gland"))))

    after = json.loads(path.read_text("utf-8"))["pathClasses"]
    assert after[: len(before)] == before
    assert [c["name"] for c in after[len(before) :]] == ["Gland"]
    assert isinstance(after[-1]["color"], int)


def test_class_that_the_user_took_off_the_list_stays_off(folder: Path) -> None:
    """Results of it that are replaced make it no new one."""
    project, path = open_files_project(folder), folder / "classifiers" / "classes.json"
    before = path.read_bytes()
    write(project, (result("a", class_name="Gland"),))
    path.write_bytes(before)

    write(project, (result("a", 200, 50, class_name="Gland"),), remove=("a",))

    assert path.read_bytes() == before


def test_project_without_a_list_of_classes_gets_none(folder: Path) -> None:
    """A list would hide QuPath's default classes."""
    (folder / "classifiers" / "classes.json").unlink()

    write(open_files_project(folder), (result("a", class_name="Gland"),))

    assert not (folder / "classifiers" / "classes.json").exists()


@pytest.mark.parametrize("name", ["summary.json", "classes.json"])
def test_failing_side_file_is_logged_and_loses_nothing(
    folder: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, name: str
) -> None:
    """The results are on disk; the log names the file."""
    real = os.replace

    def failing(source: str, target: Path) -> None:
        if Path(target).name == name:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        real(source, target)

    monkeypatch.setattr(os, "replace", failing)
    project = open_files_project(folder)

    with caplog.at_level(logging.WARNING):
        write(project, (result("a", class_name="Gland"),))

    assert [r.key for r in project.read(entry_of(project)).results] == ["a"]
    assert name in caplog.text
    assert not list(folder.rglob("*.tmp"))


@pytest.mark.parametrize("name", ["data/1/summary.json", "classifiers/classes.json"])
@pytest.mark.parametrize("content", ["{broken", "[]", '{"hierarchy": 3, "pathClasses": 3}'])
def test_broken_side_file_is_left_alone(folder: Path, caplog: pytest.LogCaptureFixture, name: str, content: str) -> None:
    """It is not needed, and not ours to repair."""
    (folder / name).write_text(content, "utf-8")
    project = open_files_project(folder)

    with caplog.at_level(logging.WARNING):
        write(project, (result("a", class_name="Gland"),))

    assert [r.key for r in project.read(entry_of(project)).results] == ["a"]
    assert (folder / name).read_text("utf-8") == content
    assert Path(name).name in caplog.text


def test_image_that_was_never_saved_gets_a_data_file(folder: Path) -> None:
    """Results of prompts from elsewhere need no visit to QuPath."""
    project = open_files_project(folder)

    write(project, (result("a", class_name="Gland"),), entry_id="6")

    content = project.read(entry_of(project, "6"))
    assert [(r.key, r.centroid) for r in content.results] == [("a", (100, 100))]
    assert not (folder / "data" / "6" / "data.qpdata.nuclick-backup").exists()


def test_written_file_reads_as_a_whole(folder: Path) -> None:
    """What is on disk parses and gives itself back."""
    write(open_files_project(folder), (result("a"),))

    path = folder / "data" / "1" / "data.qpdata"
    assert emitted(parse_data_file(path.read_bytes(), source=path)) == path.read_bytes()
