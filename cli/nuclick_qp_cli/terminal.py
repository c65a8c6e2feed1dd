"""All that is printed: results to stdout, messages to stderr, and nothing in them that a terminal would obey."""

import logging
import sys

from nuclick_qp.plain_text import one_line, printable, printable_json


def say(line: str) -> None:
    """Print one line of a result."""
    print(printable(line))


def say_json(text: str) -> None:
    """Print a result as JSON; all of it, with true values."""
    print(printable_json(text))


def note(line: str) -> None:
    """Print one line that is no result."""
    print(printable(line), file=sys.stderr)


def complain(message: str) -> None:
    """Print one line about what went wrong."""
    print(f"nuclick-qp: {one_line(message)}", file=sys.stderr)


class LineFormatter(logging.Formatter):
    """Log records in one line each; the traceback of a bug keeps its lines."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802  # the name is logging's
        """Give the line of a record."""
        return one_line(super().formatMessage(record))

    def formatException(self, ei: object) -> str:  # noqa: N802
        """Give the traceback."""
        return "\n".join(map(printable, super().formatException(ei).splitlines()))  # type: ignore[arg-type]  # as logging hands it over
