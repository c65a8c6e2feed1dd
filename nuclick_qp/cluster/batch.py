"""A batch: many projects, their images segmented by workers and written by this process alone."""

import logging
import socket
import time
import uuid
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from itertools import count
from pathlib import Path

from distributed import Client

from nuclick_qp import __version__
from nuclick_qp.cluster.batch_course import BatchProgress, Course
from nuclick_qp.cluster.batch_report import BatchReport, ProjectReport
from nuclick_qp.cluster.image_flow import ImageFlow, SentImage
from nuclick_qp.cluster.image_task import ImageAnswer, ImageTask, checksums_of
from nuclick_qp.cluster.project_names import Refused
from nuclick_qp.errors import NuClickError, WriteRefusedError
from nuclick_qp.model.cards import find_card
from nuclick_qp.plain_text import encodable
from nuclick_qp.qupath.image_by_image import work_or_error
from nuclick_qp.qupath.locate import SlidePlaces
from nuclick_qp.qupath.open_project import open_project
from nuclick_qp.qupath.protocol import ImageEntry, Project
from nuclick_qp.run.counts import total
from nuclick_qp.run.image_work import ImageJob, finish_image, may_change, stopped_image
from nuclick_qp.run.models import ModelNames, Models
from nuclick_qp.run.project_work import begin_project, end_project
from nuclick_qp.run.report import ImageReport, failed_image
from nuclick_qp.run.run_options import Progress, RunOptions
from nuclick_qp.stopping import Stopped

logger = logging.getLogger(__name__)


@dataclass
class BegunProject:
    """A project that is being worked on, and the reports of its images so far, by their numbers."""

    project: Project
    entries: list[ImageEntry]
    models: Models
    closing: ExitStack
    since: float = field(default_factory=time.perf_counter)
    images: dict[str, ImageReport] = field(default_factory=dict)


def segment_batch(
    named: Iterable[Path | Refused],
    client: Client,
    *,
    names: ModelNames | None = None,
    options: RunOptions | None = None,
    retries: int = 2,
    progress: BatchProgress | None = None,
) -> BatchReport:
    """Segment the prompts of many projects on the workers of a Dask scheduler, and write the outlines here.

    Workers only read; this process writes each image as a run would, one after the other, once its answer has
    come. A project or an image that fails stops no other. When `progress.stopped` says so, workers give back what
    they have finished, that is written, and the batch ends.

    Parameters
    ----------
    named
        The projects, see `projects_named`. Workers have to see them, and their slides, under the same paths.
    retries
        How often an image is worked on again when somebody has changed it before its answer came.

    Raises
    ------
    ModelError, OptionError
        If a model cannot be found here, or be loaded by a worker.
    ClusterError
        If the scheduler goes away, or a worker has other software or weights. What came before is written.
    """
    options, progress = options or RunOptions(), progress or BatchProgress()
    batch = _Batch(list(named), _seen_from_elsewhere(names or ModelNames()), options, retries=retries, progress=progress)
    flow = ImageFlow(client, batch.name, batch.images(), batch.finish, course=batch.course, progress=progress)
    try:
        if batch.course.images:
            flow.run()
    finally:
        batch.end_all()
    return batch.report(client.scheduler_info()["address"])


