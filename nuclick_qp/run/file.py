"""One image with GeoJSON or ASAP's XML in and out."""

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Self

from nuclick_qp.annotations.objects import NO_CLASS, Changes, EarlierResult, EntryContent, result_id
from nuclick_qp.errors import OptionError, PromptError, WriteRefusedError
from nuclick_qp.formats.asap import reading as asap_reading
from nuclick_qp.formats.asap import writing as asap_writing
from nuclick_qp.formats.geojson import reading as geojson_reading
from nuclick_qp.formats.geojson import writing as geojson_writing
from nuclick_qp.kinds import Overwrite
from nuclick_qp.qupath.image_by_image import work_or_error
from nuclick_qp.run.models import Models, models_of
from nuclick_qp.run.overlay import Overlay, write_overlay
from nuclick_qp.run.report import RunReport, make_report, nothing_to_do, report_image
from nuclick_qp.run.results import changes_of, objects_after, to_objects, without_weak
from nuclick_qp.run.resume import Plan, plan_prompts
from nuclick_qp.run.run_options import ImageStart, Progress, RunOptions
from nuclick_qp.slides import Slide, open_slide
from nuclick_qp.stopping import Stopped
from nuclick_qp.storage.atomic import make_folder
from nuclick_qp.storage.locks import hold
from nuclick_qp.storage.plain_files import is_there

if TYPE_CHECKING:  # importing it loads torch
    from nuclick_qp.model.predictor import Predictors
    from nuclick_qp.run.image import Segmented

REPLACEABLE = (".geojson", ".geojson.gz", ".geojson.zip")  # nothing else is called so
ENDINGS = (*REPLACEABLE, ".json", ".json.gz", ".zip", ".xml")


def segment_file(
    slide_path: Path | str,
    prompts_path: Path | str,
    output: Path | str,
    *,
    predictors: "Models | Predictors | None" = None,
    options: RunOptions | None = None,
    progress: Progress | None = None,
    is_cropped: bool = True,
) -> RunReport:
    """Segment the prompts of a file on one image, and write the outlines into a file.

    Files whose names end in ``.xml`` are ASAP's, all others GeoJSON. A file that is there already is
    added to: what others put there stays, and outlines of earlier runs are treated as in a project.
    The file of prompts itself may be the output if it is ASAP's; a new one begins as a copy of the
    prompts, where these are ASAP's, too.

    Parameters
    ----------
    predictors
        One for each kind of prompt that is to be segmented; None loads the shipped ones.
    is_cropped
        Whether GeoJSON counts from the corner of the scanned bounds, where the slide states them, as
        QuPath does unless cropping is switched off there; else from the corner of the whole slide.
        ASAP always counts from that.

    Raises
    ------
    OptionError
        If the output is the slide, or GeoJSON and the file of prompts itself, or a file that is there
        already, is no GeoJSON, and that the options do not say to overwrite.
    PromptError
        If the file holds no prompts that the options leave in, or cannot be read.
    SlideError
        If the image cannot be read, has no pixel size, or is fluorescence.
    WriteRefusedError
        If the output cannot be written.
    """
    options, progress = options or RunOptions(), progress or Progress()
    models = models_of(predictors, left_out=options.left_out)
    slide_path, prompts_path, output, since = Path(slide_path), Path(prompts_path), Path(output), time.perf_counter()
    _spare_what_is_read(slide_path, prompts_path, output)
    if options.overlay is not None and not options.dry_run:
        make_folder(options.overlay, option="--overlay")
    with _held(output, options, progress) as held, open_slide(slide_path, is_cropped=is_cropped) as slide:
        content = _read_prompts(prompts_path, slide.bounds_origin)
        target = _Target.of(output, prompts_path, content, origin=slide.bounds_origin, overwrite=options.overwrite)
        content = replace(content, results=target.standing, marks=target.marks)
        asked = options if target.has_kinds else replace(options, kind=None)
        plan = plan_prompts(content, asked, cards=models.cards, stated_mpp=options.mpp)
        if not (plan.todo or plan.settled or content.bad_prompts):
            raise PromptError(nothing_to_do(prompts_path, 1, options, classes={p.class_name or NO_CLASS for p in content.prompts}))
        if held.refusal is not None and (plan.todo or plan.turned):
            raise held.refusal
        done = _segment(slide, content, plan, models=models, options=options, progress=progress)
        outlines = without_weak([*done.outlines, *plan.settled], options)
        objects = to_objects(outlines, options, cards=models.cards, stated_mpp=options.mpp, mpp=done.stated_mpp)
        changes = changes_of(content, plan, outlines, objects, asked) if held.is_free else Changes(())
        if held.is_free and not options.dry_run:
            target.write(changes)
        there = objects_after(content, changes)
        overlay = Overlay(slide_path.name, there, content.prompts, outlines, colours={}, mpp=done.stated_mpp, cards=models.cards)
        error, undrawn = _draw(slide, overlay, output, options) if held.is_free else (None, 0)
    image = report_image(
        slide_path.name, outlines, content=content, plan=plan, changes=changes,
        error=error, undrawn=undrawn, estimated_mpp=done.estimated_mpp, since=since,
    )  # fmt: skip
    return make_report(prompts_path, _engine_of(prompts_path), models, options=options, images=[image], since=since)


