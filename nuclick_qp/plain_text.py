"""Text that comes from files, as a terminal can show it: no control characters, and not without end."""

import json
import re
from collections.abc import Iterator, Sequence

LONGEST = 1000  # characters of a line; a path with a sentence about it has 300
LONGEST_NAME = 100
MOST_LINES = 10

# What is invisible, turns the direction of what follows, or is no character: DEL, C1, bytes of file names that are no UTF-8. The
# joiners U+200C and U+200D are not in it: Persian, Hindi and emoji are spelt with them.
_HIDDEN = "\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\ud800-\udfff\U000e0000-\U000e0fff"
_OBEYED_OR_HIDDEN = re.compile(f"[\x00-\x1f{_HIDDEN}]")
_HIDDEN_IN_JSON = re.compile(f"[{_HIDDEN}]")  # JSON itself escapes those before U+0020


def printable(text: str, *, longest: int = LONGEST) -> str:
    r"""Escape what a terminal would obey or hide, and leave out the middle of a long text.

    Examples
    --------
    >>> printable("evil\x1b[2J.svs")
    'evil\\x1b[2J.svs'
    >>> printable("a" * 5000 + "z", longest=40)
    'aaaaaaa[... 5,001 characters ...]aaaaaaz'
    """
    escaped = _OBEYED_OR_HIDDEN.sub(lambda found: found[0].encode("unicode_escape").decode(), _shortened(text, longest))
    return _shortened(escaped, longest)


def one_line(text: str, *, longest: int = LONGEST) -> str:
    """Give a text as `printable` does, with single spaces for all white space."""
    return printable(" ".join(text.split()), longest=longest)


def first_lines(lines: Sequence[str], *, rest: str, most: int = MOST_LINES) -> Iterator[str]:
    """Give the first lines of a list, and a last one that counts the others.

    Parameters
    ----------
    rest
        Where the others can be read.

    Examples
    --------
    >>> list(first_lines(["a", "b", "c"], rest="--json lists all", most=1))
    ['a', 'and 2 more; --json lists all']
    """
    yield from lines[:most]
    if len(lines) > most:
        yield f"and {len(lines) - most:,} more; {rest}"


def listed(names: Sequence[str], *, most: int = MOST_LINES) -> str:
    """Give names for a sentence, quoted and short; the first of them where they are many.

    Examples
    --------
    >>> listed(["Tumor", "Stroma"])
    "'Tumor', 'Stroma'"
    >>> listed(["a", "b", "c"], most=2)
    "'a', 'b' and 1 more"
    """
    shown = ", ".join(repr(_shortened(name, LONGEST_NAME)) for name in names[:most])
    return shown if len(names) <= most else f"{shown} and {len(names) - most:,} more"


def printable_json(text: str) -> str:
    r"""Escape the same characters in a JSON text, whose values stay what they are.

    Examples
    --------
    >>> printable_json('{"name": "\x9b2J é"}')
    '{"name": "\\u009b2J é"}'
    """
    return _HIDDEN_IN_JSON.sub(lambda found: json.dumps(found[0])[1:-1], text)


def encodable(text: str) -> str:
    """Escape what a file name may hold and no text file can: bytes that are not UTF-8."""
    return text.encode("utf-8", "backslashreplace").decode()


def _shortened(text: str, longest: int) -> str:
    """Leave out the middle: a message begins with what is wrong, and ends with what to do."""
    if len(text) <= longest:
        return text
    kept = max(longest - len(note := f"[... {len(text):,} characters ...]"), 2)
    return f"{text[: kept - kept // 2]}{note}{text[len(text) - kept // 2 :]}"
