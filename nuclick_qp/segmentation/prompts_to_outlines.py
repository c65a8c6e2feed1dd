"""The path of a click: prompts and a slide in, one outline per prompt out."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import islice
from typing import TypeVar

import numpy as np
import shapely
from numpy.typing import NDArray
from scipy.spatial import KDTree
from shapely import STRtree, box
from shapely.geometry.base import BaseGeometry

from nuclick_qp.geometry import Window
from nuclick_qp.guidance.signals import build_inputs, inclusion_map
from nuclick_qp.model.predictor import Predictor
from nuclick_qp.prompts import Outline, Prompt, Status, points_xy
from nuclick_qp.segmentation.outlines import trace_outline
from nuclick_qp.segmentation.overlaps import Candidate, settle_overlaps, take_out_standing
from nuclick_qp.segmentation.postprocess import MaskRules, extract_mask, reconstruct, touches_edge
from nuclick_qp.segmentation.same_object import CLOSE_SHARE, ClosePair, close_pairs, find_duplicates
from nuclick_qp.segmentation.segment_options import SegmentOptions
from nuclick_qp.segmentation.tiling import Patch, patch_window, plan_tiles
from nuclick_qp.segmentation.tta import predict_augmented
from nuclick_qp.slides import Slide

# A detection this close to a click is taken for an older outline of the same object, not for a
# neighbour: telling the network to keep out of it would cut the object in two.
NEIGHBOUR_CLEARANCE_UM = 3.0
# A gland may be much larger than its squiggle. Where its mask reaches the border of the patch, the same
# squiggle is shown with twice and four times as much around it. Clicks are for objects of one size.
ZOOM_OUTS = {"point": (1.0,), "line": (1.0, 2.0, 4.0)}
MAX_COARSENING = 16  # a longer squiggle than that many patches is a slip of the hand, and would fill the memory
READ_AHEAD = 2  # batches that are read while the network works on another

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class _Job:
    """A batch on its way to the network; `indices` point into the list of prompts."""

    indices: tuple[int, ...]
    windows: tuple[Window, ...]
    inputs: NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class _Scene:
    """What all prompts of one call share."""

    prompts: Sequence[Prompt]
    slide: Slide
    predictor: Predictor
    scale: float
    others: "_Others"
    rules: MaskRules
    options: SegmentOptions
    zoom_out: float = 1.0


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

    Returns
    -------
    list of Outline
        One for each prompt, in their order. It does not depend on batch size, tile size or order, but
        that of two prompts in one object the first gets the outline and the later is a duplicate.
    """
    card = predictor.card
    refused = {i: _refuse(prompt, slide, patch_px=card.patch_px, scale=card.mpp / mpp) for i, prompt in enumerate(prompts)}
    outlines = {i: outline for i, outline in refused.items() if outline is not None}
    inside = [i for i, outline in refused.items() if outline is None]
    on_done(len(outlines))
    kept = [prompts[i] for i in inside]
    options = options or SegmentOptions()
    taken = [*prompts, *context] if options.use_exclusion else []
    others = _Others.of(kept, taken, neighbours_xy if options.use_exclusion else None, clearance=NEIGHBOUR_CLEARANCE_UM / mpp)
    rules = MaskRules(card.threshold, card.min_object_px, card.max_hole_px)
    scene = _Scene(kept, slide, predictor, card.mpp / mpp, others, rules, options)
    found = _segment_each_object_once(scene, context, standing or {}, on_done)
    outlines.update((inside[number], outline) for number, outline in found.items())
    return [outlines[i] for i in range(len(prompts))]


def _segment_each_object_once(
    scene: _Scene, context: Sequence[Prompt], standing: Mapping[str, BaseGeometry], on_done: Callable[[int], None]
) -> dict[int, Outline]:
    """Give the outline of each prompt of a scene; of prompts that mean one object the later ones are duplicates."""
    prompts, count = scene.prompts, len(scene.prompts)
    everyone = [*prompts, *context]
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
    candidates: dict[int, Candidate] = {}
    for number, found in _segment_all(replace(scene, prompts=[prompts[i] for i in left], others=others), on_done):
        if isinstance(found, Outline):
            outlines[left[number]] = found
        else:
            candidates[left[number]] = found
    among = [pair for pair in among if not {pair.first, pair.later} & twice.keys()]
    for pair in among:  # they have cut their object in two, and nothing is left: the first gets it whole
        if pair.first in alone and not {pair.first, pair.later} & candidates.keys():
            candidates[pair.first] = alone[pair.first]
    outlines.update(_finish(candidates, scene.rules, list(standing.values())))
    for pair in among:
        for one, other in ((pair.first, pair.later), (pair.later, pair.first)):
            if outlines[one].polygon is None and _has_outline_at(prompts[one], outlines[other].polygon):
                outlines[one] = _duplicate(prompts[one], prompts[other])
    return outlines


