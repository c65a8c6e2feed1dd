"""Refuse fluorescence: the models know stained tissue on a bright ground, and make something of anything."""

from collections.abc import Sequence

import numpy as np

from nuclick_qp.errors import FluorescenceError
from nuclick_qp.geometry import Window
from nuclick_qp.prompts import Prompt, points_xy
from nuclick_qp.segmentation.background import LARGEST_DARK_SHARE, share_of_dark
from nuclick_qp.slides import Slide

FLUORESCENCE, BRIGHTFIELD = "FLUORESCENCE", "BRIGHTFIELD"  # as QuPath names image types, or begins their names
# Looked at: squares round some prompts, so that a black frame round the scan counts for nothing.
MOST_SQUARES, SIDE_PX, SQUARE_MPP = 9, 128, 1.0


def refuse_fluorescence(slide: Slide, prompts: Sequence[Prompt], *, mpp: float, image_type: str | None) -> None:
    """Refuse an image that QuPath calls fluorescence, or that is dark round its prompts and not called brightfield.

    Parameters
    ----------
    mpp
        Micrometres per level-0 pixel.
    image_type
        As QuPath was told it; None when it was not.

    Raises
    ------
    FluorescenceError
        With what to do if it is none.
    """
    remedy = "the models are for brightfield; if it is that, set its image type in QuPath; --force segments it as it is"
    if image_type == FLUORESCENCE:
        raise FluorescenceError(f"{slide.path} is a fluorescence image, QuPath says; {remedy}")
    if image_type is not None and image_type.startswith(BRIGHTFIELD):
        return
    if dark_share(slide, prompts, mpp=mpp) > LARGEST_DARK_SHARE:
        raise FluorescenceError(f"{slide.path} looks like fluorescence, dark round the points and lines; {remedy}")


def dark_share(slide: Slide, prompts: Sequence[Prompt], *, mpp: float) -> float:
    """Give the median share of dark pixels in squares round some of the prompts that lie on the slide."""
    inside = [(x, y) for x, y in points_xy(list(prompts)) if 0 <= x < slide.width and 0 <= y < slide.height]
    chosen = inside[:: max(1, -(-len(inside) // MOST_SQUARES))]
    scale = SQUARE_MPP / mpp
    half = SIDE_PX * scale / 2
    squares = (slide.read(Window(x - half, y - half, SIDE_PX, SIDE_PX, scale)) for x, y in chosen)
    return float(np.median([share_of_dark(pixels) for pixels in squares])) if chosen else 0.0
