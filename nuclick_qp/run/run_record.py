"""The record of a run beside the project, for methods sections."""

import errno
import logging
from datetime import UTC, datetime
from pathlib import Path

from nuclick_qp.run.report import RunReport
from nuclick_qp.storage.atomic import write_atomically

logger = logging.getLogger(__name__)

RECORD_FOLDER = "nuclick"  # beside project.qpproj


def write_record(folder: Path, report: RunReport) -> None:
    """Keep a report as a file, for methods sections; a run does not fail for want of it."""
    now = datetime.now(UTC)
    record = report.model_dump_json(indent=2)
    try:
        if folder.is_symlink():  # of a stranger's project it may lead anywhere
            raise OSError(errno.ELOOP, "it is a symbolic link")
        folder.mkdir(exist_ok=True)
        write_atomically(folder / f"run-{now:%Y%m%dT%H%M%S.%fZ}.json", (record + "\n").encode())
    except OSError as err:
        logger.warning("the record of this run could not be written into %s (%s)", folder, err.strerror)