class _Batch:
    """The projects of a batch: which are waiting, which are begun, and what became of the others."""

    def __init__(
        self, named: list[Path | Refused], names: ModelNames, options: RunOptions, *, retries: int, progress: BatchProgress
    ) -> None:
        self.name, self.course = f"nuclick-{uuid.uuid4().hex}", Course()
        self._named, self._names, self._options = [_absolute(one) for one in named], names, options
        self._retries, self._progress = retries, progress
        self._models, self._numbers = names.find(), count(1)
        self._begun: dict[Path, BegunProject] = {}
        self._ended: dict[Path | Refused, ProjectReport] = {}
        self._counted: dict[Path, int] = {}
        for one in self._named:
            found = self._count(one)
            if isinstance(found, int) and isinstance(one, Path):
                self._counted[one] = found
            else:
                self._ended[one] = ProjectReport.failed(str(one.name if isinstance(one, Refused) else one), str(found))
        self.course.projects, self.course.images = len(self._counted), sum(self._counted.values())

    def images(self) -> Iterator[SentImage]:
        """Give all images; a project is opened when its first image is asked for, so that what it was found to be is not old."""
        for path, counted in self._counted.items():
            begun = work_or_error(lambda: self._begin(path), image_name=str(path))  # noqa: B023  # called at once
            self.course.images += (0 if isinstance(begun, Exception) else len(begun.entries)) - counted
            if isinstance(begun, Exception):
                self._end(path, ProjectReport.failed(str(path), str(begun)))
                continue
            for entry in begun.entries:
                yield self._image(path, begun, entry)

    def finish(self, image: SentImage, answer: ImageAnswer) -> bool:
        """Write what a worker has found in an image; tell whether it is done with, or has to go again."""
        path = image.task.project
        begun = self._begun[path]
        if answer.device != "none":
            begun.models.device, begun.models.precision = answer.device, answer.precision
        for level, text in answer.told:
            logger.log(level, "%s: %s", path.parent.name, text)
        since = time.perf_counter() - answer.seconds
        report = work_or_error(lambda: self._write(image, answer, since=since), image_name=image.job.entry.name)
        if report is None:
            return False
        if isinstance(report, Exception):
            report = failed_image(image.job.entry.name, report, plan=answer.plan, since=since)
        begun.images[image.job.entry.entry_id] = report
        if len(begun.images) == len(begun.entries):
            self._end(path, self._project_report(path, begun))
        return True

    def end_all(self) -> None:
        """Report the projects that are not done with, and close them."""
        for path in self._counted.keys() - self._ended.keys():
            begun = self._begun.get(path)
            stopped = ProjectReport(project=encodable(str(path)), status="stopped")
            self._end(path, self._project_report(path, begun) if begun and begun.images else stopped)

    def report(self, scheduler: str) -> BatchReport:
        """Put the reports of all projects together, in the order in which they were named."""
        projects = tuple(self._ended[one] for one in self._named)
        return BatchReport(
            **total([project.counts for project in projects]).model_dump(),
            version=__version__,
            scheduler=scheduler,
            workers=len(self.course.workers_seen),
            lost_workers=self.course.workers_lost,
            repeated=self.course.repeated,
            clicks_per_second=round(self.course.clicks_per_second, 2),
            seconds=round(self.course.seconds, 3),
            dry_run=self._options.dry_run,
            stopped=any(project.status == "stopped" for project in projects),
            projects=projects,
        )

    def _count(self, one: Path | Refused) -> int | str | Exception:
        """Count the images that a project has for us, or tell why there are none."""
        if isinstance(one, Refused):
            return one.error

        def images_of(path: Path) -> int:
            with open_project(path) as project:
                return len(begin_project(project, self._options))

        return work_or_error(lambda: images_of(one), image_name=str(one))

    def _begin(self, path: Path) -> BegunProject:
        with ExitStack() as closing:
            project = closing.enter_context(open_project(path))
            entries = begin_project(project, self._options)
            self._begun[path] = BegunProject(project, entries, replace(self._models), closing.pop_all())
        return self._begun[path]

    def _image(self, path: Path, begun: BegunProject, entry: ImageEntry) -> SentImage:
        project = begun.project
        places = SlidePlaces(project.path, project.stored_uri, self._options.image_root)
        job = ImageJob(project, entry, begun.models, self._options, Progress(stopped=self._progress.stopped), places)
        key = f"image-{self.name}-{next(self._numbers)}"
        return SentImage(job, ImageTask(self.name, key, path, entry, self._names, checksums_of(self._models), self._options, __version__))

    def _write(self, image: SentImage, answer: ImageAnswer, *, since: float) -> ImageReport | None:
        """Write and report an image; None where somebody has changed it since the worker read it."""
        job, content, plan = image.job, answer.content, answer.plan
        if content is None or plan is None:
            where = f" (on {answer.host})" if answer.host not in ("", socket.gethostname()) else ""
            raise NuClickError(f"{answer.error}{where}")
        if not may_change(job, content, plan):
            if not self._options.dry_run:
                job.project.remove_stale_locks(job.entry)
            return finish_image(job, content, plan, answer.found, since=since)
        try:
            with job.project.hold(job.entry, stopped=self._progress.stopped):
                if job.project.is_as_read(job.entry, content.fingerprint):
                    return finish_image(job, content, plan, answer.found, since=since)
        except Stopped:
            return stopped_image(job, content, plan, since=since)
        if image.changes < self._retries:
            return None
        times = image.changes + 1
        raise WriteRefusedError(f"image {job.entry.name!r} was changed {times} times meanwhile; close it in QuPath, and run again")

    def _project_report(self, path: Path, begun: BegunProject) -> ProjectReport:
        images = [begun.images[entry.entry_id] for entry in begun.entries if entry.entry_id in begun.images]
        left = len(begun.entries) - len(images)
        run = work_or_error(
            lambda: end_project(begun.project, begun.models, options=self._options, images=images, not_begun=left, since=begun.since),
            image_name=str(path),
        )
        return ProjectReport.failed(str(path), str(run)) if isinstance(run, Exception) else ProjectReport.of(run)

    def _end(self, path: Path, report: ProjectReport) -> None:
        self._ended[path] = report
        self.course.projects_done += 1
        if (begun := self._begun.pop(path, None)) is not None:
            begun.closing.close()


def _absolute(one: Path | Refused) -> Path | Refused:
    """Give a path that means the same in another current folder; links stay, as other machines may follow them elsewhere."""
    return one if isinstance(one, Refused) else one.absolute()


def _seen_from_elsewhere(names: ModelNames) -> ModelNames:
    """Make paths of models absolute; names stay names."""

    def seen(name: str | None) -> str | None:
        return name if name is None or find_card(name)[1].is_absolute() else str(Path(name).absolute())

    return replace(names, points=seen(names.points), lines=seen(names.lines))
