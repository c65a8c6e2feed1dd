"""What the OME-XML of an OME-TIFF says about one image."""

from dataclasses import dataclass
from xml.etree import ElementTree as ET

from nuclick_qp.slides.pixel_size import MICROMETRES, mean_mpp

# Colours of the three channels of a brightfield image, as OME writes them: RGBA in a signed 32-bit number.
_RED_GREEN_BLUE = (0xFF0000FF, 0x00FF00FF, 0x0000FFFF)
_NAMES = (("red", "r"), ("green", "g"), ("blue", "b"))


@dataclass(frozen=True, slots=True)
class OmeImage:
    """One Image element.

    Attributes
    ----------
    mpp
        Micrometres per pixel, mean of x and y; None when absent, in no length unit, or implausible.
    significant_bits
        Bits that are used of each sample; None when not stated.
    is_stained
        False when names or colours say that the channels are something else than red, green, blue.
    """

    mpp: float | None = None
    significant_bits: int | None = None
    is_stained: bool = True


def read_ome(xml: str, series: int, size: tuple[int, int]) -> OmeImage:
    """Read what OME-XML says about the image at an index.

    Parameters
    ----------
    size
        (width, height) of the pixels. When the element at this index has another size, it is not
        the one, and nothing of it is believed.
    """
    try:
        images = ET.fromstring(xml).findall("{*}Image")  # expat limits entity expansion
    except ET.ParseError:
        return OmeImage()
    pixels = images[series].find("{*}Pixels") if series < len(images) else None
    if pixels is None or (pixels.get("SizeX"), pixels.get("SizeY")) != (str(size[0]), str(size[1])):
        return OmeImage()
    bits = pixels.get("SignificantBits", "")
    return OmeImage(
        mean_mpp(_micrometres(pixels, "X"), _micrometres(pixels, "Y")),
        int(bits) if bits.isdecimal() and 1 <= int(bits) <= 16 else None,
        _is_stained(pixels.findall("{*}Channel")),
    )


def _micrometres(pixels: ET.Element, axis: str) -> float | None:
    """Read a physical size; the unit is the micrometre where none is given."""
    factor = MICROMETRES.get(pixels.get(f"PhysicalSize{axis}Unit", "µm"))
    try:
        return float(pixels.get(f"PhysicalSize{axis}", "")) * factor if factor else None
    except ValueError:
        return None


def _is_stained(channels: list[ET.Element]) -> bool:
    """Tell whether three separate channels may be the red, green and blue of one picture."""
    if len(channels) != 3:
        return True
    for channel, colour, names in zip(channels, _RED_GREEN_BLUE, _NAMES, strict=True):
        name, number = channel.get("Name", ""), channel.get("Color", "")
        if name and name.lower() not in names:
            return False
        if number and int(number) & 0xFFFFFFFF != colour:
            return False
    return True
