"""The evaluation protocol: simulated prompts on labelled images, through the very code of a run."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from shapely import MultiPolygon, Polygon

from nuclick_qp.errors import NoPixelSizeError, OptionError
from nuclick_qp.evaluation.evaluation_options import EvaluationOptions
from nuclick_qp.evaluation.metrics import Scores, score
from nuclick_qp.geometry import Window
from nuclick_qp.guidance.simulated import label_centroids, label_strokes
from nuclick_qp.kinds import PromptKind
from nuclick_qp.model.predictor import Predictor
from nuclick_qp.prompts import Prompt, Status
from nuclick_qp.segmentation.object_scale import estimate_mpp
from nuclick_qp.segmentation.prompts_to_outlines import segment_prompts
from nuclick_qp.shapes.fill import paint_outlines
from nuclick_qp.slides import Slide, open_slide
from nuclick_qp.storage.labels import find_pairs, read_pair

MOVES_TRIED = 200  # draws before a prompt that fits nowhere else stays where it is
LEAST_ON_OBJECT = 0.5  # share of a moved squiggle that has to lie on its object; a click has one pixel, so all of it


class ImageScores(Scores):
    """Scores of one image.

    Attributes
    ----------
    n_missed, n_uncertain
        Prompts without an outline, and with an uncertain one.
    estimated_mpp
        Micrometres per pixel that the objects told, where they were to tell it.
    """

    image: str
    n_objects: int
    n_missed: int
    n_uncertain: int
    estimated_mpp: float | None = None


def evaluate_folders(
    folders: Sequence[Path], *, predictor: Predictor, options: EvaluationOptions | None = None
) -> list[ImageScores]:
    """Measure a model on all labelled images of some folders.

    Parameters
    ----------
    folders
        Each holds NAME.png|jpg|tif with NAME_label.png|tif.

    Returns
    -------
    list of ImageScores
        Folder by folder. An image goes by its name, or by its path where there are several folders.

    Raises
    ------
    OptionError
        If a folder is named twice.
    LabelsError
        If a folder has no image, or an image no labels, before any work is done; else as `read_pair`.
    """
    if len({folder.resolve() for folder in folders}) < len(folders):
        raise OptionError(f"one of the folders {', '.join(map(str, folders))} is named twice; its images would count double")
    pairs = [pair for folder in folders for pair in find_pairs(folder, (options or EvaluationOptions()).pattern)]
    scores = [evaluate_image(image, labels, predictor=predictor, options=options) for image, labels in pairs]
    if len(folders) == 1:
        return scores
    return [one.model_copy(update={"image": image.as_posix()}) for one, (image, _) in zip(scores, pairs, strict=True)]


def evaluate_image(image: Path, labels: Path, *, predictor: Predictor, options: EvaluationOptions | None = None) -> ImageScores:
    """Set a prompt for every object of an image, and compare the outlines with the labels.

    Raises
    ------
    LabelsError
        As `read_pair`.
    OptionError
        If the objects are to tell the scale, and those of the model do not.
    """
    options, card = options or EvaluationOptions(), predictor.card
    if options.scale == "auto" and card.object_px is None:
        raise OptionError(f"the objects of model {card.name!r} differ too much in size to tell a scale; give --mpp instead of --scale auto")
    _, truth = read_pair(image, labels)
    with open_slide(image) as slide:
        outlined = outline_objects(slide, truth, predictor=predictor, options=options)
    told = outlined.mpp if options.scale == "auto" else None
    return ImageScores(
        image=image.name,
        n_objects=len(outlined.polygons),
        n_missed=outlined.polygons.count(None),
        n_uncertain=outlined.n_uncertain,
        estimated_mpp=told,
        **score(truth, outlined.labels).model_dump(),
    )


@dataclass(frozen=True, slots=True)
class Outlined:
    """What a model made of the objects of a label image.

    Attributes
    ----------
    polygons
        One for each object, by rising label; None for those without an outline.
    labels
        (H, W) int32: k on the k-th of them, counted from 1; 0 elsewhere.
    n_uncertain
        How many of the outlines are uncertain.
    mpp
        Micrometres per pixel that were taken; None where the objects tell none, and there are no outlines.
    """

    polygons: tuple[Polygon | MultiPolygon | None, ...]
    labels: NDArray[np.int32]
    n_uncertain: int
    mpp: float | None


def outline_objects(slide: Slide, truth: NDArray[np.int32], *, predictor: Predictor, options: EvaluationOptions) -> Outlined:
    """Set a prompt for every object of an image, and outline them as a run does.

    Parameters
    ----------
    truth
        (H, W) int, 0 background; one pixel for each of the slide.
    """
    kind = predictor.card.prompt
    prompts = prompts_of_truth(truth, kind, jitter_px=options.jitter_px, rng=np.random.default_rng(options.seed))
    mpp = _pixel_size(prompts, slide, predictor=predictor, options=options)
    outlines = [] if mpp is None else segment_prompts(prompts, slide, predictor=predictor, mpp=mpp, options=options.segment)
    polygons = tuple(outline.polygon for outline in outlines) or (None,) * len(prompts)
    uncertain = sum(outline.status is Status.UNCERTAIN for outline in outlines)
    window = Window(0, 0, truth.shape[1], truth.shape[0])
    return Outlined(polygons, paint_outlines(polygons, window).labels, uncertain, mpp)


def _pixel_size(prompts: list[Prompt], slide: Slide, *, predictor: Predictor, options: EvaluationOptions) -> float | None:
    """Give the pixel size that is stated, or that objects tell; None where they tell none, as a run refuses the image then."""
    if options.scale == "given":
        return options.mpp or predictor.card.mpp
    try:
        return estimate_mpp(prompts, slide, predictor=predictor, options=options.segment)
    except NoPixelSizeError:
        return None


def prompts_of_truth(truth: NDArray[np.int32], kind: PromptKind, *, jitter_px: float, rng: np.random.Generator) -> list[Prompt]:
    """Give one prompt per object of a label image.

    Parameters
    ----------
    truth
        (H, W) int, 0 background.
    kind
        ``point``: a click on the centroid, moved inside when that lies outside. ``line``: the
        strokes of the morphological skeleton.
    jitter_px
        Standard deviation of the one normal draw, in x and in y, by which a prompt is moved as a
        whole. As a user's would, a click stays on its object, and at least half of a squiggle on
        its; a move that does not is drawn anew.

    Returns
    -------
    list of Prompt
        By rising label, in the slide frame, through the centres of pixels.

    References
    ----------
    Koohbanani et al. 2020, section 4.5: centroids for nuclei and cells, skeletons for glands.
    """
    if kind == "point":
        drawn = [(number, [np.array([(row, col)])]) for number, row, col in label_centroids(truth).tolist()]
    else:
        drawn = label_strokes(truth)
    if jitter_px:
        drawn = [(number, _moved(strokes, truth == number, jitter_px=jitter_px, rng=rng)) for number, strokes in drawn]
    return [_prompt(kind, strokes) for _, strokes in drawn]


def _moved(
    strokes: list[NDArray[np.intp]], mask: NDArray[np.bool_], *, jitter_px: float, rng: np.random.Generator
) -> list[NDArray[np.intp]]:
    """Move the strokes of one object to where they still mark it; where they are when no draw does."""
    pixels = np.unique(np.concatenate(strokes), axis=0)
    for move in np.rint(rng.normal(0, jitter_px, (MOVES_TRIED, 2))).astype(np.intp):
        rows, cols = (pixels + move).T
        on_image = (rows >= 0) & (rows < mask.shape[0]) & (cols >= 0) & (cols < mask.shape[1])
        if on_image.all() and mask[rows, cols].mean() >= LEAST_ON_OBJECT:
            return [stroke + move for stroke in strokes]
    return strokes


def _prompt(kind: PromptKind, strokes: list[NDArray[np.intp]]) -> Prompt:
    """Turn array indices into a prompt; the centres of pixels lie at + 0.5 in the slide frame."""
    return Prompt(kind, tuple(tuple((col + 0.5, row + 0.5) for row, col in stroke.tolist()) for stroke in strokes))
