"""What the `args` of a server say: which image of the file, and which part of it.

Each of QuPath's servers looks for words of its own and passes over all others (from the source of
QuPath 0.3 to 0.8: `BioFormatsArgs`, `OpenslideImageServer`, `ImageServers.ServerArgs`). What only
changes colours or how Bio-Formats goes about its reading (``--icc-profile``, ``--background-color``,
``--bfOptions``) leaves every coordinate, and is passed over here, too.
"""

from dataclasses import dataclass
from itertools import zip_longest

_SERIES = ("--series", "-s")
_LONGEST_NUMBER = 9  # digits; QuPath takes no number beyond 2**31, and no file has as many images
_NAME = ("--name", "-n")
_DIMENSIONS = ("--dims",)
# Steps of an import, which QuPath turns into builders of their own; in `args` they count only where
# no server is named, because then QuPath chooses one as an import does.
_OF_AN_IMPORT = ("--rotate", "--order")
_WITHOUT_EFFECT = frozenset({"--rotate ROTATE_NONE", "--order RGB"})


@dataclass(frozen=True, slots=True)
class ServerArgs:
    """What `args` ask for.

    Attributes
    ----------
    series
        Index of the image inside its file.
    is_cropped
        Whether the image is the scanned bounds of its file, not the whole slide around them.
    unfollowed
        The words that ask for other pixels in a way that nuclick-qp does not follow; None when there
        are none.
    """

    series: int = 0
    is_cropped: bool = True
    unfollowed: str | None = None


def read_server_args(args: object, *, names_server: bool = True) -> ServerArgs:
    """Read the `args` of a server.

    Parameters
    ----------
    args
        As it stands in the project: a list of words, or nothing.
    names_server
        Whether the project says which of QuPath's servers reads the file.

    Examples
    --------
    >>> read_server_args(["--series", "2"]).series
    2
    >>> read_server_args(["--no-crop"]).is_cropped
    False
    """
    words = [str(word) for word in args] if isinstance(args, list) else []
    series, unfollowed = _series(words)
    for names in (_DIMENSIONS, *(() if names_server else (_OF_AN_IMPORT,))):
        given = [f"{name} {value}".strip() for name, value in _values(words, names)]
        unfollowed = next((text for text in given if text not in _WITHOUT_EFFECT), unfollowed)
    return ServerArgs(series, "--no-crop" not in words, unfollowed)


def _series(words: list[str]) -> tuple[int, str | None]:
    """Give the index of the image, and what cannot be followed; as in QuPath, a number goes before a name."""
    for name, value in _values(words, _SERIES):
        digits = value.removeprefix("-")
        if not digits.isdecimal():
            return 0, f"{name} {value}".strip()
        if len(digits) > _LONGEST_NUMBER:
            return 0, f"{name} {value[:_LONGEST_NUMBER]}..."
        if int(value) >= 0:
            return int(value), None
        # A negative one is QuPath's way to say: no number.
    named = [f"{name} {value}" for name, value in _values(words, _NAME) if value.strip()]
    return 0, named[0] if named else None


def _values(words: list[str], names: tuple[str, ...]) -> list[tuple[str, str]]:
    """Give each option of these names with its value: the next word, or what follows an equals sign."""
    found = []
    for word, following in zip_longest(words, words[1:], fillvalue=""):
        name, equals, value = word.partition("=")
        if name in names:
            found.append((name, value if equals else following))
    return found
