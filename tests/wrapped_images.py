"""Images that QuPath makes of a file, as its projects describe them."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any


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
