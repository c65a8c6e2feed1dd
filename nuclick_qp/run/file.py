"""One image with GeoJSON or ASAP's XML in and out."""

import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from nuclick_qp.annotations.objects import NO_CLASS, EntryContent, ResultObject
from nuclick_qp.errors import OptionError, PromptError
from nuclick_qp.formats.asap import reading as asap_reading
from nuclick_qp.formats.asap import writing as asap_writing
from nuclick_qp.formats.geojson import reading as geojson_reading
from nuclick_qp.formats.geojson import writing as geojson_writing
from nuclick_qp.run.models import Models, models_of
from nuclick_qp.run.report import RunReport, make_report, nothing_to_do, report_image
from nuclick_qp.run.results import to_objects
from nuclick_qp.run.resume import plan_prompts
from nuclick_qp.run.run_options import ImageStart, Progress, RunOptions
from nuclick_qp.slides import Slide, open_slide, resolve_mpp
from nuclick_qp.storage.plain_files import is_there

if TYPE_CHECKING:  # importing it loads torch
    from nuclick_qp.model.predictor import Predictors


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

    Files whose names end in ``.xml`` are ASAP's, all others GeoJSON. ASAP's are added to, and may
    be the file of prompts itself: what the user drew stays. A new one begins as a copy of the
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
        If the output is the slide, or GeoJSON and the file of prompts itself, or a GeoJSON file that is
        there already and that the options do not say to overwrite.
    PromptError
        If the file holds no prompts that the options leave in, or cannot be read.
    SlideError
        If the image cannot be read or has no pixel size.
    WriteRefusedError
        If the output cannot be written.
    """
    from nuclick_qp.run.image import segment_by_plane  # noqa: PLC0415  # loads torch

    options, progress = options or RunOptions(), progress or Progress()
    models = models_of(predictors, left_out=options.left_out)
    slide_path, prompts_path, output = Path(slide_path), Path(prompts_path), Path(output)
    since = time.perf_counter()
    _spare_what_is_read(slide_path, prompts_path, output)
    _spare_what_stands(output, overwrite=options.overwrite != "none")
    anew = replace(options, overwrite="edited")  # the file of prompts holds no results to resume from
    with open_slide(slide_path, is_cropped=is_cropped) as slide:
        content = _read_prompts(prompts_path, slide)
        plan = plan_prompts(content, anew, cards=models.cards, stated_mpp=options.mpp)
        if not (plan.todo or plan.settled or content.bad_prompts):
            raise PromptError(nothing_to_do(prompts_path, 1, options))
        if asap_reading.is_asap(output):
            asap_writing.check_output(output, template=_template(prompts_path))
        progress.start_image(ImageStart(slide_path.name, len(plan.todo)))
        mpp = resolve_mpp(project=None, slide=slide.mpp, option=options.mpp, source=str(slide_path))
        done = segment_by_plane(
            plan.todo, slide, content=content, predictors=models.load(), mpp=mpp, options=options.segment, progress=progress
        )
    outlines = [*done, *plan.settled]
    objects = to_objects(outlines, options, cards=models.cards, stated_mpp=options.mpp, mpp=mpp)
    removed = _write_objects(output, objects, slide, prompts_path=prompts_path)
    classes = [prompt.class_name or NO_CLASS for prompt in content.prompts]
    image = report_image(slide_path.name, outlines, bad_prompts=content.bad_prompts, removed=removed, classes=classes, since=since)
    engine = "asap" if asap_reading.is_asap(prompts_path) else "geojson"
    return make_report(prompts_path, engine, models, options=options, images=[image], since=since)


def _spare_what_is_read(slide_path: Path, prompts_path: Path, output: Path) -> None:
    """Refuse an output that would cost the slide or the prompts; an ASAP file keeps what it holds."""
    for read in (slide_path, prompts_path):
        is_kept = read == prompts_path and asap_reading.is_asap(output)
        if not is_kept and is_there(output) and is_there(read) and output.samefile(read):
            raise OptionError(f"{output} would be overwritten by its own result; name another file for the outlines")


def _spare_what_stands(output: Path, *, overwrite: bool) -> None:
    """Refuse to replace a file that may hold other people's objects; an ASAP file is added to."""
    if is_there(output) and not overwrite and not asap_reading.is_asap(output):
        raise OptionError(f"{output} is there already; name another file, or pass --overwrite to replace it with all that it holds")


def _read_prompts(path: Path, slide: Slide) -> EntryContent:
    return asap_reading.read_prompts(path, origin=slide.bounds_origin) if asap_reading.is_asap(path) else geojson_reading.read_prompts(path)


def _write_objects(path: Path, objects: Sequence[ResultObject], slide: Slide, *, prompts_path: Path) -> int:
    """Write outlines, and give the number of prompts whose earlier outlines were replaced."""
    if asap_reading.is_asap(path):
        return asap_writing.write_objects(path, objects, origin=slide.bounds_origin, template=_template(prompts_path))
    geojson_writing.write_objects(path, objects)
    return 0


def _template(prompts_path: Path) -> Path | None:
    """Give the file that a new ASAP file begins as a copy of."""
    return prompts_path if asap_reading.is_asap(prompts_path) else None
