"""NuClick itself as one of the methods: trained like its rivals, and used by the code of a run."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from torch import nn

from nuclick_qp.errors import OptionError
from nuclick_qp.evaluation.baselines.deep import Course
from nuclick_qp.evaluation.baselines.method import Pair
from nuclick_qp.evaluation.evaluation_options import EvaluationOptions
from nuclick_qp.evaluation.prompting import outline_objects
from nuclick_qp.model.network import NuClickNet
from nuclick_qp.model.network_settings import NetworkSettings
from nuclick_qp.model.predictor import Predictor
from nuclick_qp.slides.array_reader import open_array
from nuclick_qp.training.finish import describe
from nuclick_qp.training.lesson import NuClickLesson


@dataclass(frozen=True, slots=True)
class Prompted:
    """A trained model and how it is prompted, as in `nuclick-qp evaluate`.

    Attributes
    ----------
    options
        Pixel size, moves of the prompts, exclusion.
    """

    predictor: Predictor
    options: EvaluationOptions

    def fit(self, images: Sequence[Pair]) -> None:
        """Learn nothing more."""

    def segment(self, image: NDArray[np.uint8], truth: NDArray[np.int32]) -> NDArray[np.int32]:
        """Click on the centroid of every object, or draw its skeleton, and paint the outlines."""
        numbers = np.concatenate([[0], np.unique(truth[truth > 0])]).astype(np.int32)
        with open_array(image) as slide:
            outlined = outline_objects(slide, truth, predictor=self.predictor, options=self.options)
        return np.asarray(numbers[outlined.labels])


class NuClick:
    """NuClick, trained from random weights.

    Parameters
    ----------
    course
        How it is trained.
    make
        Makes the network from its settings; for Table 1 another one than that of the paper.
    in_channels
        5; 4 without exclusion maps (Table 9).

    Attributes
    ----------
    predictor
        The trained model; None before `fit`.
    """

    def __init__(
        self, course: Course, *, make: Callable[[NetworkSettings], nn.Module] = NuClickNet, in_channels: Literal[4, 5] = 5
    ) -> None:
        self.course = course
        self.predictor: Predictor | None = None
        self._make = make
        self._in_channels = in_channels

    def fit(self, images: Sequence[Pair]) -> None:
        """Train the network."""
        config = self.course.config
        own = NuClickLesson.of(config)
        lesson = NuClickLesson(own.terms, make=self._make, in_channels=self._in_channels)
        net = self.course.teach(lesson, images)
        settings = NetworkSettings(width=config.width, ms_blocks=config.ms_blocks, in_channels=self._in_channels)
        self.predictor = Predictor(describe(config, net, settings, training={}), net, device=self.course.run.device)

    def segment(self, image: NDArray[np.uint8], truth: NDArray[np.int32]) -> NDArray[np.int32]:
        """Segment every object of an image from its true centroid, or skeleton.

        Raises
        ------
        OptionError
            Before `fit`.
        """
        return self.prompted(EvaluationOptions(mpp=self.course.mpp)).segment(image, truth)

    def prompted(self, options: EvaluationOptions) -> Prompted:
        """Give the trained model, prompted in some way.

        Raises
        ------
        OptionError
            Before `fit`.
        """
        if self.predictor is None:
            raise OptionError("the network is not trained yet; fit the method on training images first")
        return Prompted(self.predictor, options)
