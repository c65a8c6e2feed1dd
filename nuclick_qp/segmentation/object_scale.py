"""The pixel size of an image that states none, from the objects under its clicks, where these are alike.

The network sees some clicks at a ladder of scales. Far from its own it finds nothing, parts, or clumps; near it the
objects under the clicks, whose size is then that of the objects of the training.
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from nuclick_qp.errors import NoPixelSizeError
from nuclick_qp.model.predictor import Predictor
from nuclick_qp.prompts import Prompt
from nuclick_qp.segmentation.candidates import Others, Scene, find_candidates
from nuclick_qp.segmentation.overlaps import Candidate
from nuclick_qp.segmentation.postprocess import MaskRules
from nuclick_qp.segmentation.segment_options import SegmentOptions
from nuclick_qp.slides import Slide
from nuclick_qp.stopping import never

logger = logging.getLogger(__name__)

MOST_CLICKS = 9  # that are shown at all scales: a median of nine is steady, and a smear may have thousands
STEP = 2**0.5  # between two scales; what a network finds is right within a factor of 1.5 of its own
SMALLEST_OBJECT_PX, LARGEST_OBJECT_PX = 10.0, 2000.0  # diameters in level-0 px that are looked for
ALIKE = 1.5  # ratio of two diameters, above which they do not tell one scale
LEAST_ALIKE = 0.5  # share of the clicks that have to be alike


@dataclass(frozen=True, slots=True)
class _Found:
    """What a click has at one scale: diameter in level-0 px, and how far the network is at home there, 0 to 1."""

    diameter: float
    fit: float


def estimate_mpp(
    prompts: Sequence[Prompt],
    slide: Slide,
    *,
    predictor: Predictor,
    options: SegmentOptions | None = None,
    stopped: Callable[[], bool] = never,
) -> float:
    """Give the micrometres per level-0 pixel at which the objects under clicks are as large as those of the training.

    It depends on the image and the set of the clicks alone, and hardly changes when one is added. It has two
    digits, so that whoever states what was printed gets the same outlines.

    Parameters
    ----------
    prompts
        All clicks of one plane, those on the background too. Few of them are looked at, the others mark neighbours.
    predictor
        Its card has an `object_px`.

    Raises
    ------
    NoPixelSizeError
        If no object is found under any click.
    Stopped
        If a stop was asked for.
    """
    object_px = predictor.card.object_px
    assert object_px is not None
    on_slide = [p for p in prompts if 0 <= p.anchor[0] < slide.width and 0 <= p.anchor[1] < slide.height]
    clicks = sorted((p for p in on_slide if not p.is_background), key=lambda p: p.key)[:MOST_CLICKS]  # any choice that stays
    options = replace(options or SegmentOptions(), tta=False)
    others = Others.of(clicks, on_slide if options.use_exclusion else [], None, clearance=0)
    rules = MaskRules.of(predictor.card)
    scene = Scene(clicks, slide, predictor, 1.0, others, rules, options, stopped, looks_once=True)
    rungs = [_look(replace(scene, scale=scale), object_px) for scale in _ladder(slide, object_px)]
    diameters = [found.diameter for found in max(rungs, key=lambda rung: sum(found.fit for found in rung), default=[])]
    if not diameters:
        raise NoPixelSizeError(
            f"{slide.path} has no pixel size, and there is no object under the clicks that tells it; "
            "pass --mpp, or set it in the Image tab of QuPath"
        )
    middle = float(np.median(diameters))
    alike = sum(max(d / middle, middle / d) <= ALIKE for d in diameters)
    if alike < LEAST_ALIKE * len(clicks):
        logger.warning(
            "%s has no pixel size, and only %d of %d points have objects of one size, %.0f px, that tell it: "
            "if its outlines are wrong, pass --mpp",
            *(slide.path, alike, len(clicks), middle),
        )
    return float(f"{predictor.card.mpp * object_px / middle:.2g}")


def _look(scene: Scene, object_px: float) -> list[_Found]:
    """Give what the clicks have at the scale of a scene; what does not reach the threshold tells nothing."""
    found = [one for _, one in find_candidates(scene, lambda count: None) if isinstance(one, Candidate) and not one.is_tentative]
    return [_measure(candidate, object_px * scene.scale) for candidate in found]


def _ladder(slide: Slide, object_px: float) -> list[float]:
    """Give the scales, level-0 pixels per patch pixel, at which objects of the training fill what an object may."""
    largest = min(LARGEST_OBJECT_PX, max(slide.width, slide.height))
    first, last = (np.log(px / object_px) / np.log(STEP) for px in (SMALLEST_OBJECT_PX, largest))
    return [STEP**step for step in range(int(np.ceil(first)), int(np.floor(last)) + 1)]


def _measure(candidate: Candidate, expected: float) -> _Found:
    """Measure a candidate; it fits the better, the surer the network is and the nearer its size to what is expected."""
    diameter = 2 * np.sqrt(candidate.mask.sum() / np.pi) * candidate.window.scale
    probability = candidate.probability[candidate.mask].mean()
    return _Found(float(diameter), float(probability * np.exp(-(np.log2(diameter / expected) ** 2))))
