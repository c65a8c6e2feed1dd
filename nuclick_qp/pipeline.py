"""One project from prompts to written outlines: what to do, doing it, writing it, telling it."""

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from itertools import groupby
from pathlib import Path

import numpy as np

from nuclick_qp import __version__
from nuclick_qp.errors import NuClickError, OptionError, ProjectError, PromptError, SlideError
from nuclick_qp.planning import Wishes, plan_prompts
from nuclick_qp.projects.geojson_io import read_prompts, write_objects
from nuclick_qp.projects.locate import SlidePlaces, find_slide
from nuclick_qp.projects.protocol import Changes, EntryContent, ImageEntry, ObjectKind, Project
from nuclick_qp.prompts import Outcome, Prompt, PromptKind, Status
from nuclick_qp.report import RECORD_FOLDER, ImageReport, ModelReport, RunReport, failed_image, report_image, total, write_record
from nuclick_qp.results import to_objects
from nuclick_qp.segment.image import SegmentOptions, segment_prompts
from nuclick_qp.segment.predictor import Predictor
from nuclick_qp.slides import Slide, check_size, open_slide, resolve_mpp

logger = logging.getLogger(__name__)

Predictors = Mapping[PromptKind, Predictor]


@dataclass(frozen=True, slots=True)
class RunOptions:
    """What a run of a project does.

    Attributes
    ----------
    images
        Glob of image names; the others are left alone.
    classes
        Full class names whose prompts are segmented, an empty text for unclassified ones; empty for
        all. Prompts of other classes still mark neighbours.
    left_out
        Kinds of prompts that are not looked at.
    kind
        What outlines are written as.
    image_root
        Folder to search for slides that are not where the project says.
    mpp
        Micrometres per pixel of images for which neither project nor file say it.
    overwrite
        Segment prompts anew whose results still hold.
    dry_run
        Segment, but write nothing into the project.
    geojson
        Folder for one GeoJSON file per image with the new outlines.
    segment
        Batches, tiles, exclusion.
    """

    images: str = "*"
    classes: tuple[str, ...] = ()
    left_out: frozenset[PromptKind] = frozenset()
    kind: ObjectKind = "detection"
    image_root: Path | None = None
    mpp: float | None = None
    overwrite: bool = False
    dry_run: bool = False
    geojson: Path | None = None
    segment: SegmentOptions = field(default_factory=SegmentOptions)


@dataclass(frozen=True, slots=True)
class Progress:
    """Where a run tells how far it is.

    Attributes
    ----------
    start_image
        Called with the name of an image and the number of prompts to segment in it.
    advance
        Called with the number of prompts finished since the last call.
    """

    start_image: Callable[[str, int], None] = lambda name, prompts: None
    advance: Callable[[int], None] = lambda count: None


def segment_project(
    project: Project, predictors: Predictors, *, options: RunOptions | None = None, progress: Progress | None = None
) -> RunReport:
    """Segment every prompt of a project and write the outlines back, image by image.

    An image that fails is reported as failed and the run goes on with the next; nothing of a failed
    image is written.

    Parameters
    ----------
    predictors
        One for each kind of prompt that is to be segmented. Prompts of another kind get the status
        `no-model`, unless the options leave them out.

    Raises
    ------
    OptionError
        If no image matches.
    PromptError
        If no image holds a prompt that the options leave in.
    ProjectError
        If the project holds no images.
    """
    options, progress = options or RunOptions(), progress or Progress()
    since = time.perf_counter()
    entries = _choose_images(project, options)
    images = [_try_image(_Job(project, entry, predictors, options, progress)) for entry in entries]
    if not any(image.prompts or image.error for image in images):
        raise PromptError(_nothing_to_do(project.path, len(images), options))
    report = _report(project.path, project.engine, predictors, dry_run=options.dry_run, images=images, since=since)
    if not options.dry_run and any(image.ok for image in images):
        write_record(project.path.parent / RECORD_FOLDER, report)
    return report


