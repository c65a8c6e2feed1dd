"""Clicks to polygons as NuClick's published code and servers built on it go about it, in our own words; what ours is compared with.

One slide read for each click; NCHW float32; convolutions split among the cores by OpenMP; batch norm as it was trained; morphology of
scikit-image over whole patches, greyscale reconstruction from the click, `find_contours`. Three of their habits are
left out, because they change outlines and not only time:

- holes are filled patch by patch, not over the stack of a batch, which would join neighbouring patches;
- `find_contours` gets the probabilities in the mask, not its zeros and ones, so that both ways place the line between pixels;
- thresholds, and the sizes of specks and holes, are those of our model's card.
"""

import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import openslide
import shapely
import torch
from numpy.typing import NDArray
from pydantic import BaseModel
from shapely import Polygon
from skimage.measure import find_contours
from skimage.morphology import disk, reconstruction, remove_small_holes, remove_small_objects
from torch import nn

from nuclick_qp.model.cards import Card, find_card
from nuclick_qp.model.checkpoints import load_network
from nuclick_qp.model.devices import usable_cores
from nuclick_qp.model.predictor import Predictor
from nuclick_qp.run.in_memory import segment


class Request(BaseModel):
    """What is to be compared: clicks on a slide at the pixel size of the model, and patches at once."""

    slide: Path
    xy: list[tuple[float, float]]
    network: str
    device: str
    batch_sizes: tuple[int, ...]


class Taken(BaseModel):
    """Seconds of the peers' way and of each of its stages, and right after it those of ours, from the slide to polygons in memory."""

    seconds: float
    stages: dict[str, float]
    our_seconds: float


class Compared(BaseModel):
    """What it took, and how much the outlines of both ways have in common.

    Attributes
    ----------
    clicks
        How many.
    taken
        By batch size.
    compared
        Clicks for which both ways have an outline.
    undisputed
        Those of them whose outlines reach no other one, in which the two ways differ on purpose.
    iou_median, iou_mean, iou_undisputed_mean
        Of the outlines of the two ways.
    """

    clicks: int
    taken: dict[int, Taken]
    outlines: int
    our_outlines: int
    compared: int
    undisputed: int
    iou_median: float
    iou_mean: float
    iou_undisputed_mean: float


def outline_clicks(
    slide: Path, xy: NDArray[np.float64], *, card: Card, net: nn.Module, batch_size: int, stages: dict[str, float]
) -> list[Polygon | None]:
    """Give one polygon for each of the (N, 2) clicks, in level-0 px; adds the seconds of each stage to `stages`."""
    found: list[Polygon | None] = []
    with openslide.OpenSlide(str(slide)) as handle:
        for first in range(0, len(xy), batch_size):
            marks = [time.perf_counter()]
            clicks = xy[first : first + batch_size]
            corners = np.floor(clicks).astype(int) - card.patch_px // 2
            patches = np.stack([_read_patch(handle, corner, card.patch_px) for corner in corners])
            marks.append(time.perf_counter())
            signals = np.stack([_guidance(xy, click, corner, card.patch_px) for click, corner in zip(clicks, corners, strict=True)])
            inputs = np.concatenate([patches.transpose(0, 3, 1, 2), signals], axis=1)
            marks.append(time.perf_counter())
            with torch.no_grad():
                probability = torch.sigmoid(net(torch.from_numpy(inputs)))[:, 0].numpy()
            marks.append(time.perf_counter())
            masks = _masks(probability, signals[:, 0] > 0, card)
            marks.append(time.perf_counter())
            found += [_polygon(p, mask, corner, card.threshold) for p, mask, corner in zip(probability, masks, corners, strict=True)]
            marks.append(time.perf_counter())
            for stage, seconds in zip(("read slide", "inputs", "network", "masks", "outlines"), np.diff(marks).tolist(), strict=True):
                stages[stage] = stages.get(stage, 0.0) + seconds
    return found


