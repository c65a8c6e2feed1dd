"""How an image is made of its file: the `serverBuilder`s around the one that names the file.

QuPath wraps a large image without a pyramid in a server that makes one (its import does so unless told
otherwise), and one that was rotated, flipped or cropped in others. Each holds the next in `builder`.
"""

from collections.abc import Callable
from typing import Any

from nuclick_qp.slides.view import Crop, Mirror, Step, Turn

PLAIN = "uri"  # builderType of an image that is read from a file as it is
UNKNOWN = "unknown"
_TURNS = {"ROTATE_NONE": 0, "ROTATE_90": 1, "ROTATE_180": 2, "ROTATE_270": 3}  # clockwise
_FLIPS: dict[str, tuple[Step, ...]] = {
    "NONE": (),
    "HORIZONTAL": (Mirror(),),
    "VERTICAL": (Mirror(), Turn(2)),
    "BOTH": (Turn(2),),
}


def view_steps(builder: dict[str, Any]) -> tuple[tuple[Step, ...], str | None]:
    """Give the steps from a file to an image.

    Returns
    -------
    steps
        In the order in which they are done; empty for a plain file.
    wrapped
        Kind of the outermost builder that is not made of such steps, None when all are. Then there
        are no steps.
    """
    inward: list[tuple[Step, ...]] = []
    while (kind := _kind(builder)) != PLAIN:
        read, inner = _READERS.get(kind), builder.get("builder")
        steps = read(builder) if read else None
        if steps is None or not isinstance(inner, dict):
            return (), kind
        inward.append(steps)
        builder = inner
    return tuple(step for steps in reversed(inward) for step in steps), None


def _kind(builder: dict[str, Any]) -> str:
    return str(builder.get("builderType", PLAIN if "uri" in builder else UNKNOWN))


def _turn(builder: dict[str, Any]) -> tuple[Step, ...] | None:
    quarters = _TURNS.get(str(builder.get("rotation")))
    return None if quarters is None else (Turn(quarters),)


def _flip(builder: dict[str, Any]) -> tuple[Step, ...] | None:
    return _FLIPS.get(str(builder.get("flip")))


def _crop(builder: dict[str, Any]) -> tuple[Step, ...] | None:
    region = builder.get("region")
    sides = [region.get(name) for name in ("x", "y", "width", "height")] if isinstance(region, dict) else []
    whole = [int(side) for side in sides if isinstance(side, int | float) and not isinstance(side, bool) and side == side // 1]
    return (Crop(*whole),) if len(whole) == 4 else None


def _pyramid(_builder: dict[str, Any]) -> tuple[Step, ...]:
    return ()  # smaller levels made on the way; the full resolution is that of the file


_READERS: dict[str, Callable[[dict[str, Any]], tuple[Step, ...] | None]] = {
    "rotated": _turn,
    "flipped": _flip,
    "cropped": _crop,
    "pyramidize": _pyramid,
}
