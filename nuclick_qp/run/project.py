"""One project from prompts to written outlines: what to do, doing it, writing it, telling it."""

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from nuclick_qp.annotations.objects import Changes, EntryContent, ResultObject
from nuclick_qp.errors import PromptError
from nuclick_qp.formats.geojson.writing import write_objects
from nuclick_qp.prompts import Outline, Status
from nuclick_qp.qupath.choosing import choose_images, file_stem
from nuclick_qp.qupath.image_by_image import work_or_error
from nuclick_qp.qupath.locate import SlidePlaces
from nuclick_qp.qupath.open_image import open_image
from nuclick_qp.qupath.protocol import ImageEntry, Project
from nuclick_qp.run.models import Models, models_of
from nuclick_qp.run.overlay import Overlay, write_overlay
from nuclick_qp.run.report import ImageReport, RunReport, failed_image, make_report, nothing_to_do, report_image
from nuclick_qp.run.results import changes_of, objects_after, to_objects, without_weak
from nuclick_qp.run.resume import Plan, plan_prompts
from nuclick_qp.run.run_options import ImageStart, Progress, RunOptions
from nuclick_qp.run.run_record import RECORD_FOLDER, write_record
from nuclick_qp.stopping import Stopped
from nuclick_qp.storage.atomic import make_folder

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
    chosen = choose_images(project, options.images, remedy="add some in QuPath and put a point in each nucleus")
    entries = [entry for entry in chosen if entry.entry_id not in options.skip]
    places = SlidePlaces(project.path, project.stored_uri, options.image_root)
    if options.geojson is not None and not options.dry_run:
        make_folder(options.geojson, option="--geojson")
    if options.overlay is not None and not options.dry_run:
        make_folder(options.overlay, option="--overlay")
    images: list[ImageReport] = []
    for number, entry in enumerate(entries, 1):
        if progress.stopped():
            break
        images.append(_try_image(_Job(project, entry, models, options, progress, places, (number, len(entries)))))
    not_begun = len(entries) - len(images)
    if not not_begun and not any(image.prompts or image.error or image.pruned for image in images):
        classes = {name for image in images for name in image.classes}
        raise PromptError(nothing_to_do(project.path, len(images), options, classes=classes))
    report = make_report(project.path, project.engine, models, options=options, images=images, not_begun=not_begun, since=since)
    if not options.dry_run and any(image.new_outlines or image.pruned for image in images):
        write_record(project.path.parent / RECORD_FOLDER, report)
    return report


@dataclass(frozen=True, slots=True)
class _Job:
    """One image of a run, with all that its work needs; `place` is which it is, of how many."""

    project: Project
    entry: ImageEntry
    models: Models
    options: RunOptions
    progress: Progress
    places: SlidePlaces
    place: tuple[int, int]

    @property
    def stated_mpp(self) -> float | None:
        """Micrometres per pixel as the project or the user states it."""
        return self.entry.mpp or self.options.mpp


def _try_image(job: _Job) -> ImageReport:
    """Work on one image. Any error of it ends here, so that the other images are still done; one of the model does not."""
    since = time.perf_counter()

    found = work_or_error(lambda: _read(job), image_name=job.entry.name)
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


def _read(job: _Job) -> tuple[EntryContent, Plan]:
    content = job.project.read(job.entry)
    return content, plan_prompts(content, job.options, cards=job.models.cards, stated_mpp=job.stated_mpp)


def _hold_and_work(job: _Job, content: EntryContent, plan: Plan, *, since: float) -> ImageReport:
    """Work on an image while other runs wait for it, where it will be changed: none does the same work, or loses ours."""
    may_mark = content.marks or (job.options.mark_failed, job.options.mark_uncertain) != (None, None)
    if job.options.dry_run or not (plan.todo or plan.turned or may_mark or job.options.prune):
        if not job.options.dry_run:
            job.project.remove_stale_locks(job.entry)
        return _work_on_image(job, content, plan, since=since)
    try:
        with job.project.hold(job.entry, stopped=job.progress.stopped):
            if not job.project.is_as_read(job.entry, content.fingerprint):
                content, plan = _read(job)
            return _work_on_image(job, content, plan, since=since)
    except Stopped:
        left = [*plan.settled, *(Outline(prompt, Status.STOPPED, detail="the run was stopped") for prompt in plan.todo)]
        return report_image(job.entry.name, left, content=content, plan=plan, changes=Changes(()), since=since)


