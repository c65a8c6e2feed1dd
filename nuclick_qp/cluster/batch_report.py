"""What a batch tells its user: every project and image, as JSON and as a table."""

from collections.abc import Iterator
from typing import Literal

from pydantic import BaseModel, ConfigDict

from nuclick_qp.export.csv_text import csv_bytes
from nuclick_qp.plain_text import encodable
from nuclick_qp.run.counts import Counts, total
from nuclick_qp.run.report import RunReport

ProjectStatus = Literal["ok", "partial", "failed", "stopped"]
COLUMNS = ("project", "image", "status", *Counts.model_fields, "seconds", "error")


class ProjectReport(BaseModel):
    """One project of a batch.

    Attributes
    ----------
    status
        ``ok``: all its images are done; ``partial``: some have failed, or prompts of theirs; ``failed``: it could not
        be worked on, `error` says why; ``stopped``: the batch was stopped before all was done.
    run
        As `run` would report it; None where the project failed, or was not begun.
    """

    model_config = ConfigDict(frozen=True)

    project: str
    status: ProjectStatus
    error: str | None = None
    run: RunReport | None = None

    @classmethod
    def failed(cls, project: str, error: str) -> "ProjectReport":
        """Report a project that could not be worked on."""
        return cls(project=encodable(project), status="failed", error=encodable(error))

    @classmethod
    def of(cls, run: RunReport) -> "ProjectReport":
        """Report one that was worked on."""
        return cls(project=run.project, status="stopped" if run.stopped else "ok" if run.all_ok else "partial", run=run)

    @property
    def counts(self) -> Counts:
        """Its prompts by what became of them."""
        return total([] if self.run is None else [self.run])


class BatchReport(Counts):
    """A whole batch: the JSON object of ``batch --json``, and of the report in a file.

    Attributes
    ----------
    scheduler
        Its address.
    workers, lost_workers
        How many took part, and how many of them went away before the end.
    repeated
        Images that were worked on again, since their worker had died or somebody had changed them meanwhile.
    clicks_per_second
        Prompts that were segmented, over the time from the first task to the last answer.
    """

    version: str
    scheduler: str
    workers: int
    lost_workers: int
    repeated: int
    clicks_per_second: float
    seconds: float
    dry_run: bool
    stopped: bool
    projects: tuple[ProjectReport, ...]

    @property
    def all_ok(self) -> bool:
        """Tell whether every prompt of every project got what it asked for."""
        return not self.stopped and all(project.status == "ok" for project in self.projects)


def table_of(report: BatchReport) -> bytes:
    """Give a report as CSV, with a row for each image and for each project that has none to tell of."""
    table, _ = csv_bytes([COLUMNS, *_rows(report)])
    return table


def _rows(report: BatchReport) -> Iterator[tuple[object, ...]]:
    for project in report.projects:
        if project.run is None:
            blanks = ("",) * (len(Counts.model_fields) + 1)
            yield project.project, "", project.status, *blanks, project.error or ""
            continue
        for image in project.run.images:
            counts = tuple(getattr(image, name) for name in Counts.model_fields)
            yield project.project, image.image, image.status, *counts, image.seconds, image.error or ""
