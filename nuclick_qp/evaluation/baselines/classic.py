"""The four methods without a network that the paper sets beside NuClick, one prompt per object of the truth.

Each is a frozen dataclass whose fields are its settings. The defaults are those of the paper (section 4.5) where it
states any, and a common default, named beside the field, where it does not. `fair` has lists of others to choose from.

References
----------
.. [1] Koohbanani et al., NuClick, Med. Image Anal. 65 (2020) 101771: section 4.5, Tables 2 to 4.
.. [2] Parvati et al., Image segmentation using gray-scale morphology and marker-controlled watershed transformation,
   Discrete Dyn. Nat. Soc. (2008) 384346.
.. [3] Adams and Bischof, Seeded region growing, IEEE Trans. Pattern Anal. 16 (1994) 641.
.. [4] Chan and Vese, Active contours without edges, IEEE Trans. Image Process. 10 (2001) 266.
.. [5] Rother et al., GrabCut, ACM Trans. Graph. 23 (2004) 309.
"""

import importlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from skimage.color import rgb2gray
from skimage.filters import threshold_otsu
from skimage.segmentation import morphological_chan_vese, watershed

from nuclick_qp.errors import NuClickError, OptionError
from nuclick_qp.evaluation.baselines.method import Pair
from nuclick_qp.guidance.simulated import distance_inside, label_centroids, skeleton_squiggle
from nuclick_qp.shapes.fill import Box

Channel = Literal["grey", "red"]
SIDES = ((-1, 0), (0, -1), (0, 1), (1, 0))  # row, col of the neighbours of a pixel


@dataclass(frozen=True, slots=True)
class Claim:
    """What a method takes for one object, before objects are compared.

    Attributes
    ----------
    number
        Label of the object in the truth.
    centre
        Row, col of the click, or of the middle of the box.
    box
        Where in the image `mask` lies.
    """

    number: int
    centre: tuple[float, float]
    box: Box
    mask: NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Watershed:
    """Marker-controlled watershed [2]_ from a click on each centroid.

    The paper takes the centroids in place of the markers that [2]_ finds, and names no marker for the background [1]_.
    Its figures (Table 2: Dice .402, Haus. 125) are those of regions that fill the image, and without one they do.

    Attributes
    ----------
    ground
        ``flooded``: every pixel of the image goes to an object. ``otsu``: those lighter than Otsu's threshold to none.
    cut
        What parts objects. ``edges``: the morphological gradient, as in [2]_. ``depth``: the distance to the ground.
    channel
        What is looked at; [2]_ has grey images.
    smoothing_px
        Standard deviation of the Gaussian before all else; 0 for none.
    """

    ground: Literal["flooded", "otsu"] = "flooded"
    cut: Literal["edges", "depth"] = "edges"
    channel: Channel = "grey"
    smoothing_px: float = 0.0

    def __post_init__(self) -> None:
        if (self.ground, self.cut) == ("flooded", "depth"):
            raise OptionError("a watershed without ground has no distance to it; give ground='otsu' with cut='depth'")

    def fit(self, images: Sequence[Pair]) -> None:
        """Learn nothing."""

    def segment(self, image: NDArray[np.uint8], truth: NDArray[np.int32]) -> NDArray[np.int32]:
        """Flood the image from all clicks at once."""
        light, seeds = _light(image, self.channel, self.smoothing_px), _seeds(truth)
        dark = np.ones(light.shape, bool) if self.ground == "flooded" else (light < threshold_otsu(light)) | (seeds > 0)
        height = -distance_inside(dark) if self.cut == "depth" else ndimage.morphological_gradient(light, size=(3, 3))
        flooded: NDArray[np.int32] = watershed(height, seeds, mask=dark)
        return flooded.astype(np.int32, copy=False)


