"""New objects put into the bytes of a file: what changes there, and that a fault of splicing never gets out."""

import dataclasses
import re
import struct
from bisect import bisect_right
from typing import Any

import pytest

from edited_files import ENTRIES, RESULTS, again, edited, load, result
from fixture_projects import VERSIONS
from nuclick_qp.errors import WriteRefusedError
from nuclick_qp.qupath.javastream import splice
from nuclick_qp.qupath.javastream.emit import emit, emit_more
from nuclick_qp.qupath.javastream.parse import parse


@pytest.mark.parametrize("version", VERSIONS)
def test_bytes_differ_by_the_count_the_insertion_and_handles(version: str) -> None:
    """Up to the insertion only the count of children changes, behind it only the numbers of references."""
    old = load(version, "1")
    count = len(old.objects)

    new = edited(old, add=RESULTS)

    differing = (i for i, (a, b) in enumerate(zip(old.data, new, strict=False)) if a != b)
    place = next(differing) + 1
    assert struct.unpack(">i", old.data[place - 4 : place]) == (count,)
    assert struct.unpack(">i", new[place - 4 : place]) == (count + len(RESULTS),)
    insertion = next(differing)
    assert (old.data[insertion : insertion + 1], new[insertion : insertion + 1]) == (b"x", b"s")
    tail = old.data[insertion:]
    assert references_masked(new[-len(tail) :]) == references_masked(tail)
    assert len(tail) > 100


def references_masked(data: bytes) -> bytes:
    """Replace the handle of each reference."""
    return re.sub(rb"q\x00\x7e..", b"q\x00\x7e??", data, flags=re.DOTALL)


def test_new_objects_that_do_not_read_back_are_not_given_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """A fault of the writer becomes a refusal."""

    def faulty(*args: Any, **kwargs: Any) -> tuple[bytes, int]:
        data, n_nodes = emit_more(*args, **kwargs)
        return data.replace(b"nuclei 1", b"nuclei 2"), n_nodes

    monkeypatch.setattr(splice, "emit_more", faulty)

    with pytest.raises(WriteRefusedError, match="do not read back as they were meant"):
        edited(load("0.6.0", "1"), add=(result("a"),))


@pytest.mark.parametrize("fault", ["references left", "another byte", "a place off", "one node too many"])
def test_old_objects_that_do_not_read_back_are_not_given_out(fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever part of splicing goes wrong, all that was in the file is compared: bytes, places, and what references mean."""
    if fault == "references left":
        monkeypatch.setattr(splice, "_move_references", lambda *args: None)
    elif fault == "another byte":
        monkeypatch.setattr(splice, "_move_references", lambda data, *args: data.__setitem__(data.tobytes().index(b"17889413"), ord("2")))
    elif fault == "a place off":
        monkeypatch.setattr(splice, "bisect_right", lambda *args: bisect_right(*args) - 1)
    else:
        monkeypatch.setattr(splice, "emit_more", lambda *args, **kwargs: (emit_more(*args, **kwargs)[0], 1))
    whole = load("0.6.0", "1")

    with pytest.raises(WriteRefusedError, match=r"data\.qpdata was left as it is"):
        edited(whole, add=(result("a", at=(250, 250), nested=True),))


@pytest.mark.parametrize(("version", "entry"), ENTRIES)
def test_splicing_gives_what_java_would_read_the_same(version: str, entry: str) -> None:
    """Nested ones in the middle of the file too: reading and writing the new file anew gives its bytes."""
    old = load(version, entry)
    nested = [
        dataclasses.replace(result(f"n{i}", at=(x, x), nested=True), class_name=f"Class {i % 3}") for i, x in enumerate(range(5, 500, 25))
    ]

    new = edited(old, add=(*RESULTS, *nested))

    assert emit(parse(new).contents) == new
    keys = frozenset([*"abcdef", *(f"n{i}" for i in range(20))])
    assert edited(again(new), add=(), remove_keys=keys) == old.data
