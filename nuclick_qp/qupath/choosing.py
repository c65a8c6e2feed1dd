"""Which images of a project are meant, and what files about them are called."""

from fnmatch import fnmatchcase

from nuclick_qp.errors import OptionError, ProjectError
from nuclick_qp.qupath.protocol import ImageEntry, Project

LONGEST_NAME = 150  # bytes; leaves room for number and ending in the 255 that file systems allow


def choose_images(project: Project, pattern: str, *, remedy: str) -> list[ImageEntry]:
    """List the images whose name matches a glob.

    Parameters
    ----------
    remedy
        What the user of the command can do about a project without images, for the message.

    Raises
    ------
    ProjectError
        If the project holds no images.
    OptionError
        If none matches; the message shows what names there are.
    """
    entries = project.images()
    if not entries:
        raise ProjectError(f"{project.path} holds no images; {remedy}")
    chosen = [entry for entry in entries if fnmatchcase(entry.name, pattern)]
    if not chosen:
        names = ", ".join(repr(entry.name) for entry in entries[:3])
        raise OptionError(f"{project.path} has no image that matches --images {pattern!r}; its first images are {names}")
    return chosen


def file_stem(entry: ImageEntry) -> str:
    """Name files after an image; the entry's number keeps images of one name apart.

    Examples
    --------
    >>> file_stem(ImageEntry("3", "block 1/a*.svs", ()))
    'block 1_a_.svs-3'
    """
    safe = "".join(c if c.isalnum() or c in "-_. " else "_" for c in entry.name)
    short = safe.encode()[:LONGEST_NAME].decode(errors="ignore").strip(". ")
    return f"{short or 'image'}-{entry.entry_id}"
