"""Draw the first picture of the README: nuclei in H&E beside the immunohistochemistry image of the demo.

The H&E image is not part of this repository; `front_prompts.json` says where it comes from, and holds
the clicks, which were set by eye. Everything goes through `nuclick-qp segment`, as a user would call it.
"""

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import shapely
import skimage.data
import skimage.io
from PIL import Image, ImageDraw

HERE = Path(__file__).parent
PANEL_PX, GAP_PX = 640, 8
SUPERSAMPLING = 3  # lines are drawn larger and scaled down, which smooths them
BAR_UM = 20
IHC_MPP = 0.5  # see ihc_project.py
IHC_CROP = (192, 168, 330)  # left, top, side
HE_MPP = 0.2271
Colour = tuple[int, int, int]
COLOURS: dict[str, Colour] = {"Nucleus": (255, 225, 60), "Epithelium": (255, 210, 0), "Stroma": (0, 200, 255), "Gland": (48, 224, 96)}
MISSED: Colour = (230, 0, 60)
Feature = dict[str, Any]


def main() -> None:
    """Segment both images and put their pictures side by side."""
    if len(sys.argv) != 3:
        sys.exit("usage: python examples/front.py OS-1-detail.ome.tif PICTURE.png")
    front = json.loads((HERE / "front_prompts.json").read_text())
    with tempfile.TemporaryDirectory() as folder:
        ihc = Path(folder) / "ihc.png"
        Image.fromarray(skimage.data.immunohistochemistry()).save(ihc)
        left = draw_panel(Path(sys.argv[1]), points("Nucleus", front["clicks"]), front["crop"], mpp=HE_MPP)
        right = draw_panel(ihc, ihc_prompts(), IHC_CROP, mpp=IHC_MPP)
    picture = Image.new("RGB", (2 * PANEL_PX + GAP_PX, PANEL_PX), "white")
    picture.paste(left, (0, 0))
    picture.paste(right, (PANEL_PX + GAP_PX, 0))
    picture.save(sys.argv[2], optimize=True)


def points(class_name: str, places: Iterable[Sequence[float]]) -> list[Feature]:
    """Give one GeoJSON point for each (x, y)."""
    return [_feature("Point", xy, class_name) for xy in places]


def ihc_prompts() -> list[Feature]:
    """Give the prompts of the demo that are meant well; strokes of one name are one gland."""
    places = json.loads((HERE / "ihc_prompts.json").read_text())
    nuclei = points("Epithelium", places["epithelium"] + places["epithelium_multi_point"]) + points("Stroma", places["stroma"])
    glands = [_feature("LineString", stroke, "Gland", name=name) for name, strokes in places["glands"].items() for stroke in strokes]
    return nuclei + glands


def segment(image: Path, prompts: list[Feature], *, mpp: float) -> list[Feature]:
    """Run `nuclick-qp segment` and give its outlines; exit code 1 only says that some prompts got none."""
    with tempfile.TemporaryDirectory() as folder:
        prompts_file, outlines_file = Path(folder) / "prompts.geojson", Path(folder) / "outlines.geojson"
        prompts_file.write_text(json.dumps({"type": "FeatureCollection", "features": prompts}))
        program = str(Path(sys.executable).with_name("nuclick-qp"))
        command = [program, "segment", str(image), "--prompts", str(prompts_file), "-o", str(outlines_file), "--mpp", str(mpp)]
        if subprocess.run(command, check=False).returncode not in (0, 1):
            sys.exit(f"{image} could not be segmented")
        outlines: list[Feature] = json.loads(outlines_file.read_text())["features"]
    return outlines


def draw_panel(image: Path, prompts: list[Feature], crop: Sequence[int], *, mpp: float) -> Image.Image:
    """Draw prompts, outlines and a scale bar over a square part of an image."""
    left, top, side = crop
    zoom = PANEL_PX * SUPERSAMPLING / side
    part = Image.fromarray(skimage.io.imread(image)[top : top + side, left : left + side, :3])
    panel = part.resize((PANEL_PX * SUPERSAMPLING,) * 2, Image.Resampling.LANCZOS)
    canvas = ImageDraw.Draw(panel)

    def place(ring: Iterable[Sequence[float]]) -> list[tuple[float, float]]:
        return [((x - left) * zoom, (y - top) * zoom) for x, y in ring]

    outlines = segment(image, prompts, mpp=mpp)
    for feature in outlines:
        for polygon in shapely.get_parts(_shape(feature)):
            for ring in (polygon.exterior, *polygon.interiors):
                _draw_line(canvas, place(ring.coords), _colour(feature), width=2)
    for feature in prompts:
        line = place(_shape(feature).coords)
        if len(line) > 1:
            _draw_line(canvas, line, _colour(feature), width=3)
        elif any(_class_of(outline) == _class_of(feature) and _shape(outline).covers(_shape(feature)) for outline in outlines):
            _draw_dot(canvas, line[0], _colour(feature))
        else:
            _draw_cross(canvas, line[0])
    _draw_bar(canvas, BAR_UM / mpp * zoom)
    return panel.resize((PANEL_PX, PANEL_PX), Image.Resampling.LANCZOS)


def _feature(kind: str, coordinates: Sequence[Any], class_name: str, *, name: str = "") -> Feature:
    geometry = {"type": kind, "coordinates": coordinates}
    properties = {"objectType": "annotation", "classification": {"name": class_name}, "name": name}
    return {"type": "Feature", "geometry": geometry, "properties": properties}


def _shape(feature: Feature) -> Any:
    return shapely.geometry.shape(feature["geometry"])


def _class_of(feature: Feature) -> str:
    return str(feature["properties"]["classification"]["name"])


def _colour(feature: Feature) -> Colour:
    return COLOURS[_class_of(feature)]


def _draw_line(canvas: ImageDraw.ImageDraw, line: list[tuple[float, float]], colour: Colour, *, width: int) -> None:
    canvas.line(line, fill=colour, width=width * SUPERSAMPLING, joint="curve")


def _draw_dot(canvas: ImageDraw.ImageDraw, centre: tuple[float, float], colour: Colour) -> None:
    x, y = centre
    r = 2.5 * SUPERSAMPLING
    canvas.ellipse((x - r, y - r, x + r, y + r), fill=colour, outline=(0, 0, 0), width=SUPERSAMPLING)


def _draw_cross(canvas: ImageDraw.ImageDraw, centre: tuple[float, float]) -> None:
    x, y = centre
    r = 5 * SUPERSAMPLING
    for sign in (1, -1):
        _draw_line(canvas, [(x - r, y - sign * r), (x + r, y + sign * r)], MISSED, width=2)


def _draw_bar(canvas: ImageDraw.ImageDraw, length: float) -> None:
    right, bottom = (PANEL_PX - 16) * SUPERSAMPLING, (PANEL_PX - 16) * SUPERSAMPLING
    canvas.rectangle(
        (right - length, bottom - 5 * SUPERSAMPLING, right, bottom), fill=(255, 255, 255), outline=(0, 0, 0), width=SUPERSAMPLING
    )


if __name__ == "__main__":
    main()
