"""Good projects, images, files of prompts and of training, for cases to spoil."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from skimage.draw import disk

from nuclick_qp.qupath.folder.create import NewImage, create_project
from nuclick_qp.qupath.qpdata.new_objects import NewAnnotation

DISCS = ((60.0, 60.0, 12.0), (140.0, 90.0, 12.0))
WIDTH, HEIGHT = 200, 150
POINTS = NewAnnotation("Points", tuple((x, y) for x, y, _ in DISCS), class_name="Tumor")
TRAINING = """
name = "discs"
prompt = "point"
description = "drawn discs"
licence = "GPL-3.0-or-later"
patch_px = 32
width = 0.07
steps = 1
batch_size = 2

[[sources]]
folder = "images"
mpp = 0.25
validation = ["two*"]
"""
RUN = ("run", "project", "--device", "cpu")


def drawn() -> NDArray[np.uint8]:
    """Draw two dark discs on light ground."""
    pixels = np.full((HEIGHT, WIDTH, 3), 230, np.uint8)
    for x, y, radius in DISCS:
        pixels[disk((y, x), radius, shape=pixels.shape[:2])] = (90, 60, 130)
    return pixels


def make_slide(folder: Path, name: str = "slide.png") -> Path:
    """Save the picture of the discs."""
    path = folder / name
    Image.fromarray(drawn()).save(path)
    return path


def make_project(folder: Path, *, images: int = 1, slide: Path | None = None) -> Path:
    """Make `project/`, with points on the discs of `slide.png` beside it, and give the project file."""
    slide = slide or make_slide(folder)
    new = [NewImage(slide, f"slide {number}.png", WIDTH, HEIGHT, 0.25, (POINTS,)) for number in range(images)]
    return create_project(folder / "project", new)


def change_json(path: Path, change: Callable[[Any], None]) -> None:
    """Read a JSON file, let a function change what it holds, and write it."""
    content = json.loads(path.read_text("utf-8"))
    change(content)
    path.write_text(json.dumps(content), "utf-8")


def name_slide(folder: Path, uri: str) -> None:
    """Let all images of the project say that they are at a place."""

    def change(content: Any) -> None:
        for image in content["images"]:
            image["serverBuilder"]["uri"] = uri

    change_json(folder / "project" / "project.qpproj", change)


def make_geojson(path: Path) -> None:
    """Write points on the discs as QuPath exports them."""
    geometry = {"type": "MultiPoint", "coordinates": [[x, y] for x, y, _ in DISCS]}
    properties = {"objectType": "annotation", "classification": {"name": "Tumor"}}
    feature = {"type": "Feature", "id": "1", "geometry": geometry, "properties": properties}
    path.write_text(json.dumps({"type": "FeatureCollection", "features": [feature]}))


def make_asap(path: Path) -> None:
    """Write points on the discs as ASAP saves them."""
    dots = "".join(
        f'<Annotation Name="Annotation {n}" Type="Dot" PartOfGroup="Tumor" Color="#F4FA58"><Coordinates>'
        f'<Coordinate Order="0" X="{x}" Y="{y}"/></Coordinates></Annotation>'
        for n, (x, y, _) in enumerate(DISCS)
    )
    groups = '<Group Name="Tumor" PartOfGroup="None" Color="#64FE2E"><Attributes/></Group>'
    path.write_text(
        f'<?xml version="1.0"?><ASAP_Annotations><Annotations>{dots}</Annotations>'
        f"<AnnotationGroups>{groups}</AnnotationGroups></ASAP_Annotations>"
    )


def drawn_labels() -> NDArray[np.uint8]:
    """Give the discs as labels, 1 and 2."""
    numbers = np.zeros((HEIGHT, WIDTH), np.uint8)
    for number, (x, y, radius) in enumerate(DISCS, start=1):
        numbers[disk((y, x), radius, shape=numbers.shape)] = number
    return numbers


def make_training(folder: Path) -> None:
    """Make `training.toml`, for one step of a tiny network, and two images with labels."""
    (folder / "training.toml").write_text(TRAINING)
    (folder / "images").mkdir()
    for name in ("one", "two"):
        Image.fromarray(drawn()).save(folder / "images" / f"{name}.png")
        Image.fromarray(drawn_labels()).save(folder / "images" / f"{name}_label.png")
