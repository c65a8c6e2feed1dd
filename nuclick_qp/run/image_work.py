"""The work on one image of a project, in three steps: read and plan, segment, write and report.

`run.project` does all three one behind the other; a batch on a cluster does the second elsewhere.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from nuclick_qp.annotations.objects import Changes, EntryContent, ResultObject
from nuclick_qp.formats.geojson.writing import write_objects
from nuclick_qp.prompts import Outline, Status
from nuclick_qp.qupath.choosing import file_stem
from nuclick_qp.qupath.image_by_image import work_or_error
from nuclick_qp.qupath.locate import SlidePlaces
from nuclick_qp.qupath.open_image import open_image
from nuclick_qp.qupath.protocol import ImageEntry, Project
from nuclick_qp.run.models import Models
from nuclick_qp.run.overlay import Overlay, write_overlay
from nuclick_qp.run.report import ImageReport, report_image
from nuclick_qp.run.results import changes_of, objects_after, to_objects, without_weak
from nuclick_qp.run.resume import Plan, plan_prompts
from nuclick_qp.run.run_options import Progress, RunOptions

if TYPE_CHECKING:  # importing it loads torch
    from nuclick_qp.run.image import Segmented


@dataclass(frozen=True, slots=True)
class ImageJob:
    """One image of a run, with all that its work needs; `place` is which it is, of how many."""

    project: Project
    entry: ImageEntry
    models: Models
    options: RunOptions
    progress: Progress
    places: SlidePlaces
    place: tuple[int, int] = (1, 1)

    @property
    def stated_mpp(self) -> float | None:
        """Micrometres per pixel as the project or the user states it."""
        return self.entry.mpp or self.options.mpp


def read_planned(job: ImageJob) -> tuple[EntryContent, Plan]:
    """Read what people drew in an image, and sort its prompts by what is to be done with them.

    Raises
    ------
    UnreadableDataError
        If its data cannot be read.
    """
    content = job.project.read(job.entry)
    return content, plan_prompts(content, job.options, cards=job.models.cards, stated_mpp=job.stated_mpp)


def may_change(job: ImageJob, content: EntryContent, plan: Plan) -> bool:
    """Tell whether the data of an image may be written, and so have to be held meanwhile."""
    options = job.options
    may_mark = content.marks or (options.mark_failed, options.mark_uncertain) != (None, None)
    return not options.dry_run and bool(plan.todo or plan.turned or may_mark or options.prune)


def segment_planned(job: ImageJob, content: EntryContent, plan: Plan) -> "Segmented":
    """Segment what is to be done in an image; nothing is written.

    Raises
    ------
    SlideError, OptionError, ModelError
        As `open_image` and `segment_image` do.
    """
    from nuclick_qp.run.image import segment_image  # noqa: PLC0415  # loads torch: nothing to do, nothing to load

    job.project.warn_of_unsaved_mpp(job.entry)
    with open_image(job.entry, job.places) as slide:
        return segment_image(
            plan.todo, slide, content=content, models=job.models, project_mpp=job.entry.mpp, options=job.options, progress=job.progress
        )


def finish_image(job: ImageJob, content: EntryContent, plan: Plan, found: "Segmented | None", *, since: float) -> ImageReport:
    """Write what was found in an image, and what was asked for beside it, and report it.

    Parameters
    ----------
    found
        What `segment_planned` gave; None where there was nothing to do.
    since
        `time.perf_counter()` at the start of its work.

    Raises
    ------
    WriteRefusedError
        If the project cannot be written; every byte of it is then as before.
    """
    outlines = list(plan.settled)
    objects: tuple[ResultObject, ...] = ()
    if found is not None:
        outlines = without_weak([*outlines, *found.outlines], job.options)
        objects = to_objects(outlines, job.options, cards=job.models.cards, stated_mpp=job.stated_mpp, mpp=found.stated_mpp)
    changes = changes_of(content, plan, outlines, objects, job.options)
    later, undrawn = ([], 0) if job.options.dry_run else _write(job, content, changes, outlines)
    error = f"the outlines are in the project, but: {'; '.join(map(str, later))}" if later else None
    estimated_mpp = None if found is None else found.estimated_mpp
    return report_image(
        job.entry.name, outlines, content=content, plan=plan, changes=changes, error=error, undrawn=undrawn,
        estimated_mpp=estimated_mpp, since=since,
    )  # fmt: skip


def stopped_image(job: ImageJob, content: EntryContent, plan: Plan, *, since: float) -> ImageReport:
    """Report an image that a stop came before; nothing of it was done."""
    left = [*plan.settled, *(Outline(prompt, Status.STOPPED, detail="the run was stopped") for prompt in plan.todo)]
    return report_image(job.entry.name, left, content=content, plan=plan, changes=Changes(()), since=since)


def _write(job: ImageJob, content: EntryContent, changes: Changes, outcomes: Sequence[Outline]) -> tuple[list[Exception], int]:
    """Write into the project, and then what was asked for beside it; give the errors of the latter, and what no picture shows."""
    if changes.add or changes.remove_keys:
        job.project.write(job.entry, changes, fingerprint=content.fingerprint)
    if job.options.geojson is None and job.options.overlay is None:
        return [], 0
    objects = objects_after(content, changes)
    written = work_or_error(lambda: _write_geojson(job, objects), image_name=job.entry.name)
    undrawn = work_or_error(lambda: _write_pictures(job, content, objects, outcomes), image_name=job.entry.name)
    return [done for done in (written, undrawn) if isinstance(done, Exception)], undrawn if isinstance(undrawn, int) else 0


def _write_geojson(job: ImageJob, objects: tuple[ResultObject, ...]) -> None:
    """Write all outlines that an image has now, where that was asked for."""
    if job.options.geojson is None:
        return
    path = job.options.geojson / f"{file_stem(job.entry)}.geojson"
    if objects or path.exists():
        write_objects(path, objects, merge=True, drop_keys=None)


def _write_pictures(job: ImageJob, content: EntryContent, objects: tuple[ResultObject, ...], outcomes: Sequence[Outline]) -> int:
    """Draw what an image has now, where that was asked for, and count what no picture shows."""
    if job.options.overlay is None or not (objects or content.prompts):
        return 0
    with open_image(job.entry, job.places) as slide:
        mpp = job.entry.mpp or slide.mpp or job.options.mpp
        overlay = Overlay(
            job.entry.name, objects, content.prompts, outcomes, colours=job.project.class_colours(), mpp=mpp, cards=job.models.cards
        )
        return write_overlay(slide, overlay, folder=job.options.overlay, stem=file_stem(job.entry))