def _work_on_image(job: _Job, content: EntryContent, plan: Plan, *, since: float) -> ImageReport:
    """Segment and write what is to be done in one image."""
    job.progress.start_image(ImageStart(job.entry.name, len(plan.todo), *job.place))
    outlines = list(plan.settled)
    objects: tuple[ResultObject, ...] = ()
    estimated_mpp: float | None = None
    if plan.todo:
        found = _segment(job, content, plan)
        estimated_mpp = found.estimated_mpp
        outlines = without_weak([*outlines, *found.outlines], job.options)
        objects = to_objects(outlines, job.options, cards=job.models.cards, stated_mpp=job.stated_mpp, mpp=found.stated_mpp)
    changes = changes_of(content, plan, outlines, objects, job.options)
    later, undrawn = ([], 0) if job.options.dry_run else _write(job, content, changes, outlines)
    error = f"the outlines are in the project, but: {'; '.join(map(str, later))}" if later else None
    return report_image(
        job.entry.name, outlines, content=content, plan=plan, changes=changes, error=error, undrawn=undrawn,
        estimated_mpp=estimated_mpp, since=since,
    )  # fmt: skip


def _segment(job: _Job, content: EntryContent, plan: Plan) -> "Segmented":
    """Segment what is to be done in one image."""
    from nuclick_qp.run.image import segment_image  # noqa: PLC0415  # loads torch: nothing to do, nothing to load

    job.project.warn_of_unsaved_mpp(job.entry)
    with open_image(job.entry, job.places) as slide:
        return segment_image(
            plan.todo,
            slide,
            content=content,
            models=job.models,
            project_mpp=job.entry.mpp,
            options=job.options,
            progress=job.progress,
        )


def _write(job: _Job, content: EntryContent, changes: Changes, outcomes: Sequence[Outline]) -> tuple[list[Exception], int]:
    """Write into the project, and then what was asked for beside it; give the errors of the latter, and what no picture shows."""
    if changes.add or changes.remove_keys:
        job.project.write(job.entry, changes, fingerprint=content.fingerprint)
    if job.options.geojson is None and job.options.overlay is None:
        return [], 0
    objects = objects_after(content, changes)
    written = work_or_error(lambda: _write_geojson(job, objects), image_name=job.entry.name)
    undrawn = work_or_error(lambda: _write_pictures(job, content, objects, outcomes), image_name=job.entry.name)
    return [done for done in (written, undrawn) if isinstance(done, Exception)], undrawn if isinstance(undrawn, int) else 0


def _write_geojson(job: _Job, objects: tuple[ResultObject, ...]) -> None:
    """Write all outlines that an image has now, where that was asked for."""
    if job.options.geojson is None:
        return
    path = job.options.geojson / f"{file_stem(job.entry)}.geojson"
    if objects or path.exists():
        write_objects(path, objects, merge=True, drop_keys=None)


def _write_pictures(job: _Job, content: EntryContent, objects: tuple[ResultObject, ...], outcomes: Sequence[Outline]) -> int:
    """Draw what an image has now, where that was asked for, and count what no picture shows."""
    if job.options.overlay is None or not (objects or content.prompts):
        return 0
    with open_image(job.entry, job.places) as slide:
        mpp = job.entry.mpp or slide.mpp or job.options.mpp
        overlay = Overlay(
            job.entry.name, objects, content.prompts, outcomes, colours=job.project.class_colours(), mpp=mpp, cards=job.models.cards
        )
        return write_overlay(slide, overlay, folder=job.options.overlay, stem=file_stem(job.entry))
