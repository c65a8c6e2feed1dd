"""Prompts to candidates: tiles are read, patches go through the network, a mask is cut out under each prompt."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import KDTree

from nuclick_qp.geometry import Window
from nuclick_qp.guidance.signals import MarkedPatches, mark_patches
from nuclick_qp.model.cards import Card
from nuclick_qp.model.predictor import Predictor
from nuclick_qp.prompts import UNCERTAIN_BELOW, Outline, Prompt, Status, points_xy
from nuclick_qp.segmentation.background import is_background
from nuclick_qp.segmentation.overlaps import Candidate, soft_iou
from nuclick_qp.segmentation.postprocess import MaskRules, bounding_box, extract_best, extract_mask, touches_edge
from nuclick_qp.segmentation.segment_options import SegmentOptions
from nuclick_qp.segmentation.tiling import Patch, plan_tiles
from nuclick_qp.segmentation.tta import predict_augmented
from nuclick_qp.slides import Slide
from nuclick_qp.stopping import never

# A gland may be much larger than its squiggle. Where its mask reaches the border of the patch, the same
# squiggle is shown with twice and four times as much around it. Clicks are for objects of one size, but where the
# first look finds nothing, or something that does not fit, one at twice the scale finds most of what there is.
ZOOM_OUTS = {"point": (1.0, 2.0), "line": (1.0, 2.0, 4.0)}
MAX_COARSENING = 16  # a longer squiggle than that many patches is a slip of the hand, and would fill the memory
MOST_BELOW_THRESHOLD = 0.49  # probability of what does not reach the threshold; just below `UNCERTAIN_BELOW`

@dataclass(frozen=True, slots=True)
class _Job:
    """A batch on its way to the network; `indices` point into the list of prompts."""

    indices: tuple[int, ...]
    windows: tuple[Window, ...]
    patches: MarkedPatches


@dataclass(frozen=True, slots=True)
class _Look:
    """What the network makes of one patch: its (P, P, 3) pixels, those under the prompt, the probabilities (0 beside the slide)."""

    prompt: Prompt
    window: Window
    pixels: NDArray[np.uint8]
    marker: NDArray[np.bool_]
    probability: NDArray[np.float32]

    @property
    def is_on_background(self) -> bool:
        """Whether there can be nothing under the prompt."""
        return is_background(self.pixels, self.marker)


@dataclass(frozen=True, slots=True)
class Scene:
    """What all prompts of one call share."""

    prompts: Sequence[Prompt]
    slide: Slide
    predictor: Predictor
    scale: float
    others: "Others"
    rules: MaskRules
    options: SegmentOptions
    stopped: Callable[[], bool] = never
    zoom_out: float = 1.0
    looks_once: bool = False  # whether nothing is looked at again, at a coarser scale


def find_candidates(scene: Scene, on_done: Callable[[int], None]) -> Iterator[tuple[int, Candidate | Outline]]:
    """Give what is found under each prompt of a scene, with the number of the prompt, in any order.

    Raises
    ------
    Stopped
        If a stop was asked for; what was given before holds.
    """
    left = list(range(len(scene.prompts)))
    zoom_outs = (1.0,) if scene.looks_once else ZOOM_OUTS[scene.predictor.card.prompt]
    for zoom_out in zoom_outs:
        seen = replace(scene, prompts=[scene.prompts[i] for i in left], zoom_out=zoom_out)
        again: list[int] = []
        for job in _read_jobs(seen):
            waiting = len(again)
            for index, look in zip(job.indices, _looks(seen, job), strict=True):
                found = _to_candidate(seen, look)
                if isinstance(found, Candidate):
                    yield left[index], found
                elif zoom_out != zoom_outs[-1] and _is_worth_another_look(seen, look, found):
                    again.append(left[index])
                else:
                    yield left[index], _best_of(seen, look, found)
            on_done(len(job.indices) - len(again) + waiting)
        left = again


class Others:
    """The places that may appear in exclusion maps, found by region."""

    def __init__(self, xy: NDArray[np.float64], apart: Mapping[Prompt, Sequence[Prompt]] | None = None) -> None:
        self._xy = xy
        self._tree = KDTree(xy) if len(xy) else None
        self._apart = apart or {}

    @classmethod
    def of(
        cls, kept: Sequence[Prompt], taken: Sequence[Prompt], neighbours_xy: NDArray[np.float64] | None, *, clearance: float
    ) -> "Others":
        """Gather prompts and neighbours; neighbours within the clearance of a prompt are left out."""
        places = points_xy(list(taken))
        if neighbours_xy is None or not len(neighbours_xy):
            return cls(places)
        prompts_xy = points_xy([*kept, *taken])
        if len(prompts_xy):
            distance, _ = KDTree(prompts_xy).query(neighbours_xy)
            neighbours_xy = neighbours_xy[distance > clearance]
        return cls(np.concatenate([places, neighbours_xy]))

    def near(self, prompts: Sequence[Prompt], windows: Sequence[Window]) -> list[NDArray[np.float64]]:
        """Give for each prompt the (M, 2) places in its window but for its own."""
        if self._tree is None:
            return [np.empty((0, 2))] * len(prompts)
        halves = np.array([window.width * window.scale / 2 for window in windows])
        middles = np.array([(window.x, window.y) for window in windows]).reshape(-1, 2) + halves[:, None]
        near = (self._xy[found] for found in self._tree.query_ball_point(middles, halves, p=np.inf))
        others = (xy[(xy != prompt.anchor).any(axis=1)] for xy, prompt in zip(near, prompts, strict=True))
        return [_leave_out(xy, self._apart.get(prompt, ())) for xy, prompt in zip(others, prompts, strict=True)]

    def without(self, gone: Sequence[Prompt], *, apart: Mapping[Prompt, Sequence[Prompt]]) -> "Others":
        """Give the same places but for some prompts; `apart` says whose places each prompt does not see."""
        return Others(_leave_out(self._xy, gone), apart)


def _leave_out(xy: NDArray[np.float64], gone: Sequence[Prompt]) -> NDArray[np.float64]:
    if not gone or not len(xy):
        return xy
    places = points_xy(list(gone))
    left: NDArray[np.float64] = xy[~np.isin(xy @ (1, 1j), places @ (1, 1j))]  # as complex numbers, x and y are compared at once
    return left


def _read_jobs(scene: Scene) -> Iterator[_Job]:
    """Read the tiles one by one and give their patches in batches, filled across tiles."""
    patches = _read_patches(scene)
    while batch := list(islice(patches, scene.options.batch_size)):
        prompts = [scene.prompts[patch.index] for patch, _ in batch]
        windows = [patch.window for patch, _ in batch]
        marked = mark_patches(
            np.stack([pixels for _, pixels in batch]),
            prompts,
            windows=windows,
            others_xy=scene.others.near(prompts, windows),
            click_radius_px=scene.predictor.card.click_radius_px,
        )
        yield _Job(tuple(patch.index for patch, _ in batch), tuple(windows), marked)


def _read_patches(scene: Scene) -> Iterator[tuple[Patch, NDArray[np.uint8]]]:
    patch_px, tile_px = scene.predictor.card.patch_px, scene.options.tile_px
    for tile in plan_tiles(scene.prompts, patch_px=patch_px, scale=scene.scale, zoom_out=scene.zoom_out, tile_px=tile_px):
        yield from zip(tile.patches, tile.cut(scene.slide.read(tile.window)), strict=True)


def _looks(scene: Scene, job: _Job) -> Iterator[_Look]:
    """Send a batch through the network, and give what becomes of each patch."""
    predict = partial(predict_augmented, scene.predictor) if scene.options.tta else scene.predictor.predict
    probabilities = predict(job.patches, batch_size=scene.options.batch_size, stopped=scene.stopped)
    markers = np.zeros(probabilities.shape, np.bool_)  # the very click: a disc may reach into a neighbour
    markers[tuple(job.patches.under.T)] = True
    for index, window, pixels, marker, probability in zip(
        job.indices, job.windows, job.patches.pixels, markers, probabilities, strict=True
    ):
        _clear_beside_slide(probability, window, scene.slide)
        yield _Look(scene.prompts[index], window, pixels, marker, probability)


def _to_candidate(scene: Scene, look: _Look) -> Candidate | Outline:
    """Give what reaches the threshold under a prompt, or why there is nothing."""
    mask, status, detail = extract_mask(look.probability, look.marker, rules=scene.rules)
    if status is not Status.OK:
        return Outline(look.prompt, status, detail=detail)
    if touches_edge(mask):
        side_um = look.window.width * look.window.scale * scene.predictor.card.mpp / scene.scale
        detail = f"the object does not fit into {side_um:.0f} um; use a model for larger objects"
        return Outline(look.prompt, Status.TOO_LARGE, detail=detail)
    is_tentative = look.prompt.kind == "point" and scene.zoom_out > 1
    return _cut(scene, look, mask, threshold=scene.rules.threshold, is_tentative=is_tentative)


def _is_worth_another_look(scene: Scene, look: _Look, found: Outline) -> bool:
    """Tell whether to show a prompt at twice the scale: what does not fit, and once what was not found."""
    if 2 * look.window.scale > MAX_COARSENING * scene.scale:
        return False
    return found.status is Status.TOO_LARGE or (scene.zoom_out == 1 and not look.is_on_background)


def _best_of(scene: Scene, look: _Look, found: Outline) -> Candidate | Outline:
    """Give what stands out most under a prompt on tissue where nothing was found; what was told of it on the background."""
    if found.status is Status.TOO_LARGE or look.is_on_background:
        return found
    best = extract_best(look.probability, look.marker, rules=scene.rules)
    return found if best is None else _cut(scene, look, best[0], threshold=best[1], is_tentative=True)


def _cut(scene: Scene, look: _Look, mask: NDArray[np.bool_], *, threshold: float, is_tentative: bool) -> Candidate:
    """Cut a mask to its bounding box, and one pixel more on each side."""
    rows, cols = bounding_box(mask)
    box = (slice(rows.start - 1, rows.stop + 1), slice(cols.start - 1, cols.stop + 1))
    part = look.window.part(box[1].start, box[0].start, box[1].stop - box[1].start, box[0].stop - box[0].start)
    kept = mask[box].copy()
    candidate = Candidate(look.prompt, part, look.probability[box].copy(), kept, look.marker[box] & kept, threshold, is_tentative)
    is_sure = expected_iou(candidate, candidate.mask, card=scene.predictor.card) >= UNCERTAIN_BELOW
    return replace(candidate, is_sure=is_sure)


def expected_iou(candidate: Candidate, mask: NDArray[np.bool_], *, card: Card) -> float:
    """Give the intersection over union that a mask of a candidate is expected to have; below the threshold of the model it is uncertain."""
    expected = card.expected_iou(soft_iou(candidate, mask))
    return min(expected, MOST_BELOW_THRESHOLD) if candidate.threshold < card.threshold else expected


def _clear_beside_slide(probability: NDArray[np.float32], window: Window, slide: Slide) -> None:
    """Set what lies beside the slide to 0, by the centres of the pixels."""
    left, top, right, bottom = window.slide_box
    if left >= 0 and top >= 0 and right <= slide.width and bottom <= slide.height:
        return
    x, y = window.to_slide(np.column_stack([np.arange(window.width), np.arange(window.height)]) + 0.5).T  # patches are squares
    probability[(y < 0) | (y >= slide.height)] = 0
    probability[:, (x < 0) | (x >= slide.width)] = 0
