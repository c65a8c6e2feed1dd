"""What Pillow, tifffile and the codecs behind them raise on damaged images, or on ones made to fool them."""

import struct
import zlib

from PIL import Image

# Codecs raise RuntimeErrors, `tifffile.TiffFileError` is a ValueError; a size that no memory holds is damage, too.
DAMAGED = (
    OSError, SyntaxError, ValueError, RuntimeError, LookupError, TypeError, AttributeError, ArithmeticError, MemoryError, struct.error,
    zlib.error, Image.DecompressionBombError, Image.DecompressionBombWarning,
)  # fmt: skip
