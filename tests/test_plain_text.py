"""Tests of `nuclick_qp.plain_text`."""

import json
import unicodedata

import pytest

from nuclick_qp.plain_text import first_lines, listed, one_line, printable, printable_json


def obeyed(text: str) -> set[str]:
    """List what a terminal would obey: all control characters, and what turns the direction of text."""
    return {char for char in text if unicodedata.category(char) in ("Cc", "Cs", "Zl", "Zp") or unicodedata.bidirectional(char) in TURNS}


TURNS = ("LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI")
ALL_CHARACTERS = "".join(map(chr, range(0x11_0000)))


def test_no_character_that_a_terminal_obeys_is_left() -> None:
    """Of all characters there are; each that goes is written as an escape."""
    assert len(obeyed(ALL_CHARACTERS)) > 2000

    assert obeyed(printable(ALL_CHARACTERS, longest=len(ALL_CHARACTERS) * 10)) == set()
    assert printable("\x1b]0;title\x07\x9b2J\x00\u202egnp.exe\n") == r"\x1b]0;title\x07\x9b2J\x00\u202egnp.exe\n"


@pytest.mark.parametrize("name", ["Präparat 日本　版.png", "لوحة.svs", "می‌خواهم", "👩‍🔬.tif", "a [/x] b", r"C:\new\slides"])
def test_names_of_any_script_stay_as_they_are(name: str) -> None:
    """So do joiners, wide blanks, brackets and backslashes."""
    assert printable(name) == name


def test_a_long_text_keeps_its_two_ends() -> None:
    """What is wrong, and what to do; three million characters, or as many escapes, become a line."""
    for filling in ("x", "\x1b"):
        short = printable(f"study.qpproj: {filling * 3_000_000}; correct it", longest=300)

        assert short.startswith("study.qpproj: ")
        assert short.endswith("; correct it")
        assert len(short) <= 300


def test_one_line_has_no_line_ends() -> None:
    """Messages of other libraries have several."""
    assert one_line("cannot read\n\n  it:\t\x0bno") == "cannot read it: no"


def test_long_lists_end_with_a_count() -> None:
    """Ten are read, two thousand are not; short lists are whole."""
    lines = [f"line {number}" for number in range(2000)]

    assert list(first_lines(lines, rest="--json lists all")) == [*lines[:10], "and 1,990 more; --json lists all"]
    assert list(first_lines(lines[:10], rest="--json lists all")) == lines[:10]
    assert listed(lines).endswith("'line 9' and 1,990 more")
    assert len(listed(["x" * 3_000_000] * 3)) < 400


def test_json_keeps_every_value() -> None:
    """What JSON leaves raw is escaped, too, and reads back the same."""
    text = ALL_CHARACTERS.encode("utf-8", "ignore").decode()
    document = json.dumps({"name": text}, ensure_ascii=False, indent=2)

    shown = printable_json(document)

    assert obeyed(shown) == {"\n"}  # the line ends of the document itself
    assert json.loads(shown) == {"name": text}
