"""Draw the prompts and outlines of a QuPath project over its first image, as a PNG."""

import json
import sys
from pathlib import Path

import shapely
from PIL import Image, ImageDraw

from nuclick_qp.annotations.objects import PROMPT_KEY
from nuclick_qp.geometry import Window
from nuclick_qp.prompts import Prompt
from nuclick_qp.qupath.locate import SlidePlaces, find_slide
from nuclick_qp.qupath.open_project import open_project
from nuclick_qp.qupath.qpdata.data_file import DataFile, parse_data_file
from nuclick_qp.slides import open_slide

Colour = tuple[int, int, int]
UNCLASSIFIED: Colour = (255, 255, 255)
MISSED: Colour = (230, 0, 60)


def draw_overlay(project_file: Path, output: Path, *, zoom: int = 3) -> None:
    """Draw outlines and prompts in class colours; prompts without an outline become red crosses.

    Parameters
    ----------
    zoom
        Pixels of the picture for each pixel of the image.
    """
    with open_project(project_file) as project:
        entry = project.images()[0]
        content = project.read(entry)
        slide_path = find_slide(entry, SlidePlaces(project.path, project.stored_uri))
    data_path = project_file.parent / "data" / entry.entry_id / "data.qpdata"
    colours = read_colours(project_file.parent / "classifiers" / "classes.json")
    with open_slide(slide_path) as slide:
        pixels = slide.read(Window(0, 0, slide.width * zoom, slide.height * zoom, 1 / zoom))
    picture = Image.fromarray(pixels)
    canvas = ImageDraw.Draw(picture)
    _draw_outlines(canvas, parse_data_file(data_path.read_bytes(), source=data_path), colours, zoom)
    done = {result.key for result in content.results}
    for prompt in content.prompts:
        _draw_prompt(canvas, prompt, colours.get(prompt.class_name or "", UNCLASSIFIED), zoom, found=prompt.key in done)
    picture.save(output, optimize=True)


def read_colours(path: Path) -> dict[str, Colour]:
    """Read the class colours of a project as (R, G, B); QuPath packs them as signed ARGB."""
    classes = json.loads(path.read_text())["pathClasses"]
    return {c["name"]: ((c["color"] >> 16) & 255, (c["color"] >> 8) & 255, c["color"] & 255) for c in classes}


def _draw_outlines(canvas: ImageDraw.ImageDraw, data: DataFile, colours: dict[str, Colour], zoom: int) -> None:
    for item in data.objects:
        if PROMPT_KEY in dict(item.metadata) and item.roi is not None:
            shape = item.roi.shape or shapely.Polygon(item.roi.points)
            colour = colours.get(item.class_name or "", UNCLASSIFIED)
            for part in shapely.get_parts(shape):
                for ring in (part.exterior, *part.interiors):
                    canvas.line([(x * zoom, y * zoom) for x, y in ring.coords], fill=colour, width=2, joint="curve")


def _draw_prompt(canvas: ImageDraw.ImageDraw, prompt: Prompt, colour: Colour, zoom: int, *, found: bool) -> None:
    for stroke in prompt.strokes if prompt.kind == "line" else ():
        canvas.line([(x * zoom, y * zoom) for x, y in stroke], fill=colour, width=3, joint="curve")
    x, y = (value * zoom for value in prompt.anchor)
    if prompt.kind == "point" and found:
        canvas.ellipse((x - 2, y - 2, x + 2, y + 2), fill=colour, outline=(0, 0, 0))
    elif prompt.kind == "point":
        canvas.line((x - 6, y - 6, x + 6, y + 6), fill=MISSED, width=3)
        canvas.line((x - 6, y + 6, x + 6, y - 6), fill=MISSED, width=3)


if __name__ == "__main__":
    if len(sys.argv) not in (3, 4):
        sys.exit("usage: python examples/overlay.py PROJECT.qpproj PICTURE.png [ZOOM]")
    draw_overlay(Path(sys.argv[1]), Path(sys.argv[2]), zoom=int(sys.argv[3]) if len(sys.argv) == 4 else 3)
