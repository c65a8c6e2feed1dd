"""Outlines to the objects that a project gets."""

from collections.abc import Iterable, Mapping, Sequence

from shapely import Point

from nuclick_qp.annotations.objects import Changes, EarlierResult, EntryContent, ResultObject, is_mark, mark_key, outline_digest, same_class
from nuclick_qp.kinds import ObjectKind, PromptKind
from nuclick_qp.model.cards import Card
from nuclick_qp.prompts import UNCERTAIN_BELOW, UNSERVED, Outline, Prompt, Status, too_small
from nuclick_qp.run.resume import Plan, is_weak, options_digest, results_by_key
from nuclick_qp.run.run_options import RunOptions
from nuclick_qp.shapes.measure import measure
from nuclick_qp.shapes.polygons import clean_polygons, valid_polygons

MARK_RADIUS_PX = 10.0  # level 0: 2.5 um at 40x
NEW_KIND: ObjectKind = "detection"  # of outlines of which no other kind was asked for


def to_objects(
    outlines: Sequence[Outline], options: RunOptions, *, cards: Mapping[PromptKind, Card], stated_mpp: float | None, mpp: float | None
) -> tuple[ResultObject, ...]:
    """Give one object for each outline that has a polygon.

    Parameters
    ----------
    cards
        The model for each kind of prompt.
    stated_mpp
        Micrometres per pixel as `plan_prompts` was told.
    mpp
        Micrometres per level-0 pixel, for the measurements; None where nothing states them, as an estimate is no measure.
    """
    digests = {kind: options_digest(options, card=card, stated_mpp=stated_mpp) for kind, card in cards.items()}
    ids = {kind: card.short_id for kind, card in cards.items()}
    found = [(one, one.polygon) for one in outlines if one.polygon is not None]
    shapes = measure([polygon for _, polygon in found], mpp=mpp)
    return tuple(
        ResultObject(
            outline=polygon,
            kind=options.kind or NEW_KIND,
            class_name=one.prompt.class_name,
            plane=one.prompt.plane,
            nested=one.prompt.nested,
            anchor=one.prompt.anchor,
            key=one.prompt.key,
            probability=one.probability,
            model=ids[one.prompt.kind],
            options=digests[one.prompt.kind],
            shape=shape,
            written=outline_digest(polygon, one.prompt.class_name),
        )
        for (one, polygon), shape in zip(found, shapes, strict=True)
    )


def without_weak(outlines: Iterable[Outline], options: RunOptions) -> list[Outline]:
    """Take the polygons of those outlines that are less probable than is asked for."""
    return [
        Outline(one.prompt, Status.BELOW_PROBABILITY, detail=too_small(one.probability))
        if one.probability is not None and one.probability < options.min_probability
        else one
        for one in outlines
    ]


def changes_of(
    content: EntryContent, plan: Plan, outlines: Sequence[Outline], new: Sequence[ResultObject], options: RunOptions
) -> Changes:
    """Give what a run adds to an image, and the keys of the earlier results that go.

    A result goes only when its prompt has a new one, or when the options say to prune and its prompt is
    gone: a prompt that finds nothing this time keeps what it had. One goes as well that is less
    probable than is asked for, where the run had to look at it anew or is to prune.
    """
    pairs = ((prompt, standing_object(result, prompt=prompt, kind=options.kind)) for prompt, result in plan.turned)
    add = (*new, *(item for _, item in pairs if item is not None))
    results = results_by_key(content.results)
    dropped = {one.prompt.key for one in outlines if one.status is Status.BELOW_PROBABILITY}
    gone = {item.key for item in add} | {key for key in dropped if is_weak(results.get(key, ()), options)}
    gone |= plan.orphans if options.prune else frozenset()
    staying = {key: kept for key, kept in results.items() if key not in gone}
    marks, old_marks = _marks(content, outlines, made={item.key for item in add}, staying=staying, options=options)
    return Changes((*add, *marks), frozenset(gone & results.keys()) | old_marks)


def _marks(
    content: EntryContent,
    outlines: Sequence[Outline],
    *,
    made: set[str],
    staying: Mapping[str, Sequence[EarlierResult]],
    options: RunOptions,
) -> tuple[list[ResultObject], frozenset[str]]:
    """Give the marks that are not there yet, and the keys of those that go.

    Parameters
    ----------
    made, staying
        Keys of the prompts that get an outline now, and the results of earlier runs that stay.
    """
    prompts = {prompt.key: prompt for prompt in content.prompts}
    served = made | staying.keys()
    doubtful = {key for key, results in staying.items() if key in prompts and _is_doubtful(results, prompts[key])}
    new_doubtful = {one.prompt.key for one in outlines if one.status is Status.UNCERTAIN}
    classes: dict[str, str] = {}
    if options.mark_failed is not None:
        classes |= {one.prompt.key: options.mark_failed for one in outlines if one.status in UNSERVED and one.prompt.key not in served}
    if options.mark_uncertain is not None:
        classes |= dict.fromkeys(sorted(doubtful | new_doubtful), options.mark_uncertain)
    there = {key for key, class_name in content.marks if key in classes and same_class(class_name, classes[key])}
    new = [_mark(prompts[key], class_name) for key, class_name in classes.items() if key not in there]
    settled = served - doubtful
    gone = {key for key, _ in content.marks if key in settled or key in classes or key not in prompts} - there
    return new, frozenset(map(mark_key, gone))


def _is_doubtful(results: Sequence[EarlierResult], prompt: Prompt) -> bool:
    """Tell whether the outlines that stand for a prompt are uncertain; what the user has changed is not."""
    told = [result.probability for result in results if not result.is_edited(prompt.class_name)]
    return any(probability is not None and probability < UNCERTAIN_BELOW for probability in told)


def _mark(prompt: Prompt, class_name: str | None) -> ResultObject:
    """Make the mark of a prompt: a small circle, as a point would be a prompt to the next run."""
    circle = clean_polygons([Point(prompt.anchor).buffer(MARK_RADIUS_PX, quad_segs=4)])
    assert circle is not None
    return ResultObject(circle, "annotation", class_name, prompt.plane, False, prompt.anchor, mark_key(prompt.key))


def objects_after(content: EntryContent, changes: Changes) -> tuple[ResultObject, ...]:
    """Give all outlines of an image after changes, one for each prompt: those that stay, as they stand, and the new ones."""
    prompts = {prompt.key: prompt for prompt in content.prompts}
    staying = {result.key: result for result in content.results if result.key not in changes.remove_keys}
    objects = (standing_object(result, prompt=prompts.get(key)) for key, result in staying.items())
    return (*(item for item in objects if item is not None), *(item for item in changes.add if not is_mark(item.key)))


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
