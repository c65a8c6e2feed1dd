"""`project.qpproj`: the JSON file that lists the images of a QuPath project (0.2 to 0.8).

QuPath drops keys that it does not know, and so does this reader. The only thing that is ever written is
the time of the last change.
"""

import hashlib
import json
import logging
import os
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nuclick_qp.errors import ProjectNotFoundError, UnreadableProjectError, WriteRefusedError
from nuclick_qp.qupath.folder.server_args import read_server_args
from nuclick_qp.qupath.folder.view_json import view_steps
from nuclick_qp.qupath.protocol import ImageEntry
from nuclick_qp.storage.plain_files import is_folder, is_hidden, is_there, open_file, read_file, read_open

logger = logging.getLogger(__name__)

MICROMETRE = frozenset({"µm", "μm", "um"})  # micro sign, Greek mu, ASCII
MODIFIED = re.compile(rb'("modifyTimestamp"\s*:\s*)(\d{1,18})')
IMAGES = b'"images"'  # behind it keys of that name belong to the user
# Times that we write are whole seconds: runs on other images of the project tell them from QuPath's, of which one in 1000 is one.
OUR_STEP_MS = 1000
LARGEST_PROJECT = 2**27  # bytes; 30,000 images
SETTLED_NS = 2_000_000_000  # the coarsest clock of a file system, FAT's: a change within one tick of it leaves the times as they are
RESTORE = "restore project.qpproj.backup from the same folder, or save the project in QuPath"


@dataclass(frozen=True, slots=True)
class ProjectFile:
    """What `project.qpproj` says.

    Attributes
    ----------
    path
        The file itself.
    version
        QuPath version that saved it; empty when it does not say.
    uri
        Where the file was when QuPath last saved it; None when it does not say.
    images
        In the order of the file.
    servers
        For each image its `serverBuilder`, as compact JSON.
    fingerprint
        Of the bytes of the file, but for the next.
    modified_ms
        When it was last changed, in ms since 1970; None when it does not say.
    """

    path: Path
    version: str
    uri: str | None
    images: tuple[ImageEntry, ...]
    servers: tuple[str, ...]
    fingerprint: str
    modified_ms: int | None


@dataclass(slots=True)
class LastLook:
    """The state in which the file was when all of it was last found to be as it was read.

    Reading all of it for each image would cost the square of the number of images.
    """

    state: tuple[int, ...] | None = None

    def tells(self, state: os.stat_result) -> bool:
        """Tell whether it is the very same file, and nobody has written into it since."""
        return self.state == _state_of(state)

    def remember(self, state: os.stat_result, *, looked_ns: int) -> None:
        """Take the state before a look as one that tells, unless a change right behind the look might leave its times as they are."""
        is_settled = looked_ns - max(state.st_mtime_ns, state.st_ctime_ns) > SETTLED_NS
        self.state = _state_of(state) if is_settled else None


def find_project_file(path: Path) -> Path:
    """Give the `.qpproj` file at a path, or the only one inside a folder.

    Raises
    ------
    ProjectNotFoundError
        If nothing is there, or the folder holds no project.
    UnreadableProjectError
        If the folder holds several projects.
    """
    if is_hidden(path):
        raise UnreadableProjectError(f"{path} lies in a folder that this user may not enter; check its permissions")
    if not is_there(path):
        raise ProjectNotFoundError(f"{path} does not exist; give the project.qpproj file of a QuPath project")
    if not is_folder(path):
        return path
    try:
        found = sorted(file for file in path.iterdir() if file.suffix == ".qpproj")
    except OSError as err:
        raise UnreadableProjectError(f"{path} cannot be looked into ({err.strerror}); check its permissions") from err
    if not found:
        raise ProjectNotFoundError(f"{path} holds no .qpproj file; give the folder or the project.qpproj file of a QuPath project")
    if len(found) > 1:
        raise UnreadableProjectError(f"{path} holds {len(found)} projects ({_names(found)}); name the .qpproj file that you mean")
    return found[0]