def segment_file(
    slide_path: Path,
    prompts_path: Path,
    output: Path,
    *,
    predictors: Predictors,
    options: RunOptions | None = None,
    progress: Progress | None = None,
) -> RunReport:
    """Segment the prompts of a GeoJSON file on one image, and write the outlines as GeoJSON.

    Raises
    ------
    PromptError
        If the file holds no prompts that the options leave in, or is not GeoJSON.
    SlideError
        If the image cannot be read or has no pixel size.
    WriteRefusedError
        If the output cannot be written.
    """
    options, progress = options or RunOptions(), progress or Progress()
    since = time.perf_counter()
    content = read_prompts(prompts_path)
    cards = {kind: predictor.card for kind, predictor in predictors.items()}
    wishes = Wishes(cards, options.left_out, options.classes, overwrite=True, kind=options.kind, mpp=options.mpp)
    plan = plan_prompts(content, wishes)
    if not (plan.todo or plan.settled or content.bad_prompts):
        raise PromptError(_nothing_to_do(prompts_path, 1, options))
    progress.start_image(slide_path.name, len(plan.todo))
    with open_slide(slide_path) as slide:
        mpp = resolve_mpp(project=None, slide=slide.mpp, option=options.mpp, source=str(slide_path))
        done = segment_by_plane(
            plan.todo, slide, content=content, predictors=predictors, mpp=mpp, options=options.segment, on_done=progress.advance
        )
    outcomes = [*done, *plan.settled]
    write_objects(output, to_objects(outcomes, wishes, mpp=mpp))
    image = report_image(slide_path.name, outcomes, bad_prompts=content.bad_prompts, removed=0, since=since)
    return _report(prompts_path, "geojson", predictors, dry_run=False, images=[image], since=since)


def segment_by_plane(
    todo: Sequence[Prompt],
    slide: Slide,
    *,
    content: EntryContent,
    predictors: Predictors,
    mpp: float,
    options: SegmentOptions,
    on_done: Callable[[int], None] = lambda count: None,
) -> list[Outcome]:
    """Segment prompts of all kinds and planes of one image.

    Parameters
    ----------
    todo
        Part of the prompts of `content`, each of a kind for which there is a predictor; the other
        prompts of the same kind and plane mark neighbours.
    mpp
        Micrometres per level-0 pixel.

    Returns
    -------
    list of Outcome
        One for each prompt, grouped by kind and plane.
    """
    outcomes: list[Outcome] = []
    for (kind, plane), group in groupby(sorted(todo, key=_group), key=_group):
        prompts = list(group)
        chosen = {prompt.key for prompt in prompts}
        outcomes += segment_prompts(
            prompts,
            slide,
            predictor=predictors[kind],
            mpp=mpp,
            neighbours_xy=np.array([xy for xy, on in content.neighbours if on == plane and kind == "point"], np.float64).reshape(-1, 2),
            context=[p for p in content.prompts if _group(p) == (kind, plane) and p.key not in chosen],
            options=options,
            on_done=on_done,
        )
    return outcomes


@dataclass(frozen=True, slots=True)
class _Job:
    """One image of a run, with all that its work needs."""

    project: Project
    entry: ImageEntry
    predictors: Predictors
    options: RunOptions
    progress: Progress

    @property
    def wishes(self) -> Wishes:
        cards = {kind: predictor.card for kind, predictor in self.predictors.items()}
        o = self.options
        return Wishes(cards, o.left_out, o.classes, o.overwrite, o.kind, self.entry.mpp or o.mpp)


def _choose_images(project: Project, options: RunOptions) -> list[ImageEntry]:
    entries = project.images()
    if not entries:
        raise ProjectError(f"{project.path} holds no images; add some in QuPath and put a point in each nucleus")
    chosen = [entry for entry in entries if fnmatchcase(entry.name, options.images)]
    if not chosen:
        names = ", ".join(repr(entry.name) for entry in entries[:3])
        raise OptionError(f"{project.path} has no image that matches --images {options.images!r}; its first images are {names}")
    return chosen


def _nothing_to_do(path: Path, images: int, options: RunOptions) -> str:
    classes = f" of the classes {', '.join(map(repr, options.classes))}" if options.classes else ""
    return f"{path} has no points or lines{classes} in its {images} image(s); put a point in each nucleus in QuPath, save, and run again"


