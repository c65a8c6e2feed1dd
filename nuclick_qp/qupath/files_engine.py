"""The `files` engine: a QuPath project read and written without Java."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import Path

from nuclick_qp.annotations.objects import Changes
from nuclick_qp.annotations.sorting import FoundKind, FoundObject
from nuclick_qp.qupath.folder.project_json import find_project_file, read_project_file
from nuclick_qp.qupath.folder_project import FolderProject
from nuclick_qp.qupath.protocol import ImageEntry
from nuclick_qp.qupath.qpdata.data_file import Edited, edit_data_file, parse_data_file
from nuclick_qp.qupath.qpdata.found_objects import found_objects


@dataclass(frozen=True, slots=True)
class FilesProject(FolderProject):
    """A project whose `data.qpdata` this package reads and writes itself."""

    @property
    def engine(self) -> str:
        """Name of this engine."""
        return "files"

    def objects_in(self, data: bytes, entry: ImageEntry, *, outlines_of: Collection[FoundKind] = ()) -> Iterable[FoundObject]:
        """Give the objects in the bytes of a data file; `outlines_of` as for `found_objects`.

        Raises
        ------
        UnreadableDataError
            If the bytes are truncated, foreign, or of an unknown version.
        """
        return found_objects(parse_data_file(data, source=self.data_path(entry)).root, outlines_of=outlines_of)

    def edited(self, data: bytes, entry: ImageEntry, changes: Changes) -> Edited | None:
        """Give the bytes of a data file with the changes in them, read once more; None when nothing changes.

        Raises
        ------
        UnreadableDataError
            If the bytes cannot be read.
        WriteRefusedError
            If they cannot be written, or do not read back as they were meant.
        """
        source = self.data_path(entry)
        return edit_data_file(data, source=source, add=changes.add, remove_keys=changes.remove_keys, colours=self.class_colours())


def open_files_project(path: Path) -> FilesProject:
    """Open a project by its `.qpproj` file or its folder.

    Raises
    ------
    ProjectNotFoundError
        If there is none.
    UnreadableProjectError
        If the project file is not what QuPath writes, or the folder holds several.
    """
    return FilesProject(read_project_file(find_project_file(path)))
