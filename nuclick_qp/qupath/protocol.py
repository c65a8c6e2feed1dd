"""A QuPath project and its images, as every engine gives them.

The engines are `files_engine` (no Java) and `jvm` (paquo). The same prompts, the same result and the
same rules of safety are expected of both.
"""

from collections.abc import Callable, Collection, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

from nuclick_qp.annotations.objects import Changes, ClosedObject, EntryContent
from nuclick_qp.kinds import OBJECT_KINDS, ObjectKind
from nuclick_qp.slides.view import Step
from nuclick_qp.stopping import never

DATA_VERSIONS = frozenset({2, 3})  # of `data.qpdata` that are known: QuPath 0.1.2 to 0.2, and 0.3 to 0.8


@dataclass(frozen=True, slots=True)
class ImageEntry:
    """One image of a project, as `project.qpproj` describes it.

    Attributes
    ----------
    entry_id
        QuPath's number of the entry, as text.
    name
        Name shown in QuPath.
    uris
        Where the pixels are (usually one ``file:`` URI), as written in the project.
    width, height
        Level-0 pixels of the image as QuPath shows it; None when QuPath has never opened it.
    file_size
        (width, height) of the file itself, the same unless the image is cropped or turned; None
        when unknown.
    mpp
        Micrometres per pixel, mean of x and y; None when unknown or not in micrometres.
    series
        Index of the image inside its file.
    is_cropped
        Whether the image shows the scanned bounds of its file, where the file states them, as QuPath
        does unless it was told not to (``--no-crop``).
    steps
        What makes the image out of the file, first step first: QuPath crops, turns and mirrors.
    wrapped
        Kind of a server that makes other pixels, or other coordinates than steps can (``affine``,
        ``color`` ...), or an argument of its server that does (``--dims XYZCT``); None when there is
        none. Such images are refused for segmentation.
    """

    entry_id: str
    name: str
    uris: tuple[str, ...]
    width: int | None = None
    height: int | None = None
    mpp: float | None = None
    series: int = 0
    is_cropped: bool = True
    file_size: tuple[int, int] | None = None
    steps: tuple[Step, ...] = ()
    wrapped: str | None = None


class Project(Protocol):
    """An open QuPath project; a context manager.

    Attributes
    ----------
    path
        The ``.qpproj`` file.
    engine
        ``files`` or ``qupath``.
    stored_uri
        Where QuPath last saved the project; slides that moved along with it are found by it.
    """

    @property
    def path(self) -> Path:
        """Give the ``.qpproj`` file."""
        ...

    @property
    def engine(self) -> str:
        """Give the name of the engine."""
        ...

    @property
    def stored_uri(self) -> str | None:
        """Give the URI that the project was last saved under."""
        ...

    def class_colours(self) -> dict[str, int]:
        """Give the packed ARGB colours of the project's list of classes, by full name."""
        ...

    def images(self) -> Sequence[ImageEntry]:
        """List the images in the order of the project."""
        ...

    def read(self, entry: ImageEntry) -> EntryContent:
        """Read prompts and earlier results of one image.

        Raises
        ------
        UnreadableDataError
            If its ``data.qpdata`` is truncated, foreign, or of an unknown version.
        """
        ...

    def read_closed_objects(self, entry: ImageEntry, kinds: Collection[ObjectKind] = OBJECT_KINDS) -> tuple[ClosedObject, ...]:
        """Read the closed annotations, the detections and the cells of one image, ours included.

        In the order of the hierarchy. Points, lines, tiles and tissue cores are none.

        Parameters
        ----------
        kinds
            Which of the three are wanted.

        Raises
        ------
        UnreadableDataError
            As `read` does.
        """
        ...

    def hold(self, entry: ImageEntry, *, stopped: Callable[[], bool] = never) -> AbstractContextManager[None]:
        """Keep other runs from an image until the block ends, and wait for one that is at it.

        Parameters
        ----------
        stopped
            Asked often whether to leave off waiting.

        Raises
        ------
        Stopped
            If it was stopped before the image was free.
        WriteRefusedError
            If its data cannot be written.
        """
        ...

    def warn_of_unsaved_mpp(self, entry: ImageEntry) -> None:
        """Warn where QuPath has saved an image with another pixel size than its project states."""
        ...

    def remove_stale_locks(self, entry: ImageEntry) -> None:
        """Remove what a killed run left of its locks, where nothing is to be written into an image."""
        ...

    def is_as_read(self, entry: ImageEntry, fingerprint: str) -> bool:
        """Tell whether the data of an image are still those that `read` gave with this fingerprint.

        Raises
        ------
        UnreadableDataError
            As `read` does.
        """
        ...

    def write(self, entry: ImageEntry, changes: Changes, *, fingerprint: str) -> None:
        """Write results into one image: one write, verified, all or nothing.

        Raises
        ------
        WriteRefusedError
            If the file has changed since it was read, is not fully understood, or cannot be
            written. Every byte on disk is then as before.
        """
        ...

    def __enter__(self) -> Self: ...

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None: ...
