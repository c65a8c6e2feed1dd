"""The prompts of one image, of all kinds and planes, at the scale of that image."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np

from nuclick_qp.annotations.objects import EntryContent
from nuclick_qp.kinds import PromptKind
from nuclick_qp.model.predictor import Predictors
from nuclick_qp.prompts import Outline, Prompt, Status
from nuclick_qp.run.fluorescence import refuse_fluorescence
from nuclick_qp.run.image_scale import ImageScale, find_scale, is_stated
from nuclick_qp.run.models import Models
from nuclick_qp.run.plausible_sizes import warn_of_odd_sizes
from nuclick_qp.run.run_options import Progress, RunOptions
from nuclick_qp.segmentation.prompts_to_outlines import segment_prompts
from nuclick_qp.segmentation.segment_options import SegmentOptions
from nuclick_qp.slides import Slide
from nuclick_qp.stopping import Stopped


@dataclass(frozen=True, slots=True)
class Segmented:
    """What was found in an image, and the scale at which; no scale where there was nothing to do, or a stop came before."""

    outlines: list[Outline]
    scale: ImageScale | None

    @property
    def stated_mpp(self) -> float | None:
        """Micrometres per level-0 pixel where they are known; an estimate is no measurement."""
        return None if self.scale is None else self.scale.stated_mpp

    @property
    def estimated_mpp(self) -> float | None:
        """Those that the objects under the clicks told, where nothing states them."""
        return None if self.scale is None else self.scale.estimated_mpp


def segment_image(
    todo: Sequence[Prompt],
    slide: Slide,
    *,
    content: EntryContent,
    models: Models,
    project_mpp: float | None,
    options: RunOptions,
    progress: Progress,
) -> Segmented:
    """Segment prompts of one image, once its scale is known and it is no fluorescence.

    Raises
    ------
    NoPixelSizeError, OptionError
        As `find_scale`.
    FluorescenceError
        If it is that, and not to be segmented all the same.
    """
    if not todo and not is_stated(slide, options=options, project_mpp=project_mpp):
        return Segmented([], None)
    try:
        scale = find_scale(slide, todo, content=content, models=models, options=options, project_mpp=project_mpp, progress=progress)
    except Stopped:
        return Segmented([Outline(prompt, Status.STOPPED, detail="the run was stopped") for prompt in todo], None)
    if not options.force:
        refuse_fluorescence(slide, todo, mpp=scale.mpp, image_type=content.image_type)
    loaded = models.load() if todo else {}
    outlines = segment_by_plane(
        todo, slide, content=content, predictors=loaded, mpp=scale.mpp, options=options.segment, progress=progress
    )
    return Segmented(outlines, scale)


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
