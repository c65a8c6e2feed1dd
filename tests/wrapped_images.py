"""Images that QuPath makes of a file, as its projects describe them, and the pixels that it shows of them."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

OPENSLIDE = "qupath.lib.images.servers.openslide.OpenslideServerBuilder"
BIOFORMATS = "qupath.lib.images.servers.bioformats.BioFormatsServerBuilder"
Array = NDArray[np.uint8]
WIDTH, HEIGHT = 90, 70
PLAIN = {"builderType": "uri", "uri": "file:/s/a.png"}
PIXELS = np.random.default_rng(3).integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8)


def rotated(builder: dict[str, Any], constant: str) -> dict[str, Any]:
    """Wrap a builder as QuPath's rotation does."""
    return {"builderType": "rotated", "builder": builder, "rotation": constant}


def flipped(builder: dict[str, Any], constant: str) -> dict[str, Any]:
    """Wrap a builder as QuPath's flip does."""
    return {"builderType": "flipped", "builder": builder, "flip": constant}


def cropped(builder: dict[str, Any], x: int, y: int, width: int, height: int) -> dict[str, Any]:
    """Wrap a builder as QuPath's crop does."""
    return {"builderType": "cropped", "builder": builder, "region": {"x": x, "y": y, "width": width, "height": height, "z": 0, "t": 0}}


def wrap_image(project: Path, wrap: Callable[[dict[str, Any]], dict[str, Any]], **metadata: int) -> None:
    """Wrap the server of the first image of a project, as if it had been imported so."""
    content = json.loads(project.read_text("utf-8"))
    image = content["images"][0]
    inner = image["serverBuilder"]
    image["serverBuilder"] = wrap(inner) | {"metadata": inner["metadata"] | metadata}
    project.write_text(json.dumps(content), "utf-8")


def serve_with(project: Path, provider: str, *args: str, image: int = 0, **metadata: int) -> None:
    """Let an image of a project be read by another of QuPath's servers, with arguments, and perhaps state another size."""
    content = json.loads(project.read_text("utf-8"))
    builder = content["images"][image]["serverBuilder"]
    builder |= {"providerClassName": provider, "args": args, "metadata": builder["metadata"] | metadata}
    project.write_text(json.dumps(content), "utf-8")


# What QuPath's servers do to pixels, by what they say they do: "rotate 90 degrees clockwise" and so on.
ONES: list[tuple[Callable[[dict[str, Any]], dict[str, Any]], Callable[[Array], Array]]] = [
    (lambda b: rotated(b, "ROTATE_NONE"), lambda a: a),
    (lambda b: rotated(b, "ROTATE_90"), lambda a: np.rot90(a, -1)),
    (lambda b: rotated(b, "ROTATE_180"), lambda a: np.rot90(a, 2)),
    (lambda b: rotated(b, "ROTATE_270"), lambda a: np.rot90(a, 1)),
    (lambda b: flipped(b, "HORIZONTAL"), lambda a: a[:, ::-1]),
    (lambda b: flipped(b, "VERTICAL"), lambda a: a[::-1]),
    (lambda b: flipped(b, "BOTH"), lambda a: a[::-1, ::-1]),
    (lambda b: cropped(b, 7, 3, 50, 60), lambda a: a[3:63, 7:57]),
    (lambda b: {"builderType": "pyramidize", "builder": b}, lambda a: a),
]
AGAIN = [*ONES[:7], (lambda b: cropped(b, 5, 2, 20, 30), lambda a: a[2:32, 5:25]), *ONES[8:]]  # a part of a part
