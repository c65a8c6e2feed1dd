"""What a client of the service sends."""

import base64
import io
import json
import urllib.request
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from nuclick_qp.serve.announcement import Announcement
from nuclick_qp.serve.schema import SegmentRequest


def region(image: NDArray[np.uint8], x: int, y: int, width: int, height: int, *, level: int = 0, encoding: str = "png") -> dict[str, Any]:
    """Give a rectangle of an image as a request carries it."""
    pixels = np.ascontiguousarray(image[y : y + height, x : x + width])
    data = pixels.tobytes()
    if encoding != "rgb":
        packed = io.BytesIO()
        Image.fromarray(pixels).save(packed, encoding.upper())
        data = packed.getvalue()
    place = {"level": level, "x": x, "y": y, "width": pixels.shape[1], "height": pixels.shape[0]}
    return {**place, "encoding": encoding, "data": base64.b64encode(data).decode()}


def whole(image: NDArray[np.uint8], **more: Any) -> dict[str, Any]:
    """Give the region of a whole image."""
    return region(image, 0, 0, image.shape[1], image.shape[0], **more)


def click(x: float, y: float, **more: Any) -> dict[str, Any]:
    """Give a click as a request carries it."""
    return {"kind": "point", "strokes": [[[x, y]]], **more}


def make_request(image: NDArray[np.uint8], *prompts: dict[str, Any], mpp: float = 0.25, **more: Any) -> SegmentRequest:
    """Give a request for prompts on an image of one level."""
    facts = {"levels": [[image.shape[1], image.shape[0]]], "mpp": mpp}
    return SegmentRequest.model_validate({"image": facts, "prompts": prompts, **more})


def ask(announced: Announcement, path: str, body: dict[str, Any] | None = None) -> Any:
    """Ask a running service, and give the answer."""
    request = urllib.request.Request(
        announced.address + path,
        None if body is None else json.dumps(body).encode(),
        {"Authorization": f"Bearer {announced.token}", "Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=120) as answer:
        return json.load(answer)
