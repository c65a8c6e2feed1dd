"""Find the file of an image: where the project says, where it moved with the project, or below a root."""

import os
import posixpath
import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePath, PurePosixPath, PureWindowsPath
from urllib.parse import unquote

from nuclick_qp.errors import OptionError, SlideError, SlideNotFoundError
from nuclick_qp.qupath.protocol import ImageEntry
from nuclick_qp.slides import open_slide
from nuclick_qp.slides.view import Crop
from nuclick_qp.storage.plain_files import is_file, is_folder, is_hidden

SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+):")  # two letters at least: C: is a drive
DRIVE = re.compile(r"/?([A-Za-z]:[/\\].*)", re.DOTALL)
LOCKED = " (in a folder that this user may not enter)"
SHOWN = 3  # candidates that an error lists


@dataclass(frozen=True)  # no slots: the index of files is made once, when it is first needed
class SlidePlaces:
    """Where to look for the slides of one project.

    Attributes
    ----------
    project
        The `.qpproj` file, where it is now.
    stored_uri
        Where it was when QuPath last saved it; None when unknown.
    image_root
        Folder to search for slides that are elsewhere; None for no search.
    root_option
        Option that names this folder, for messages.

    Raises
    ------
    OptionError
        If `image_root` is not a folder.
    """

    project: Path
    stored_uri: str | None = None
    image_root: Path | None = None
    root_option: str = "--image-root"

    def __post_init__(self) -> None:
        if self.image_root is not None and not is_folder(self.image_root):
            raise OptionError(f"{self.root_option} {self.image_root} is not a folder; give the folder that holds the slides")

    @cached_property
    def files_by_name(self) -> dict[str, tuple[Path, ...]]:
        """Files below `image_root` by name, in sorted order; names in one Unicode form."""
        found: defaultdict[str, list[Path]] = defaultdict(list)
        for folder, folders, names in os.walk(self.image_root or os.devnull):
            folders.sort()
            for name in sorted(names):
                found[_one_form(name)].append(Path(folder, name))
        return {name: tuple(paths) for name, paths in found.items()}


def find_slide(entry: ImageEntry, places: SlidePlaces) -> Path:
    """Give the file that holds the pixels of an image.

    Tried in turn: the place that the project names; the same place relative to the project, when
    the project has moved; below `image_root`, the longest end of the path that exists; the only
    file of that name below `image_root`, or the one that shares most folder names with the path;
    among several that share as many, the only one of the size that the project states, if all of
    them can be opened: one that is damaged may be the right one.

    A file whose folders fit is never passed over for one whose size fits: where the two disagree,
    the slide may be another patient's, and `open_image` refuses it for its size. Nor is a file taken
    that was searched for, when the image is a part of it and the project states no size of the whole.

    Raises
    ------
    SlideNotFoundError
        If no file is found, several fit equally well, nothing can tell whether the one found is the
        right one, or the image is not a file at all.
    """
    if not entry.uris:
        raise SlideNotFoundError(f"{places.project}: image {entry.name!r} names no file; add the image to the project again in QuPath")
    wanted = uri_to_path(entry.uris[0])
    if wanted is None:
        raise SlideNotFoundError(
            f"{places.project}: image {entry.name!r} is not a file but {entry.uris[0]}; export it as OME-TIFF and add that to the project"
        )
    tried = list(dict.fromkeys(_expected_places(wanted, places)))
    for path in tried:
        if is_file(path):
            return path
    if places.image_root is not None:
        found = _search(entry, wanted, places)
        _refuse_part_of_any(found, entry, tried, places)
        return found
    looked = " and ".join(f"{p}{LOCKED if is_hidden(p) else ''}" for p in tried) if tried else str(wanted)
    raise SlideNotFoundError(
        f"{places.project}: image {entry.name!r} is not at {looked}; pass {places.root_option} with the folder that holds it, "
        "or open the project in QuPath and correct the path"
    )


def uri_to_path(uri: str) -> PurePath | None:
    """Turn a URI of a project into a path; None when it is not a file.

    Percent codes are UTF-8. Relative URIs give relative paths, drive letters and UNC names
    Windows paths, on any system.

    Examples
    --------
    >>> str(uri_to_path("file:///data/Pr%C3%A4parat%2001.png"))
    '/data/Präparat 01.png'
    >>> uri_to_path("file:/C:/slides/a.svs").parts[1:]
    ('slides', 'a.svs')
    """
    if DRIVE.fullmatch(uri):
        return PureWindowsPath(uri.lstrip("/"))
    scheme = SCHEME.match(uri)
    if scheme and scheme[1].lower() != "file":
        return None
    coded = uri[scheme.end() :] if scheme else uri
    text = unquote(re.split("[?#]", coded, maxsplit=1)[0], errors="surrogateescape")
    if text.startswith("//localhost/"):
        text = text.removeprefix("//localhost")
    if text.startswith("///") and not text.startswith("////"):
        text = text[2:]
    if drive := DRIVE.fullmatch(text):
        return PureWindowsPath(drive[1])
    if text.startswith("//"):
        return PureWindowsPath("//" + text.lstrip("/"))
    return PurePosixPath(text)


