"""Which projects a batch is about."""

import os
from pathlib import Path

import pytest

from nuclick_qp.cluster.project_names import Refused, projects_named


@pytest.fixture
def studies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make folders of three projects, and one of none; the names alone count here."""
    for name in ("a", "b", "deep/c"):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "project.qpproj").touch()
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes.md").touch()
    monkeypatch.chdir(tmp_path)
    return tmp_path


def named(*names: str) -> list[str]:
    """Give what is found, errors as text."""
    return [one.error if isinstance(one, Refused) else one.as_posix() for one in projects_named(names)]


@pytest.mark.usefixtures("studies")
def test_glob_chooses_the_projects_among_what_it_matches() -> None:
    """In sorted order; `**` is any number of folders."""
    assert named("*") == ["a", "b"]
    assert named("**/*.qpproj") == ["a/project.qpproj", "b/project.qpproj", "deep/c/project.qpproj"]


@pytest.mark.usefixtures("studies")
def test_project_named_twice_is_taken_once() -> None:
    """By its folder, by its file, by a glob or by a link: two writers would meet in it."""
    os.symlink("a", "link")  # noqa: PTH211  # relative

    assert named("a", "a/project.qpproj", "./a", "link", "*") == ["a", "b"]


def test_list_has_a_project_in_each_line(studies: Path) -> None:
    """Notes and empty lines are passed over, Windows' line ends and mark of order too; lines may be globs."""
    (studies / "list.txt").write_bytes(b"\xef\xbb\xbfb\r\n\r\n# the old ones\r\n  deep/*\r\n")

    assert named("list.txt") == ["b", "deep/c"]


@pytest.mark.usefixtures("studies")
def test_what_is_not_there_is_passed_on() -> None:
    """Opening it says what is wrong, as for any other command."""
    assert named("gone", "notes.md") == ["gone", "notes.md"]


def test_each_name_that_means_nothing_has_its_line(studies: Path) -> None:
    """And the others are found all the same."""
    (studies / "binary.txt").write_bytes(b"\xff\xfe")
    (studies / "odd.txt").write_bytes(b"a\0\n")

    assert named("x*", "none.txt", "binary.txt", "odd.txt", "a") == [
        "x* matches no project; a glob has to match .qpproj files or folders that hold one",
        "none.txt cannot be read (No such file or directory); name a list of projects, a project or a glob",
        "binary.txt is no text in UTF-8; a list has the path of one project in each line",
        "'a\\x00' can be no path; correct it",
        "a",
    ]


def test_folder_whose_name_is_that_of_a_glob_or_a_list_is_a_folder(studies: Path) -> None:
    """Names with brackets are common, and a folder may end in .txt."""
    for name in ("study [1]", "old.txt"):
        (studies / name).mkdir()
        (studies / name / "project.qpproj").touch()

    assert named("study [1]", "old.txt") == ["study [1]", "old.txt"]
