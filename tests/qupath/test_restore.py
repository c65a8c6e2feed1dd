"""`nuclick-qp restore`: what was there before us comes back, and what there is now stays at hand."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from shapely import box

from drawn_projects import points_at, run_on
from fixture_projects import DATA, entry_of, snapshot
from nuclick_qp.annotations.objects import Changes, ResultObject
from nuclick_qp.model.predictor import Predictors
from nuclick_qp.prompts import Plane
from nuclick_qp.qupath.files_engine import open_files_project

CommandLine = Callable[..., int]
BACKUP = "data/1/data.qpdata.nuclick-backup"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Copy a project of QuPath 0.6."""
    return Path(shutil.copytree(DATA / "0.6.0" / "ihc", tmp_path / "ihc"))


def write_result(folder: Path, key: str) -> None:
    """Write one detection of ours into the first image."""
    project = open_files_project(folder)
    entry = entry_of(project)
    result = ResultObject(box(10, 10, 30, 30), "detection", "Tumor", Plane(), False, (20.0, 20.0), key)
    project.write(entry, Changes((result,)), fingerprint=project.read(entry).fingerprint)


def test_the_first_content_comes_back_and_the_last_is_kept(
    folder: Path, command_line: CommandLine, capsys: pytest.CaptureFixture[str]
) -> None:
    """After two runs: the file of before the first, byte for byte, with its counts; the work of the runs in a file of its own."""
    before = snapshot(folder)
    write_result(folder, "a")
    write_result(folder, "b")
    worked = snapshot(folder)

    assert command_line("restore", folder) == 0

    after = snapshot(folder)
    assert after["data/1/data.qpdata"] == before["data/1/data.qpdata"]
    counts = [json.loads(files["data/1/summary.json"])["hierarchy"] for files in (before, after)]
    assert counts[0] == counts[1]
    (undone,) = after.keys() - worked.keys()
    assert after[undone] == worked["data/1/data.qpdata"]
    out = capsys.readouterr().out
    assert undone in out
    assert "1 of 6 images restored" in out


def test_a_dry_run_tells_and_does_nothing(folder: Path, command_line: CommandLine, capsys: pytest.CaptureFixture[str]) -> None:
    """Not a byte differs."""
    write_result(folder, "a")
    before = snapshot(folder)

    assert command_line("restore", folder, "--dry-run", "--json") == 0

    assert snapshot(folder) == before
    told = json.loads(capsys.readouterr().out)
    assert [image["status"] for image in told["images"]] == ["restored"] + ["no-backup"] * 5


def test_restoring_twice_changes_nothing_more(folder: Path, command_line: CommandLine, capsys: pytest.CaptureFixture[str]) -> None:
    """The backup stays, and the second time there is nothing to do."""
    write_result(folder, "a")
    command_line("restore", folder)
    before = snapshot(folder)

    assert command_line("restore", folder) == 0

    assert snapshot(folder) == before
    assert "it holds what its backup holds" in capsys.readouterr().out


@pytest.mark.parametrize("trouble", ["QuPath saves", "backup broken"])
def test_an_image_that_cannot_be_restored_is_left_alone(
    folder: Path, command_line: CommandLine, capsys: pytest.CaptureFixture[str], trouble: str
) -> None:
    """Exit code 1, one line with the reason, every byte as before."""
    write_result(folder, "a")
    if trouble == "QuPath saves":
        (folder / "data/1/data.qpdata.bkp").write_bytes(b"")
    else:
        (folder / BACKUP).write_bytes((folder / BACKUP).read_bytes()[:-100])
    before = snapshot(folder)

    assert command_line("restore", folder) == 1

    assert snapshot(folder) == before
    assert f"failed: {folder}" in capsys.readouterr().out


def test_only_the_images_asked_for_are_restored(folder: Path, command_line: CommandLine) -> None:
    """A glob of names, as for `run`."""
    write_result(folder, "a")
    before = snapshot(folder)

    assert command_line("restore", folder, "--images", "no such*") == 2
    assert command_line("restore", folder, "--images", entry_of(open_files_project(folder), "2").name) == 0

    assert snapshot(folder) == before