@dataclass(frozen=True, slots=True)
class RegionGrowing:
    """Seeded region growing [3]_ from a click on each centroid.

    In each iteration all regions take those of their neighbouring pixels that are like their mean; one that touches
    several goes to the region that it is most like.

    Attributes
    ----------
    iterations
        30 [1]_; no region so reaches further than 30 px.
    tolerance
        Greatest difference of a pixel from the mean of its region, white being 1. The paper states none; 0.2 is the
        default of D.-J. Kroon's widely used ``regiongrowing.m``.
    channel, smoothing_px
        As of `Watershed`.
    """

    iterations: int = 30
    tolerance: float = 0.2
    channel: Channel = "grey"
    smoothing_px: float = 0.0

    def fit(self, images: Sequence[Pair]) -> None:
        """Learn nothing."""

    def segment(self, image: NDArray[np.uint8], truth: NDArray[np.int32]) -> NDArray[np.int32]:
        """Grow all clicks at once."""
        light, grown = _light(image, self.channel, self.smoothing_px), _seeds(truth)
        for _ in range(self.iterations):
            if not self._grow(grown, light):
                break
        return grown

    def _grow(self, grown: NDArray[np.int32], light: NDArray[np.float64]) -> bool:
        """Add one layer of pixels in place; tell whether there was any."""
        means = np.bincount(grown.ravel(), light.ravel()) / np.maximum(np.bincount(grown.ravel()), 1)
        rows, cols = np.nonzero(ndimage.binary_dilation(grown > 0) & (grown == 0))
        padded = np.pad(grown, 1)
        around = np.stack([padded[rows + 1 + down, cols + 1 + right] for down, right in SIDES])  # (4, N)
        differs = np.where(around > 0, np.abs(light[rows, cols] - means[around]), np.inf)
        likest = differs.argmin(axis=0)[None]
        taken = np.take_along_axis(differs, likest, axis=0)[0] <= self.tolerance
        grown[rows[taken], cols[taken]] = np.take_along_axis(around, likest, axis=0)[0, taken]
        return bool(taken.any())


@dataclass(frozen=True, slots=True)
class ActiveContour:
    """Active contour without edges [4]_ from a circle round each centroid, in its morphological form.

    Each object is by itself, and of the result the part with the click counts. A pixel that several contours enclose
    goes to the nearest click; the paper does not say to whom.

    Attributes
    ----------
    radius_px
        3 [1]_.
    iterations
        The paper states none; 100 is the default of MATLAB's ``activecontour``.
    smoothing
        Smoothing steps in each iteration, the inner force; 1 is the default of scikit-image.
    window_px
        Side of the window round the click in which the contour may move: that of NuClick's patch of nuclei.
    channel, smoothing_px
        As of `Watershed`.
    """

    radius_px: float = 3.0
    iterations: int = 100
    smoothing: int = 1
    window_px: int = 128
    channel: Channel = "grey"
    smoothing_px: float = 0.0

    def fit(self, images: Sequence[Pair]) -> None:
        """Learn nothing."""

    def segment(self, image: NDArray[np.uint8], truth: NDArray[np.int32]) -> NDArray[np.int32]:
        """Move one contour after the other."""
        light = _light(image, self.channel, self.smoothing_px)
        return _settled((self._contour(light, *click) for click in label_centroids(truth).tolist()), truth.shape)

    def _contour(self, light: NDArray[np.float64], number: int, row: int, col: int) -> Claim:
        """Move the contour of one click."""
        half = self.window_px // 2
        height, width = light.shape
        box = slice(max(row - half, 0), min(row + half, height)), slice(max(col - half, 0), min(col + half, width))
        window, place = light[box], (row - box[0].start, col - box[1].start)
        rows, cols = np.ogrid[: window.shape[0], : window.shape[1]]
        circle = (rows - place[0]) ** 2 + (cols - place[1]) ** 2 <= self.radius_px**2
        inside = morphological_chan_vese(window, self.iterations, init_level_set=circle, smoothing=self.smoothing)
        parts, _ = ndimage.label(inside)
        return Claim(number, (row, col), box, (parts == parts[place]) & (parts > 0))


