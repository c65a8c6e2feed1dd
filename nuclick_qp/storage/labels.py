"""Images with instance labels on disk: NAME.png|jpg|tif with NAME_label.png|tif beside it."""

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

from nuclick_qp.errors import LabelsError
from nuclick_qp.storage.damaged_images import DAMAGED, endless_parts
from nuclick_qp.storage.plain_files import is_folder, is_there, open_file

IMAGE_SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".tif", ".tiff"})
LABEL_ENDING = "_label"
TIFF_SUFFIXES = (".tif", ".tiff")
LABEL_SUFFIXES = (".png", *TIFF_SUFFIXES)  # the first that is there is taken
LARGEST_PX = 2**26  # of an image with labels, as 8192 x 8192: what is trained on is held in memory
LARGEST_NUMBER = 2**20  # tables of objects are as long as the largest label
LARGEST_WHOLE = 2**53  # from here on floating-point numbers skip whole ones
SPECK_PX = 10  # smaller parts of an object are slips of the annotation


def find_pairs(folder: Path, pattern: str = "*") -> list[tuple[Path, Path]]:
    """List images with their label images, by name.

    Raises
    ------
    LabelsError
        If no image matches, or one has no label image.
    """
    if not is_folder(folder):
        raise LabelsError(f"{folder} {'is no folder' if is_there(folder) else 'does not exist'}; give a folder of images with their labels")
    try:
        found = list(folder.glob(pattern))
    except (ValueError, NotImplementedError) as err:
        raise LabelsError(f"{pattern!r} is no pattern of file names ({err}); give one such as 'slide_7*'") from err
    images = [p for p in found if p.suffix.lower() in IMAGE_SUFFIXES and not p.stem.endswith(LABEL_ENDING)]
    if not images:
        raise LabelsError(f"{folder} holds no images that match {pattern!r}; give a folder of NAME.png with NAME{LABEL_ENDING}.png")
    return [(image, _labels_of(image)) for image in sorted(images)]


def read_pair(image: Path, labels: Path) -> tuple[NDArray[np.uint8], NDArray[np.int32]]:
    """Read an image and its labels.

    Returns
    -------
    pixels, numbers
        (H, W, 3) uint8 RGB; (H, W) int32, 0 background, one number per object, at least one object.
        Labels beyond `LARGEST_NUMBER` are replaced by small numbers in the same order.

    Raises
    ------
    LabelsError
        If a file cannot be read or has more than `LARGEST_PX`, the sizes differ, a label is negative or
        no whole number, there is no object, or the labels are a mask
        (0/255, or one number on several separate parts); the message names the file.
    """
    pixels = _read(image, "RGB")
    given = _read_labels(labels)
    if given.shape != pixels.shape[:2]:
        raise LabelsError(f"{labels} is {given.shape} but {image.name} is {pixels.shape[:2]} (rows, cols); export it anew")
    _refuse_no_labels(given, labels)
    found, numbers = _numbered(given)
    if found.tolist() == [0]:
        raise LabelsError(f"{labels} holds no object; label it, or remove the pair")
    if found.tolist() in ([255], [0, 255]) or _is_mask_of_many(numbers, found):
        raise LabelsError(f"{labels} is a mask with one number for all, not one number per object; label its connected parts")
    return pixels.astype(np.uint8, copy=False), numbers


def _labels_of(image: Path) -> Path:
    candidates = [image.with_name(f"{image.stem}{LABEL_ENDING}{suffix}") for suffix in LABEL_SUFFIXES]
    for labels in candidates:
        if is_there(labels):
            return labels
    raise LabelsError(f"{image} has no {candidates[0].name} or {candidates[1].name} beside it; add it or narrow the pattern")


def _refuse_no_labels(given: NDArray[Any], path: Path) -> None:
    """Refuse numbers that would have to be changed to become labels."""
    if given.dtype.kind not in "buif":
        raise LabelsError(f"{path} holds values of type {given.dtype}; write whole numbers, 0 for the background")
    is_float = given.dtype.kind == "f"
    is_whole = not is_float or bool(np.isfinite(given).all() and (given == np.trunc(given)).all() and given.max() < LARGEST_WHOLE)
    if not is_whole or given.min() < 0:
        raise LabelsError(f"{path} holds labels that are negative or no whole numbers; write 0 for the background and 1, 2, 3 for objects")


def _numbered(given: NDArray[Any]) -> tuple[NDArray[Any], NDArray[np.int32]]:
    """Give the labels that there are, and the image in numbers that need no table of that length."""
    found = np.unique(given)
    if found[-1] <= LARGEST_NUMBER:
        return found, given.astype(np.int32)
    first = 0 if found[0] == 0 else 1
    return found, (np.searchsorted(found, given) + first).astype(np.int32)


def _is_mask_of_many(numbers: NDArray[np.int32], found: NDArray[Any]) -> bool:
    """Tell whether a single number marks two or more separate parts that are no specks."""
    if np.count_nonzero(found) != 1:
        return False
    parts, _ = ndimage.label(numbers, np.ones((3, 3)))
    return bool(np.count_nonzero(np.bincount(parts.ravel())[1:] >= SPECK_PX) > 1)


def _read_labels(path: Path) -> NDArray[Any]:
    """Read a label image; TIFF not with Pillow, which knows no unsigned 32 bits."""
    if path.suffix not in TIFF_SUFFIXES:
        return _read(path, None)
    try:
        with open_file(path) as file, tifffile.TiffFile(file) as tiff:
            if (reason := endless_parts(tiff)) is not None:
                raise LabelsError(f"{path} holds {reason}; export it anew")
            series = tiff.series[0]
            _refuse_large(path, series.size)
            numbers: NDArray[Any] = series.asarray()
    except DAMAGED as err:
        raise _unreadable(path, err) from err
    return numbers


def _read(path: Path, mode: str | None) -> NDArray[np.uint8]:
    try:
        with warnings.catch_warnings(), open_file(path) as file:
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # our own limit is lower
            with Image.open(file) as image:
                _refuse_large(path, image.width * image.height)
                array: NDArray[np.uint8] = np.asarray(image.convert(mode) if mode else image)
    except DAMAGED as err:
        raise _unreadable(path, err) from err
    return array


def _refuse_large(path: Path, size: int) -> None:
    if size > LARGEST_PX:
        raise LabelsError(f"{path} has {size:,} px, and {LARGEST_PX:,} are the most that is read; cut it into smaller images")


def _unreadable(path: Path, err: Exception) -> LabelsError:
    reason = (err.strerror if isinstance(err, OSError) else None) or str(err) or type(err).__name__
    return LabelsError(f"{path} cannot be read as an image ({reason}); export it anew")
