"""Mutated `data.qpdata`: each is read and written as ours, or refused with an error of ours, and nothing else.

    python tests/fuzz_data_file.py [COUNT] [--seed N] [--from N]

Prints how many streams were read, how many written, the slowest, and the peak memory; the exit code is 1 after an
unexpected exception, with the number of the stream to look at (`--from N 1` makes it again).
"""

import argparse
import random
import re
import resource
import struct
import sys
import time
import traceback
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from shapely import box

from edited_files import edited, emitted
from nuclick_qp.annotations.closed import closed_objects
from nuclick_qp.annotations.objects import ResultObject
from nuclick_qp.annotations.sorting import sort_objects
from nuclick_qp.errors import NuClickError
from nuclick_qp.kinds import OBJECT_KINDS
from nuclick_qp.prompts import Plane
from nuclick_qp.qupath.javastream.emit import emit
from nuclick_qp.qupath.javastream.nodes import ClassDesc, Graph, Item, JavaArray, JavaObject
from nuclick_qp.qupath.javastream.parse import parse
from nuclick_qp.qupath.qpdata.data_file import parse_data_file
from nuclick_qp.qupath.qpdata.found_objects import found_objects

DATA = Path(__file__).parent / "data" / "qupath"
NAME = Path("data.qpdata")
CODES = bytes(range(0x70, 0x7F))  # what each element of a Java stream begins with
LENGTHS = (b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", b"\x80\x00\x00\x00", b"\x00\x00\x00\x00", b"\x00\x0f\xff\xff", b"\x7f\xf8\x00\x00")
LONGEST_CUT = 64  # bytes that one mutation moves at most, but for cuts to the end
RESULT = ResultObject(
    outline=box(10, 10, 20, 20),
    kind="detection",
    class_name="Tumor: Sub",
    plane=Plane(),
    nested=True,
    anchor=(15.0, 15.0),
    key="fuzz",
    probability=0.9,
)


@dataclass(slots=True)
class Tally:
    """What became of the streams; `slowest` in seconds."""

    ends: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)
    slowest: float = 0.0
    unexpected: list[int] = field(default_factory=list)


def seeds() -> list[bytes]:
    """Give the data files of the fixtures: four versions of QuPath, all kinds of objects."""
    return [path.read_bytes() for path in sorted(DATA.rglob("data.qpdata"))]


def mutate(data: bytes, others: Sequence[bytes], rng: random.Random) -> bytes:
    """Change a stream in one to four places: its bytes, or its nodes, which gets further into the reader."""
    times = rng.choice((1, 1, 1, 2, 4))
    if rng.random() < 0.4:
        return _with_other_nodes(data, times, rng)
    out = bytearray(data)
    for _ in range(times):
        _mutate_once(out, others, rng)
    return bytes(out)


def _with_other_nodes(data: bytes, times: int, rng: random.Random) -> bytes:
    """Drop, repeat, exchange or replace elements of objects and arrays, in a stream that stays a stream of Java."""
    graph = parse(data)
    holders = [node for node in graph.nodes if isinstance(node, JavaObject | JavaArray)]
    for _ in range(times):
        node = rng.choice(holders)
        if isinstance(node, JavaObject):
            _change_items(node.data, graph, rng)
        elif isinstance(node.values, bytes):
            node.values = _other_bytes(node.values, rng)
        else:
            _change_items(node.values, graph, rng)
    try:
        return emit(graph.contents)
    except (NuClickError, AttributeError, TypeError, struct.error):  # no stream can hold this graph
        return data


def _change_items(items: list[Item], graph: Graph, rng: random.Random) -> None:
    if not items:
        return
    at = rng.randrange(len(items))
    old = items[at]
    match rng.randrange(5):
        case 0:
            del items[at]
        case 1:
            items.insert(at, old)
        case 2:
            items[at] = None
        case 3:
            items[at] = rng.choice([node for node in graph.nodes if not isinstance(node, ClassDesc)])
        case _ if isinstance(old, bytes):
            items[at] = type(old)(_other_bytes(old, rng))


def _other_bytes(old: bytes, rng: random.Random) -> bytes:
    """Give as many other bytes, or a few more or fewer."""
    out = bytearray(old)
    if out:
        out[rng.randrange(len(out))] = rng.choice((0, 1, 127, 128, 255, rng.randrange(256)))
    if rng.random() < 0.2:
        out = out[:-1] if rng.random() < 0.5 else out + b"\0"
    return bytes(out)


