"""Whether outlines are as large as what people click on: a pixel size that is wrong shows in them."""

import logging
from collections.abc import Iterable

import numpy as np

from nuclick_qp.kinds import PROMPT_KINDS, PromptKind
from nuclick_qp.prompts import Outline

logger = logging.getLogger(__name__)

# Diameters in um that the median object has by far: nuclei of lymphocytes to large tumour cells have 5 to 25, blood cells 6 to 25,
# glands and crypts 30 to 500.
PLAUSIBLE_UM: dict[PromptKind, tuple[float, float]] = {"point": (3.0, 40.0), "line": (12.0, 1500.0)}
# Pixels in which a microscope shows whole cells: a 100x oil lens with a fine camera, and a lens of 10x.
PLAUSIBLE_MPP = (0.04, 1.2)
FEWEST = 5  # outlines of which the median says something


def warn_of_odd_sizes(outlines: Iterable[Outline], *, mpp: float, slide_mpp: float | None, source: str) -> None:
    """Say in one line when the outlines of an image are much smaller or larger than what people click on.

    Parameters
    ----------
    mpp
        Micrometres per level-0 pixel that the outlines were made with.
    slide_mpp
        What the file states; None when it states nothing.
    source
        Name of the image, for the message.
    """
    found = list(outlines)
    for kind in PROMPT_KINDS:
        areas = [outline.polygon.area for outline in found if outline.polygon is not None and outline.prompt.kind == kind]
        if len(areas) < FEWEST:
            continue
        diameter = 2 * np.sqrt(np.median(areas) / np.pi) * mpp
        smallest, largest = PLAUSIBLE_UM[kind]
        if not smallest <= diameter <= largest:
            stated = "states none" if slide_mpp is None else f"states {slide_mpp:.4g}"
            logger.warning(
                "%s: the objects under %ss are %.2g um wide (median), where %g to %g are common; "
                "is a pixel size of %.4g um right? The file itself %s; correct it in the Image tab of QuPath, or with --mpp",
                *(source, kind, diameter, smallest, largest, mpp, stated),
            )


def warn_of_odd_estimate(mpp: float, *, object_um: float, source: str) -> None:
    """Say in one line when the objects under clicks are so many pixels wide, or so few, as no microscope shows them.

    Parameters
    ----------
    mpp
        Micrometres per level-0 pixel, as the objects tell it.
    object_um
        Their diameter in um.
    """
    finest, coarsest = PLAUSIBLE_MPP
    if not finest <= mpp <= coarsest:
        logger.warning(
            "%s: the objects under the points are %.0f px wide, so that one pixel would be %.2g um, where microscopes have %g to %g; "
            "was the image resized? Look at its outlines, or pass --mpp",
            *(source, object_um / mpp, mpp, finest, coarsest),
        )
