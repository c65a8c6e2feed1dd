"""Outlines to the objects that a project gets."""

from collections.abc import Mapping, Sequence

from nuclick_qp.annotations.objects import ResultObject
from nuclick_qp.kinds import ObjectKind, PromptKind
from nuclick_qp.model.cards import Card
from nuclick_qp.prompts import Outline
from nuclick_qp.run.resume import options_digest
from nuclick_qp.run.run_options import RunOptions
from nuclick_qp.shapes.measure import measure


def to_objects(
    outlines: Sequence[Outline], options: RunOptions, *, cards: Mapping[PromptKind, Card], stated_mpp: float | None, mpp: float
) -> tuple[ResultObject, ...]:
    """Give one object for each outline that has a polygon.

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
    for outline in outlines:
        if outline.polygon is not None:
            card = cards[outline.prompt.kind]
            digest = options_digest(outline.prompt, options, card=card, stated_mpp=stated_mpp)
            made.append(_to_object(outline, kind=options.kind, model=card.short_id, digest=digest, mpp=mpp))
    return tuple(made)


def _to_object(outline: Outline, *, kind: ObjectKind, model: str, digest: str, mpp: float) -> ResultObject:
    prompt, polygon = outline.prompt, outline.polygon
    assert polygon is not None
    return ResultObject(
        outline=polygon,
        kind=kind,
        class_name=prompt.class_name,
        plane=prompt.plane,
        nested=prompt.nested,
        anchor=prompt.anchor,
        key=prompt.key,
        probability=outline.probability,
        model=model,
        options=digest,
        shape=measure(polygon, mpp=mpp),
    )