def _mutate_once(out: bytearray, others: Sequence[bytes], rng: random.Random) -> None:
    """Make one change in place: of a bit, a byte, a code, a length, a handle, or of a piece."""
    at = rng.randrange(len(out) + 1)
    end = min(len(out), at + rng.randrange(1, LONGEST_CUT))
    match rng.randrange(9):
        case 0 if at < len(out):
            out[at] ^= 1 << rng.randrange(8)
        case 1 if at < len(out):
            out[at] = rng.randrange(256)
        case 2:
            _overwrite(out, _place_of_code(out, rng), bytes((rng.choice(CODES),)))
        case 3:
            _overwrite(out, at, rng.choice(LENGTHS))
        case 4:
            _overwrite(out, at, b"\x71\x00\x7e" + rng.randrange(2048).to_bytes(2, "big"))
        case 5:
            del out[at:end]
        case 6:
            out[at:at] = out[at:end] * rng.choice((1, 2, 100))
        case 7:
            other = rng.choice(others)
            start = rng.randrange(len(other))
            out[at:end] = other[start : start + LONGEST_CUT]
        case _:
            del out[at:]


def _place_of_code(out: bytearray, rng: random.Random) -> int:
    places = [i for i in (rng.randrange(len(out) + 1) for _ in range(50)) if i < len(out) and out[i] in CODES]
    return places[0] if places else 0


def _overwrite(out: bytearray, at: int, piece: bytes) -> None:
    out[at : at + len(piece)] = piece


def try_stream(data: bytes) -> str:
    """Do with a stream what a run does with a file, and tell how far it got: refused, read, or written.

    Raises
    ------
    AssertionError
        If it is accepted for writing and what comes out does not hold what was there.
    """
    try:
        file = parse_data_file(data, source=NAME)
        before = sort_objects(found_objects(file.root), fingerprint="")
        closed_objects(found_objects(file.root, outlines_of=OBJECT_KINDS), entry_id="1")
    except NuClickError as err:
        return f"refused: {_reason(err)}"
    assert file.graph.is_canonical == (emitted(file) == data), "it says of itself that it can be reproduced, and cannot, or the reverse"
    try:
        new = edited(file, add=[RESULT], remove_keys=frozenset({"fuzz"}))
    except NuClickError as err:
        return f"read: {_reason(err)}"
    after = sort_objects(found_objects(parse_data_file(new, source=NAME).root), fingerprint="")
    assert emitted(parse_data_file(new, source=NAME)) == new, "what was written cannot be reproduced"
    # By their texts: a coordinate may be no number, and is then not even equal to itself.
    assert repr(after.prompts) == repr(before.prompts), "the prompts changed"
    assert len(after.results) == sum(result.key != "fuzz" for result in before.results) + 1, "results came or went"
    return "written"


def _reason(err: Exception) -> str:
    """Give a message without its numbers, names and remedy, to count by."""
    text = str(err).removeprefix("data.qpdata cannot be read: ").removeprefix("data.qpdata was left as it is: ")
    return re.sub(r"0x..|\d+|'.*?'", "_", text).split(";")[0]


def fuzz(count: int, *, seed: int = 0, first: int = 0) -> Tally:
    """Try `count` streams; number k depends on the seed and on k only."""
    tally, originals = Tally(), seeds()
    for number in range(first, first + count):
        rng = random.Random(f"{seed} {number}")
        data = mutate(rng.choice(originals), originals, rng)
        since = time.perf_counter()
        try:
            end = try_stream(data)
        except Exception:  # noqa: BLE001  # whatever it is, it is what the test is for
            tally.unexpected.append(number)
            print(f"stream {number}:\n{traceback.format_exc()}", file=sys.stderr)
            end = "unexpected"
        tally.slowest = max(tally.slowest, time.perf_counter() - since)
        tally.ends[end.split(":")[0]] += 1
        tally.reasons[end] += 1
    return tally


def main() -> int:
    """Fuzz from the command line."""
    parser = argparse.ArgumentParser(description="Read and write mutated data.qpdata files.")
    parser.add_argument("count", type=int, nargs="?", default=100_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--from", dest="first", type=int, default=0, help="number of the first stream")
    arguments = parser.parse_args()
    since = time.perf_counter()
    tally = fuzz(arguments.count, seed=arguments.seed, first=arguments.first)
    for reason, times in tally.reasons.most_common(25):
        print(f"{times:8d}  {reason}")
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"{arguments.count} streams, seed {arguments.seed}: {dict(tally.ends)}, {len(tally.unexpected)} unexpected")
    print(f"{time.perf_counter() - since:.0f} s, the slowest stream {tally.slowest * 1000:.0f} ms; peak memory {peak_mb:.0f} MB")
    return 1 if tally.unexpected else 0


if __name__ == "__main__":
    sys.exit(main())
