"""Methods with a network: taught by this project's training loop, then shown one patch for each object of an image."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from torch import nn

from nuclick_qp.errors import OptionError, TrainingDataError
from nuclick_qp.evaluation.baselines.method import Pair
from nuclick_qp.model.devices import choose_device, one_core_threads, usable_cores
from nuclick_qp.training.config import TrainingConfig
from nuclick_qp.training.flat_images import FlatImages, flatten_images
from nuclick_qp.training.images import LabelledImage, labelled_image
from nuclick_qp.training.lesson import Lesson
from nuclick_qp.training.loop import OnStep, learn
from nuclick_qp.training.marks import nearest_pixel
from nuclick_qp.training.patches import Batch
from nuclick_qp.training.step import autocast, to_device
from nuclick_qp.training.training_run import TrainingRun
from nuclick_qp.training.warp import Placed, sample_labels, sample_pixels

VALIDATION_EVERY = 5  # 20 % of the training images validate (section 4.1 of the paper)
LEAST_IMAGES = 2  # with an object: one to learn from, one to validate


def with_objects(images: Sequence[Pair]) -> list[Pair]:
    """Give the images that have an object."""
    return [pair for pair in images if pair[1].any()]


@dataclass(frozen=True, slots=True)
class Course:
    """How a network is trained for a table, and where.

    Attributes
    ----------
    config
        Data, size and length of the training; its sources only tell where the images are from.
    run
        Folder of checkpoint and curve, device and threads.
    mpp
        Micrometres per pixel of all images, in training and in use.
    on_step
        Is told of each step.
    """

    config: TrainingConfig
    run: TrainingRun
    mpp: float
    on_step: OnStep = lambda progress: None

    def teach(self, lesson: Lesson, images: Sequence[Pair]) -> nn.Module:
        """Train the network of a lesson, or go on where that was stopped, and give the average of its weights.

        Every fifth image validates.

        Raises
        ------
        TrainingDataError
            If there are fewer than two images with an object.
        """
        labelled = with_objects(images)
        if len(labelled) < LEAST_IMAGES:
            raise TrainingDataError(
                f"{len(labelled)} of {len(images)} images have an object to learn from; give two or more, one of which validates"
            )
        ready = [self.labelled(*pair, number=number) for number, pair in enumerate(labelled)]
        training = [image for number, image in enumerate(ready) if number % VALIDATION_EVERY]
        return learn(
            lesson,
            self.config,
            self.run,
            images=(training, ready[::VALIDATION_EVERY]),
            on_step=self.on_step,
            then=lambda state, _: state.average,
        )

    def labelled(self, pixels: NDArray[np.uint8], truth: NDArray[np.int32], *, number: int = 0) -> LabelledImage:
        """Bring an image and its truth to the resolution of the network."""
        return labelled_image(f"image {number}", pixels, truth, zoom=self.mpp / self.config.mpp, weight=1.0)


class Deep:
    """An interactive method that is a lesson.

    Each object is looked at in a patch of its own, round its click or its box. What it claims is where the probability is 0.5
    (`TrainingConfig.threshold`) or more: the part under the click, or all that lies in the box. A pixel that several objects claim
    goes to the one of greatest probability.

    Parameters
    ----------
    lesson
        Its `fill` tells that it is given boxes.
    course
        How it is trained.
    """

    def __init__(self, lesson: Lesson, course: Course) -> None:
        self.lesson = lesson
        self.course = course
        self._net: nn.Module | None = None

    def fit(self, images: Sequence[Pair]) -> None:
        """Train the network."""
        self._net = self.course.teach(self.lesson, images)

    def segment(self, image: NDArray[np.uint8], truth: NDArray[np.int32]) -> NDArray[np.int32]:
        """Segment every object of an image.

        Raises
        ------
        OptionError
            Before `fit`.
        """
        if self._net is None:
            raise OptionError("the network is not trained yet; fit the method on training images first")
        claimed = _Claimed.nothing(truth.shape)
        if not truth.any():
            return claimed.labels
        looks = _Looks.at(self.course.labelled(image, truth), truth, self.course.config, fill=self.lesson.fill)
        starts = range(0, len(looks.numbers), self.course.config.batch_size)
        with one_core_threads(usable_cores(), "rival") as pool:  # each batch on one core
            for start, answers in zip(starts, pool.map(lambda start: self._answer(looks, start), starts), strict=True):
                for index, answer in enumerate(answers, start):
                    claimed.claim(looks.numbers[index], *looks.on_image(index, answer), self.course.config.threshold)
        return claimed.labels

    @torch.inference_mode()
    def _answer(self, looks: "_Looks", start: int) -> NDArray[np.float32]:
        """Give the (N, P, P) probabilities of one batch of patches."""
        assert self._net is not None
        device, config = choose_device(self.course.run.device), self.course.config
        generator = torch.Generator().manual_seed(config.seed * 1_000_003 + start)
        batch = self.lesson.prepare(looks.batch(slice(start, start + config.batch_size)), generator)
        with autocast(device):
            answer = self.lesson.probability(self._net, to_device(batch, device))
        return answer[:, 0].float().cpu().numpy()


@dataclass(frozen=True, slots=True)
class _Looks:
    """Where the objects of one image are looked at, a patch for each.

    Attributes
    ----------
    flat
        The image, at the resolution of the network.
    placed
        Of N patches, none of them turned.
    numbers
        Their N objects in the truth.
    boxes
        (N, 4) in pixels of the truth, first row, col, and those behind the last; in what is given a click, of all the image.
    clicks
        (N, 2) row, col of the click in the truth; None where boxes are given.
    finer
        Pixels of the flat image for one of the truth, along rows and cols.
    side
        Of the patches.
    """

    flat: FlatImages
    placed: Placed
    numbers: list[int]
    boxes: NDArray[np.intp]
    clicks: NDArray[np.intp] | None
    finer: tuple[float, float]
    side: int

    @classmethod
    def at(cls, image: LabelledImage, truth: NDArray[np.int32], config: TrainingConfig, *, fill: float | None) -> Self:
        """Place the patches: round clicks on centroids, or so that each box fills its share of one."""
        numbers: list[int] = image.centroids[:, 0].tolist()
        ends = np.array([(rows.start, cols.start, rows.stop, cols.stop) for rows, cols in image.boxes])
        if fill is None:
            scales = np.full(len(numbers), 1 / image.zoom)
            centres = image.centroids[:, [2, 1]] + 0.5 - scales[:, None] / 2  # a patch has no pixel in its very middle
        else:
            centres = (ends[:, [1, 0]] + ends[:, [3, 2]]) / 2
            scales = (ends[:, 2:] - ends[:, :2]).max(axis=1) / (fill * config.patch_px)
        matrix = torch.eye(2) * torch.tensor(scales, dtype=torch.float32).view(-1, 1, 1)
        placed = Placed(torch.zeros(len(numbers), dtype=torch.int64), torch.tensor(centres, dtype=torch.float32), matrix)
        finer = image.labels.shape[0] / truth.shape[0], image.labels.shape[1] / truth.shape[1]
        clicks, boxes = None, np.tile((0, 0, *truth.shape), (len(numbers), 1))
        if fill is None:
            clicks = np.floor((image.centroids[:, 1:] + 0.5) / finer).astype(np.intp)
        else:
            found = ndimage.find_objects(truth)
            boxes = np.array([[side.start for side in found[n - 1]] + [side.stop for side in found[n - 1]] for n in numbers])
        of_points = config.model_copy(update={"prompt": "point"})  # the squiggles of lines take long to draw, and nobody asks for them
        return cls(flatten_images([image], of_points), placed, numbers, boxes, clicks, finer, config.patch_px)

    def batch(self, part: slice) -> Batch:
        """Cut some of the patches out, with a click in the middle of each."""
        placed = self.placed.take(torch.arange(len(self.numbers))[part])
        labels = sample_labels(self.flat, placed, self.side)
        number = torch.arange(1, len(self.numbers) + 1)[part]
        wanted = labels == number[:, None, None]
        inclusion = nearest_pixel(wanted, torch.full((len(number), 2), self.side // 2))
        pixels = sample_pixels(self.flat, placed, self.side, coarsest=torch.inf)
        signals = torch.stack([inclusion, torch.zeros_like(inclusion)], dim=1).float()
        others = (labels > 0) & ~wanted
        return Batch(torch.cat([pixels, signals], dim=1), wanted[:, None].float(), others[:, None].float(), labels[:, None])

    def on_image(self, index: int, answer: NDArray[np.float32]) -> tuple[tuple[slice, slice], NDArray[np.float32], tuple[int, int] | None]:
        """Bring the answer in a patch to the pixels of the image: where it lies there, the probabilities, and the click in them."""
        x, y = self.placed.centre_xy[index].tolist()
        scale = float(self.placed.matrix[index, 0, 0])
        along = [
            self._places(centre, scale, finer, stops)
            for centre, finer, stops in zip((y, x), self.finer, (self.boxes[index, [0, 2]], self.boxes[index, [1, 3]]), strict=True)
        ]
        (rows, from_rows), (cols, from_cols) = along
        sampled = ndimage.map_coordinates(answer, np.meshgrid(from_rows, from_cols, indexing="ij"), order=1, mode="nearest")
        where = slice(rows[0], rows[-1] + 1), slice(cols[0], cols[-1] + 1)
        if self.clicks is None:
            return where, sampled, None
        return where, sampled, (int(self.clicks[index, 0] - rows[0]), int(self.clicks[index, 1] - cols[0]))

    def _places(self, centre: float, scale: float, finer: float, stops: NDArray[np.intp]) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
        """Give along one side the pixels of the image in a patch and in a box, and where in the patch their centres lie."""
        half = scale * self.side / 2
        first, last = np.ceil((centre - half) / finer - 0.5), np.floor((centre + half) / finer - 0.5)
        pixels = np.arange(max(int(first), stops[0]), min(int(last) + 1, stops[1]))
        return pixels, ((pixels + 0.5) * finer - centre) / scale + self.side / 2 - 0.5


@dataclass(frozen=True, slots=True)
class _Claimed:
    """Who has each pixel of an image so far, and by which probability; both (H, W)."""

    labels: NDArray[np.int32]
    probability: NDArray[np.float32]

    @classmethod
    def nothing(cls, shape: tuple[int, ...]) -> Self:
        return cls(np.zeros(shape, np.int32), np.zeros(shape, np.float32))

    def claim(
        self, number: int, where: tuple[slice, slice], probability: NDArray[np.float32], click: tuple[int, int] | None, threshold: float
    ) -> None:
        """Give an object what it claims, where nobody is surer."""
        mask = probability >= threshold
        if click is not None:
            parts, _ = ndimage.label(mask)
            mask = (parts == parts[click]) & mask
        won = mask & (probability > self.probability[where])
        self.labels[where][won] = number
        self.probability[where][won] = probability[won]

