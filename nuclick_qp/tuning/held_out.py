"""A model measured on the objects that were held out of its training, as `evaluate` measures."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nuclick_qp.evaluation.evaluation_options import EvaluationOptions
from nuclick_qp.evaluation.metrics import aji, dice
from nuclick_qp.evaluation.prompting import outline_objects
from nuclick_qp.model.predictor import Predictor
from nuclick_qp.slides.array_reader import open_array
from nuclick_qp.training.images import LabelledImage


@dataclass(frozen=True, slots=True)
class Measured:
    """How well a model outlines the held-out objects.

    Attributes
    ----------
    model
        Its name.
    aji, dice
        Of all of them together, wherever they lie.
    ious
        Of each object with the outline of its own prompt, image by image and by rising label; 0 without one.
    missed
        Objects without an outline.
    found
        For each image (H, W): k on the outline of its k-th object.
    """

    model: str
    aji: float
    dice: float
    ious: tuple[float, ...]
    missed: int
    found: tuple[NDArray[np.int32], ...]

    @property
    def iou(self) -> float:
        """Mean over the objects."""
        return float(np.mean(self.ious))

    def __str__(self) -> str:
        missed = f", {self.missed} of {len(self.ious)} without an outline" if self.missed else ""
        return f"AJI {self.aji:.3f}, Dice {self.dice:.3f}, mean IoU {self.iou:.3f}{missed}"


def measure(images: Sequence[LabelledImage], predictor: Predictor) -> Measured:
    """Set a prompt for every labelled object of some images, and compare the outlines with the labels."""
    found, ious, missed = [], [], 0
    for image in images:
        options = EvaluationOptions(mpp=predictor.card.mpp * image.zoom)
        outlined = outline_objects(open_array(image.pixels), _numbered(image), predictor=predictor, options=options)
        found.append(outlined.labels)
        ious += _ious(_numbered(image), outlined.labels)
        missed += outlined.polygons.count(None)
    truth, all_found = _side_by_side([_numbered(image) for image in images]), _side_by_side(found)
    return Measured(predictor.card.name, aji(truth, all_found), dice(truth, all_found), tuple(ious), missed, tuple(found))


def _numbered(image: LabelledImage) -> NDArray[np.int32]:
    """Give the labels of the objects that are large enough to count, from 1 without gaps."""
    numbers = np.zeros(int(image.labels.max()) + 1, np.int32)
    numbers[image.centroids[:, 0]] = np.arange(1, len(image.centroids) + 1)
    return numbers[image.labels]


def _ious(truth: NDArray[np.int32], found: NDArray[np.int32]) -> list[float]:
    """Give the IoU of object k of one image with object k of the other."""
    count = int(truth.max()) + 1
    shared = np.bincount(truth[truth == found], minlength=count)[1:]
    areas = [np.bincount(labels.ravel(), minlength=count)[1:] for labels in (truth, found)]
    return [float(iou) for iou in shared / (areas[0] + areas[1] - shared)]


def _side_by_side(images: Sequence[NDArray[np.int32]]) -> NDArray[np.int32]:
    """Put label images into one row of pixels: scores that count pixels do not ask where they lie."""
    offsets = np.cumsum([0, *(int(image.max()) for image in images)])[:-1]
    return np.concatenate([np.where(image > 0, image + offset, 0).ravel() for image, offset in zip(images, offsets, strict=True)])[None]
