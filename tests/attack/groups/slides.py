"""Damaged slides, and slides that ask for more than there is."""

import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray

from attack.case import Case, Command, Ended, Group
from attack.mutations import mutated_bytes
from attack.scenes import RUN, change_json, drawn, make_geojson, make_project
from mrxs_files import Scan, write_mrxs
from written_slides import halved, write_generic, write_ome, write_ome_planes, write_planar, write_strips, write_with_pillow

Spoil = Callable[[bytes], bytes]
APERIO = "Aperio Image Library v1\n200x150 [0,0 200x150] (64x64) JPEG|AppMag = 20|MPP = 0.4990"
TAGS = {"width": 256, "height": 257, "tile width": 322, "tile length": 323, "rows per strip": 278, "samples": 277}


def write_svs(path: Path, pixels: NDArray[np.uint8]) -> None:
    """Write an Aperio slide: two levels with a thumbnail between."""
    with tifffile.TiffWriter(path) as file:
        file.write(pixels, tile=(64, 64), photometric="rgb", description=APERIO, metadata=None)
        file.write(halved(pixels, 2), photometric="rgb", description=APERIO, metadata=None)
        file.write(halved(pixels), tile=(64, 64), photometric="rgb", description=APERIO, metadata=None)


WRITERS: dict[str, Callable[[Path, NDArray[np.uint8]], None]] = {
    "slide.svs": write_svs,
    "generic.tif": write_generic,
    "slide.ome.tif": write_ome,
    "planes.ome.tif": write_ome_planes,
    "planar.tif": write_planar,
    "strips.tif": write_strips,
    "slide.png": write_with_pillow,
    "slide.jpg": write_with_pillow,
    "slide.bmp": write_with_pillow,
}
MRXS = ("slide.mrxs", "slide/Slidedat.ini", "slide/Index.dat", "slide/Data0000.dat")


def with_tag(data: bytes, tag: int, value: int) -> bytes:
    """Set a tag of one number in every page of a little-endian TIFF."""
    out = bytearray(data)
    (at,) = struct.unpack_from("<I", out, 4)
    while at:
        (count,) = struct.unpack_from("<H", out, at)
        for entry in range(at + 2, at + 2 + 12 * count, 12):
            if struct.unpack_from("<H", out, entry)[0] == tag:
                struct.pack_into("<HII", out, entry + 2, 4, 1, value)
        (at,) = struct.unpack_from("<I", out, at + 2 + 12 * count)
    return bytes(out)


def _tagged(tag: int, value: int) -> Spoil:
    return lambda data: with_tag(data, tag, value)


def _segment(name: str) -> Command:
    return ("segment", name, "--prompts", "prompts.geojson", "-o", "out.geojson", "--mpp", "0.25", "--device", "cpu")


def _spoiled(name: str, spoil: Spoil) -> Callable[[Path], None]:
    def make(folder: Path) -> None:
        if name in MRXS:
            write_mrxs(folder / "slide.mrxs", Scan(np.tile(drawn()[:100, :200], (2, 1, 1)), 100, 100))
        else:
            WRITERS[name](folder / name, drawn())
        (folder / name).write_bytes(spoil((folder / name).read_bytes()))
        make_geojson(folder / "prompts.geojson")

    return make


def _between_good_ones(name: str, spoil: Spoil) -> Callable[[Path], None]:
    """Make a project of three images, of which the second is spoiled."""

    def make(folder: Path) -> None:
        _spoiled(name, spoil)(folder)

        def change(content: Any) -> None:
            content["images"][1]["serverBuilder"]["uri"] = (folder / name).as_uri()

        change_json(make_project(folder, images=3), change)

    return make


def _others_done(folder: Path, runs: list[Ended]) -> str | None:
    """Insist that the good images beside a bad one are done."""
    done = runs[-1].out.count(": 2 ok")
    return None if done >= 2 else f"{done} of two good images were done"


def _fixed() -> Iterator[Case]:
    for name in ("slide.svs", "generic.tif", "slide.ome.tif", "strips.tif"):
        for what, tag in TAGS.items():
            for value in (0, 2**20, 2**31 - 1):
                yield Case(f"{name} with {what} {value}", _spoiled(name, _tagged(tag, value)), (_segment(name),))
    for side in (322, 323):
        make = _between_good_ones("slide.svs", _tagged(side, 2**31 - 1))
        yield Case(f"tag {side} of an SVS between good images is 2^31 - 1", make, (RUN,), check=_others_done, is_quick=True)


def _mutated(rng: Random) -> Case:
    name = rng.choice([*WRITERS, *MRXS])
    seed = rng.randrange(2**32)
    command = _segment("slide.mrxs" if name in MRXS else name)
    return Case(f"{name} mutated {seed}", _spoiled(name, lambda data: mutated_bytes(data, Random(seed))), (command,))


GROUP = Group("19 slides", _fixed, _mutated)
