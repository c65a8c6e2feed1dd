"""One project from prompts to written outlines: what to do, doing it, writing it, telling it."""

import logging
import time
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from nuclick_qp.annotations.objects import EntryContent
from nuclick_qp.qupath.image_by_image import work_or_error
from nuclick_qp.qupath.locate import SlidePlaces
from nuclick_qp.qupath.protocol import Project
from nuclick_qp.run.image_work import ImageJob, finish_image, may_change, read_planned, segment_planned, stopped_image
from nuclick_qp.run.models import Models, models_of
from nuclick_qp.run.project_work import begin_project, end_project
from nuclick_qp.run.report import ImageReport, RunReport, failed_image
from nuclick_qp.run.resume import Plan
from nuclick_qp.run.run_options import ImageStart, Progress, RunOptions
from nuclick_qp.run.stages import in_stages
from nuclick_qp.stopping import Stopped

if TYPE_CHECKING:  # importing it loads torch
    from nuclick_qp.model.predictor import Predictors
    from nuclick_qp.run.image import Segmented

logger = logging.getLogger(__name__)


def segment_project(
    project: Project,
    predictors: "Models | Predictors | None" = None,
    *,
    options: RunOptions | None = None,
    progress: Progress | None = None,
) -> RunReport:
    """Segment every prompt of a project and write the outlines back, image by image.

    An image that fails is reported as failed and the run goes on with the next; nothing of a failed
    image is written. When `progress.stopped` says so, the outlines found so far are written, and the run ends.
    While one image is segmented, the next is read, and the one before is written.

    Parameters
    ----------
    predictors
        One for each kind of prompt that is to be segmented; None is the shipped ones. `name_models`
        gives some that are only loaded if a prompt needs them. Prompts of another kind get the status
        `no-model`, unless the options leave them out.

    Raises
    ------
    OptionError
        If no image matches, or `image_root` is no folder.
    WriteRefusedError
        If the folder for GeoJSON cannot be made.
    PromptError
        If no image holds a prompt that the options leave in.
    ProjectError
        If the project holds no images.
    ModelError
        If a model cannot be loaded, when the first prompt needs it.
    """
    options, progress = options or RunOptions(), progress or Progress()
    models = models_of(predictors, left_out=options.left_out)
    since = time.perf_counter()
    places = SlidePlaces(project.path, project.stored_uri, options.image_root)
    entries = begin_project(project, options)
    first: list[float] = []

    def advance(count: int) -> None:
        if count and not first:
            first.append(time.perf_counter() - since)
        progress.advance(count)

    watched = replace(progress, advance=advance)
    jobs = [ImageJob(project, entry, models, options, watched, places, (n, len(entries))) for n, entry in enumerate(entries, 1)]
    images = list(in_stages(jobs, read=_read, work=_segment, write=_write, stopped=progress.stopped))
    not_begun = len(entries) - len(images)
    return end_project(project, models, options=options, images=images, not_begun=not_begun, since=since, first=next(iter(first), None))


@dataclass(frozen=True, slots=True)
class _Course:
    """How far the work on an image is.

    Attributes
    ----------
    seconds
        That it took so far, without those in which it waited for another image.
    planned
        What was read, and what is to be done.
    found
        What was found, where the network was asked.
    lock
        Keeps other runs from the image until it is written.
    report
        What became of it, where an error, or a stop, has ended the work.
    """

    job: ImageJob
    seconds: float = 0.0
    planned: tuple[EntryContent, Plan] | None = None
    found: "Segmented | None" = None
    lock: ExitStack = field(default_factory=ExitStack)
    report: ImageReport | None = None

    @property
    def plan(self) -> Plan | None:
        """What is to be done, once that is known."""
        return None if self.planned is None else self.planned[1]

    def failed(self, error: Exception, *, since: float) -> "_Course":
        """Give the course as an error ends it."""
        return replace(self, report=failed_image(self.job.entry.name, error, plan=self.plan, since=since))


def _read(job: ImageJob) -> _Course:
    since = time.perf_counter()
    course = _Course(job)
    planned = work_or_error(lambda: read_planned(job), image_name=job.entry.name)
    if isinstance(planned, Exception):
        return course.failed(planned, since=since)
    return replace(course, planned=planned, seconds=time.perf_counter() - since)


def _segment(course: _Course) -> _Course:
    """Segment an image. Any error of it ends here, so that the other images are still done; one of the model does not."""
    if course.report is not None:
        return course
    since = time.perf_counter() - course.seconds
    if course.plan is not None and course.plan.todo:
        course.job.models.load()
    try:
        done = work_or_error(lambda: _hold_and_segment(course), image_name=course.job.entry.name)
    except BaseException:
        course.lock.close()
        raise
    if isinstance(done, Exception):
        course.lock.close()
        return course.failed(done, since=since)
    return replace(done, seconds=time.perf_counter() - since)


def _hold_and_segment(course: _Course) -> _Course:
    """Segment an image while other runs wait for it, where it will be changed: none does the same work, or loses ours."""
    job, planned = course.job, course.planned
    assert planned is not None
    content, plan = planned
    if may_change(job, content, plan):
        try:
            course.lock.enter_context(job.project.hold(job.entry, stopped=job.progress.stopped))
        except Stopped:
            return replace(course, report=stopped_image(job, content, plan, since=time.perf_counter() - course.seconds))
        if not job.project.is_as_read(job.entry, content.fingerprint):
            content, plan = read_planned(job)
    elif not job.options.dry_run:
        job.project.remove_stale_locks(job.entry)
    job.progress.start_image(ImageStart(job.entry.name, len(plan.todo), *job.place))
    found = segment_planned(job, content, plan) if plan.todo else None
    return replace(course, planned=(content, plan), found=found)


def _write(course: _Course) -> ImageReport:
    """Write what was found in an image, and report it."""
    if course.report is not None:
        return course.report
    assert course.planned is not None
    content, plan = course.planned
    since, name = time.perf_counter() - course.seconds, course.job.entry.name
    with course.lock:
        report = work_or_error(lambda: finish_image(course.job, content, plan, course.found, since=since), image_name=name)
    if isinstance(report, Exception):
        return failed_image(name, report, plan=plan, since=since)
    logger.info("%s: %d of %d prompts have an outline in %.1f s", name, report.new_outlines, report.prompts, report.seconds)
    return report
