"""Files that take much longer to work through than their length tells."""

import gzip
import struct
from collections.abc import Callable, Iterator
from pathlib import Path

from attack.case import Case, Group
from attack.scenes import drawn, make_geojson, make_slide
from written_slides import write_strips

SEGMENT = ("segment", "slide.png", "--prompts", "prompts.xml", "-o", "out.xml", "--mpp", "0.25", "--device", "cpu")
PACKED = ("segment", "slide.png", "--prompts", "prompts.geojson", "-o", "out.geojson", "--mpp", "0.25", "--device", "cpu")
SLIDE = ("segment", "slide.tif", "--prompts", "prompts.geojson", "-o", "out.geojson", "--mpp", "0.25", "--device", "cpu")
CHAIN = 100_000


def _groups(folder: Path) -> None:
    """Write a chain of groups, each in the next, with a dot in each 2000th."""
    make_slide(folder)
    groups = "".join(f'<Group Name="nuclick:g{n}" PartOfGroup="nuclick:g{n + 1}"/>' for n in range(CHAIN))
    dots = "".join(
        f'<Annotation Name="a{n}" Type="Dot" PartOfGroup="nuclick:g{n}">'
        f'<Coordinates><Coordinate Order="0" X="60" Y="{60 + n % 10}"/></Coordinates></Annotation>'
        for n in range(0, CHAIN, 2000)
    )
    (folder / "prompts.xml").write_text(
        f"<ASAP_Annotations><Annotations>{dots}</Annotations><AnnotationGroups>{groups}</AnnotationGroups></ASAP_Annotations>"
    )


def _empty_features(folder: Path) -> None:
    make_slide(folder)
    with gzip.open(folder / "prompts.geojson", "wb") as file:
        file.write(b'{"type":"FeatureCollection","features":[')
        for _ in range(1000):
            file.write(b'{"type":"Feature"},' * 50_000)


def _pages(*, sub: bool) -> Callable[[Path], None]:
    """Write a TIFF whose page has 10^5 SubIFDs that are the page itself, or whose pages go round."""

    def make(folder: Path) -> None:
        path = folder / "slide.tif"
        write_strips(path, drawn())
        data = bytearray(path.read_bytes())
        (at,) = struct.unpack_from("<I", data, 4)
        (count,) = struct.unpack_from("<H", data, at)
        entries = bytes(data[at + 2 : at + 2 + 12 * count])
        place = len(data)
        data += struct.pack("<I", len(data) + 4 * CHAIN) * CHAIN if sub else b""
        page = len(data)
        added = struct.pack("<HHII", 330, 4, CHAIN, place) if sub else b""
        tags = sorted([entries[i : i + 12] for i in range(0, len(entries), 12)] + ([added] if added else []), key=lambda e: e[:2][::-1])
        data += struct.pack("<H", len(tags)) + b"".join(tags) + struct.pack("<I", 0 if sub else page)
        struct.pack_into("<I", data, 4, page)
        path.write_bytes(data)
        make_geojson(folder / "prompts.geojson")

    return make


def _fixed() -> Iterator[Case]:
    yield Case("a chain of 10^5 groups", _groups, (SEGMENT,))
    yield Case("5*10^7 empty features, packed", _empty_features, (PACKED,))
    yield Case("10^5 SubIFDs that are the page itself", _pages(sub=True), (SLIDE,))
    yield Case("a page that follows itself", _pages(sub=False), (SLIDE,))


GROUP = Group("22 time", _fixed)
