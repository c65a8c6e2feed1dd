"""What Pillow, tifffile and the codecs behind them raise on damaged images, or on ones made to fool them."""

import struct
import zlib

import tifffile
from PIL import Image

# Codecs raise RuntimeErrors, `tifffile.TiffFileError` is a ValueError; a size that no memory holds is damage, too.
DAMAGED = (
    OSError, SyntaxError, ValueError, RuntimeError, LookupError, TypeError, AttributeError, ArithmeticError, MemoryError, struct.error,
    zlib.error, Image.DecompressionBombError, Image.DecompressionBombWarning,
)  # fmt: skip
MOST_PAGES = 1000
MOST_SUBIFDS = 100  # smaller copies of one page


def endless_parts(file: tifffile.TiffFile) -> str | None:
    """Tell of more pages, or smaller copies of a page, than an image has, as where they lead to themselves; None if not.

    To be asked before `series`, which would follow all of them.
    """
    for number, page in enumerate(file.pages):
        if number == MOST_PAGES:
            return f"more than {MOST_PAGES:,} pages"
        if len(getattr(page, "subifds", None) or ()) > MOST_SUBIFDS:
            return f"more than {MOST_SUBIFDS} smaller copies of one page"
    return None