def _expected_places(wanted: PurePath, places: SlidePlaces) -> Iterator[Path]:
    """Give the place that the project names, then the place that moved along with the project."""
    folder = places.project.absolute().parent
    if not wanted.is_absolute():
        yield Path(posixpath.normpath((folder / wanted).as_posix()))
        return
    if isinstance(wanted, PureWindowsPath) == (os.name == "nt"):
        yield Path(wanted)
    old = uri_to_path(places.stored_uri) if places.stored_uri else None
    if old is None or type(old) is not type(wanted) or old.anchor.lower() != wanted.anchor.lower():
        return
    # As QuPath does: the way from the old project folder to the slide, walked from the new one.
    relative = posixpath.relpath("/".join(("/", *wanted.parts[1:])), "/".join(("/", *old.parent.parts[1:])))
    yield Path(posixpath.normpath((folder / relative).as_posix()))


def _search(entry: ImageEntry, wanted: PurePath, places: SlidePlaces) -> Path:
    """Look below `image_root`: by the end of the path, then by name."""
    root = places.image_root
    assert root is not None
    names = [p for p in wanted.parts if p not in (wanted.anchor, "..", ".")]
    for start in range(len(names) - 1):
        path = root.joinpath(*names[start:])
        if is_file(path):
            return path
    candidates = places.files_by_name.get(_one_form(wanted.name), ())
    if not candidates:
        raise SlideNotFoundError(
            f"{places.project}: image {entry.name!r} ({wanted}) is not below {places.root_option} {root} either; "
            f"check the folder, it must hold a file called {wanted.name}"
        )
    common = [_common_end(path, names) for path in candidates]
    best = [path for path, n in zip(candidates, common, strict=True) if n == max(common)]
    if len(best) == 1:
        return best[0]
    sizes = [] if entry.file_size is None else [_size_of(path, entry) for path in best]
    if sizes.count(entry.file_size) == 1 and None not in sizes:
        return best[sizes.index(entry.file_size)]
    raise SlideNotFoundError(
        f"{places.project}: image {entry.name!r} ({wanted}) could be any of {len(best)} files below {places.root_option} {root}: "
        f"{_listed(best)}{_about_sizes(entry, best, sizes)}; give a folder that holds only one of them"
    )


def _refuse_part_of_any(found: Path, entry: ImageEntry, tried: list[Path], places: SlidePlaces) -> None:
    """Refuse a file of unknown size that is to be cropped: every larger one would fit."""
    if entry.file_size is None and any(isinstance(step, Crop) for step in entry.steps):
        put = f"put the right one at {' or '.join(map(str, tried))}, or " if tried else ""
        raise SlideNotFoundError(
            f"{places.project}: image {entry.name!r} is a part of a file whose size the project does not state, so {found} may be "
            f"another slide of that name; {put}open the project in QuPath and correct the path"
        )


def _size_of(path: Path, entry: ImageEntry) -> tuple[int, int] | None:
    """Give the size of a file in pixels, None when it cannot be opened."""
    try:
        with open_slide(path, series=entry.series, is_cropped=entry.is_cropped) as slide:
            return slide.file_size
    except SlideError:
        return None


def _about_sizes(entry: ImageEntry, candidates: list[Path], sizes: list[tuple[int, int] | None]) -> str:
    """Say why the size did not decide between several files."""
    if entry.file_size is None:
        return ""
    fitting = [path for path, size in zip(candidates, sizes, strict=True) if size == entry.file_size]
    unread = [path for path, size in zip(candidates, sizes, strict=True) if size is None]
    if not fitting:
        which = "none of them has"
    elif len(fitting) == 1:
        which = f"one of them ({fitting[0]}) has"
    else:
        which = "all of them have" if fitting == candidates else f"{len(fitting)} of them ({_listed(fitting)}) have"
    but = f", but {_listed(unread)} cannot be read" if unread else ""
    return f", and {which} the size of the image, {entry.file_size[0]} x {entry.file_size[1]} pixels{but}"


def _listed(paths: list[Path]) -> str:
    return ", ".join(str(p) for p in paths[:SHOWN]) + (", ..." if len(paths) > SHOWN else "")


def _common_end(path: Path, names: list[str]) -> int:
    """Count how many last parts of two paths are the same."""
    count = 0
    for one, other in zip(reversed(path.parts), reversed(names), strict=False):
        if _one_form(one) != _one_form(other):
            break
        count += 1
    return count


def _one_form(name: str) -> str:
    """Compose accents: macOS stores them apart, QuPath's URIs keep what they met."""
    return unicodedata.normalize("NFC", name)
