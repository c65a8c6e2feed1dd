"""Which prompts of an image need the network, and which are settled without it: resume."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass

from nuclick_qp.annotations.objects import NO_CLASS, EarlierResult, EntryContent
from nuclick_qp.kinds import PromptKind
from nuclick_qp.model.cards import Card
from nuclick_qp.prompts import Outline, Prompt, Status
from nuclick_qp.run.run_options import RunOptions
from nuclick_qp.segmentation.segment_options import CHANGES_RESULTS


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
    settled: tuple[Outline, ...]
    orphans: frozenset[str] = frozenset()


def plan_prompts(content: EntryContent, options: RunOptions, *, cards: Mapping[PromptKind, Card], stated_mpp: float | None) -> Plan:
    """Sort the prompts of an image; those the user left out are in neither part.

    A prompt is settled when no model is there for its kind, when another prompt at the same place
    came first, or when an earlier run left a result for it with the same model and options.

    Parameters
    ----------
    cards
        The model for each kind of prompt.
    stated_mpp
        Micrometres per pixel as the project or the user states it; None leaves it to the file, which
        is not opened for prompts that are done.
    """
    standing = {result.key: result for result in content.results}
    todo: list[Prompt] = []
    settled: list[Outline] = []
    seen: set[str] = set()
    orphans = set(standing)
    for prompt in content.prompts:
        key = prompt.key  # a hash, made anew at each call
        orphans.discard(key)
        if not _is_wanted(prompt, options):
            continue
        card = cards.get(prompt.kind)
        if card is None:
            settled.append(Outline(prompt, Status.NO_MODEL, detail=f"no model for {prompt.kind}s"))
        elif key in seen:
            settled.append(Outline(prompt, Status.DUPLICATE, detail="another prompt lies at the same place"))
        elif not options.overwrite and _still_holds(standing.get(key), prompt, options, card=card, stated_mpp=stated_mpp):
            settled.append(Outline(prompt, Status.UNCHANGED, detail="done by an earlier run"))
        else:
            todo.append(prompt)
        seen.add(key)
    return Plan(tuple(todo), tuple(settled), frozenset(orphans))


def options_digest(prompt: Prompt, options: RunOptions, *, card: Card, stated_mpp: float | None) -> str:
    """Give a short hash of all but the weights that a result of this prompt depends on."""
    told = {
        "kind": options.kind,
        "class": prompt.class_name,
        "stated_mpp": stated_mpp,
        "model": {"mpp": card.mpp, "patch_px": card.patch_px, "threshold": card.threshold, "click_px": card.click_radius_px},
        "least": {"object_px": card.min_object_px, "hole_px": card.max_hole_px},
        "segment": {name: getattr(options.segment, name) for name in CHANGES_RESULTS},
    }
    return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()[:12]


def _is_wanted(prompt: Prompt, options: RunOptions) -> bool:
    if prompt.kind in options.left_out:
        return False
    return not options.classes or (prompt.class_name or NO_CLASS) in options.classes


def _still_holds(
    result: EarlierResult | None, prompt: Prompt, options: RunOptions, *, card: Card, stated_mpp: float | None
) -> bool:
    """Tell whether an earlier result is what a run would make now."""
    if result is None:
        return False
    return (result.model, result.options) == (card.short_id, options_digest(prompt, options, card=card, stated_mpp=stated_mpp))
