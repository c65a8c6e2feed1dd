"""Images with instance labels on disk: NAME.png|jpg|tif with NAME_label.png|tif beside it."""

import zlib
from pathlib import Path

import numpy as np
import tifffile
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError
from scipy import ndimage

from nuclick_qp.errors import LabelsError

IMAGE_SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".tif", ".tiff"})
LABEL_ENDING = "_label"
TIFF_SUFFIXES = (".tif", ".tiff")
LABEL_SUFFIXES = (".png", *TIFF_SUFFIXES)  # the first that is there is taken
SPECK_PX = 10  # smaller parts of an object are slips of the annotation


def find_pairs(folder: Path, pattern: str = "*") -> list[tuple[Path, Path]]:
    """List images with their label images, by name.

    Raises
    ------
    LabelsError
        If no image matches, or one has no label image.
    """
    images = [p for p in folder.glob(pattern) if p.suffix.lower() in IMAGE_SUFFIXES and not p.stem.endswith(LABEL_ENDING)]
    if not images:
        raise LabelsError(f"{folder} holds no images that match {pattern!r}; give a folder of NAME.png with NAME{LABEL_ENDING}.png")
    return [(image, _labels_of(image)) for image in sorted(images)]


def read_pair(image: Path, labels: Path) -> tuple[NDArray[np.uint8], NDArray[np.int32]]:
    """Read an image and its labels.

    Returns
    -------
    pixels, numbers
        (H, W, 3) uint8 RGB; (H, W) int32, 0 background, one number per object, at least one object.

    Raises
    ------
    LabelsError
        If a file cannot be read, the sizes differ, there is no object, or the labels are a mask
        (0/255, or one number on several separate parts); the message names the file.
    """
    pixels = _read(image, "RGB")
    numbers = _read_labels(labels).astype(np.int32)
    if numbers.shape != pixels.shape[:2]:
        raise LabelsError(f"{labels} is {numbers.shape} but {image.name} is {pixels.shape[:2]} (rows, cols); export it anew")
    found = np.unique(numbers)
    if found.tolist() == [0]:
        raise LabelsError(f"{labels} holds no object; label it, or remove the pair")
    if found.tolist() in ([255], [0, 255]) or _is_mask_of_many(numbers, found):
        raise LabelsError(f"{labels} is a mask with one number for all, not one number per object; label its connected parts")
    return pixels.astype(np.uint8, copy=False), numbers


def _labels_of(image: Path) -> Path:
    candidates = [image.with_name(f"{image.stem}{LABEL_ENDING}{suffix}") for suffix in LABEL_SUFFIXES]
    for labels in candidates:
        if labels.exists():
            return labels
    raise LabelsError(f"{image} has no {candidates[0].name} or {candidates[1].name} beside it; add it or narrow the pattern")


def _is_mask_of_many(numbers: NDArray[np.int32], found: NDArray[np.int32]) -> bool:
    """Tell whether a single number marks two or more separate parts that are no specks."""
    if np.count_nonzero(found) != 1:
        return False
    parts, _ = ndimage.label(numbers, np.ones((3, 3)))
    return bool(np.count_nonzero(np.bincount(parts.ravel())[1:] >= SPECK_PX) > 1)


def _read_labels(path: Path) -> NDArray[np.generic]:
    """Read a label image; TIFF not with Pillow, which knows no unsigned 32 bits."""
    if path.suffix not in TIFF_SUFFIXES:
        return _read(path, None)
    try:
        numbers: NDArray[np.generic] = tifffile.imread(path)
    except (OSError, ValueError, zlib.error) as err:  # TiffFileError is a ValueError
        raise LabelsError(f"{path} cannot be read as an image ({err}); export it anew") from err
    return numbers


def _read(path: Path, mode: str | None) -> NDArray[np.uint8]:
    try:
        with Image.open(path) as file:
            array: NDArray[np.uint8] = np.asarray(file.convert(mode) if mode else file)
    except (OSError, UnidentifiedImageError, Image.DecompressionBombError) as err:
        raise LabelsError(f"{path} cannot be read as an image ({err}); export it anew") from err
    return array
