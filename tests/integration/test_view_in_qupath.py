"""Cropped, turned and flipped images: QuPath's own servers show the pixels that `wrapped_images.py` expects."""

from itertools import product
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from fixture_projects import DATA, open_with_qupath
from nuclick_qp.qupath.jvm.data import Java
from wrapped_images import AGAIN, HEIGHT, ONES, PIXELS, PLAIN, WIDTH

SERVERS = "qupath.lib.images.servers."


def packed(pixels: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Pack (H, W, 3) colours."""
    red, green, blue = np.moveaxis(pixels.astype(np.int64), -1, 0)
    together: NDArray[np.int64] = red << 16 | green << 8 | blue
    return together


def shown(server: Any, java: Java) -> NDArray[np.int64]:
    """Read a whole image as packed RGB."""
    image = server.readRegion(java.load("qupath.lib.regions.RegionRequest").createInstance(server))
    width, height = image.getWidth(), image.getHeight()
    return np.array(image.getRGB(0, 0, width, height, None, 0, width)[:], np.int64).reshape(height, width) & 0xFFFFFF


def wrapped(builder: Any, json: dict[str, Any], java: Java) -> Any:
    """Let QuPath do what the JSON of a server says."""
    match json["builderType"]:
        case "rotated":
            return builder.rotate(java.load(f"{SERVERS}RotatedImageServer$Rotation").valueOf(json["rotation"]))
        case "flipped":
            return builder.flip(java.load(f"{SERVERS}FlippedImageServer$Flip").valueOf(json["flip"]))
        case "cropped":
            region = [json["region"][name] for name in ("x", "y", "width", "height", "z", "t")]
            return builder.crop(java.load("qupath.lib.regions.ImageRegion").createInstance(*region))
    return builder  # a pyramid has the same pixels


@pytest.mark.parametrize("pair", list(product(range(len(ONES)), repeat=2)), ids=str)
def test_two_servers_show_the_pixels_that_are_expected_of_them(pair: tuple[int, int]) -> None:
    """Rotation is clockwise, the inner server comes first; flips are there since QuPath 0.7."""
    java = open_with_qupath(DATA / "0.6.0" / "empty").java
    (wrap, change), (wrap_again, change_again) = ONES[pair[0]], AGAIN[pair[1]]
    kinds = [wrap(PLAIN), wrap_again(PLAIN)]
    if any(json["builderType"] == "flipped" for json in kinds) and not hasattr(java.load(f"{SERVERS}TransformedServerBuilder"), "flip"):
        pytest.skip(f"QuPath {java.qupath} flips no images")
    expected = packed(change_again(change(PIXELS)))
    image_class = java.load("java.awt.image.BufferedImage")
    image = image_class(WIDTH, HEIGHT, image_class.TYPE_INT_RGB)
    for row, values in enumerate(packed(PIXELS).tolist()):
        for column, value in enumerate(values):
            image.setRGB(column, row, value)
    builder = java.load(f"{SERVERS}TransformedServerBuilder")(java.load(f"{SERVERS}WrappedBufferedImageServer")("noise", image))

    for json in kinds:
        builder = wrapped(builder, json, java)

    np.testing.assert_array_equal(shown(builder.build(), java), expected)
