"""Which prompts of an image need the network, and which are settled without it: resume."""

import hashlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from nuclick_qp.annotations.objects import EarlierResult, EntryContent, ObjectKind
from nuclick_qp.model.cards import Card
from nuclick_qp.prompts import Outcome, Prompt, PromptKind, Status

UNCLASSIFIED = ""


@dataclass(frozen=True, slots=True)
class Wishes:
    """What the user wants done with the prompts of an image.

    Attributes
    ----------
    cards
        The model for each kind of prompt.
    left_out
        Kinds of prompts that are not looked at.
    classes
        Full class names, `UNCLASSIFIED` for none; empty for all.
    overwrite
        Segment anew what an earlier run did in the same way.
    kind
        What outlines are written as.
    mpp
        Micrometres per pixel as the project or the user states it; None leaves it to the file.
    tta
        Whether probabilities are averaged over several views of each patch.
    """

    cards: Mapping[PromptKind, Card]
    left_out: Collection[PromptKind] = ()
    classes: Collection[str] = ()
    overwrite: bool = False
    kind: ObjectKind = "detection"
    mpp: float | None = None
    tta: bool = False


@dataclass(frozen=True, slots=True)
class Plan:
    """The prompts of one image, sorted by what is to be done with them.

    Attributes
    ----------
    todo
        To be segmented.
    settled
        Those that need no network.
    orphans
        Keys of earlier results whose prompt is gone: deleted or moved. Prompts that the user left
        out are still there.
    """

    todo: tuple[Prompt, ...]
    settled: tuple[Outcome, ...]
    orphans: frozenset[str] = frozenset()


def plan_prompts(content: EntryContent, wishes: Wishes) -> Plan:
    """Sort the prompts of an image; those the user left out are in neither part.

    A prompt is settled when no model is there for its kind, when another prompt at the same place
    came first, or when an earlier run left a result for it with the same model and options.
    """
    standing = {result.prompt_key: result for result in content.results}
    todo: list[Prompt] = []
    settled: list[Outcome] = []
    seen: set[str] = set()
    orphans = set(standing)
    for prompt in content.prompts:
        key = prompt.key  # a hash, made anew at each call
        orphans.discard(key)
        if not _is_wanted(prompt, wishes):
            continue
        if prompt.kind not in wishes.cards:
            settled.append(Outcome(prompt, Status.NO_MODEL, detail=f"no model for {prompt.kind}s"))
        elif key in seen:
            settled.append(Outcome(prompt, Status.DUPLICATE, detail="another prompt lies at the same place"))
        elif not wishes.overwrite and _still_holds(standing.get(key), prompt, wishes):
            settled.append(Outcome(prompt, Status.UNCHANGED, detail="done by an earlier run"))
        else:
            todo.append(prompt)
        seen.add(key)
    return Plan(tuple(todo), tuple(settled), frozenset(orphans))


def options_digest(prompt: Prompt, wishes: Wishes) -> str:
    """Give a short hash of all but the model that a result of this prompt depends on."""
    card = wishes.cards[prompt.kind]
    parts: tuple[object, ...] = (wishes.kind, wishes.mpp, prompt.class_name, card.mpp, card.threshold, card.min_object_px, card.max_hole_px)
    if wishes.tta:  # appended, so that results from before there was a choice still hold
        parts = (*parts, "tta")
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:12]


def _is_wanted(prompt: Prompt, wishes: Wishes) -> bool:
    if prompt.kind in wishes.left_out:
        return False
    return not wishes.classes or (prompt.class_name or UNCLASSIFIED) in wishes.classes


def _still_holds(result: EarlierResult | None, prompt: Prompt, wishes: Wishes) -> bool:
    """Tell whether an earlier result is what a run would make now."""
    if result is None:
        return False
    return (result.model, result.options) == (wishes.cards[prompt.kind].short_id, options_digest(prompt, wishes))
