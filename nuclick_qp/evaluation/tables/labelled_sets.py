"""The open data sets of the tables: where they lie, at which resolution they are looked at, and what a small budget takes of them."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

from nuclick_qp.errors import LabelsError
from nuclick_qp.evaluation.baselines.method import Pair
from nuclick_qp.storage.labels import find_pairs, read_pair
from nuclick_qp.training.config import TouchingCells
from nuclick_qp.training.images import SMALLEST_OBJECT_PX, labelled_image, resized
from nuclick_qp.training.touching import touching_cells

CANVAS_STREAM = 16  # keeps the random numbers of the canvases of the tables apart from others
Part = Literal["train", "test"]
Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class Folder:
    """Images of one kind in the data folder.

    Attributes
    ----------
    path, pattern
        As of a `training.config.Source`.
    mpp
        Micrometres per pixel of the files.
    """

    path: str
    pattern: str
    mpp: float


@dataclass(frozen=True, slots=True)
class Size:
    """What a budget takes of a set: so many images, evenly from all, and of each a square in its middle; None takes all.

    Attributes
    ----------
    crop_px
        Side of the square, in pixels of the resolution that the set is looked at.
    """

    images: int | None = None
    crop_px: int | None = None


@dataclass(frozen=True, slots=True)
class LabelledSet:
    """Images and their truth, at one resolution.

    Attributes
    ----------
    name
        As in the tables.
    mpp
        Micrometres per pixel of all images.
    names, pairs
        Of each image its file, and its pixels and truth.
    """

    name: str
    mpp: float
    names: tuple[str, ...]
    pairs: tuple[Pair, ...]

    def taken(self, size: Size) -> "LabelledSet":
        """Give what a size takes of it, but for images that then show no object.

        Raises
        ------
        LabelsError
            If none shows one.
        """
        taken = _evenly(list(zip(self.names, self.pairs, strict=True)), size.images)
        return _set_of(self.name, self.mpp, [(name, _cropped(*pair, size.crop_px)) for name, pair in taken], size)

    def with_truth(self, name: str, truths: Sequence[NDArray[np.int32]]) -> "LabelledSet":
        """Give the same images with other masks."""
        return replace(self, name=name, pairs=tuple((pixels, truth) for (pixels, _), truth in zip(self.pairs, truths, strict=True)))


def read_set(name: str, folders: Sequence[Folder], data: Path, *, mpp: float, size: Size) -> LabelledSet:
    """Read a set.

    Parameters
    ----------
    data
        What the folders lie in.
    mpp
        Micrometres per pixel that all images are brought to.
    size
        Of each folder.

    Raises
    ------
    LabelsError
        If a folder or its labels are missing, or cannot be read; the message names the file. If nothing is left of any object.
    """
    found = []
    for folder in folders:
        for image, labels in _evenly(find_pairs(data / folder.path, folder.pattern), size.images):
            found.append((image.name, _cropped(*_resampled(*read_pair(image, labels), folder.mpp / mpp), size.crop_px)))
    return _set_of(name, mpp, found, size)


def touching_set(name: str, single: LabelledSet, *, images: int, canvas_px: int, cells: tuple[int, int], seed: int) -> LabelledSet:
    """Synthesise images of touching cells from images of single ones, as the paper does (section 4.1)."""
    settings = TouchingCells(images=images, canvas_px=canvas_px, cells=cells)
    sources = [labelled_image(one, *pair, zoom=1.0, weight=1.0) for one, pair in zip(single.names, single.pairs, strict=True)]
    made = touching_cells(sources, settings, share=1.0, rng=np.random.default_rng([seed, CANVAS_STREAM]))
    numbered = tuple(f"{single.name} canvas {number:03d}" for number in range(1, len(made) + 1))
    return LabelledSet(name, single.mpp, numbered, tuple((image.pixels, image.labels) for image in made))


def joined(name: str, sets: Sequence[LabelledSet]) -> LabelledSet:
    """Put sets of one resolution together."""
    (mpp,) = {one.mpp for one in sets}
    return LabelledSet(name, mpp, tuple(n for one in sets for n in one.names), tuple(p for one in sets for p in one.pairs))


def _set_of(name: str, mpp: float, found: Sequence[tuple[str, Pair]], size: Size) -> LabelledSet:
    """Give a set of the images that show an object."""
    shown = [(image, pair) for image, pair in found if pair[1].any()]
    if not shown:
        raise LabelsError(f"{name}: no image shows an object in the {size.crop_px} px in its middle; take a larger square")
    names, pairs = zip(*shown, strict=True)
    return LabelledSet(name, mpp, names, pairs)


def _evenly(found: list[Item], most: int | None) -> list[Item]:
    if most is None or most >= len(found):
        return found
    return [found[index] for index in np.linspace(0, len(found) - 1, most).round().astype(int).tolist()]


def _resampled(pixels: NDArray[np.uint8], truth: NDArray[np.int32], zoom: float) -> Pair:
    if abs(zoom - 1) < 0.01:
        return pixels, truth
    other, numbers = resized(pixels, truth, zoom)
    return other, _without_specks(numbers)


def _cropped(pixels: NDArray[np.uint8], truth: NDArray[np.int32], side: int | None) -> Pair:
    if side is None or side >= max(truth.shape):
        return pixels, truth
    top, left = (max((length - side) // 2, 0) for length in truth.shape)
    part = slice(top, top + side), slice(left, left + side)
    return np.ascontiguousarray(pixels[part]), _without_specks(truth[part])


def _without_specks(truth: NDArray[np.int32]) -> NDArray[np.int32]:
    """Leave out objects of which hardly anything is left."""
    kept = np.bincount(truth.ravel()) >= SMALLEST_OBJECT_PX
    return np.where(kept[truth], truth, 0).astype(np.int32)
