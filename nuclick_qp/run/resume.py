"""Which prompts of an image need the network, and which are settled without it: resume."""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from nuclick_qp.annotations.objects import NO_CLASS, EarlierResult, EntryContent, same_class
from nuclick_qp.kinds import PromptKind
from nuclick_qp.model.cards import Card
from nuclick_qp.prompts import Outline, Prompt, Status
from nuclick_qp.run.run_options import RunOptions
from nuclick_qp.segmentation.segment_options import CHANGES_RESULTS

WHY_SETTLED = {
    Status.EDITED: "its outline was changed by hand",
    Status.UNCHANGED: "done by an earlier run",
    Status.BELOW_PROBABILITY: "the outline of an earlier run is less probable than --min-probability",
}


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
    turned
        Prompts whose outline stays and becomes an object of another kind, with that outline.
    differing, weak
        How many outlines stay that another model made, or other options; and how many that are less
        probable than is asked for.
    """

    todo: tuple[Prompt, ...]
    settled: tuple[Outline, ...]
    orphans: frozenset[str] = frozenset()
    turned: tuple[tuple[Prompt, EarlierResult], ...] = ()
    differing: int = 0
    weak: int = 0


def plan_prompts(content: EntryContent, options: RunOptions, *, cards: Mapping[PromptKind, Card], stated_mpp: float | None) -> Plan:
    """Sort the prompts of an image; those the user left out, and clicks on the background, are in neither part.

    A prompt is settled when no model is there for its kind, when another prompt at the same place
    came first, or when an outline of an earlier run stands for it. That stays, whatever model and
    options made it, unless the options say to overwrite: it may well be the better one. It is made
    anew when its prompt has got another class. One that the user has changed is the user's.

    Parameters
    ----------
    cards
        The model for each kind of prompt.
    stated_mpp
        Micrometres per pixel as the project or the user states it; None leaves it to the file, which
        is not opened for prompts that are done.
    """
    standing = results_by_key(content.results)
    ways = {kind: (card.short_id, options_digest(options, card=card, stated_mpp=stated_mpp)) for kind, card in cards.items()}
    todo: list[Prompt] = []
    settled: list[Outline] = []
    unchanged: list[tuple[Prompt, Sequence[EarlierResult]]] = []
    seen: set[str] = set()
    wanted = [prompt for prompt in content.prompts if not prompt.is_background]
    for prompt in wanted:
        key = prompt.key  # a hash, made anew at each call
        results = standing.get(key, ())
        if not _is_wanted(prompt, options):
            continue
        if prompt.kind not in cards:
            settled.append(Outline(prompt, Status.NO_MODEL, detail=f"no model for {prompt.kind}s"))
        elif key in seen:
            settled.append(Outline(prompt, Status.DUPLICATE, detail="another prompt lies at the same place"))
        elif (status := _standing_status(prompt, results, options)) is None:
            todo.append(prompt)
        else:
            settled.append(Outline(prompt, status, detail=WHY_SETTLED[status]))
            unchanged += [(prompt, results)] if status is Status.UNCHANGED else []
        seen.add(key)
    orphans = standing.keys() - {prompt.key for prompt in wanted}
    return Plan(
        tuple(todo),
        tuple(settled),
        frozenset(orphans),
        turned=tuple((prompt, results[0]) for prompt, results in unchanged if options.kind not in (None, results[0].kind)),
        differing=sum(any((one.model, one.options) != ways[prompt.kind] for one in results) for prompt, results in unchanged),
        weak=sum(is_weak(results, options) for _, results in unchanged),
    )


def results_by_key(results: Iterable[EarlierResult]) -> dict[str, list[EarlierResult]]:
    """Group results by their prompt, which has several when a user copied one."""
    groups: dict[str, list[EarlierResult]] = {}
    for result in results:
        groups.setdefault(result.key, []).append(result)
    return groups


def options_digest(options: RunOptions, *, card: Card, stated_mpp: float | None) -> str:
    """Give a short hash of all but the prompt and the weights that an outline depends on."""
    told = {
        "stated_mpp": stated_mpp,
        "model": {"mpp": card.mpp, "patch_px": card.patch_px, "threshold": card.threshold, "click_px": card.click_radius_px},
        "calibration": card.calibration,
        "least": {"object_px": card.min_object_px, "hole_px": card.max_hole_px},
        "segment": {name: getattr(options.segment, name) for name in CHANGES_RESULTS},
    }
    return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()[:12]


def _is_wanted(prompt: Prompt, options: RunOptions) -> bool:
    if prompt.kind in options.left_out:
        return False
    return not options.classes or (prompt.class_name or NO_CLASS) in options.classes


def _standing_status(prompt: Prompt, results: Sequence[EarlierResult], options: RunOptions) -> Status | None:
    """Tell what the outlines that stand make of a prompt; None when it is to be segmented."""
    if options.overwrite != "edited" and any(result.is_edited(prompt.class_name) for result in results):
        return Status.EDITED
    if options.overwrite != "none" or not results or not all(same_class(result.class_name, prompt.class_name) for result in results):
        return None
    return Status.BELOW_PROBABILITY if options.prune and is_weak(results, options) else Status.UNCHANGED


def is_weak(results: Sequence[EarlierResult], options: RunOptions) -> bool:
    """Tell whether the outlines of a prompt are less probable than is asked for; where none says how probable, they are not."""
    return all(result.probability is not None and result.probability < options.min_probability for result in results)
