"""Choosing the engine."""

from pathlib import Path

import pytest

from nuclick_qp.errors import EngineUnavailableError, ProjectNotFoundError, UnreadableProjectError
from nuclick_qp.qupath.open_project import Engine, open_project

PROJECT = Path(__file__).parents[1] / "data" / "qupath" / "0.6.0" / "ihc"


@pytest.mark.parametrize("engine", ["auto", "files"])
@pytest.mark.parametrize("path", [PROJECT, PROJECT / "project.qpproj"])
def test_project_opens_by_file_and_by_folder(path: Path, engine: Engine) -> None:
    """Without Java; as a context manager."""
    with open_project(path, engine=engine) as project:
        assert project.engine == "files"
        assert project.path == PROJECT / "project.qpproj"
        assert project.stored_uri == "file:/home/pathology/projects/0.6.0/ihc/project.qpproj"
        assert len(project.images()) == 6


def test_missing_project_is_told(tmp_path: Path) -> None:
    """With the path."""
    with pytest.raises(ProjectNotFoundError, match="nowhere"):
        open_project(tmp_path / "nowhere")


def test_foreign_file_is_told(tmp_path: Path) -> None:
    """A slide given in place of a project."""
    path = tmp_path / "slide.svs"
    path.write_bytes(b"II*\0")

    with pytest.raises(UnreadableProjectError, match=r"slide\.svs is not a QuPath project file"):
        open_project(path)


def test_qupath_engine_without_qupath_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The message names both ways out."""
    monkeypatch.setenv("PAQUO_QUPATH_DIR", str(tmp_path))

    with pytest.raises(EngineUnavailableError, match=r"PAQUO_QUPATH_DIR.*--engine files"):
        open_project(PROJECT, engine="qupath")
