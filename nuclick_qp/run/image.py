"""The prompts of one image, of all kinds and planes."""

from collections.abc import Sequence
from itertools import groupby

import numpy as np

from nuclick_qp.annotations.objects import EntryContent
from nuclick_qp.kinds import PromptKind
from nuclick_qp.model.predictor import Predictors
from nuclick_qp.prompts import Outline, Prompt
from nuclick_qp.run.plausible_sizes import warn_of_odd_sizes
from nuclick_qp.run.run_options import Progress
from nuclick_qp.segmentation.prompts_to_outlines import segment_prompts
from nuclick_qp.segmentation.segment_options import SegmentOptions
from nuclick_qp.slides import Slide


def segment_by_plane(
    todo: Sequence[Prompt],
    slide: Slide,
    *,
    content: EntryContent,
    predictors: Predictors,
    mpp: float,
    options: SegmentOptions,
    progress: Progress | None = None,
) -> list[Outline]:
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
    list of Outline
        One for each prompt, grouped by kind and plane.
    """
    progress = progress or Progress()
    outlines: list[Outline] = []
    standing = {result.key: result.outline for result in content.results}
    for (kind, plane), group in groupby(sorted(todo, key=_group), key=_group):
        prompts = list(group)
        chosen = {prompt.key for prompt in prompts}
        keyed = ((p.key, p) for p in content.prompts if _group(p) == (kind, plane))
        context = [(key, p) for key, p in keyed if key not in chosen]
        outlines += segment_prompts(
            prompts,
            slide,
            predictor=predictors[kind],
            mpp=mpp,
            neighbours_xy=np.array([xy for xy, on in content.neighbours if on == plane and kind == "point"], np.float64).reshape(-1, 2),
            context=[p for _, p in context],
            standing={key: outline for key, _ in context if (outline := standing.get(key)) is not None},
            options=options,
            on_done=progress.advance,
            stopped=progress.stopped,
        )
    warn_of_odd_sizes(outlines, mpp=mpp, slide_mpp=slide.mpp, source=slide.path.name)
    return outlines


def _group(prompt: Prompt) -> tuple[PromptKind, object]:
    return prompt.kind, prompt.plane
