"""Which projects a batch is about: paths, globs and lists of them."""

import glob
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from nuclick_qp.storage.plain_files import is_folder, is_there, read_file

LIST_ENDING = ".txt"
LARGEST_LIST = 2**26  # bytes; a million paths
PROJECT_ENDING = ".qpproj"


@dataclass(frozen=True, slots=True)
class Refused:
    """What was named and is no project, and why."""

    name: str
    error: str


def projects_named(names: Iterable[str]) -> Iterator[Path | Refused]:
    """Give the paths of the projects that are named, each once; whether they can be opened is seen later.

    Parameters
    ----------
    names
        Of ``.qpproj`` files or folders of one; globs (``**`` is any folders), which choose the projects
        among what they match; or ``.txt`` files with one of these in each line. Empty lines and lines
        that begin with ``#`` are passed over; relative paths count from the current folder.
    """
    seen: set[Path] = set()
    for name in names:
        for found in _projects_in_list(Path(name)) if _is_list(name) else _projects_of(name):
            if isinstance(found, Refused):
                yield found
            elif (real := _project_file(found).resolve()) not in seen:
                seen.add(real)
                yield found


def _is_list(name: str) -> bool:
    return name.lower().endswith(LIST_ENDING) and not is_folder(Path(name))


def _projects_in_list(path: Path) -> Iterator[Path | Refused]:
    try:
        lines = read_file(path, most=LARGEST_LIST).decode("utf-8-sig").split("\n")
    except UnicodeDecodeError:
        yield Refused(str(path), f"{path} is no text in UTF-8; a list has the path of one project in each line")
        return
    except OSError as err:
        yield Refused(str(path), f"{path} cannot be read ({err.strerror or err}); name a list of projects, a project or a glob")
        return
    for line in lines:
        if (name := line.strip()) and not name.startswith("#"):
            yield from _projects_of(name)


def _projects_of(name: str) -> Iterator[Path | Refused]:
    """Give the project of a path, or those that a glob matches."""
    if "\0" in name:
        yield Refused(name, f"{name!r} can be no path; correct it")
        return
    if not glob.has_magic(name) or is_there(Path(name)):
        yield Path(name)
        return
    matched = [path for path in map(Path, sorted(glob.glob(name, recursive=True))) if _is_project(path)]  # noqa: PTH207  # of any folder
    yield from matched
    if not matched:
        yield Refused(name, f"{name} matches no project; a glob has to match {PROJECT_ENDING} files or folders that hold one")


def _is_project(path: Path) -> bool:
    return any(path.glob(f"*{PROJECT_ENDING}")) if is_folder(path) else path.suffix.lower() == PROJECT_ENDING


def _project_file(path: Path) -> Path:
    """Give the project file of a folder that holds one; else the path."""
    held = sorted(path.glob(f"*{PROJECT_ENDING}")) if is_folder(path) else []
    return held[0] if len(held) == 1 else path