def read_project_file(path: Path) -> ProjectFile:
    """Read a project file; a project without images gives an empty tuple.

    Raises
    ------
    ProjectNotFoundError
        If the file does not exist.
    UnreadableProjectError
        If it cannot be read, is not JSON, or is not a project of QuPath 0.2 or later.
    """
    data = _bytes(path)
    content = _parsed(data, path)
    images = content.get("images")
    if not isinstance(images, list):
        raise UnreadableProjectError(f"{path} has no list of images; {RESTORE}")
    try:
        pairs = tuple(_image(image, f"{path}: image {number} of {len(images)}") for number, image in enumerate(images, 1))
    except RecursionError as err:  # the decoder of Python 3.12 and newer goes deeper than what follows here
        raise UnreadableProjectError(f"{path} nests the servers of an image too deeply; {RESTORE}") from err
    ids = [entry.entry_id for entry, _ in pairs]
    for repeated in sorted({i for i in ids if ids.count(i) > 1} if len(set(ids)) < len(ids) else ()):
        raise UnreadableProjectError(f"{path} has two images with the entryID {repeated}; {RESTORE}")
    uri = content.get("uri")
    version = content.get("version")
    return ProjectFile(
        path,
        version if isinstance(version, str) else "",
        uri if isinstance(uri, str) else None,
        tuple(entry for entry, _ in pairs),
        tuple(server for _, server in pairs),
        *_identity(data),
    )


def mpp_in(server: dict[str, Any]) -> float | None:
    """Give the mean of pixel width and height of a server's JSON, in micrometres; None in pixels or when unknown."""
    calibration = _metadata(server).get("pixelCalibration")
    if not isinstance(calibration, dict):
        return None
    sides = []
    for side in (calibration.get("pixelWidth"), calibration.get("pixelHeight")):
        value = side.get("value") if isinstance(side, dict) and side.get("unit") in MICROMETRE else None
        if isinstance(value, int | float) and 0 < value < 2**53:  # JSON has whole numbers that no float holds
            sides.append(float(value))
    return sum(sides) / 2 if len(sides) == 2 else None


def refuse_changed(file: ProjectFile, last_look: LastLook, *, image_name: str) -> None:
    """Refuse to write into a project that somebody has saved since it was opened.

    QuPath locks nothing. But it saves its project when the user changes to another image or adds one,
    so a project file that changed tells that QuPath holds the project, and may hold the image.

    Raises
    ------
    WriteRefusedError
        If the file is not what it was, or is gone.
    """
    try:
        is_same = _is_still(file, last_look)
    except OSError:
        is_same = False
    if not is_same:
        raise WriteRefusedError(
            f"{file.path} has changed since it was read: the project is open in QuPath; nothing was written into image {image_name!r}: "
            "close QuPath and run again"
        )


