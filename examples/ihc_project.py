"""Make a real QuPath project from the immunohistochemistry image that scikit-image ships.

The image (512 x 512, colon, haematoxylin and DAB) comes from scikit-image, no download needed. The
prompts in `ihc_prompts.json` were set by eye, before any network saw the image:

- `epithelium`, `stroma`: one point in each of 182 nuclei, single-point annotations of two classes;
- `epithelium_multi_point`: 23 nuclei of one gland, as one annotation with many points;
- `background`, `outside`: bad prompts on purpose, in empty places and beside the image;
- `glands`: one squiggle in each of four glands, one of them with two strokes of the same name.
"""

import json
import sys
from pathlib import Path

import skimage.data
from PIL import Image

from nuclick_qp.prompts import XY
from nuclick_qp.qupath.folder.create import NewImage, create_project
from nuclick_qp.qupath.qpdata.new_objects import NewAnnotation

# The image states no pixel size. Its lymphocytes and stromal nuclei are 12 to 14 px long where 6 to
# 7 um are usual: it looks like a scan at 20x.
MPP = 0.5
PROMPTS = Path(__file__).with_name("ihc_prompts.json")
EPITHELIUM, STROMA, GLAND, BAD = "Epithelium", "Stroma", "Gland", "Bad prompt"
COLOURS = {EPITHELIUM: 0xFFFFD200, STROMA: 0xFF00C8FF, GLAND: 0xFF30E060, BAD: 0xFFFF30C0}  # ARGB, as QuPath packs them


def make_ihc_project(folder: Path) -> Path:
    """Write image and project into a new folder, and give the `project.qpproj`."""
    folder.mkdir(parents=True)
    pixels = skimage.data.immunohistochemistry()
    slide = folder / "ihc-colon.png"
    Image.fromarray(pixels).save(slide)
    height, width = pixels.shape[:2]
    image = NewImage(slide, slide.name, width, height, MPP, read_annotations(PROMPTS), image_type="BRIGHTFIELD_H_DAB")
    signed = {name: argb - (1 << 32) for name, argb in COLOURS.items()}  # Java's integers have a sign
    return create_project(folder, [image], colours=signed)


def read_annotations(path: Path) -> tuple[NewAnnotation, ...]:
    """Read the prompts of the example as annotations."""
    places = json.loads(path.read_text())
    singles = [(EPITHELIUM, xy) for xy in places["epithelium"]] + [(STROMA, xy) for xy in places["stroma"]]
    singles += [(BAD, xy) for xy in places["background"] + places["outside"]]
    annotations = [NewAnnotation("Points", _pairs([xy]), class_name=name) for name, xy in singles]
    annotations.append(
        NewAnnotation("Points", _pairs(places["epithelium_multi_point"]), name="nuclei of gland 4", class_name=EPITHELIUM)
    )
    for name, strokes in places["glands"].items():
        annotations += [NewAnnotation("Polyline", _pairs(stroke), name=name, class_name=GLAND) for stroke in strokes]
    return tuple(annotations)


def _pairs(points: list[list[float]]) -> tuple[XY, ...]:
    return tuple((x, y) for x, y in points)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python examples/ihc_project.py NEW_FOLDER")
    print(make_ihc_project(Path(sys.argv[1])))
