"""What a method has to be able to do to stand in a table beside NuClick."""

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Pair = tuple[NDArray[np.uint8], NDArray[np.int32]]  # (H, W, 3) image and (H, W) truth, as `storage.labels.read_pair` gives them


class Method(Protocol):
    """An interactive method that is measured on labelled images; it draws its own prompts from the truth."""

    def fit(self, images: Sequence[Pair]) -> None:
        """Learn from training images what there is to learn, or nothing."""

    def segment(self, image: NDArray[np.uint8], truth: NDArray[np.int32]) -> NDArray[np.int32]:
        """Segment every object of an image from a prompt that a user would have given for it.

        Parameters
        ----------
        image
            (H, W, 3) uint8 RGB.
        truth
            (H, W) int32, 0 background, one number per object. Prompts are made from it, and nothing else is taken from it.

        Returns
        -------
        (H, W) int32 array
            i where the object is that was prompted by object i of the truth. A number is missing where the method found nothing.
        """
        ...
