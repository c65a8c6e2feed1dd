"""Slides of every kind that we can write ourselves."""

from pathlib import Path

import numpy as np
import tifffile
from numpy.typing import NDArray
from PIL import Image


def halved(pixels: NDArray[np.uint8], times: int = 1) -> NDArray[np.uint8]:
    """Average 2 x 2 pixels; an odd last row or column is lost, as in most scanners' files."""
    for _ in range(times):
        h, w = pixels.shape[0] // 2 * 2, pixels.shape[1] // 2 * 2
        quads = pixels[:h, :w].reshape(h // 2, 2, w // 2, 2, -1).astype(np.float64)
        pixels = np.round(quads.mean(axis=(1, 3))).astype(np.uint8)
    return pixels


def write_generic(path: Path, pixels: NDArray[np.uint8]) -> None:
    """Write a tiled pyramidal TIFF with three levels, for OpenSlide."""
    with tifffile.TiffWriter(path) as file:
        for i in range(3):
            file.write(halved(pixels, i), tile=(64, 64), photometric="rgb", subfiletype=min(i, 1), metadata=None)


def write_ome(path: Path, pixels: NDArray[np.uint8]) -> None:
    """Write an OME-TIFF with its pyramid in SubIFDs."""
    with tifffile.TiffWriter(path, ome=True) as file:
        metadata = {"axes": "YXS", "PhysicalSizeX": 0.25, "PhysicalSizeY": 0.27}
        file.write(pixels, tile=(64, 64), photometric="rgb", subifds=2, compression="deflate", metadata=metadata)
        for i in (1, 2):
            file.write(halved(pixels, i), tile=(64, 64), photometric="rgb", subfiletype=1, compression="deflate")


def write_ome_planes(path: Path, pixels: NDArray[np.uint8]) -> None:
    """Write an OME-TIFF with one page per channel."""
    tifffile.imwrite(path, np.moveaxis(pixels, -1, 0), ome=True, photometric="minisblack", tile=(64, 64), metadata={"axes": "CYX"})


def write_planar(path: Path, pixels: NDArray[np.uint8]) -> None:
    """Write a TIFF in strips, with one set of strips per channel."""
    tifffile.imwrite(path, np.moveaxis(pixels, -1, 0), photometric="rgb", planarconfig="separate", rowsperstrip=50, metadata=None)


def write_strips(path: Path, pixels: NDArray[np.uint8]) -> None:
    """Write a plain TIFF in compressed strips."""
    tifffile.imwrite(path, pixels, photometric="rgb", rowsperstrip=37, compression="lzw", metadata=None)


def write_with_pillow(path: Path, pixels: NDArray[np.uint8]) -> None:
    """Write what the suffix says."""
    Image.fromarray(pixels).save(path)
