"""How well outlines fit, by what the network says of them: the curve that turns its word into an expected overlap.

Networks are too sure of themselves, each in its own way. So a finished one is asked for outlines in its validation images, by the
very code of a run, and what it says of them is compared with the overlap that they have.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import isotonic_regression

from nuclick_qp.geometry import Window
from nuclick_qp.guidance.simulated import click_places, random_squiggle, skeleton_strokes
from nuclick_qp.model.predictor import Predictor
from nuclick_qp.prompts import Outline, Prompt, click_at
from nuclick_qp.segmentation.prompts_to_outlines import segment_prompts
from nuclick_qp.shapes.fill import paint_outlines
from nuclick_qp.slides.array_reader import open_array
from nuclick_qp.training.images import LabelledImage

MOST_PROMPTS = 400  # for a training of one's own: some seconds
MOST_ROUNDS = 4  # prompts for the same object, at other places, where there are few objects
FEWEST_IN_KNOT = 20  # outlines behind each pair of the curve
MOST_KNOTS = 40
DIGITS = 4

Curve = tuple[tuple[float, float], ...]


@dataclass(frozen=True, slots=True)
class Fits:
    """Outlines of labelled objects, and how well they fit.

    Attributes
    ----------
    told
        (N,) what the network says of each, see `segmentation.overlaps.soft_iou`.
    measured
        (N,) intersection over union with the object that was prompted for.
    image
        (N,) number of the image that each lies in.
    missed
        Prompts without an outline.
    """

    told: NDArray[np.float64]
    measured: NDArray[np.float64]
    image: NDArray[np.intp]
    missed: int


def measure_fits(images: Sequence[LabelledImage], predictor: Predictor, *, seed: int, most: int = MOST_PROMPTS) -> Fits:
    """Prompt for the objects of labelled images as a training does, and measure the outlines.

    Parameters
    ----------
    predictor
        Its card has no calibration yet.
    most
        How many prompts about; all images have the same share, as far as they have objects.
    """
    assert not predictor.card.calibration
    rng = np.random.default_rng(seed)
    rows: list[tuple[float, float, int]] = []
    missed = 0
    for number, image in enumerate(images):
        share, objects = max(1, most // len(images)), len(image.centroids)
        for _ in range(min(MOST_ROUNDS, -(-share // objects))):
            chosen = np.sort(rng.permutation(objects)[:share]).tolist()
            outlines = _outline(image, chosen, predictor, rng)
            fits = [(one.probability, _overlap(image, index, one), number) for index, one in zip(chosen, outlines, strict=True)]
            rows += [(told, measured, where) for told, measured, where in fits if told is not None]
            missed += sum(told is None for told, _, _ in fits)
    told, measured, where = np.array(rows, np.float64).reshape(-1, 3).T
    return Fits(told, measured, where.astype(np.intp), missed)


def fit_curve(told: NDArray[np.float64], measured: NDArray[np.float64]) -> Curve:
    """Give the rising curve that goes through the mean overlap of outlines of which the network says the same.

    How it goes on beyond its ends says `Card.expected_iou`. It is empty where there are too few outlines for two pairs.

    Parameters
    ----------
    told, measured
        (N,) each, see `Fits`.

    References
    ----------
    Zadrozny and Elkan 2002, KDD, 694-699: isotonic regression as a calibration.

    Examples
    --------
    >>> fit_curve(np.repeat([0.8, 0.9], 20), np.repeat([0.4, 0.7], 20))
    ((0.8, 0.4), (0.9, 0.7))
    """
    knots = min(MOST_KNOTS, len(told) // FEWEST_IN_KNOT)
    if knots < 2:
        return ()
    groups = np.array_split(np.argsort(told, kind="stable"), knots)
    x = np.round([told[group].mean() for group in groups], DIGITS)
    y = isotonic_regression([measured[group].mean() for group in groups], weights=[len(group) for group in groups]).x
    level = (np.diff(y, prepend=-1) == 0) & (np.diff(y, append=2) == 0)  # within a level stretch
    again = np.diff(x, prepend=-1) == 0
    pairs = zip(x[~level & ~again].tolist(), np.round(y[~level & ~again], DIGITS).tolist(), strict=True)
    curve = tuple(pairs)
    return curve if len(curve) > 1 else ()


def _outline(image: LabelledImage, chosen: Sequence[int], predictor: Predictor, rng: np.random.Generator) -> list[Outline]:
    """Prompt for some objects of an image; the others mark neighbours."""
    card = predictor.card
    draw = _clicks if card.prompt == "point" else _squiggles
    prompts = draw(image, rng)
    context = [prompts[index] for index in sorted(set(range(len(prompts))) - set(chosen))]
    with open_array(image.pixels) as slide:
        mpp = card.mpp * image.zoom
        return segment_prompts([prompts[index] for index in chosen], slide, predictor=predictor, mpp=mpp, context=context)


def _clicks(image: LabelledImage, rng: np.random.Generator) -> list[Prompt]:
    """Click somewhere into each object."""
    places = click_places(image.labels)
    first = np.searchsorted(places[:, 0], image.centroids[:, 0])
    past = np.searchsorted(places[:, 0], image.centroids[:, 0], side="right")
    rows_cols = places[rng.integers(first, past), 1:] + 0.5
    return [click_at(col, row) for row, col in rows_cols.tolist()]


def _squiggles(image: LabelledImage, rng: np.random.Generator) -> list[Prompt]:
    """Draw a squiggle through each object."""
    prompts = []
    for index, box in enumerate(image.boxes):
        corner = np.array([box[0].start, box[1].start]) + 0.5
        strokes = skeleton_strokes(random_squiggle(image.mask(index), rng))
        prompts.append(Prompt("line", tuple(tuple((x, y) for y, x in (stroke + corner).tolist()) for stroke in strokes)))
    return prompts


def _overlap(image: LabelledImage, index: int, outline: Outline) -> float:
    """Give the intersection over union of an outline with its object; of the image only what holds both is looked at."""
    if outline.polygon is None:
        return 0.0
    (rows, cols), (left, top, right, bottom) = image.boxes[index], outline.polygon.bounds
    height, width = image.labels.shape
    first_row, first_col = max(0, min(rows.start, math.floor(top))), max(0, min(cols.start, math.floor(left)))
    past_row, past_col = min(height, max(rows.stop, math.ceil(bottom))), min(width, max(cols.stop, math.ceil(right)))
    window = Window(first_col, first_row, past_col - first_col, past_row - first_row)
    found = paint_outlines([outline.polygon], window).labels > 0
    truth = image.labels[first_row:past_row, first_col:past_col] == image.centroids[index, 0]
    return float(np.count_nonzero(found & truth) / np.count_nonzero(found | truth))
