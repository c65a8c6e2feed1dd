"""Networks without prompts that learn from masks (Table 7): from NuClick's, or from those of people."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor, nn
from torch.nn import functional

from nuclick_qp.errors import OptionError
from nuclick_qp.evaluation.baselines.deep import Course
from nuclick_qp.evaluation.baselines.method import Pair
from nuclick_qp.model.devices import choose_device
from nuclick_qp.model.network import SIDE_MULTIPLE
from nuclick_qp.training.config import TrainingConfig
from nuclick_qp.training.losses import LossTerms, hybrid_loss
from nuclick_qp.training.patches import Batch
from nuclick_qp.training.step import autocast


@dataclass(frozen=True)
class AllObjects:
    """The lesson of a student: every pixel of any object, from the image alone.

    Attributes
    ----------
    make
        Makes the network from the number of channels and the width.
    """

    make: Callable[[int, float], nn.Module]

    @property
    def fill(self) -> float | None:
        """Leave the scale."""
        return None

    def network(self, config: TrainingConfig) -> nn.Module:
        """Make the network."""
        return self.make(3, config.width)

    def prepare(self, batch: Batch, generator: torch.Generator) -> Batch:
        """Take the prompts away, and want all objects."""
        both = batch.wanted + batch.others
        return replace(batch, inputs=batch.inputs[:, :3], wanted=both, others=torch.zeros_like(both))

    def loss(self, net: nn.Module, batch: Batch) -> Tensor:
        """Give soft Dice and cross entropy."""
        return hybrid_loss(net(batch.inputs), batch.wanted, batch.others, terms=LossTerms(weighted=False))

    def probability(self, net: nn.Module, batch: Batch) -> Tensor:
        """Give what the network says."""
        return torch.sigmoid(net(batch.inputs).float())


class Untaught:
    """A student whose teacher drew nothing: it finds nothing."""

    def fit(self, images: Sequence[Pair]) -> None:
        """Learn nothing."""

    def segment(self, image: NDArray[np.uint8], truth: NDArray[np.int32]) -> NDArray[np.int32]:
        """Give background."""
        return np.zeros(truth.shape, np.int32)


class Student:
    """A network that segments images by itself; what touches is one object to it.

    The paper does not say how objects were told apart in the foreground of the students; its SQ of .45 to .64 is that of
    connected parts, which are taken here. The separating weights of U-Net are left out for all three to learn alike.

    Parameters
    ----------
    lesson
        With U-Net, SegNet or FCN-8.
    course
        How it is trained.
    """

    def __init__(self, lesson: AllObjects, course: Course) -> None:
        self.lesson = lesson
        self.course = course
        self._net: nn.Module | None = None

    def fit(self, images: Sequence[Pair]) -> None:
        """Train the network on images and the masks that come with them."""
        self._net = self.course.teach(self.lesson, images)

    @torch.inference_mode()
    def segment(self, image: NDArray[np.uint8], truth: NDArray[np.int32]) -> NDArray[np.int32]:
        """Segment an image, at the resolution of the network; objects are numbered as they come.

        Raises
        ------
        OptionError
            Before `fit`, or if the images have another resolution than the network.
        """
        if self._net is None:
            raise OptionError("the network is not trained yet; fit the method on training images first")
        config = self.course.config
        if self.course.mpp != config.mpp:
            raise OptionError(f"students see images at {config.mpp:g} um/px as in training, not at {self.course.mpp:g}; resample them")
        device, (height, width) = choose_device(self.course.run.device), image.shape[:2]
        pixels = torch.from_numpy(image).to(device).permute(2, 0, 1)[None].float() / 255
        beyond = (0, -width % SIDE_MULTIPLE, 0, -height % SIDE_MULTIPLE)
        with autocast(device):
            logits = self._net(functional.pad(pixels, beyond, mode="replicate"))
        mask = (torch.sigmoid(logits[0, 0, :height, :width].float()) >= config.threshold).cpu().numpy()
        parts, _ = ndimage.label(mask)
        small = np.bincount(parts.ravel()) < config.min_object_px
        return np.where(small[parts], 0, parts).astype(np.int32)