@dataclass(frozen=True, slots=True)
class GrabCut:
    """GrabCut [5]_ from the bounding box of each object.

    Section 4.5 of the paper says both that GrabCut is given the box, and that its markers are those of NuClick, the
    squiggles. What is outside the box is ground. A pixel in several results goes to the box whose middle is nearest.

    Attributes
    ----------
    squiggle
        Whether the skeleton of the object is given as well, as pixels that surely belong to it.
    iterations
        The paper states none; 5 is the figure of OpenCV's tutorial.
    strip_px
        How far outside the box the ground reaches that colours are learned from; None for the whole image, with all
        other objects in it.
    """

    squiggle: bool = False
    iterations: int = 5
    strip_px: int | None = None

    def fit(self, images: Sequence[Pair]) -> None:
        """Learn nothing."""

    def segment(self, image: NDArray[np.uint8], truth: NDArray[np.int32]) -> NDArray[np.int32]:
        """Cut out one box after the other.

        Raises
        ------
        NuClickError
            If OpenCV is missing, the one library that has GrabCut.
        """
        return _settled(self._claims(image, truth), truth.shape)

    def _claims(self, image: NDArray[np.uint8], truth: NDArray[np.int32]) -> Iterator[Claim]:
        for number, box in enumerate(ndimage.find_objects(truth), start=1):
            if box is not None:
                yield self._cut_out(image, truth, number, (box[0], box[1]))

    def _cut_out(self, image: NDArray[np.uint8], truth: NDArray[np.int32], number: int, box: Box) -> Claim:
        """Cut out the object of one box."""
        cv2 = _opencv()
        centre = (box[0].start + box[0].stop - 1) / 2, (box[1].start + box[1].stop - 1) / 2
        marks = np.full(truth.shape, cv2.GC_BGD, np.uint8)
        marks[box] = cv2.GC_PR_FGD
        if self.squiggle:
            marks[box][skeleton_squiggle(truth[box] == number)] = cv2.GC_FGD
        strip = max(truth.shape) if self.strip_px is None else self.strip_px
        shown = tuple(slice(max(side.start - strip, 0), side.stop + strip) for side in box)
        pixels, seen = np.ascontiguousarray(image[shown]), np.ascontiguousarray(marks[shown])
        if (seen != cv2.GC_BGD).all():  # no ground is left to learn its colours from, so the box is the answer
            return Claim(number, centre, box, marks[box] != cv2.GC_BGD)
        cv2.setRNGSeed(0)  # the colours of the first step are clustered from random places
        cv2.grabCut(pixels, seen, None, np.zeros((1, 65)), np.zeros((1, 65)), self.iterations, cv2.GC_INIT_WITH_MASK)
        marks[shown] = seen
        return Claim(number, centre, box, np.isin(marks[box], (cv2.GC_FGD, cv2.GC_PR_FGD)))


def _light(image: NDArray[np.uint8], channel: Channel, smoothing_px: float) -> NDArray[np.float64]:
    """Give (H, W) from 0, black, to 1, white."""
    light = image[..., 0] / 255.0 if channel == "red" else rgb2gray(image)
    return np.asarray(ndimage.gaussian_filter(light, smoothing_px)) if smoothing_px else light


def _seeds(truth: NDArray[np.int32]) -> NDArray[np.int32]:
    """Give (H, W) int32: the number of an object on the pixel of its click, 0 elsewhere."""
    numbers, rows, cols = label_centroids(truth).T
    seeds = np.zeros(truth.shape, np.int32)
    seeds[rows, cols] = numbers
    return seeds


def _settled(claims: Iterable[Claim], shape: tuple[int, ...]) -> NDArray[np.int32]:
    """Give each pixel to the claim whose centre is nearest, of equals to the first."""
    labels, nearest = np.zeros(shape, np.int32), np.full(shape, np.inf)
    for claim in claims:
        rows, cols = np.ogrid[claim.box]
        distance = (rows - claim.centre[0]) ** 2 + (cols - claim.centre[1]) ** 2
        won = claim.mask & (distance < nearest[claim.box])
        labels[claim.box][won] = claim.number
        nearest[claim.box][won] = distance[won]
    return labels


def _opencv() -> ModuleType:
    """Give OpenCV, which only GrabCut needs."""
    try:
        return importlib.import_module("cv2")
    except ModuleNotFoundError as err:
        raise NuClickError("GrabCut needs OpenCV, which is missing; pip install 'nuclick-qp[tables]' brings it") from err
