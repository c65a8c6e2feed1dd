"""Small files that unfold to what no memory holds, and sizes that no image has."""

import gzip
import struct
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import tifffile

from attack.case import Case, Group
from attack.scenes import RUN, change_json, make_geojson, make_project, make_slide

SEGMENT = ("segment", "slide.png", "--prompts", "prompts.geojson", "-o", "out.geojson", "--mpp", "0.25", "--device", "cpu")
EXPORT = ("export", "project", "-o", "out", "--format")
SLIDE = ("segment", "big", "--prompts", "prompts.geojson", "-o", "out.geojson", "--mpp", "0.25", "--device", "cpu")


def _text(*parts: tuple[str, int], packed: bool = False) -> Callable[[Path], None]:
    """Write prompts that are texts, each so many times over."""

    def make(folder: Path) -> None:
        make_slide(folder)
        path = folder / "prompts.geojson"
        with gzip.open(path, "wb", compresslevel=6) if packed else path.open("wb") as file:
            for text, times in parts:
                for start in range(0, times, 4096):
                    file.write(text.encode() * min(4096, times - start))

    return make


def _png(width: int, height: int, mode: int = 2) -> Callable[[Path], None]:
    """Write a PNG of one colour."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    def make(folder: Path) -> None:
        channels, packer = {0: 1, 2: 3, 6: 4}[mode], zlib.compressobj(9)
        row = bytes(1 + width * channels)
        pixels = b"".join([packer.compress(row) for _ in range(height)]) + packer.flush()
        header = struct.pack(">IIBBBBB", width, height, 8, mode, 0, 0, 0)
        (folder / "big").write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b""))
        make_geojson(folder / "prompts.geojson")

    return make


def _strip(folder: Path) -> None:
    """Write a TIFF of one strip of 2.8 GB, packed."""
    tifffile.imwrite(folder / "big", np.zeros((30_000, 31_000, 3), np.uint8), photometric="rgb", rowsperstrip=30_000, compression="deflate")
    make_geojson(folder / "prompts.geojson")


def _pixel_size(value: float) -> Callable[[Path], None]:
    def make(folder: Path) -> None:
        def change(content: Any) -> None:
            calibration = content["images"][0]["serverBuilder"]["metadata"]["pixelCalibration"]
            for side in ("pixelWidth", "pixelHeight"):
                calibration[side]["value"] = value

        change_json(make_project(folder), change)

    return make


def _zeros(folder: Path) -> None:
    make_project(folder)
    path = folder / "project" / "data" / "1" / "data.qpdata"
    with path.open("wb") as file:
        file.truncate(2**33)


def _fixed() -> Iterator[Case]:
    begin = ('{"type":"FeatureCollection","features":[', 1)
    yield Case("a feature of empty objects", _text(begin, ('{"a":[', 1), ("{},", 2**27), packed=True), (SEGMENT,))
    yield Case("a feature of empty lists", _text(begin, ('{"a":[', 1), ("[],", 2**25), packed=True), (SEGMENT,))
    yield Case("a feature of numbers", _text(begin, ('{"a":[', 1), ("1,", 2**26), packed=True), (SEGMENT,))
    yield Case("a feature of one text", _text(begin, ('{"a":"', 1), ("é", 2**28), packed=True), (SEGMENT,))
    yield Case("members that are no features", _text(("{", 1), ('"a":0,', 2**26), packed=True), (SEGMENT,))
    start = '{"type":"Feature","geometry":{"type":"LineString","coordinates":['
    make = _text(begin, (start, 1), ("[1.5,2.5],[60.5,70.5],", 500_000), ('[1,1]]},"properties":{}}]}', 1))
    yield Case("a line of 10^6 places", make, (SEGMENT,))
    for width, height in ((60_000, 17_000), (32_000, 33_000), (2**20, 1000)):
        for mode in (0, 2, 6):
            yield Case(f"a PNG of {width} x {height}, mode {mode}", _png(width, height, mode), (SLIDE,))
    yield Case("a TIFF strip of 2.8 GB", _strip, (SLIDE,))
    for value in (1e-9, 5e-5, 0.001, 0.0099, 101.0, 1e4, 1e9, 1e300):
        yield Case(f"a pixel size of {value}", _pixel_size(value), (RUN, (*EXPORT, "labels", "--mpp", "0.25")), is_quick=value == 5e-5)
    yield Case("8 GB of zeros as data file", _zeros, (RUN, ("restore", "project"), (*EXPORT, "table")))


GROUP = Group("21 memory", _fixed)
