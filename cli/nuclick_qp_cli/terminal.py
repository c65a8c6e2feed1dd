"""All that is printed: results to stdout, messages to stderr, and nothing in them that a terminal would obey."""

import io
import logging
import os
import sys
from contextlib import suppress
from typing import TYPE_CHECKING

from nuclick_qp.plain_text import one_line, printable, printable_json

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer


class OutputLostError(Exception):
    """What is printed reaches nobody: the disk behind stdout is full, or its reader is gone (`| head`)."""


class _Output(io.FileIO):
    """A stream whose failures can be told from those of all other files."""

    def write(self, data: "ReadableBuffer", /) -> int:
        """Write, or say that it is in vain."""
        try:
            return super().write(data)
        except OSError as err:
            raise OutputLostError(err.strerror or str(err)) from err


def take_over_streams() -> None:
    """Print through streams that know when nobody reads; closed ones (`>&-`) print into nothing."""
    is_for_eyes = sys.stdout is not None and sys.stdout.isatty()
    sys.stdout = io.TextIOWrapper(io.BufferedWriter(_Output(1, "w", closefd=False)), encoding="utf-8", line_buffering=is_for_eyes)
    if sys.stderr is None:
        sys.stderr = io.TextIOWrapper(io.FileIO(2, "w", closefd=False), encoding="utf-8")


def say(line: str) -> None:
    """Print one line of a result."""
    print(printable(line))


def say_json(text: str) -> None:
    """Print a result as JSON; all of it, with true values."""
    print(printable_json(text))


def give_up_output() -> None:
    """Forget what could not be printed; Python would try again at its end, and complain in its own words."""
    with suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def note(line: str) -> None:
    """Print one line that is no result."""
    with suppress(OSError):  # nobody is left to be told
        print(printable(line), file=sys.stderr)


def complain(message: str) -> None:
    """Print one line about what went wrong."""
    note(f"nuclick-qp: {one_line(message)}")




class LineFormatter(logging.Formatter):
    """Log records in one line each; the traceback of a bug keeps its lines."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802  # the name is logging's
        """Give the line of a record."""
        return one_line(super().formatMessage(record))

    def formatException(self, ei: object) -> str:  # noqa: N802
        """Give the traceback."""
        return "\n".join(map(printable, super().formatException(ei).splitlines()))  # type: ignore[arg-type]  # as logging hands it over
