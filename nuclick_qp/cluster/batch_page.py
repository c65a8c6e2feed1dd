"""The report of a batch in files: JSON for programs, CSV for tables, HTML to read."""

from pathlib import Path

import jinja2

from nuclick_qp.cluster.batch_report import BatchReport, table_of
from nuclick_qp.plain_text import printable
from nuclick_qp.storage.atomic import write_atomically

MOST_PROMPTS = 20  # of each image, on the page; the JSON has all


def write_report(folder: Path, report: BatchReport) -> None:
    """Write ``batch.json``, ``batch.csv`` (a row for each image) and ``batch.html`` into a folder that is there.

    Raises
    ------
    WriteRefusedError
        If a file cannot be written.
    """
    write_atomically(folder / "batch.json", (report.model_dump_json(indent=2) + "\n").encode())
    write_atomically(folder / "batch.csv", table_of(report))
    write_atomically(folder / "batch.html", page_of(report).encode("utf-8", "backslashreplace"))


def page_of(report: BatchReport) -> str:
    """Give a report as one page of HTML that needs no other file; names in it are the work of strangers, and stay text."""
    pages = jinja2.Environment(
        loader=jinja2.PackageLoader("nuclick_qp.cluster", "."),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    pages.filters["shown"] = printable
    return pages.get_template("batch_page.html").render(report=report, most_prompts=MOST_PROMPTS)