def draw_point(folder: Path, old: float, new: float) -> None:
    """Move a point of the first image along x, as a user does in QuPath after a run."""
    path = folder / "data/1/data.qpdata"
    before, after = (np.array([x], ">f4").tobytes() for x in (old, new))
    assert path.read_bytes().count(before) == 1
    path.write_bytes(path.read_bytes().replace(before, after))


@pytest.fixture
def worked_on(make_project: Callable[..., Path]) -> Path:
    """Give a project of two points with one outline of ours, of which the user moved a point since."""
    folder = make_project(points_at((60, 60), (100, 70))).parent
    write_result(folder, "a")
    draw_point(folder, 100, 101)
    return folder


def test_what_a_user_drew_since_the_first_run_is_told_and_kept(
    worked_on: Path, command_line: CommandLine, capsys: pytest.CaptureFixture[str]
) -> None:
    """With --dry-run and without: counts of what would go, exit code 1, and not a byte differs."""
    before = snapshot(worked_on)

    for arguments in ((), ("--dry-run",)):
        assert command_line("restore", worked_on, *arguments) == 1
        out = capsys.readouterr().out
        assert "left as it is: 1 point and 1 outline of nuclick-qp would go, drawn or changed since the first run" in out
        assert "nuclick-qp clear" in out
        assert "--force" in out
    assert snapshot(worked_on) == before


def test_force_restores_all_the_same(worked_on: Path, command_line: CommandLine, capsys: pytest.CaptureFixture[str]) -> None:
    """It tells what went, which is kept beside the file as ever."""
    worked = (worked_on / "data/1/data.qpdata").read_bytes()

    assert command_line("restore", worked_on, "--force") == 0

    assert "1 point and 1 outline of nuclick-qp gone" in capsys.readouterr().out
    assert (worked_on / "data/1/data.qpdata").read_bytes() == (worked_on / BACKUP).read_bytes()
    (undone,) = (worked_on / "data/1").glob("*.nuclick-undone-*")
    assert undone.read_bytes() == worked


def test_outlines_alone_need_no_force(folder: Path, command_line: CommandLine, capsys: pytest.CaptureFixture[str]) -> None:
    """Points, lines, cells and areas of the fixture are in the backup as they are now."""
    write_result(folder, "a")
    write_result(folder, "b")

    assert command_line("restore", folder) == 0

    assert "; 2 outlines of nuclick-qp gone" in capsys.readouterr().out


def test_marks_are_counted_apart_from_outlines(
    make_project: Callable[..., Path], predictors: Predictors, command_line: CommandLine, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of two outlines and a mark of --mark-failed, two are outlines; they need no --force, and the JSON has both numbers."""
    project = make_project(points_at((60, 60), (100, 70), (150, 250)))
    run_on(project, predictors, mark_failed="Missed")
    assert command_line("restore", project, "--dry-run", "--json") == 0
    (image,) = json.loads(capsys.readouterr().out)["images"]

    assert command_line("restore", project) == 0

    assert "; 2 outlines of nuclick-qp and 1 mark of nuclick-qp gone" in capsys.readouterr().out
    assert image["goes"] == {"points": 0, "lines": 0, "areas": 0, "outlines": 2, "marks": 1}


@pytest.mark.usefixtures("modes_hold")
def test_data_in_a_locked_folder_are_told_in_one_line(folder: Path, command_line: CommandLine, capsys: pytest.CaptureFixture[str]) -> None:
    """Whether there is a backup is not to be seen; that is no reason for a traceback."""
    write_result(folder, "a")
    (folder / "data").chmod(0)

    try:
        code = command_line("restore", folder)
    finally:
        (folder / "data").chmod(0o700)

    assert code in (1, 3)
    assert "Permission denied" in "".join(capsys.readouterr())
