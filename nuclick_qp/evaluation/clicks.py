"""The evaluation protocol: simulated clicks on labelled images, through the very code of a run."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from shapely import MultiPolygon, Polygon
from skimage.draw import polygon as draw_polygon

from nuclick_qp.evaluation.metrics import Scores, score
from nuclick_qp.guidance.simulated import label_centroids
from nuclick_qp.labels import read_pair
from nuclick_qp.prompts import Outcome, Prompt, click_at
from nuclick_qp.segment.image import SegmentOptions, segment_prompts
from nuclick_qp.segment.predictor import Predictor
from nuclick_qp.slides import open_slide


@dataclass(frozen=True, slots=True)
class ImageScores:
    """The scores of one image; `missed` counts the clicks without an outline."""

    image: str
    objects: int
    missed: int
    scores: Scores


def evaluate_image(
    image: Path,
    labels: Path,
    *,
    predictor: Predictor,
    mpp: float,
    jitter_px: float = 0.0,
    seed: int = 0,
    options: SegmentOptions | None = None,
) -> ImageScores:
    """Click on every object of an image, and compare the outlines with the labels.

    Parameters
    ----------
    mpp
        Micrometres per pixel of the image.
    jitter_px
        Standard deviation by which clicks are moved in x and y (Table 8 of the paper); a click
        never leaves its object, as a user's would not: a move that would is drawn anew.
    """
    _, truth = read_pair(image, labels)
    prompts = centroid_clicks(truth, jitter_px=jitter_px, rng=np.random.default_rng(seed))
    with open_slide(image) as slide:
        outcomes = segment_prompts(prompts, slide, predictor=predictor, mpp=mpp, options=options)
    found = paint_outcomes(outcomes, truth.shape)
    missed = sum(outcome.detection is None for outcome in outcomes)
    return ImageScores(image.name, len(prompts), missed, score(truth, found))


def centroid_clicks(truth: NDArray[np.int32], *, jitter_px: float, rng: np.random.Generator) -> list[Prompt]:
    """Give one click per object: its centroid, moved inside when that lies outside, then jittered."""
    prompts = []
    for number, row, col in label_centroids(truth).tolist():
        at_row, at_col = row, col
        if jitter_px:
            moves = np.rint(rng.normal(0, jitter_px, (200, 2))).astype(int) + np.array((row, col))
            fits = [(r, c) for r, c in moves.tolist() if 0 <= r < truth.shape[0] and 0 <= c < truth.shape[1] and truth[r, c] == number]
            at_row, at_col = fits[0] if fits else (row, col)
        prompts.append(click_at(at_col + 0.5, at_row + 0.5))
    return prompts


def paint_outcomes(outcomes: Sequence[Outcome], shape: tuple[int, ...]) -> NDArray[np.int32]:
    """Paint outlines in the slide frame as a label image at level 0; outcome i becomes i + 1."""
    canvas = np.zeros(shape, np.int32)
    for number, outcome in enumerate(outcomes, start=1):
        if outcome.detection is not None:
            canvas[paint_outline(outcome.detection.outline, shape)] = number
    return canvas


def paint_outline(outline: Polygon | MultiPolygon, shape: tuple[int, ...]) -> NDArray[np.bool_]:
    """Give the (H, W) mask of the pixels whose centres lie inside an outline."""
    mask = np.zeros(shape, bool)
    for part in outline.geoms if isinstance(outline, MultiPolygon) else [outline]:
        mask[_inside(np.asarray(part.exterior.coords), shape)] = True
        for ring in part.interiors:
            mask[_inside(np.asarray(ring.coords), shape)] = False
    return mask


def _inside(ring: NDArray[np.float64], shape: tuple[int, ...]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Give rows and cols inside a ring; skimage puts pixel centres at whole numbers, we at + 0.5."""
    rows, cols = draw_polygon(ring[:, 1] - 0.5, ring[:, 0] - 0.5, shape[:2])
    return rows, cols
