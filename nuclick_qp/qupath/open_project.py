"""Open a QuPath project with one of the engines."""

from pathlib import Path
from typing import Literal

from nuclick_qp.qupath.files_engine import open_files_project
from nuclick_qp.qupath.protocol import Project

Engine = Literal["auto", "qupath", "files"]


def open_project(path: Path | str, *, engine: Engine = "auto") -> Project:
    """Open a project for reading and writing.

    Parameters
    ----------
    path
        The `.qpproj` file, or a folder that holds exactly one.
    engine
        ``files`` reads and writes the files itself. ``qupath`` lets an installed QuPath do it, and
        is there for projects that ``files`` refuses. ``auto`` is ``files``: it starts no Java
        machine and keeps every other byte of the user's data as it is, where ``qupath`` writes the
        whole file anew.

    Raises
    ------
    ProjectNotFoundError
        If there is no project.
    UnreadableProjectError
        If the project file is not what QuPath writes.
    EngineUnavailableError
        If ``qupath`` is asked for and no QuPath is installed, or it does not start.
    """
    path = Path(path)
    if engine != "qupath":
        return open_files_project(path)
    from nuclick_qp.qupath.jvm.engine import open_jvm_project  # noqa: PLC0415  # not needed by `files`

    return open_jvm_project(path)
