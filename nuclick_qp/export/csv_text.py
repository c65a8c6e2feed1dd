"""Tables as CSV whose texts no spreadsheet takes for formulas."""

import csv
import io
import re
from collections.abc import Iterable

# What begins a formula, or may be dropped before one that follows; with the wide forms, which Excel reads in Japanese and Chinese.
FORMULA = re.compile("[=+\\-@\t\r\n＝＋－＠]")
CRLF = "\r\n"
NUMBER = re.compile(r"[+-]?\d+(\.\d*)?([eE][+-]?\d+)?")


def csv_bytes(rows: Iterable[Iterable[object]]) -> tuple[bytes, int]:
    r"""Give rows as UTF-8, and the number of cells that were quoted.

    A text that a spreadsheet would execute gets an apostrophe in front; numbers, and texts that are one, stay.

    References
    ----------
    OWASP, CSV Injection.

    Examples
    --------
    >>> csv_bytes([["=2+3", "-4", -4.5, "Tumor"]])
    (b"'=2+3,-4,-4.5,Tumor\n", 1)
    """
    text = io.StringIO()
    table = csv.writer(text, lineterminator=CRLF)  # with "\n" alone, Python before 3.13 leaves a "\r" inside a cell bare: a new row
    lines, quoted = [], 0
    for row in rows:
        cells = list(row)
        formulas = [place for place, cell in enumerate(cells) if _is_formula(cell)]
        for place in formulas:
            cells[place] = f"'{cells[place]}"
        quoted += len(formulas)
        table.writerow(cells)
        lines.append(text.getvalue().removesuffix(CRLF) + "\n")
        text.seek(text.truncate(0))
    return "".join(lines).encode("utf-8", "backslashreplace"), quoted


def _is_formula(cell: object) -> bool:
    return isinstance(cell, str) and bool(FORMULA.match(cell)) and not NUMBER.fullmatch(cell)
