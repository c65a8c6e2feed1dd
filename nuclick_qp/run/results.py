"""Outcomes to the objects that a project gets."""

from collections.abc import Sequence

from nuclick_qp import __version__
from nuclick_qp.annotations.objects import MODEL_KEY, OPTIONS_KEY, PROBABILITY, PROMPT_KEY, VERSION_KEY, ResultObject
from nuclick_qp.prompts import Outcome
from nuclick_qp.run.resume import Wishes, options_digest
from nuclick_qp.shapes.measure import measure


def to_objects(outcomes: Sequence[Outcome], wishes: Wishes, *, mpp: float) -> tuple[ResultObject, ...]:
    """Give one object for each outcome that has a detection.

    Parameters
    ----------
    mpp
        Micrometres per level-0 pixel, for the measurements.
    """
    return tuple(_to_object(outcome, wishes, mpp=mpp) for outcome in outcomes if outcome.detection is not None)


def _to_object(outcome: Outcome, wishes: Wishes, *, mpp: float) -> ResultObject:
    prompt, detection = outcome.prompt, outcome.detection
    assert detection is not None
    return ResultObject(
        outline=detection.outline,
        kind=wishes.kind,
        class_name=prompt.class_name,
        plane=prompt.plane,
        nested=prompt.nested,
        anchor=prompt.anchor,
        measurements=((PROBABILITY, detection.probability), *measure(detection.outline, mpp=mpp)),
        metadata=(
            (PROMPT_KEY, prompt.key),
            (MODEL_KEY, wishes.cards[prompt.kind].short_id),
            (OPTIONS_KEY, options_digest(prompt, wishes)),
            (VERSION_KEY, __version__),
        ),
    )
