"""`server.json`: what QuPath last saved of the server of an image, beside the objects of it.

QuPath opens an image by what `project.qpproj` says, and never reads this copy. But *File > Save* writes the
copy at once, and `project.qpproj` only when the project is closed or saved. So a pixel size that stands here and
not there is one that the user has just set, and would miss.
"""

import json
import logging
from pathlib import Path

from nuclick_qp.qupath.folder.project_json import mpp_in
from nuclick_qp.qupath.protocol import ImageEntry
from nuclick_qp.slides.pixel_size import NOTABLE_DIFFERENCE
from nuclick_qp.storage.plain_files import LARGEST_SMALL_FILE, read_file

logger = logging.getLogger(__name__)


def warn_of_unsaved_mpp(entry: ImageEntry, image_folder: Path) -> None:
    """Warn where QuPath has saved an image with another pixel size than its project states, which is the one that holds.

    Parameters
    ----------
    image_folder
        That of the image in the project, `data/N`.
    """
    saved = _saved_mpp(image_folder / "server.json")
    if saved is None or (entry.mpp is not None and abs(saved - entry.mpp) <= NOTABLE_DIFFERENCE * saved):
        return
    stated = "none" if entry.mpp is None else f"{entry.mpp:.4g}"
    logger.warning(
        "image %r was saved in QuPath with %.4g um per pixel, and the project file states %s, which holds until QuPath saves it, too: "
        "close the project in QuPath and run again, with --overwrite where outlines were made meanwhile",
        *(entry.name, saved, stated),
    )


def _saved_mpp(path: Path) -> float | None:
    """Read the pixel size of the copy; None where there is no copy, or none that can be read: nothing depends on it."""
    try:
        server = json.loads(read_file(path, most=LARGEST_SMALL_FILE).decode())
    except FileNotFoundError:
        return None
    except (OSError, ValueError, RecursionError) as err:
        logger.info("%s cannot be read (%s); it is a copy that nothing depends on", path, err)
        return None
    return mpp_in(server) if isinstance(server, dict) else None
