"""The path of a click: prompts and a slide in, one outline per prompt out."""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import replace

import numpy as np
import shapely
from numpy.typing import NDArray
from scipy.cluster.hierarchy import DisjointSet
from shapely import STRtree, box
from shapely.geometry.base import BaseGeometry

from nuclick_qp.model.predictor import Predictor
from nuclick_qp.prompts import Outline, Prompt, Status
from nuclick_qp.segmentation.areas import Area, Found, find_by_area, plan_areas, with_surroundings
from nuclick_qp.segmentation.candidates import MAX_COARSENING, Others, Scene, expected_iou
from nuclick_qp.segmentation.outlines import trace_outlines
from nuclick_qp.segmentation.overlaps import Candidate, settle_overlaps, take_out_standing
from nuclick_qp.segmentation.postprocess import MaskRules, reconstruct
from nuclick_qp.segmentation.same_object import CLOSE_SHARE, ClosePair, close_pairs, find_duplicates
from nuclick_qp.segmentation.segment_options import SegmentOptions
from nuclick_qp.segmentation.tiling import patch_window
from nuclick_qp.slides import Slide
from nuclick_qp.stopping import never

# A detection this close to a click is taken for an older outline of the same object, not for a
# neighbour: telling the network to keep out of it would cut the object in two.
NEIGHBOUR_CLEARANCE_UM = 3.0


def segment_prompts(
    prompts: Sequence[Prompt],
    slide: Slide,
    *,
    predictor: Predictor,
    mpp: float,
    neighbours_xy: NDArray[np.float64] | None = None,
    context: Sequence[Prompt] = (),
    standing: Mapping[str, BaseGeometry] | None = None,
    options: SegmentOptions | None = None,
    on_done: Callable[[int], None] = lambda count: None,
    stopped: Callable[[], bool] = never,
) -> list[Outline]:
    """Segment the object under each prompt.

    Parameters
    ----------
    prompts
        Prompts of one kind on one plane, in the slide frame.
    slide
        The image; an RGB image has one plane only, whatever plane the prompts are on.
    mpp
        Micrometres per level-0 pixel.
    neighbours_xy
        (M, 2) one place in each object that stands there already; slide frame.
    context
        Prompts that are not segmented now but mark neighbours all the same.
    standing
        Outlines of those prompts from earlier runs, by key: their pixels are taken.
    on_done
        Called with the number of prompts finished since the last call.
    stopped
        Asked often whether to leave off. What is found by then is kept, all else has the status `stopped`.

    Returns
    -------
    list of Outline
        One for each prompt, in their order. It does not depend on batch size, tile size or order, but
        that of two prompts in one object the first gets the outline and the later is a duplicate.
    """
    card = predictor.card
    refused = {i: refuse_prompt(prompt, slide, patch_px=card.patch_px, scale=card.mpp / mpp) for i, prompt in enumerate(prompts)}
    outlines = {i: outline for i, outline in refused.items() if outline is not None}
    inside = [i for i, outline in refused.items() if outline is None]
    on_done(len(outlines))
    kept = [prompts[i] for i in inside]
    options = options or SegmentOptions()
    taken = [*prompts, *context] if options.use_exclusion else []
    others = Others.of(kept, taken, neighbours_xy if options.use_exclusion else None, clearance=NEIGHBOUR_CLEARANCE_UM / mpp)
    rules = MaskRules.of(card)
    scene = Scene(kept, slide, predictor, card.mpp / mpp, others, rules, options, stopped)
    found = _segment_each_object_once(scene, context, standing or {}, on_done)
    outlines.update((inside[number], outline) for number, outline in found.items())
    return [outlines.get(i) or Outline(prompt, Status.STOPPED, detail="the run was stopped") for i, prompt in enumerate(prompts)]


