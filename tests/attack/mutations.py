"""Random changes of good files, as bytes and as values of JSON."""

import json
from pathlib import Path
from random import Random
from typing import Any

NUMBERS = (-1, 0, 1, 2, 7, 255, 256, 2**15, 2**16, 2**31 - 1, 2**31, 2**32, 2**40 + 7, 2**63, 1e-9, 5e-5, 0.5, 1e9, 1e308, float("nan"))
TEXTS = ("", ".", "..", "../../outside/file.txt", "/dev/zero", "a" * 300, "é" * 130, "\0", "\x1b[2J", "=1+1", "none", "\ud800", "file:///dev/zero")
LONGEST_CUT = 400


def mutate_file(path: Path, rng: Random) -> None:
    """Change a file in one to four places; one of JSON as often in its values as in its bytes."""
    data = path.read_bytes()
    if path.suffix in (".json", ".qpproj", ".geojson", ".backup") and rng.random() < 0.6:
        content = json.loads(data)
        for _ in range(rng.choice((1, 1, 2, 4))):
            content = mutated_value(content, rng)
        path.write_text(json.dumps(content), "utf-8")
    else:
        path.write_bytes(mutated_bytes(data, rng))


def mutated_bytes(data: bytes, rng: Random) -> bytes:
    """Flip, set, cut, repeat or insert bytes, more often near the front, where headers are."""
    out = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 4, 16))):
        reach = len(out) if rng.random() < 0.6 else min(len(out), 512)
        at = rng.randrange(reach + 1)
        end = min(len(out), at + rng.randrange(1, LONGEST_CUT))
        match rng.randrange(7):
            case 0 if at < len(out):
                out[at] ^= 1 << rng.randrange(8)
            case 1 if at < len(out):
                out[at] = rng.choice((0, 1, 127, 128, 255, rng.randrange(256)))
            case 2:
                out[at : at + 4] = rng.choice((b"\xff" * 4, b"\0" * 4, b"\x7f\xff\xff\xff", b"\xff\xff\xff\x7f", b"\0\0\1\0"))
            case 3:
                del out[at:end]
            case 4:
                out[at:at] = out[at:end] * rng.choice((1, 2, 50))
            case 5:
                out[at:at] = rng.randbytes(rng.randrange(1, 16))
            case _:
                if rng.random() < 0.3:
                    del out[at:]
    return bytes(out)


def mutated_value(value: Any, rng: Random) -> Any:
    """Change one thing somewhere in a value of JSON."""
    if isinstance(value, dict) and value and rng.random() < 0.92:
        key = rng.choice(list(value))
        if rng.random() < 0.1:
            return {name: item for name, item in value.items() if name != key}
        return {**value, key: mutated_value(value[key], rng)}
    if isinstance(value, list) and value and rng.random() < 0.85:
        at = rng.randrange(len(value))
        if rng.random() < 0.15:
            return value[:at] + value[at:] * 2
        return [*value[:at], mutated_value(value[at], rng), *value[at + 1 :]]
    return other_value(rng)


def other_value(rng: Random) -> Any:
    """Give a value that programs seldom expect."""
    deep: Any = 0
    for _ in range(rng.choice((3, 200))):
        deep = [deep]
    return rng.choice([*NUMBERS, *TEXTS, None, True, {}, [], [{}], {"name": {}}, deep])
