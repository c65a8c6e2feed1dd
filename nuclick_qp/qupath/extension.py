"""Puts our extension where QuPath looks for extensions, and tells it which program to start."""

import io
import re
import shutil
import sys
import zipfile
from collections.abc import Sequence
from pathlib import Path

from nuclick_qp.errors import OptionError, ServiceError, WriteRefusedError
from nuclick_qp.storage.atomic import replace_atomically
from nuclick_qp.storage.plain_files import is_folder, is_hidden

JAR = Path(__file__).parent / "jar" / "nuclick-qp-extension.jar"  # `make extension` puts it there; a wheel has it
PROGRAM = "nuclick-qp"
PROGRAM_ENTRY = "nuclick/executable.txt"  # of the jar; qupath-extension/groovy/Settings.groovy reads it
OLDEST = (0, 5)


def install_extension(folders: Sequence[Path], *, program: Path, jar: Path = JAR) -> list[Path]:
    """Put the extension into user directories of QuPath, and give where it lies now.

    Parameters
    ----------
    folders
        User directories, such as ``~/QuPath/v0.6``.
    program
        What the extension starts.

    Raises
    ------
    ServiceError
        If this installation comes without the extension.
    OptionError
        If a folder is not there, or is that of a QuPath which is too old.
    WriteRefusedError
        If it cannot be written, as when a running QuPath holds it on Windows.
    """
    content = _with_program(jar, program)
    places = [extensions_folder(folder) / jar.name for folder in folders]
    for place in places:
        try:
            place.parent.mkdir(parents=True, exist_ok=True)
            with replace_atomically(place) as file:
                file.write(content)
        except OSError as err:
            raise WriteRefusedError(f"{place} cannot be written ({err.strerror or err}); close QuPath and try again") from err
    return places


def user_folders(home: Path) -> list[Path]:
    """List the user directories of QuPath 0.5 and later that lie in their usual place.

    Raises
    ------
    OptionError
        If there is none.
    """
    found = [folder for folder in sorted((home / "QuPath").glob("v*.*")) if is_folder(folder) and (_version(folder) or (0, 0)) >= OLDEST]
    if not found:
        raise OptionError(
            f"{home / 'QuPath'} has no user directory of QuPath 0.5 or later; pass --qupath-dir with the one that QuPath shows "
            "in Edit > Preferences > Extensions, or drag the jar onto QuPath"
        )
    return found


def extensions_folder(folder: Path) -> Path:
    """Give where a user directory keeps jars that users put there: 0.6 brought an extension manager, and a place of its own.

    Raises
    ------
    OptionError
        If the folder is not there, or is that of a QuPath which is too old.
    """
    if is_hidden(folder):
        raise OptionError(f"{folder} lies in a folder that this user may not enter; check its permissions")
    if not is_folder(folder):
        raise OptionError(f"{folder} is no folder; pass the user directory that QuPath shows in Edit > Preferences > Extensions")
    version = _version(folder)
    if version is not None and version < OLDEST:
        raise OptionError(f"{folder} belongs to QuPath {version[0]}.{version[1]}; the extension needs 0.5 or later")
    managed = folder / "extensions" / "manually-installed"
    has_manager = is_folder(managed) if version is None else version > OLDEST
    return managed if has_manager else folder / "extensions"


def find_program() -> Path:
    """Give the program of this installation.

    Raises
    ------
    ServiceError
        If there is none, as when nuclick-qp runs without being installed.
    """
    found = shutil.which(PROGRAM, path=str(Path(sys.executable).parent)) or shutil.which(PROGRAM)
    if found is None:
        raise ServiceError(f"there is no program {PROGRAM} beside {sys.executable}; install nuclick-qp with pip or pipx")
    return Path(found).absolute()


def _with_program(jar: Path, program: Path) -> bytes:
    """Give the jar with one more file in it, which names the program."""
    try:
        packed = io.BytesIO(jar.read_bytes())
    except OSError as err:
        raise ServiceError(
            f"this installation comes without the extension ({jar} is not there); in a checkout, `make extension` builds it with a JDK"
        ) from err
    packed.seek(0, io.SEEK_END)
    with zipfile.ZipFile(packed, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(PROGRAM_ENTRY, f"{program}\n")
    return packed.getvalue()


def _version(folder: Path) -> tuple[int, int] | None:
    found = re.match(r"v(\d+)\.(\d+)", folder.name)
    return (int(found[1]), int(found[2])) if found else None