def set_modified(file: ProjectFile, *, now_ms: int) -> None:
    """Write the time of the last change, in ms since 1970, into a project that is as it was read.

    Only its digits are written, in place: if QuPath saves at the same moment, it puts a new file there,
    and the digits go into the old one. A project that does not state the time, or that somebody has
    saved since, is left alone, and a disk that refuses is no reason to fail: the objects are written.
    """
    digits = b"%d" % (now_ms // OUR_STEP_MS * OUR_STEP_MS)
    try:
        with file.path.open("r+b", buffering=0) as raw:
            data = raw.readall()
            place = MODIFIED.search(data)
            if place and len(place[2]) == len(digits) and file.modified_ms is not None and _is_as_read(file, data):
                raw.seek(place.start(2))
                raw.write(digits)
    except OSError as err:
        logger.warning("the time of the change could not be written into %s (%s)", file.path, err.strerror)


def _is_still(file: ProjectFile, last_look: LastLook) -> bool:
    """Tell whether the file is as it was read: by its state, where that tells, else by its content.

    Opened in any case: network disks ask the server then, and may answer `stat` from memory.
    """
    with open_file(file.path) as raw:
        state = os.fstat(raw.fileno())
        if last_look.tells(state):
            return True
        looked_ns = time.time_ns()
        if not _is_as_read(file, read_open(raw, most=LARGEST_PROJECT)):
            return False
    last_look.remember(state, looked_ns=looked_ns)
    return True


def _is_as_read(file: ProjectFile, data: bytes) -> bool:
    """Tell whether the file holds what it held; the time may be one that another run of ours wrote."""
    fingerprint, modified_ms = _identity(data)
    is_ours = modified_ms is not None and modified_ms % OUR_STEP_MS == 0
    return fingerprint == file.fingerprint and (modified_ms == file.modified_ms or is_ours)


def _state_of(state: os.stat_result) -> tuple[int, ...]:
    return state.st_dev, state.st_ino, state.st_size, state.st_mtime_ns, state.st_ctime_ns


def _identity(data: bytes) -> tuple[str, int | None]:
    """Give the fingerprint of all but the time of the last change, and this time."""
    head, images, rest = data.partition(IMAGES)
    found = MODIFIED.search(head) if images else None
    if found is None:
        return hashlib.sha256(data).hexdigest(), None
    return hashlib.sha256(head[: found.start(2)] + head[found.end(2) :] + images + rest).hexdigest(), int(found[2])


def _bytes(path: Path) -> bytes:
    try:
        return read_file(path, most=LARGEST_PROJECT)
    except FileNotFoundError as err:
        raise ProjectNotFoundError(f"{path} does not exist; give the project.qpproj file of a QuPath project") from err
    except OSError as err:
        raise UnreadableProjectError(f"{path} cannot be read ({err.strerror}); check its permissions") from err


def _parsed(data: bytes, path: Path) -> dict[str, Any]:
    """Read the JSON object; refuse what QuPath itself would refuse."""
    try:
        content = json.loads(data.decode("utf-8-sig"))
    except (ValueError, RecursionError) as err:
        raise UnreadableProjectError(f"{path} is not a QuPath project file (not JSON: {err}); {RESTORE}") from err
    if not isinstance(content, dict) or not ({"version", "lastID"} & content.keys()):
        raise UnreadableProjectError(f"{path} is not a project of QuPath 0.2 or later (no version and no lastID); {RESTORE}")
    return content


def _image(image: object, where: str) -> tuple[ImageEntry, str]:
    """Read one element of `images`."""
    builder = image.get("serverBuilder") if isinstance(image, dict) else None
    if not isinstance(image, dict) or not isinstance(builder, dict):
        raise UnreadableProjectError(f"{where} has no serverBuilder; {RESTORE}")
    entry_id = image.get("entryID")
    if not isinstance(entry_id, int | str) or isinstance(entry_id, bool) or not str(entry_id).strip().isalnum():
        raise UnreadableProjectError(f"{where} has no usable entryID ({entry_id!r}); {RESTORE}")
    leaves = list(_leaves(builder))
    uris = tuple(leaf["uri"] for leaf in leaves if isinstance(leaf.get("uri"), str))
    steps, wrapped = view_steps(builder)
    leaf = leaves[0] if leaves else {}
    args = read_server_args(leaf.get("args"), names_server=bool(leaf.get("providerClassName")))
    shown, (width, height) = _metadata(builder), _size(_metadata(leaf))
    entry = ImageEntry(
        entry_id=str(entry_id).strip(),
        name=_name(image.get("imageName"), uris, str(entry_id)),
        uris=uris,
        width=_size(shown)[0],
        height=_size(shown)[1],
        mpp=mpp_in(builder),
        series=args.series,
        is_cropped=args.is_cropped,
        file_size=(width, height) if width is not None and height is not None else None,
        steps=steps,
        wrapped=wrapped or args.unfollowed,
    )
    return entry, json.dumps(builder, ensure_ascii=False, separators=(",", ":"))


def _leaves(builder: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Walk down wrapped builders to those that name a file."""
    if "uri" in builder:
        yield builder
        return
    builders, regions = (value if isinstance(value := builder.get(key), list) else [] for key in ("builders", "regions"))
    inner = [builder.get("builder"), *builders, *(region.get("builder") for region in regions if isinstance(region, dict))]
    for nested in inner:
        if isinstance(nested, dict):
            yield from _leaves(nested)


def _name(name: object, uris: tuple[str, ...], entry_id: str) -> str:
    """Fall back on what QuPath shows when an entry has no name."""
    if isinstance(name, str) and name:
        return name
    return uris[0].rsplit("/", 1)[-1] if uris else f"image {entry_id}"


def _metadata(builder: dict[str, Any]) -> dict[str, Any]:
    metadata = builder.get("metadata")
    return metadata if isinstance(metadata, dict) else {}


def _size(metadata: dict[str, Any]) -> tuple[int | None, int | None]:
    return _positive_int(metadata.get("width")), _positive_int(metadata.get("height"))


def _positive_int(value: object) -> int | None:
    return int(value) if isinstance(value, int | float) and not isinstance(value, bool) and 1 <= value < 2**53 else None


def _names(paths: list[Path]) -> str:
    return ", ".join(p.name for p in paths[:3]) + (", ..." if len(paths) > 3 else "")