def _masks_apart(scene: _Scene, everyone: Sequence[Prompt], pairs: Sequence[ClosePair]) -> dict[int, Candidate]:
    """Give the masks of the prompts that have close neighbours, made as if these were not there."""
    chosen = sorted({i for pair in pairs for i in (pair.first, pair.later) if i < len(scene.prompts)})
    others = scene.others.without([], apart=_partners(everyone, pairs))
    seen = replace(scene, prompts=[scene.prompts[i] for i in chosen], others=others)
    return {chosen[i]: found for i, found in _segment_all(seen, lambda count: None) if isinstance(found, Candidate)}


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


def read_ahead(items: Iterable[T], depth: int) -> Iterator[T]:
    """Go through items while a thread makes up to `depth` of the next ones."""
    source = iter(items)
    with ThreadPoolExecutor(1) as pool:
        waiting = [pool.submit(next, source, None) for _ in range(depth)]
        while (item := waiting.pop(0).result()) is not None:
            waiting.append(pool.submit(next, source, None))
            yield item


def _segment_all(scene: _Scene, on_done: Callable[[int], None]) -> Iterator[tuple[int, Candidate | Outline]]:
    """Give what is found under each prompt of a scene, with the number of the prompt, in any order."""
    left = list(range(len(scene.prompts)))
    zoom_outs = ZOOM_OUTS[scene.predictor.card.prompt]
    for zoom_out in zoom_outs:
        seen = replace(scene, prompts=[scene.prompts[i] for i in left], zoom_out=zoom_out)
        cut_off: list[int] = []
        for job in read_ahead(_read_jobs(seen), READ_AHEAD):
            waiting = len(cut_off)
            probabilities = _predict(seen, job.inputs)
            for index, window, probability in zip(job.indices, job.windows, probabilities, strict=True):
                prompt = seen.prompts[index]
                marker = inclusion_map(prompt, window) > 0  # the very click: a disc may reach into a neighbour
                found = _to_candidate(seen, prompt, window=window, marker=marker, probability=probability)
                may_zoom = zoom_out != zoom_outs[-1] and 2 * window.scale <= MAX_COARSENING * scene.scale
                if may_zoom and isinstance(found, Outline) and found.status is Status.TOO_LARGE:
                    cut_off.append(left[index])
                else:
                    yield left[index], found
            on_done(len(job.indices) - len(cut_off) + waiting)
        left = cut_off


class _Others:
    """The places that may appear in exclusion maps, found by region."""

    def __init__(self, xy: NDArray[np.float64], apart: Mapping[Prompt, Sequence[Prompt]] | None = None) -> None:
        self._xy = xy
        self._tree = KDTree(xy) if len(xy) else None
        self._apart = apart or {}

    @classmethod
    def of(
        cls, kept: Sequence[Prompt], taken: Sequence[Prompt], neighbours_xy: NDArray[np.float64] | None, *, clearance: float
    ) -> "_Others":
        """Gather prompts and neighbours; neighbours within the clearance of a prompt are left out."""
        places = points_xy(list(taken))
        if neighbours_xy is None or not len(neighbours_xy):
            return cls(places)
        prompts_xy = points_xy([*kept, *taken])
        if len(prompts_xy):
            distance, _ = KDTree(prompts_xy).query(neighbours_xy)
            neighbours_xy = neighbours_xy[distance > clearance]
        return cls(np.concatenate([places, neighbours_xy]))

    def near(self, prompt: Prompt, window: Window) -> NDArray[np.float64]:
        """Give the (M, 2) places in a window but for the prompt's own."""
        if self._tree is None:
            return np.empty((0, 2))
        half = window.width * window.scale / 2
        found = self._xy[self._tree.query_ball_point((window.x + half, window.y + half), half, p=np.inf)]
        return _leave_out(found, [prompt, *self._apart.get(prompt, ())])

    def without(self, gone: Sequence[Prompt], *, apart: Mapping[Prompt, Sequence[Prompt]]) -> "_Others":
        """Give the same places but for some prompts; `apart` says whose places each prompt does not see."""
        return _Others(_leave_out(self._xy, gone), apart)


def _leave_out(xy: NDArray[np.float64], gone: Sequence[Prompt]) -> NDArray[np.float64]:
    if not gone or not len(xy):
        return xy
    places = points_xy(list(gone))
    left: NDArray[np.float64] = xy[~np.isin(xy @ (1, 1j), places @ (1, 1j))]  # as complex numbers, x and y are compared at once
    return left