def _segment_each_object_once(
    scene: Scene, context: Sequence[Prompt], standing: Mapping[str, BaseGeometry], on_done: Callable[[int], None]
) -> dict[int, Outline]:
    """Give the outlines of the prompts of a scene, up to a stop; of prompts that mean one object the later ones are duplicates."""
    prompts, count = scene.prompts, len(scene.prompts)
    everyone = [*prompts, *(prompt for prompt in context if not prompt.is_background)]
    pairs = close_pairs(everyone, within=CLOSE_SHARE * scene.predictor.card.patch_px * scene.scale)
    outlines = {
        pair.first: _duplicate(prompts[pair.first], everyone[pair.later])
        for pair in pairs
        if pair.first < count <= pair.later and _has_outline_at(prompts[pair.first], standing.get(everyone[pair.later].key))
    }
    on_done(len(outlines))
    pairs = [pair for pair in pairs if pair.first < count and not {pair.first, pair.later} & outlines.keys()]
    alone = _masks_apart(scene, everyone, pairs)
    among = [pair for pair in pairs if pair.later < count]
    twice = find_duplicates(among, alone)
    outlines.update((later, _duplicate(prompts[later], prompts[first])) for later, first in twice.items())
    on_done(len(twice))
    # A prompt of another class that is not segmented now may mean the same object: no neighbour of it.
    same = [pair for pair in pairs if pair.later >= count and pair.first in alone and alone[pair.first].holds(everyone[pair.later])]
    others = scene.others.without([prompts[later] for later in twice], apart=_partners(everyone, same))
    left = [i for i in range(count) if i not in outlines]
    seen = replace(scene, prompts=[prompts[i] for i in left], others=others)
    among = [pair for pair in among if not {pair.first, pair.later} & outlines.keys()]
    places = {index: place for place, index in enumerate(left)}
    cut = [ClosePair(places[pair.first], places[pair.later]) for pair in among]
    whole = {places[index]: one for index, one in alone.items() if index in places}
    standing_tree = STRtree(list(standing.values()))
    areas = plan_areas(seen)
    with closing(find_by_area(seen, areas, on_done)) as results:  # an error here ends its threads before the slide is closed
        for found, beside in with_surroundings(areas, _joined(areas, results, cut, whole)):
            outlines.update((left[place], outline) for place, outline in _finish(found, beside, scene, standing_tree).items())
    for pair in among:
        for one, other in ((pair.first, pair.later), (pair.later, pair.first)):
            if {one, other} <= outlines.keys() and outlines[one].polygon is None and _has_outline_at(prompts[one], outlines[other].polygon):
                outlines[one] = _duplicate(prompts[one], prompts[other])
    return outlines


def _masks_apart(scene: Scene, everyone: Sequence[Prompt], pairs: Sequence[ClosePair]) -> dict[int, Candidate]:
    """Give the masks of the prompts that have close neighbours, made as if these were not there."""
    chosen = sorted({i for pair in pairs for i in (pair.first, pair.later) if i < len(scene.prompts)})
    others = scene.others.without([], apart=_partners(everyone, pairs))
    seen = replace(scene, prompts=[scene.prompts[i] for i in chosen], others=others)
    areas = find_by_area(seen, plan_areas(seen), lambda count: None)
    return {chosen[i]: one for _, found in areas for i, one in found.items() if isinstance(one, Candidate)}


def _partners(everyone: Sequence[Prompt], pairs: Sequence[ClosePair]) -> dict[Prompt, list[Prompt]]:
    partners: dict[Prompt, list[Prompt]] = defaultdict(list)
    for pair in pairs:
        partners[everyone[pair.first]].append(everyone[pair.later])
        partners[everyone[pair.later]].append(everyone[pair.first])
    return partners


def _has_outline_at(prompt: Prompt, outline: BaseGeometry | None) -> bool:
    return outline is not None and bool(shapely.intersects_xy(outline, *prompt.anchor))


def _duplicate(prompt: Prompt, first: Prompt) -> Outline:
    x, y = first.anchor
    return Outline(prompt, Status.DUPLICATE, detail=f"the {first.kind} at ({x:.1f}, {y:.1f}) marks the same object")


def refuse_prompt(prompt: Prompt, slide: Slide, *, patch_px: int, scale: float) -> Outline | None:
    """Say why a prompt cannot be segmented on this slide; None when it can."""
    x, y = prompt.anchor
    if not (0 <= x < slide.width and 0 <= y < slide.height):
        return Outline(prompt, Status.OUTSIDE_SLIDE, detail=f"the slide is {slide.width} x {slide.height} px")
    if patch_window(prompt, patch_px=patch_px, scale=scale).scale > MAX_COARSENING * scale:
        return Outline(prompt, Status.TOO_LARGE, detail="the squiggle is too long; draw one for each object")
    return None