@dataclass(frozen=True, slots=True)
class _Target:
    """The file that outlines go into.

    Attributes
    ----------
    template
        The ASAP file that a new one begins as a copy of.
    origin
        (x, y) of the slide frame on the canvas.
    standing, marks
        The outlines of earlier runs that it has, and what marks prompts without one.
    is_kept
        Whether what is there is added to, and not replaced as a whole.
    """

    path: Path
    template: Path | None
    origin: tuple[int, int]
    standing: tuple[EarlierResult, ...] = ()
    marks: tuple[tuple[str, str | None], ...] = ()
    is_kept: bool = True

    @classmethod
    def of(cls, path: Path, prompts_path: Path, prompts: EntryContent, *, origin: tuple[int, int], overwrite: Overwrite) -> Self:
        """Look at the file before any work is done.

        Raises
        ------
        WriteRefusedError
            If nothing can be added to an ASAP file.
        OptionError
            If it holds something else than GeoJSON, and is not to be overwritten.
        """
        if asap_reading.is_asap(path):
            template = prompts_path if asap_reading.is_asap(prompts_path) else None
            asap_writing.check_output(path, template=template)
            base = path if is_there(path) else template
            held = EntryContent(()) if base is None else asap_reading.read_prompts(base, origin=origin)
            return cls(path, template, origin, held.results, held.marks)
        if not is_there(path):
            return cls(path, None, origin)
        keys = {str(result_id(prompt.key)): prompt.key for prompt in prompts.prompts}
        try:
            held = geojson_reading.read_prompts(path, keys=keys, must_have_features=False)
            return cls(path, None, origin, held.results, held.marks)
        except PromptError as err:
            if not path.name.lower().endswith(REPLACEABLE):
                raise OptionError(f"{path} is there already, and is no GeoJSON; name another file for the outlines ({err})") from err
            if overwrite == "none":
                raise OptionError(
                    f"{path} is there already; name another file, or pass --overwrite to replace it with all that it holds, "
                    f"which is no GeoJSON that outlines could be added to ({err})"
                ) from err
            return cls(path, None, origin, is_kept=False)

    @property
    def has_kinds(self) -> bool:
        """Tell whether outlines in it are detections, annotations or cells; in ASAP they are polygons."""
        return not asap_reading.is_asap(self.path)

    def write(self, changes: Changes) -> None:
        """Write the changes; nothing where there are none, unless the file is new."""
        if self.is_kept and is_there(self.path) and not changes.add and not changes.remove_keys:
            return
        if asap_reading.is_asap(self.path):
            asap_writing.write_objects(
                self.path, changes.add, origin=self.origin, template=self.template, drop_keys=changes.remove_keys
            )
        else:
            geojson_writing.write_objects(self.path, changes.add, merge=self.is_kept, drop_keys=changes.remove_keys)


@dataclass(frozen=True, slots=True)
class _Held:
    """How a file that may be written is kept from other runs.

    Attributes
    ----------
    is_free
        False when a stop ended the waiting for another run.
    refusal
        Why it cannot be written; no reason to fail where all is done already.
    """

    is_free: bool = True
    refusal: WriteRefusedError | None = None


@contextmanager
def _held(output: Path, options: RunOptions, progress: Progress) -> Iterator[_Held]:
    """Keep other runs from a file that may be written, until the block ends."""
    with ExitStack() as stack:
        held = _Held()
        if not options.dry_run:
            try:
                stack.enter_context(hold(output, stopped=progress.stopped))
            except Stopped:
                held = _Held(is_free=False)
            except WriteRefusedError as err:
                held = _Held(refusal=err)
        yield held


def _segment(
    slide: Slide, content: EntryContent, plan: Plan, *, models: Models, options: RunOptions, progress: Progress
) -> "Segmented":
    """Segment what is to be done."""
    from nuclick_qp.run.image import segment_image  # noqa: PLC0415  # loads torch

    progress.start_image(ImageStart(slide.path.name, len(plan.todo)))
    return segment_image(plan.todo, slide, content=content, models=models, project_mpp=None, options=options, progress=progress)


def _draw(slide: Slide, overlay: Overlay, output: Path, options: RunOptions) -> tuple[str | None, int]:
    """Write the pictures that are asked for; give what went wrong, and how much no picture shows."""
    folder = options.overlay
    if folder is None or options.dry_run:
        return None, 0
    undrawn = work_or_error(lambda: write_overlay(slide, overlay, folder=folder, stem=slide.path.name), image_name=overlay.title)
    return (f"the outlines are in {output}, but: {undrawn}", 0) if isinstance(undrawn, Exception) else (None, undrawn)


def _spare_what_is_read(slide_path: Path, prompts_path: Path, output: Path) -> None:
    """Refuse an output that is called like something else, or would cost the slide or the prompts; an ASAP file keeps what it holds."""
    for read in (slide_path, prompts_path):
        is_kept = read == prompts_path and asap_reading.is_asap(output)
        if not is_kept and is_there(output) and is_there(read) and output.samefile(read):
            raise OptionError(f"{output} would be overwritten by its own result; name another file for the outlines")
    if not output.name.lower().endswith(ENDINGS):
        raise OptionError(f"{output} has none of the endings {', '.join(ENDINGS)}; name the file for the outlines by what it will be")


def _engine_of(path: Path) -> str:
    return "asap" if asap_reading.is_asap(path) else "geojson"


def _read_prompts(path: Path, origin: tuple[int, int]) -> EntryContent:
    return asap_reading.read_prompts(path, origin=origin) if asap_reading.is_asap(path) else geojson_reading.read_prompts(path)
