"""Images that QuPath makes of a file, as its projects describe them."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

OPENSLIDE = "qupath.lib.images.servers.openslide.OpenslideServerBuilder"
BIOFORMATS = "qupath.lib.images.servers.bioformats.BioFormatsServerBuilder"


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
