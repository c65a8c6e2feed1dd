"""The prompts of one image, of all kinds and planes; and one image with GeoJSON in and out."""

import time
from collections.abc import Callable, Sequence
from itertools import groupby
from pathlib import Path

import numpy as np

from nuclick_qp.errors import OptionError, PromptError
from nuclick_qp.options import Predictors, Progress, RunOptions
from nuclick_qp.planning import UNCLASSIFIED, Wishes, plan_prompts
from nuclick_qp.projects.geojson_io import read_prompts
from nuclick_qp.projects.geojson_out import write_objects
from nuclick_qp.projects.protocol import EntryContent
from nuclick_qp.prompts import Outcome, Prompt, PromptKind
from nuclick_qp.report import RunReport, make_report, nothing_to_do, report_image
from nuclick_qp.results import to_objects
from nuclick_qp.segment.image import SegmentOptions, segment_prompts
from nuclick_qp.slides import Slide, open_slide, resolve_mpp


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
    OptionError
        If the output is the slide or the file of prompts itself.
    PromptError
        If the file holds no prompts that the options leave in, or is not GeoJSON.
    SlideError
        If the image cannot be read or has no pixel size.
    WriteRefusedError
        If the output cannot be written.
    """
    options, progress = options or RunOptions(), progress or Progress()
    since = time.perf_counter()
    for read in (slide_path, prompts_path):
        if output.exists() and read.exists() and output.samefile(read):
            raise OptionError(f"{output} would be overwritten by its own result; name another file for the outlines")
    content = read_prompts(prompts_path)
    cards = {kind: predictor.card for kind, predictor in predictors.items()}
    o = options
    wishes = Wishes(cards, o.left_out, o.classes, overwrite=True, kind=o.kind, mpp=o.mpp, tta=o.segment.tta)
    plan = plan_prompts(content, wishes)
    if not (plan.todo or plan.settled or content.bad_prompts):
        raise PromptError(nothing_to_do(prompts_path, 1, options))
    progress.start_image(slide_path.name, len(plan.todo))
    with open_slide(slide_path) as slide:
        mpp = resolve_mpp(project=None, slide=slide.mpp, option=options.mpp, source=str(slide_path))
        done = segment_by_plane(
            plan.todo, slide, content=content, predictors=predictors, mpp=mpp, options=options.segment, on_done=progress.advance
        )
    outcomes = [*done, *plan.settled]
    write_objects(output, to_objects(outcomes, wishes, mpp=mpp))
    classes = [prompt.class_name or UNCLASSIFIED for prompt in content.prompts]
    image = report_image(slide_path.name, outcomes, bad_prompts=content.bad_prompts, removed=0, classes=classes, since=since)
    return make_report(prompts_path, "geojson", predictors, options=options, images=[image], since=since)


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
    standing = {result.prompt_key: result.outline for result in content.results}
    for (kind, plane), group in groupby(sorted(todo, key=_group), key=_group):
        prompts = list(group)
        chosen = {prompt.key for prompt in prompts}
        keyed = ((p.key, p) for p in content.prompts if _group(p) == (kind, plane))
        context = [(key, p) for key, p in keyed if key not in chosen]
        outcomes += segment_prompts(
            prompts,
            slide,
            predictor=predictors[kind],
            mpp=mpp,
            neighbours_xy=np.array([xy for xy, on in content.neighbours if on == plane and kind == "point"], np.float64).reshape(-1, 2),
            context=[p for _, p in context],
            standing=[outline for key, _ in context if (outline := standing.get(key)) is not None],
            options=options,
            on_done=on_done,
        )
    return outcomes


def _group(prompt: Prompt) -> tuple[PromptKind, object]:
    return prompt.kind, prompt.plane