def compare(request: Request) -> Compared:
    """Outline clicks both ways, in turns, and compare the outlines."""
    card, weights = find_card(request.network)
    net = load_network(card, weights).eval()
    torch.set_num_threads(usable_cores())
    xy, taken = np.array(request.xy), {}
    predictor = Predictor.load(request.network, device=request.device)
    segment(request.slide, xy[:2], predictor=predictor)  # to warm up
    for size in request.batch_sizes:
        outline_clicks(request.slide, xy[:size], card=card, net=net, batch_size=size, stages={})  # to warm up
        stages: dict[str, float] = {}
        since = time.perf_counter()
        theirs = outline_clicks(request.slide, xy, card=card, net=net, batch_size=size, stages=stages)
        seconds, since = time.perf_counter() - since, time.perf_counter()
        found = segment(request.slide, xy, predictor=predictor)
        taken[size] = Taken(seconds=seconds, stages=stages, our_seconds=time.perf_counter() - since)
    ours = [one.polygon for one in found]
    both = [(one, other) for one, other in zip(theirs, ours, strict=True) if one is not None and other is not None]
    ious = np.array([one.intersection(other).area / one.union(other).area for one, other in both])
    alone = _undisputed([one for one, _ in both])
    return Compared(
        clicks=len(xy),
        taken=taken,
        outlines=sum(one is not None for one in theirs),
        our_outlines=sum(one is not None for one in ours),
        compared=len(both),
        undisputed=int(alone.sum()),
        iou_median=float(np.median(ious)),
        iou_mean=float(ious.mean()),
        iou_undisputed_mean=float(ious[alone].mean()),
    )


def _read_patch(handle: openslide.OpenSlide, corner: NDArray[np.int_], side: int) -> NDArray[np.float32]:
    """Read the (P, P, 3) pixels of one patch, in [0, 1]."""
    region = handle.read_region((int(corner[0]), int(corner[1])), 0, (side, side)).convert("RGB")
    return np.asarray(region, np.float32) / np.float32(255)


def _guidance(xy: NDArray[np.float64], click: NDArray[np.float64], corner: NDArray[np.int_], side: int) -> NDArray[np.float32]:
    """Draw a click, and all others that lie in its patch: (2, P, P)."""
    signals = np.zeros((2, side, side), np.float32)
    cols, rows = np.floor(xy - corner).astype(int).T
    seen = (cols >= 0) & (rows >= 0) & (cols < side) & (rows < side)
    signals[1, rows[seen], cols[seen]] = 1
    col, row = np.floor(click - corner).astype(int)
    signals[:, row, col] = 1, 0
    return signals


def _masks(probability: NDArray[np.float32], clicked: NDArray[np.bool_], card: Card) -> NDArray[np.bool_]:
    """Give the (N, P, P) masks of the objects under the clicks."""
    stack = remove_small_objects(probability >= card.threshold, max_size=card.min_object_px - 1)
    masks = np.zeros(stack.shape, bool)
    for mask, seed, found in zip(stack, clicked, masks, strict=True):
        filled = remove_small_holes(mask, max_size=card.max_hole_px)
        if (filled & seed).any():
            found[:] = reconstruction(seed & filled, filled, footprint=disk(1)) > 0
    return masks


def _polygon(probability: NDArray[np.float32], mask: NDArray[np.bool_], corner: NDArray[np.int_], threshold: float) -> Polygon | None:
    """Give the longest contour of a mask as a polygon."""
    field = np.where(mask, np.maximum(probability, threshold + 1e-6), np.minimum(probability, threshold - 1e-6))
    contours = find_contours(np.pad(field, 1), threshold)
    contours = [ring for ring in contours if len(ring) > 3]
    if not mask.any() or not contours:
        return None
    longest = max(contours, key=len)
    polygon = Polygon(longest[:, ::-1] - 0.5 + corner)  # samples are the centres of pixels, and one was padded
    return polygon if polygon.is_valid else None


def _undisputed(outlines: Sequence[Polygon]) -> NDArray[np.bool_]:
    """Tell which outlines meet no other one."""
    pairs = shapely.STRtree(outlines).query(outlines, predicate="intersects").T
    alone = np.ones(len(outlines), bool)
    alone[[i for i, j in pairs.tolist() if i != j]] = False
    return alone


if __name__ == "__main__":
    print(compare(Request.model_validate(json.loads(sys.argv[1]))).model_dump_json())
