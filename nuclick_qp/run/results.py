"""Outlines to the objects that a project gets."""

from collections.abc import Mapping, Sequence

from nuclick_qp.annotations.objects import Changes, EarlierResult, EntryContent, ResultObject, outline_digest
from nuclick_qp.kinds import ObjectKind, PromptKind
from nuclick_qp.model.cards import Card
from nuclick_qp.prompts import Outline, Prompt
from nuclick_qp.run.resume import Plan, options_digest
from nuclick_qp.run.run_options import RunOptions
from nuclick_qp.shapes.measure import measure
from nuclick_qp.shapes.polygons import valid_polygons

NEW_KIND: ObjectKind = "detection"  # of outlines of which no other kind was asked for


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
            digest = options_digest(options, card=card, stated_mpp=stated_mpp)
            made.append(_to_object(outline, kind=options.kind or NEW_KIND, model=card.short_id, digest=digest, mpp=mpp))
    return tuple(made)


def changes_of(content: EntryContent, plan: Plan, new: Sequence[ResultObject], options: RunOptions) -> Changes:
    """Give what a run adds to an image, and the keys of the earlier results that go.

    A result goes only when its prompt has a new one, or is gone and the options say to prune: a prompt
    that finds nothing this time keeps what it had.
    """
    pairs = ((prompt, standing_object(result, prompt=prompt, kind=options.kind)) for prompt, result in plan.turned)
    add = (*new, *(item for _, item in pairs if item is not None))
    gone = {item.key for item in add} | (plan.orphans if options.prune else frozenset())
    return Changes(add, frozenset(result.key for result in content.results if result.key in gone))


def objects_after(content: EntryContent, changes: Changes) -> tuple[ResultObject, ...]:
    """Give all outlines of an image after changes, one for each prompt: those that stay, as they stand, and the new ones."""
    prompts = {prompt.key: prompt for prompt in content.prompts}
    staying = {result.key: result for result in content.results if result.key not in changes.remove_keys}
    objects = (standing_object(result, prompt=prompts.get(key)) for key, result in staying.items())
    return (*(item for item in objects if item is not None), *changes.add)


def standing_object(result: EarlierResult, *, prompt: Prompt | None = None, kind: ObjectKind | None = None) -> ResultObject | None:
    """Give an outline of an earlier run as an object to be written; None when it encloses nothing.

    Parameters
    ----------
    prompt
        That of the outline, where it is still there.
    kind
        What it is written as; None for what it is.
    """
    outline = valid_polygons(result.outline)
    if outline.is_empty:
        return None
    return ResultObject(
        outline=outline,
        kind=kind or result.kind,
        class_name=result.class_name,
        plane=result.plane,
        nested=prompt is not None and prompt.nested,
        anchor=result.centroid if prompt is None else prompt.anchor,
        key=result.key,
        probability=result.probability,
        model=result.model,
        options=result.options,
        shape=result.shape,
        written=result.written,
    )


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
        written=outline_digest(polygon, prompt.class_name),
    )