def _refuse(prompt: Prompt, slide: Slide, *, patch_px: int, scale: float) -> Outline | None:
    """Say why a prompt cannot be segmented on this slide; None when it can."""
    x, y = prompt.anchor
    if not (0 <= x < slide.width and 0 <= y < slide.height):
        return Outline(prompt, Status.OUTSIDE_SLIDE, detail=f"the slide is {slide.width} x {slide.height} px")
    if patch_window(prompt, patch_px=patch_px, scale=scale).scale > MAX_COARSENING * scale:
        return Outline(prompt, Status.TOO_LARGE, detail="the squiggle is too long; draw one for each object")
    return None


def _read_jobs(scene: _Scene) -> Iterator[_Job]:
    """Read the tiles one by one and give their patches in batches, filled across tiles."""
    patches = _read_patches(scene)
    while batch := list(islice(patches, scene.options.batch_size)):
        prompts = [scene.prompts[patch.index] for patch, _ in batch]
        windows = [patch.window for patch, _ in batch]
        inputs = build_inputs(
            np.stack([pixels for _, pixels in batch]),
            prompts,
            windows=windows,
            others_xy=[scene.others.near(prompt, window) for prompt, window in zip(prompts, windows, strict=True)],
            click_radius_px=scene.predictor.card.click_radius_px,
        )
        yield _Job(tuple(patch.index for patch, _ in batch), tuple(windows), inputs)


def _read_patches(scene: _Scene) -> Iterator[tuple[Patch, NDArray[np.uint8]]]:
    patch_px, tile_px = scene.predictor.card.patch_px, scene.options.tile_px
    for tile in plan_tiles(scene.prompts, patch_px=patch_px, scale=scene.scale, zoom_out=scene.zoom_out, tile_px=tile_px):
        yield from zip(tile.patches, tile.cut(scene.slide.read(tile.window)), strict=True)


def _predict(scene: _Scene, inputs: NDArray[np.float32]) -> NDArray[np.float32]:
    """Give the (N, P, P) probabilities of (N, 5, P, P) inputs, as the options ask for them."""
    if scene.options.tta:
        return predict_augmented(scene.predictor, inputs, batch_size=scene.options.batch_size)
    return scene.predictor.predict(inputs, batch_size=scene.options.batch_size)


def _to_candidate(
    scene: _Scene, prompt: Prompt, *, window: Window, marker: NDArray[np.bool_], probability: NDArray[np.float32]
) -> Candidate | Outline:
    """Give the mask under a prompt cut to its bounding box, or why there is none."""
    rows, cols = _rows_and_cols_on_slide(window, scene.slide)
    probability = np.where(rows[:, None] & cols[None], probability, 0)
    mask, status, detail = extract_mask(probability, marker, rules=scene.rules)
    if status is not Status.OK:
        return Outline(prompt, status, detail=detail)
    if touches_edge(mask):
        side_um = window.width * window.scale * scene.predictor.card.mpp / scene.scale
        return Outline(prompt, Status.TOO_LARGE, detail=f"the object does not fit into {side_um:.0f} um; use a model for larger objects")
    r, c = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    box = (slice(r[0] - 1, r[-1] + 2), slice(c[0] - 1, c[-1] + 2))
    part = window.part(int(c[0] - 1), int(r[0] - 1), int(c[-1] - c[0] + 3), int(r[-1] - r[0] + 3))
    return Candidate(prompt, part, probability[box].copy(), mask[box].copy(), (marker & mask)[box].copy())


def _rows_and_cols_on_slide(window: Window, slide: Slide) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Tell which rows and columns of a window have their pixel centres on the slide."""
    y = window.to_slide(np.column_stack([np.zeros(window.height), np.arange(window.height) + 0.5]))[:, 1]
    x = window.to_slide(np.column_stack([np.arange(window.width) + 0.5, np.zeros(window.width)]))[:, 0]
    return (y >= 0) & (y < slide.height), (x >= 0) & (x < slide.width)


def _finish(candidates: dict[int, Candidate], rules: MaskRules, standing: Sequence[BaseGeometry]) -> dict[int, Outline]:
    """Settle overlaps, then trace what is left of each mask."""
    outlines = {}
    tree = STRtree(list(standing))
    for (index, candidate), settled in zip(candidates.items(), settle_overlaps(list(candidates.values())), strict=True):
        near = tree.query(box(*candidate.window.slide_box)) if standing else ()
        mask = take_out_standing(candidate, settled, [standing[i] for i in near])
        if not (mask == candidate.mask).all():
            mask, status, _ = reconstruct(mask, candidate.marker & mask, rules=rules)
            if status is not Status.OK:
                outlines[index] = Outline(candidate.prompt, Status.EMPTY, detail="another prompt has the same object")
                continue
        polygon = trace_outline(candidate.probability, mask, threshold=rules.threshold, window=candidate.window)
        if polygon is None:
            outlines[index] = Outline(candidate.prompt, Status.EMPTY, detail="the outline has no area")
            continue
        probability = float(candidate.probability[mask].mean())
        outlines[index] = Outline(candidate.prompt, Status.OK, polygon, probability)
    return outlines
