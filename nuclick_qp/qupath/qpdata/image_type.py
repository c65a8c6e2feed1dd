"""The image type that QuPath was told, found in the bytes of a `data.qpdata`, whichever engine reads the rest."""

import re

# The class of the type, the end of its description, and its one constant: a Java string of a length below 256.
_STATED = re.compile(rb"qupath\.lib\.images\.ImageData\$ImageType.{0,120}?t\x00.([A-Z_]+)", re.DOTALL)


def image_type_in(data: bytes) -> str | None:
    """Give ``FLUORESCENCE``, ``BRIGHTFIELD_H_E`` and the like; None where none is stated."""
    found = _STATED.search(data)
    return found[1].decode() if found else None