def _joined(
    areas: Sequence[Area], found: Iterator[tuple[int, Found]], pairs: Sequence[ClosePair], whole: Mapping[int, Candidate]
) -> Iterator[tuple[int, Found]]:
    """Give the first of two prompts its whole object where they have cut it in two, and nothing certain is left for either.

    Parameters
    ----------
    pairs
        Prompts that lie close together and mean different objects. Areas that share some are given together, when all are known.
    whole
        The masks of their prompts that were made without the other.
    """
    area_of = {index: number for number, area in enumerate(areas) for index in area.indices}
    tied = DisjointSet(range(len(areas)))
    for pair in pairs:
        tied.merge(area_of[pair.first], area_of[pair.later])
    pairs_in: dict[int, list[ClosePair]] = defaultdict(list)
    for pair in pairs:
        pairs_in[tied[area_of[pair.first]]].append(pair)
    waiting: dict[int, dict[int, Found]] = defaultdict(dict)
    for number, what in found:
        together = waiting[tied[number]]
        together[number] = what
        if len(together) == tied.subset_size(number):
            yield from _join_what_was_cut(waiting.pop(tied[number]), pairs_in[tied[number]], whole, area_of)
    for root, together in waiting.items():  # a stop came before the rest of them
        yield from _join_what_was_cut(together, pairs_in[root], whole, area_of)


def _join_what_was_cut(
    together: Mapping[int, Found], pairs: Sequence[ClosePair], whole: Mapping[int, Candidate], area_of: Mapping[int, int]
) -> Iterator[tuple[int, Found]]:
    known = {index: one for found in together.values() for index, one in found.items()}
    well = {index for index, one in known.items() if isinstance(one, Candidate) and not one.is_tentative}
    for pair in pairs:
        first = whole.get(pair.first)
        if {pair.first, pair.later} <= known.keys() - well and first is not None and not first.is_tentative:
            together[area_of[pair.first]][pair.first] = first
    yield from together.items()


def _finish(found: Found, beside: Found, scene: Scene, standing: STRtree) -> dict[int, Outline]:
    """Settle overlaps in an area, then trace what is left of each mask.

    Parameters
    ----------
    found, beside
        What was found in the area, and round it.
    standing
        Outlines that stand there already.
    """
    outlines = {index: one for index, one in found.items() if isinstance(one, Outline)}
    candidates = {index: one for index, one in found.items() if isinstance(one, Candidate)}
    masks = settle_overlaps(list(candidates.values()), [one for one in beside.values() if isinstance(one, Candidate)])
    left: dict[int, NDArray[np.bool_]] = {}
    for (index, candidate), settled in zip(candidates.items(), masks, strict=True):
        mask = _what_is_left(candidate, settled, scene.rules, standing)
        if mask is None:
            outlines[index] = Outline(candidate.prompt, Status.EMPTY, detail="another prompt has the same object")
        else:
            left[index] = mask
    polygons = trace_outlines([candidates[index].with_mask(mask) for index, mask in left.items()])
    for (index, mask), polygon in zip(left.items(), polygons, strict=True):
        candidate = candidates[index]
        if polygon is None:
            outlines[index] = Outline(candidate.prompt, Status.EMPTY, detail="the outline has no area")
        else:
            outlines[index] = Outline.found(candidate.prompt, polygon, expected_iou(candidate, mask, card=scene.predictor.card))
    return outlines


def _what_is_left(candidate: Candidate, mask: NDArray[np.bool_], rules: MaskRules, standing: STRtree) -> NDArray[np.bool_] | None:
    """Give what other prompts and standing outlines leave of the mask of a candidate; None when that is no object."""
    if len(standing) and len(near := standing.query(box(*candidate.window.slide_box))):
        mask = take_out_standing(candidate, mask, list(standing.geometries.take(near)))
    if np.array_equal(mask, candidate.mask):
        return mask
    mask, status, _ = reconstruct(mask, candidate.marker & mask, rules=rules)
    return mask if status is Status.OK else None
