"""A scene in areas: several are worked on at once, and each is settled once its surroundings are known.

While one area is with the network another is read, and the masks of a third are cut out. What is found in an area
leaves memory when no neighbour can take pixels of it any more: memory follows the width of the slide, not the number of
prompts.
"""

import threading
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace

import numpy as np
import shapely

from nuclick_qp.prompts import Outline
from nuclick_qp.segmentation.candidates import ZOOM_OUTS, Scene, find_candidates
from nuclick_qp.segmentation.overlaps import Candidate
from nuclick_qp.segmentation.tiling import Tile, patch_window, plan_tiles
from nuclick_qp.stopping import Stopped

LEAST_IN_AREA = 32  # prompts: a batch that fills the cores

Found = dict[int, Candidate | Outline]  # by the place of the prompt in the scene


@dataclass(frozen=True, slots=True)
class Area:
    """Prompts that are worked on together.

    Attributes
    ----------
    indices
        Their places in the scene.
    box
        Left, top, right, bottom of all that the network may be shown of their surroundings, in the slide frame:
        their masks lie inside.
    """

    indices: tuple[int, ...]
    box: tuple[float, float, float, float]


def plan_areas(scene: Scene) -> list[Area]:
    """Gather the tiles of a scene into areas, so that each region of the slide is read for one of them.

    Rows of tiles are gone through to and fro, so that an area hangs together. The plan depends on the prompts and
    the size of batches alone: whatever is done side by side, the batches and so the numbers are the same.
    """
    patch_px, options = scene.predictor.card.patch_px, scene.options
    tiles = plan_tiles(scene.prompts, patch_px=patch_px, scale=scene.scale, tile_px=options.tile_px)
    least = max(options.batch_size, LEAST_IN_AREA)
    areas: list[list[int]] = []
    for tile in sorted(tiles, key=lambda tile: _to_and_fro(tile, options.tile_px)):
        if not areas or len(areas[-1]) >= least:
            areas.append([])
        areas[-1] += (patch.index for patch in tile.patches)
    return [Area(tuple(indices), _box_of(scene, indices)) for indices in areas]


def find_by_area(scene: Scene, areas: Sequence[Area], on_done: Callable[[int], None]) -> Generator[tuple[int, Found]]:
    """Give what is found in each area, with its number, in their order; up to a stop.

    Parameters
    ----------
    on_done
        Called with the number of prompts finished since the last call; from several threads, but from one at a time.
    """
    is_over, turn = threading.Event(), threading.Lock()

    def tell(count: int) -> None:
        with turn:
            on_done(count)

    def work(area: Area) -> tuple[Found, bool]:
        return _find(scene, area, tell, lambda: is_over.is_set() or scene.stopped())

    if len(areas) == 1:  # a click of the service: no thread has to be made for it
        yield 0, work(areas[0])[0]
        return
    with ThreadPoolExecutor(scene.predictor.batches_at_once, "area") as pool:
        waiting: deque[Future[tuple[Found, bool]]] = deque()
        left = iter(areas)
        number = 0
        try:
            while True:
                while len(waiting) <= scene.predictor.batches_at_once and (area := next(left, None)) is not None:
                    waiting.append(pool.submit(work, area))
                if not waiting:
                    return
                found, is_stopped = waiting.popleft().result()
                yield number, found
                number += 1
                if is_stopped:
                    left = iter(())
        finally:
            is_over.set()  # whoever leaves off early, or because of an error, waits for one layer of the network at most
            pool.shutdown(cancel_futures=True)


def with_surroundings(areas: Sequence[Area], found: Iterator[tuple[int, Found]]) -> Iterator[tuple[Found, Found]]:
    """Give what was found in each area once all areas that it may overlap are known, and what was found in those.

    Parameters
    ----------
    found
        Number of an area, and what was found there; areas that never come, after a stop, are taken to be empty.
    """
    near = _neighbours(areas)
    known: dict[int, Found] = {}
    missing = [len(numbers) for numbers in near]  # of each area with its neighbours: how many are not known
    unsettled = [len(numbers) for numbers in near]  # and how many may still ask for what was found there

    def settled(number: int) -> tuple[Found, Found]:
        beside = {index: one for other in near[number] if other != number for index, one in known.get(other, {}).items()}
        own = known[number]
        for other in near[number]:
            unsettled[other] -= 1
            if not unsettled[other]:
                known.pop(other, None)
        return own, beside

    waiting: set[int] = set()
    for number, what in found:
        known[number] = what
        waiting.add(number)
        for other in near[number]:
            missing[other] -= 1
            if not missing[other]:
                waiting.remove(other)
                yield settled(other)
    for number in sorted(waiting):  # a stop came before their neighbours
        yield settled(number)


def _find(scene: Scene, area: Area, on_done: Callable[[int], None], stopped: Callable[[], bool]) -> tuple[Found, bool]:
    """Give what is found in an area, and whether it was left because of a stop."""
    seen = replace(scene, prompts=[scene.prompts[i] for i in area.indices], stopped=stopped)
    found: Found = {}
    try:
        for place, one in find_candidates(seen, on_done):
            found[area.indices[place]] = one
    except Stopped:
        return found, True
    return found, False


def _to_and_fro(tile: Tile, tile_px: int) -> tuple[float, int, int]:
    """Give the place of a tile on a way that goes through its rows to and fro."""
    window = tile.patches[0].window
    col, row = (int(v // (tile_px * window.scale)) for v in (window.x, window.y))
    return window.scale, row, -col if row % 2 else col


def _box_of(scene: Scene, indices: Sequence[int]) -> tuple[float, float, float, float]:
    """Give the box of all that may be shown round some prompts."""
    card = scene.predictor.card
    widest = ZOOM_OUTS[card.prompt][-1]
    windows = (patch_window(scene.prompts[i], patch_px=card.patch_px, scale=scene.scale, zoom_out=widest) for i in indices)
    lefts, tops, rights, bottoms = zip(*(window.slide_box for window in windows), strict=True)
    return min(lefts), min(tops), max(rights), max(bottoms)


def _neighbours(areas: Sequence[Area]) -> list[list[int]]:
    """Give for each area the numbers of those whose boxes meet its own, itself among them."""
    boxes = np.array([shapely.box(*area.box) for area in areas], np.object_)
    near: list[list[int]] = [[] for _ in areas]
    for one, other in shapely.STRtree(boxes).query(boxes).T.tolist():
        near[one].append(other)
    return near