def _try_image(job: _Job) -> ImageReport:
    """Work on one image. Any error ends here, so that the other images go on."""
    since = time.perf_counter()
    try:
        report = _work_on_image(job, since)
    except NuClickError as err:
        logger.error("%s: %s", job.entry.name, err)
        return failed_image(job.entry.name, err, since=since)
    except Exception as err:
        logger.exception("%s failed", job.entry.name)
        return failed_image(job.entry.name, err, since=since)
    logger.info("%s: %d of %d prompts ok in %.1f s", job.entry.name, report.ok, report.prompts, report.seconds)
    return report


def _work_on_image(job: _Job, since: float) -> ImageReport:
    content = job.project.read(job.entry)
    plan = plan_prompts(content, job.wishes)
    job.progress.start_image(job.entry.name, len(plan.todo))
    outcomes, removed = list(plan.settled), 0
    if plan.todo:
        slide_path = _find_slide(job)
        with open_slide(slide_path, series=job.entry.series) as slide:
            mpp = _check_slide(job, slide)
            outcomes += segment_by_plane(
                plan.todo,
                slide,
                content=content,
                predictors=job.predictors,
                mpp=mpp,
                options=job.options.segment,
                on_done=job.progress.advance,
            )
        removed = _write(job, content, outcomes, mpp=mpp)
    return report_image(job.entry.name, outcomes, bad_prompts=content.bad_prompts, removed=removed, since=since)


def _find_slide(job: _Job) -> Path:
    if job.entry.wrapped is not None:
        raise SlideError(
            f"{job.project.path}: image {job.entry.name!r} is a {job.entry.wrapped} view of its file, whose coordinates are not those of "
            "the file; put the points on the original image instead"
        )
    return find_slide(job.entry, SlidePlaces(job.project.path, job.project.stored_uri, job.options.image_root))


def _check_slide(job: _Job, slide: Slide) -> float:
    """Compare the file with the project entry, and give its micrometres per pixel."""
    entry = job.entry
    if entry.width is not None and entry.height is not None:
        check_size(slide, width=entry.width, height=entry.height, image_name=entry.name)
    return resolve_mpp(project=entry.mpp, slide=slide.mpp, option=job.options.mpp, source=str(slide.path))


def _write(job: _Job, content: EntryContent, outcomes: Sequence[Outcome], *, mpp: float) -> int:
    """Write what is new and give the number of earlier results that it replaces.

    An earlier result goes only when its prompt has a new one: a prompt that finds nothing this time
    keeps what it had.
    """
    objects = to_objects(outcomes, job.wishes, mpp=mpp)
    if job.options.geojson is not None and objects:
        write_objects(_geojson_path(job.options.geojson, job.entry), objects)
    standing = [result.prompt_key for result in content.results]
    new = {outcome.prompt.key for outcome in outcomes if outcome.status is Status.OK}
    replaced = frozenset(new & set(standing))
    if objects and not job.options.dry_run:
        job.project.write(job.entry, Changes(objects, replaced), fingerprint=content.fingerprint)
    return sum(key in replaced for key in standing)


def _geojson_path(folder: Path, entry: ImageEntry) -> Path:
    """Name a file after an image; the entry's number keeps images of one name apart."""
    safe = "".join(c if c.isalnum() or c in "-_. " else "_" for c in entry.name).strip(". ")
    return folder / f"{safe or 'image'}-{entry.entry_id}.geojson"


def _report(
    source: Path, engine: str, predictors: Predictors, *, dry_run: bool, images: Sequence[ImageReport], since: float
) -> RunReport:
    predictor = next(iter(predictors.values()), None)
    cards = {str(kind): predictor.card for kind, predictor in predictors.items()}
    return RunReport(
        **total(images).model_dump(),
        project=str(source),
        engine=engine,
        model={
            kind: ModelReport(name=card.name, sha256=card.sha256, mpp=card.mpp, patch_px=card.patch_px) for kind, card in cards.items()
        },
        device=str(predictor.device) if predictor else "none",
        precision=predictor.precision if predictor else "none",
        version=__version__,
        dry_run=dry_run,
        images=tuple(images),
        seconds=round(time.perf_counter() - since, 3),
    )


def _group(prompt: Prompt) -> tuple[PromptKind, object]:
    return prompt.kind, prompt.plane
