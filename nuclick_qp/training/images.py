"""Images with instance labels, at the resolution of the network and ready to be sampled."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

from nuclick_qp.errors import TrainingDataError
from nuclick_qp.guidance.simulated import label_centroids
from nuclick_qp.shapes.fill import Box
from nuclick_qp.storage.labels import find_pairs, read_pair
from nuclick_qp.training.config import Source

LARGEST_RESCALE = 2.0
SMALLEST_OBJECT_PX = 10


@dataclass(frozen=True, slots=True)
class LabelledImage:
    """One image with its instances.

    Attributes
    ----------
    pixels, labels
        (H, W, 3) uint8 and (H, W) int32; 0 is background.
    zoom
        Patch pixels per image pixel; 1 or more, as images of finer resolution are shrunk on loading.
    centroids
        (M, 3) label, row, col of each object; the centre is inside the object.
    boxes
        M bounding boxes (rows, cols), in the order of `centroids`.
    weight
        Share of the samples drawn from this image.
    """

    name: str
    pixels: NDArray[np.uint8]
    labels: NDArray[np.int32]
    zoom: float
    centroids: NDArray[np.intp]
    boxes: tuple[Box, ...]
    weight: float

    def mask(self, index: int) -> NDArray[np.bool_]:
        """Give the mask of object `index`, cut to its box."""
        inside: NDArray[np.bool_] = self.labels[self.boxes[index]] == self.centroids[index, 0]
        return inside


def labelled_image(
    name: str, pixels: NDArray[np.uint8], labels: NDArray[np.int32], *, zoom: float, weight: float
) -> LabelledImage:
    """Make an image ready to be sampled; one that is finer than the network is shrunk.

    Parameters
    ----------
    name
        What errors call it: the path of its labels, or the region of its project.
    zoom
        Patch pixels per image pixel.

    Raises
    ------
    TrainingDataError
        If no object has 10 px or more, at the resolution of the network when it is the coarser one.
    """
    if zoom < 1:
        pixels, labels = resized(pixels, labels, zoom)
        zoom = 1.0
    areas = np.bincount(labels.ravel(), minlength=2)[1:]
    centroids = label_centroids(labels)
    centroids = centroids[areas[centroids[:, 0] - 1] >= SMALLEST_OBJECT_PX]
    if not len(centroids):
        raise TrainingDataError(f"{name} holds no object of {SMALLEST_OBJECT_PX} px or more; label it, or remove it")
    found = ndimage.find_objects(labels)
    boxes = tuple(found[number - 1] for number in centroids[:, 0].tolist())
    return LabelledImage(name, pixels, labels, zoom, centroids, boxes, weight)


def median_diameter(images: Iterable[LabelledImage]) -> float:
    """Give the median diameter of all objects, of discs of their area, in patch pixels."""
    areas = [np.count_nonzero(image.mask(i)) * image.zoom**2 for image in images for i in range(len(image.boxes))]
    return float(2 * np.sqrt(np.median(areas) / np.pi))


def load_folder(source: Source, *, root: Path, mpp: float) -> tuple[list[LabelledImage], list[LabelledImage]]:
    """Read the images of a source that is a folder of image and label files.

    Parameters
    ----------
    root
        Folder that the source's folder is relative to.
    mpp
        Micrometres per pixel of the network.

    Returns
    -------
    training, validation
        The second holds those that match one of the source's validation globs.

    Raises
    ------
    LabelsError
        If the folder holds no pairs, or a label image is missing, empty, of another size than its
        image, or not instance-wise; the message names the file.
    TrainingDataError
        If no object of an image has 10 px or more.
    """
    assert source.folder is not None
    pairs = find_pairs(root / source.folder, source.pattern)
    parts: tuple[list[LabelledImage], list[LabelledImage]] = ([], [])
    for path, label_path in pairs:
        held_out = any(path.match(glob) for glob in source.validation)
        pixels, labels = read_pair(path, label_path)
        zoom = _zoom(source, labels, mpp)
        parts[held_out].append(labelled_image(str(label_path), pixels, labels, zoom=zoom, weight=source.weight / len(pairs)))
    return parts


def _zoom(source: Source, labels: NDArray[np.int32], mpp: float) -> float:
    """Give the patch pixels per image pixel of one image of a source."""
    if source.mpp is not None:
        return source.mpp / mpp
    assert source.object_area_px is not None
    areas = np.bincount(labels.ravel())[1:]
    zoom = float(np.sqrt(source.object_area_px / np.median(areas[areas > 0])))
    return float(np.clip(zoom, 1 / LARGEST_RESCALE, LARGEST_RESCALE))


def resized(pixels: NDArray[np.uint8], labels: NDArray[np.int32], zoom: float) -> tuple[NDArray[np.uint8], NDArray[np.int32]]:
    """Bring an image and its labels to another resolution, with the kernel that slides are read with."""
    rows, cols = (max(1, round(side * zoom)) for side in labels.shape)
    smaller = np.asarray(Image.fromarray(pixels).resize((cols, rows), Image.Resampling.BILINEAR))
    numbers = np.asarray(Image.fromarray(labels).resize((cols, rows), Image.Resampling.NEAREST))
    return smaller, numbers.astype(np.int32)
