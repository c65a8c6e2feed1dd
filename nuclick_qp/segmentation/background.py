"""Whether a prompt lies on the ground of an image, where nothing can be: white in brightfield, black in fluorescence.

The pixels decide, not the network: what the network makes little of may well be an object.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

NEAR_PX = 4  # looked at: what lies this near to the prompt; 1 um at 0.25 um/px
STAINED_OD = 0.15  # optical density in any channel from which on a pixel holds stain; Macenko et al. 2009, ISBI, 1107-1110
MOST_STAINED = 0.05  # share of the pixels near a prompt on the ground that may hold stain all the same: noise, the rim of something
DARK = 32  # of 255, in the brightest channel: the ground of fluorescence
# Share of dark pixels from which on a picture is one of fluorescence. The darkest set of training images (549 of NuInsSeg), median of
# squares of 128 um: 0.042 at most. A TRITC scan, one square at each of its brightest places: 0.42 at least, 0.74 in the median.
LARGEST_DARK_SHARE = 0.2


def is_background(pixels: NDArray[np.uint8], marker: NDArray[np.bool_]) -> bool:
    """Tell whether a prompt lies on the ground.

    Parameters
    ----------
    pixels
        (H, W, 3) RGB of a patch.
    marker
        (H, W), True under the prompt.
    """
    near = pixels[ndimage.distance_transform_edt(~marker) <= NEAR_PX]  # (N, 3)
    if share_of_dark(pixels) > LARGEST_DARK_SHARE:
        return bool(np.mean(~_is_dark(near)) <= MOST_STAINED)
    return bool(np.mean(near.min(axis=-1) <= 255 * 10**-STAINED_OD) <= MOST_STAINED)


def share_of_dark(pixels: NDArray[np.uint8]) -> float:
    """Give the share of (H, W, 3) pixels that are dark."""
    return float(np.mean(_is_dark(pixels)))


def _is_dark(pixels: NDArray[np.uint8]) -> NDArray[Any]:
    return np.asarray(pixels.max(axis=-1) < DARK)
