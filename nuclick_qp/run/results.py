"""Outcomes to the objects that a project gets."""

from collections.abc import Mapping, Sequence

from nuclick_qp.annotations.objects import ResultObject
from nuclick_qp.kinds import ObjectKind, PromptKind
from nuclick_qp.model.cards import Card
from nuclick_qp.prompts import Outcome
from nuclick_qp.run.resume import options_digest
from nuclick_qp.run.run_options import RunOptions
from nuclick_qp.shapes.measure import measure


def to_objects(
    outcomes: Sequence[Outcome], options: RunOptions, *, cards: Mapping[PromptKind, Card], stated_mpp: float | None, mpp: float
) -> tuple[ResultObject, ...]:
    """Give one object for each outcome that has a detection.

    Parameters
    ----------
    cards
        The model for each kind of prompt.
    stated_mpp
        Micrometres per pixel as `plan_prompts` was told.
    mpp
        Micrometres per level-0 pixel, for the measurements.
    """
    made = []
    for outcome in outcomes:
        if outcome.detection is not None:
            card = cards[outcome.prompt.kind]
            digest = options_digest(outcome.prompt, options, card=card, stated_mpp=stated_mpp)
            made.append(_to_object(outcome, kind=options.kind, model=card.short_id, digest=digest, mpp=mpp))
    return tuple(made)


def _to_object(outcome: Outcome, *, kind: ObjectKind, model: str, digest: str, mpp: float) -> ResultObject:
    prompt, detection = outcome.prompt, outcome.detection
    assert detection is not None
    return ResultObject(
        outline=detection.outline,
        kind=kind,
        class_name=prompt.class_name,
        plane=prompt.plane,
        nested=prompt.nested,
        anchor=prompt.anchor,
        key=prompt.key,
        probability=detection.probability,
        model=model,
        options=digest,
        shape=measure(detection.outline, mpp=mpp),
    )
