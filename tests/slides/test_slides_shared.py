"""Real slides; NUCLICK_SHARED names the folder that holds data/slides."""

import os
from pathlib import Path

import numpy as np
import openslide
import pytest
import tifffile

from nuclick_qp.errors import UnreadableSlideError
from nuclick_qp.geometry import Window
from nuclick_qp.slides import open_slide

FOLDER = Path(os.environ.get("NUCLICK_SHARED", "")) / "data" / "slides"

pytestmark = [
    pytest.mark.shared,
    pytest.mark.skipif(not os.environ.get("NUCLICK_SHARED"), reason="set NUCLICK_SHARED to a folder with data/slides"),
]

FACTS = {
    "CMU-1-Small-Region.svs": (2220, 2967, 0.499, (1.0,)),
    "OS-1-detail.ome.tif": (1101, 1101, 0.2271, (1.0,)),
    "OS-2-ndpi.ome.tif": (2202, 2202, 0.2271, (1.0,)),
    "OS-2-vsi.ome.tif": (1445, 1445, 0.34605, (1.0,)),
    "boxes.tiff": (300, 250, None, (1.0, 2.0, 4.0, 8.0)),
    "boxes_0.dcm": (16, 16, 0.499, (1.0,)),
    "qupath-cells.ome.tif": (93, 131, 0.25, (1.0,)),
    "small.svs": (16, 16, 0.499, (1.0,)),
    "tcga-cr-7395-01a-01-ts1.svs": (4443, 3567, None, (1.0, 2.0)),
    "test3-TRITC-2-560.ndpi": (3968, 4864, 0.228175, (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0)),
}


@pytest.mark.parametrize("name", FACTS)
def test_facts_of_real_slides(name: str) -> None:
    """Size, pixel size and levels as other programs report them."""
    width, height, mpp, levels = FACTS[name]

    with open_slide(FOLDER / name) as slide:
        assert (slide.width, slide.height) == (width, height)
        assert slide.mpp == (None if mpp is None else pytest.approx(mpp, rel=1e-4))
        assert slide.levels == levels


@pytest.mark.parametrize("scale", [0.5, 1.0, 1.7, 2.0, 4.1])
@pytest.mark.parametrize("name", FACTS)
def test_part_equals_whole_on_real_slides(name: str, scale: float) -> None:
    """The law of `Slide.read`, also where level sizes were rounded and pixels come from JPEG 2000."""
    with open_slide(FOLDER / name) as slide:
        window = Window(slide.width / 3 + 0.25, -33.5, 300, 260, scale)

        np.testing.assert_array_equal(slide.read(window.part(37, 101, 200, 128)), slide.read(window)[101:229, 37:237])


def test_svs_pixels_are_openslides() -> None:
    """Scale 1 is what OpenSlide gives at the same place."""
    path = FOLDER / "CMU-1-Small-Region.svs"
    with openslide.OpenSlide(path) as handle:
        expected = np.asarray(handle.read_region((700, 900), 0, (300, 200)).convert("RGB"))

    with open_slide(path) as slide:
        np.testing.assert_array_equal(slide.read(Window(700, 900, 300, 200)), expected)


def test_ome_pixels_are_tifffiles() -> None:
    """Scale 1 is what tifffile decodes at the same place."""
    path = FOLDER / "OS-2-ndpi.ome.tif"

    with open_slide(path) as slide:
        np.testing.assert_array_equal(slide.read(Window(700, 900, 300, 200)), tifffile.imread(path)[900:1100, 700:1000])


@pytest.mark.parametrize("name", ["unreadable.svs", "unopenable.tiff"])
def test_broken_slides_are_refused(name: str) -> None:
    """Unknown compression, and tiles that are no JPEG, show on opening."""
    with pytest.raises(UnreadableSlideError, match=name):
        open_slide(FOLDER / name)
