"""A drawn smear: white cells with a nucleus among red ones, at any magnification."""

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

CELLS = [(90.0, 80.0, 30.0), (290.0, 90.0, 32.0), (180.0, 210.0, 29.0)]  # x, y, radius in px, at a zoom of 1
WIDTH, HEIGHT = 400, 300
SMOOTH = 4
Place = tuple[float, float]


def draw_smear(zoom: float = 1.0) -> tuple[NDArray[np.uint8], list[Place]]:
    """Draw one smear, resized by a factor; give its pixels and a place in each white cell."""
    rng = np.random.default_rng(0)
    size = round(WIDTH * zoom), round(HEIGHT * zoom)
    image = Image.new("RGB", (size[0] * SMOOTH, size[1] * SMOOTH), (236, 226, 222))
    pen = ImageDraw.Draw(image)

    def disc(x: float, y: float, radius: float, colour: tuple[int, int, int]) -> None:
        pen.ellipse([SMOOTH * zoom * v for v in (x - radius, y - radius, x + radius, y + radius)], fill=colour)

    for x, y in rng.uniform((0, 0), (WIDTH, HEIGHT), (60, 2)):
        if min(np.hypot(x - cx, y - cy) - r for cx, cy, r in CELLS) > 20:
            disc(x, y, 16, (214, 160, 158))
            disc(x, y, 6, (226, 186, 182))
    for x, y, radius in CELLS:
        disc(x, y, radius, (186, 168, 206))
        disc(x + 2, y - 3, radius * 0.62, (96, 56, 140))
    image = image.resize(size, Image.Resampling.BOX).filter(ImageFilter.GaussianBlur(1.2 * zoom))
    pixels = np.asarray(image) + rng.normal(0, 3, (size[1], size[0], 3))
    return pixels.clip(0, 255).astype(np.uint8), [(x * zoom, y * zoom) for x, y, _ in CELLS]
