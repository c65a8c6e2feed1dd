"""Test-time augmentation: the network sees each patch in several views, and its answers are averaged."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nuclick_qp.guidance.signals import MarkedPatches
from nuclick_qp.model.predictor import Predictor
from nuclick_qp.stopping import never

MOVE_PX = 2  # how far a click is moved, in pixels of the network; Koohbanani 2020
ROWS, COLS = 1, 2  # axes of patches and of probabilities


@dataclass(frozen=True, slots=True)
class View:
    """One way to see a patch.

    Attributes
    ----------
    move
        Rows and columns by which the click is moved, in patch pixels.
    mirrored
        Axes along which pixels and signals are mirrored.
    """

    move: tuple[int, int] = (0, 0)
    mirrored: tuple[int, ...] = ()

    def of(self, patches: MarkedPatches) -> MarkedPatches:
        """Give patches as this view shows them; clicks lie in the middle of theirs, so none is moved out of it."""
        seen = patches.moved(*self.move)
        for axis in self.mirrored:
            seen = seen.mirrored(axis)
        return seen

    def back(self, probability: NDArray[np.float32]) -> NDArray[np.float32]:
        """Turn (N, P, P) probabilities of this view back to how the patch lies."""
        return np.flip(probability, self.mirrored)


# Moves and mirrors at once: five looks instead of the twenty of all their pairs.
CLICK_VIEWS = (
    View(),
    View((MOVE_PX, 0), (ROWS,)),
    View((-MOVE_PX, 0), (COLS,)),
    View((0, MOVE_PX), (ROWS, COLS)),
    View((0, -MOVE_PX)),
)
# A squiggle is drawn through the middle of its object and needs no moving.
SQUIGGLE_VIEWS = (View(), View(mirrored=(ROWS,)), View(mirrored=(COLS,)), View(mirrored=(ROWS, COLS)))


def predict_augmented(
    predictor: Predictor, patches: MarkedPatches, *, batch_size: int, stopped: Callable[[], bool] = never
) -> NDArray[np.float32]:
    """Give the mean probability over several views of each patch, one view after the other.

    Takes five times as long as `Predictor.predict` for clicks and four times for squiggles, and
    the memory of one view more. Moves are the same for every patch, so results repeat.

    Parameters
    ----------
    patches, batch_size, stopped
        As for `Predictor.predict`.

    Returns
    -------
    (N, P, P) float32 array

    References
    ----------
    Koohbanani et al. 2020, section 3.3.1: clicks are disturbed by 2 px in a random direction. Here
    the directions are fixed, and patches are mirrored as well.
    """
    views = CLICK_VIEWS if predictor.card.prompt == "point" else SQUIGGLE_VIEWS
    total = np.zeros((len(patches), patches.side, patches.side), np.float32)
    for view in views:
        total += view.back(predictor.predict(view.of(patches), batch_size=batch_size, stopped=stopped))
    total /= len(views)
    return total
