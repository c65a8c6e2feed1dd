"""One project from prompts to written outlines: what to do, doing it, writing it, telling it."""

import logging
import time
from typing import TYPE_CHECKING

from nuclick_qp.annotations.objects import Changes, EntryContent
from nuclick_qp.prompts import Outline, Status
from nuclick_qp.qupath.image_by_image import work_or_error
from nuclick_qp.qupath.locate import SlidePlaces
from nuclick_qp.qupath.protocol import Project
from nuclick_qp.run.image_work import ImageJob, finish_image, may_change, read_planned, segment_planned
from nuclick_qp.run.models import Models, models_of
from nuclick_qp.run.project_work import begin_project, end_project
from nuclick_qp.run.report import ImageReport, RunReport, failed_image, report_image
from nuclick_qp.run.resume import Plan
from nuclick_qp.run.run_options import ImageStart, Progress, RunOptions
from nuclick_qp.stopping import Stopped

if TYPE_CHECKING:  # importing it loads torch
    from nuclick_qp.model.predictor import Predictors

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
    images: list[ImageReport] = []
    for number, entry in enumerate(entries, 1):
        if progress.stopped():
            break
        images.append(_try_image(ImageJob(project, entry, models, options, progress, places, (number, len(entries)))))
    return end_project(project, models, options=options, images=images, not_begun=len(entries) - len(images), since=since)


def _try_image(job: ImageJob) -> ImageReport:
    """Work on one image. Any error of it ends here, so that the other images are still done; one of the model does not."""
    since = time.perf_counter()

    found = work_or_error(lambda: read_planned(job), image_name=job.entry.name)
    if isinstance(found, Exception):
        return failed_image(job.entry.name, found, plan=None, since=since)
    content, plan = found
    if plan.todo:
        job.models.load()
    report = work_or_error(lambda: _hold_and_work(job, content, plan, since=since), image_name=job.entry.name)
    if isinstance(report, Exception):
        return failed_image(job.entry.name, report, plan=plan, since=since)
    logger.info("%s: %d of %d prompts have an outline in %.1f s", job.entry.name, report.new_outlines, report.prompts, report.seconds)
    return report


def _hold_and_work(job: ImageJob, content: EntryContent, plan: Plan, *, since: float) -> ImageReport:
    """Work on an image while other runs wait for it, where it will be changed: none does the same work, or loses ours."""
    if not may_change(job, content, plan):
        if not job.options.dry_run:
            job.project.remove_stale_locks(job.entry)
        return _work_on_image(job, content, plan, since=since)
    try:
        with job.project.hold(job.entry, stopped=job.progress.stopped):
            if not job.project.is_as_read(job.entry, content.fingerprint):
                content, plan = read_planned(job)
            return _work_on_image(job, content, plan, since=since)
    except Stopped:
        left = [*plan.settled, *(Outline(prompt, Status.STOPPED, detail="the run was stopped") for prompt in plan.todo)]
        return report_image(job.entry.name, left, content=content, plan=plan, changes=Changes(()), since=since)


def _work_on_image(job: ImageJob, content: EntryContent, plan: Plan, *, since: float) -> ImageReport:
    """Segment and write what is to be done in one image."""
    job.progress.start_image(ImageStart(job.entry.name, len(plan.todo), *job.place))
    found = segment_planned(job, content, plan) if plan.todo else None
    return finish_image(job, content, plan, found, since=since)
