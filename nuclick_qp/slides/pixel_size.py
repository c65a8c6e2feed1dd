"""Which pixel size holds, and which numbers in a file are believed."""

import logging
import math

from nuclick_qp.errors import NoPixelSizeError, OptionError
from nuclick_qp.mpp_limits import LARGEST_MPP, SMALLEST_MPP

logger = logging.getLogger(__name__)

NOTABLE_DIFFERENCE = 0.02  # relative; scanners round their pixel size by less
CONTRADICTION = 1.5  # ratio of two statements; whoever calibrates a scanner anew changes its pixel size by less

# OME-XML length units, in micrometres (Open Microscopy Environment, UnitsLength 2016-06).
MICROMETRES = {
    "m": 1e6, "dm": 1e5, "cm": 1e4, "mm": 1e3, "µm": 1.0, "μm": 1.0, "um": 1.0, "nm": 1e-3, "pm": 1e-6, "Å": 1e-4,
    "in": 25_400.0, "ft": 304_800.0, "pt": 25_400.0 / 72,
}  # fmt: skip


def resolve_mpp(
    *, project: float | None, slide: float | None, option: float | None, source: str, option_name: str = "--mpp"
) -> float:
    """Choose the pixel size: the project's, then the slide's, then that of an option.

    Parameters
    ----------
    project, slide, option
        Micrometres per level-0 pixel; None when unknown. Project or slide values that are not
        positive and finite count as unknown.
    source
        Name of the image, for messages.
    option_name
        Name of the option, for messages.

    Raises
    ------
    NoPixelSizeError
        If none is known; a pixel size is never guessed. Or if that of the project or the slide is
        smaller or larger than any microscope's, 0.05 to 50 um.
    OptionError
        If the option is.
    """
    if option is not None and not _is_positive(option):
        raise OptionError(f"{option_name} {option} is not a pixel size; give micrometres per pixel, such as 0.25")
    if option is not None and not _is_possible(option):
        stated = next((f"{value:.4g}" for value in (project, slide) if value is not None), "none")
        raise OptionError(
            f"{option_name} {option:g} lies outside {SMALLEST_MPP:g} to {LARGEST_MPP:g} um per pixel; "
            f"give a size such as 0.25 for a 40x scan; {source} states {stated}"
        )
    if project is not None and slide is not None and _contradict(project, slide):
        logger.warning(
            "%s has %.4g um per pixel in the project, which is used, and %.4g in the file itself; if that of the file is right, "
            "set it in the Image tab of QuPath",
            *(source, project, slide),
        )
    for value, place in ((project, "the project"), (slide, "the slide")):
        if value is not None and _is_positive(value):
            if not _is_possible(value):
                raise NoPixelSizeError(
                    f"{source} has {value:.4g} um per pixel in {place}, which is not within {SMALLEST_MPP:g} to {LARGEST_MPP:g}; "
                    "correct it in the Image tab of QuPath"
                )
            if option is not None and abs(option - value) > NOTABLE_DIFFERENCE * value:
                logger.warning(
                    "%s has %.4g um per pixel in %s; %s %.4g is not used; if that is right, set it in the Image tab of QuPath",
                    *(source, value, place, option_name, option),
                )
            return value
    if option is None:
        raise NoPixelSizeError(f"{source} has no pixel size; pass {option_name}, or set it in the Image tab of QuPath")
    return option


def mean_mpp(x: float | None, y: float | None) -> float | None:
    """Give the mean of two pixel sizes in micrometres, None unless they are believable.

    One alone stands for both. A size outside 0.05 to 50 um says that the file holds something
    else, such as the 72 dots per inch that many programs write into every image.
    """
    given = [v for v in (x, y) if v is not None]
    if not given or not all(map(_is_possible, given)):
        return None
    return sum(given) / len(given)


def _contradict(one: float, other: float) -> bool:
    return _is_possible(one) and _is_possible(other) and max(one / other, other / one) > CONTRADICTION


def _is_possible(value: float) -> bool:
    return SMALLEST_MPP <= value <= LARGEST_MPP


def _is_positive(value: float) -> bool:
    return math.isfinite(value) and value > 0
