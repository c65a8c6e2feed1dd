"""The pixel size that the outlines of an image are made with: what is stated, else what the objects under its clicks tell."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

from nuclick_qp.annotations.objects import EntryContent
from nuclick_qp.errors import NoPixelSizeError
from nuclick_qp.kinds import PROMPT_KINDS
from nuclick_qp.prompts import Prompt
from nuclick_qp.run.models import Models
from nuclick_qp.run.plausible_sizes import warn_of_odd_estimate
from nuclick_qp.run.run_options import Progress, RunOptions
from nuclick_qp.segmentation.object_scale import estimate_mpp
from nuclick_qp.slides import Slide, resolve_mpp

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ImageScale:
    """Micrometres per level-0 pixel of an image.

    Attributes
    ----------
    mpp
        That outlines are made with.
    is_estimated
        Whether nothing states it: good enough to show cells to a network, and no measurement.
    """

    mpp: float
    is_estimated: bool = False

    @property
    def stated_mpp(self) -> float | None:
        """What is stated; None where it is estimated."""
        return None if self.is_estimated else self.mpp

    @property
    def estimated_mpp(self) -> float | None:
        """What is estimated; None where it is stated."""
        return self.mpp if self.is_estimated else None


def find_scale(
    slide: Slide,
    todo: Sequence[Prompt],
    *,
    content: EntryContent,
    models: Models,
    options: RunOptions,
    project_mpp: float | None,
    progress: Progress | None = None,
    option_name: str = "--mpp",
) -> ImageScale:
    """Find the pixel size: the project's, the slide's, that of the options, or that which the objects under clicks tell.

    All clicks of the image tell it together, those that are done as well, so that a later run finds the same.

    Parameters
    ----------
    todo
        The prompts to be segmented. Each has to be a click for a model whose card states the size of its
        objects, or the pixel size has to be stated.

    Raises
    ------
    NoPixelSizeError
        If nothing states it and nothing tells it.
    Stopped
        If a stop was asked for.
    """
    may_tell = options.scale == "auto" and any(models.cards[prompt.kind].object_px is not None for prompt in todo)
    if not may_tell or is_stated(slide, options=options, project_mpp=project_mpp):
        source = str(slide.path)
        return ImageScale(resolve_mpp(project=project_mpp, slide=slide.mpp, option=options.mpp, source=source, option_name=option_name))
    _refuse_other_kinds(slide, todo, models, option_name)
    progress = progress or Progress()
    predictor = models.load()["point"]
    mpp = estimate_mpp(_on_one_plane(content), slide, predictor=predictor, options=options.segment, stopped=progress.stopped)
    logger.info("%s states no pixel size; by the objects under the points one pixel is %.2g um", slide.path, mpp)
    warn_of_odd_estimate(mpp, object_um=predictor.card.mpp * (predictor.card.object_px or 0), source=str(slide.path))
    return ImageScale(mpp, is_estimated=True)


def is_stated(slide: Slide, *, options: RunOptions, project_mpp: float | None) -> bool:
    """Tell whether anything states the pixel size of an image."""
    return any(mpp is not None for mpp in (project_mpp, slide.mpp, options.mpp))


def _refuse_other_kinds(slide: Slide, todo: Sequence[Prompt], models: Models, option_name: str) -> None:
    """Refuse an image that has prompts, too, for a model whose objects tell no scale: a guess is no pixel size for these."""
    for kind in PROMPT_KINDS:
        card = models.cards.get(kind)
        if card is not None and card.object_px is None and any(prompt.kind == kind for prompt in todo):
            raise NoPixelSizeError(
                f"{slide.path} has no pixel size, which model {card.name!r} for {kind}s has to know; "
                f"pass {option_name}, set it in the Image tab of QuPath, or leave the {kind}s out"
            )


def _on_one_plane(content: EntryContent) -> list[Prompt]:
    """Give the clicks of the plane that has most of them, the first of such; all planes are of one scale."""
    clicks = sorted((p for p in content.prompts if p.kind == "point"), key=lambda p: p.plane)
    groups = [list(group) for _, group in groupby(clicks, key=lambda p: p.plane)]
    return max(groups, key=len)
