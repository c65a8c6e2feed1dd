"""Whether OpenSlide survives a file: a process of its own opens it and decodes one pixel of every level.

OpenSlide ends the whole process when a damaged file asks for more memory than there is. This file is run as a
script, and knows nothing but OpenSlide, so that it starts in a fifth of a second.
"""

import subprocess
import sys
from functools import lru_cache
from pathlib import Path

LONGEST_S = 60.0
LARGEST_MEMORY = 4 * 2**30  # bytes of address space


def openslide_survives(path: Path) -> bool:
    """Tell whether a file can be opened and read without the end of the process; asked once for each file.

    A file that OpenSlide refuses in good order is survived.
    """
    state = path.stat()
    return _survives(path, state.st_size, state.st_mtime_ns)


@lru_cache(maxsize=1024)
def _survives(path: Path, size: int, modified_ns: int) -> bool:
    command = [sys.executable, "-P", __file__, str(path)]
    try:
        return subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=LONGEST_S, check=False).returncode == 0
    except subprocess.TimeoutExpired:
        return False


def _probe(path: str) -> None:
    """Read a pixel in the middle of each level."""
    import openslide  # noqa: PLC0415  # loads a C library

    try:
        with openslide.OpenSlide(path) as slide:
            width, height = slide.dimensions
            for level in range(slide.level_count):
                slide.read_region((width // 2, height // 2), level, (1, 1))
    except openslide.OpenSlideError:
        pass


def _bound_memory() -> None:
    try:
        import resource  # noqa: PLC0415  # Windows has none
    except ImportError:
        return
    resource.setrlimit(resource.RLIMIT_AS, (LARGEST_MEMORY, LARGEST_MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


if __name__ == "__main__":
    _bound_memory()
    _probe(sys.argv[1])
