"""What a batch tells, in files."""

import csv
import html
import json
from html.parser import HTMLParser
from pathlib import Path

import pytest

from nuclick_qp.cluster.batch_page import MOST_PROMPTS, page_of, write_report
from nuclick_qp.cluster.batch_report import BatchReport, ProjectReport
from nuclick_qp.run.counts import total
from nuclick_qp.run.report import ImageReport, ImageStatus, PromptReport, RunReport

HOSTILE = "<script>alert(1)</script>\u202e\x1b[2J=1+1"


def image(name: str = "slide", *, error: str | None = None, prompts: int = 3, without: int = 0) -> ImageReport:
    """Give the report of an image."""
    missed = tuple(PromptReport(kind="point", class_name=HOSTILE, x=1, y=2, status="empty", detail=HOSTILE) for _ in range(without))
    status: ImageStatus = "failed" if error else "partial" if without else "ok"
    return ImageReport(
        image=name, status=status, seconds=1.5, error=error, prompts=prompts, ok=prompts - without, empty=without,
        statuses={}, without_outline=missed,
    )  # fmt: skip


def project(name: str, *images: ImageReport, not_begun: int = 0) -> ProjectReport:
    """Give the report of a project that was worked on."""
    run = RunReport(
        **total(images).model_dump(), project=name, engine="files", model={}, device="cpu", precision="float32", version="1", torch="2",
        options={}, dry_run=False, images=images, seconds=3, stopped=not_begun > 0, not_begun=not_begun,
    )  # fmt: skip
    return ProjectReport.of(run)


def batch(*projects: ProjectReport) -> BatchReport:
    """Give the report of a batch."""
    return BatchReport(
        **total([one.counts for one in projects]).model_dump(), version="1", scheduler="tls://127.0.0.1:1", workers=3, lost_workers=1,
        repeated=2, clicks_per_second=12.3, seconds=60, dry_run=False, stopped=False, projects=projects,
    )  # fmt: skip


class Tags(HTMLParser):
    """Counts the elements of a page, and keeps its text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.names: list[str] = []
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names.append(tag)
        assert not any(name.startswith("on") or name in ("href", "src") for name, _ in attrs)

    def handle_data(self, data: str) -> None:
        self.text += data


def test_names_of_strangers_stay_text_on_the_page() -> None:
    """No element, address or handler comes from a name, an error or a class; nor does a character that hides others."""
    report = batch(project(HOSTILE, image(HOSTILE, error=HOSTILE), image(HOSTILE, without=1)), ProjectReport.failed(HOSTILE, HOSTILE))

    page = page_of(report)

    tags = Tags(page)
    assert "script" not in tags.names
    assert tags.text.count("<script>") >= 6
    assert not set(page) & {"\u202e", "\x1b"}
    assert html.escape("<script>") in page


def test_page_tells_every_project_and_what_is_wrong_with_it() -> None:
    """Also those that failed as a whole, or were not begun."""
    half, later = project("half", image(error="no slide"), not_begun=2), ProjectReport(project="later", status="stopped")
    report = batch(project("good", image()), half, ProjectReport.failed("bad", "gone"), later)

    text = " ".join(Tags(page_of(report)).text.split())

    for told in ("4 projects", "12.3 clicks/s", "3 workers, 1 of them died", "2 images worked on again"):
        assert told in text
    for told in ("good", "no slide", "2 images were not begun", "gone", "Not begun: the batch was stopped before"):
        assert told in text


def test_page_shows_the_first_prompts_without_an_outline_and_counts_the_rest() -> None:
    """An image may have thousands."""
    text = Tags(page_of(batch(project("p", image(prompts=50, without=30))))).text

    assert text.count("empty: point at") == MOST_PROMPTS
    assert "and 10 more; batch.json lists all" in text


def test_files_hold_the_same_report(tmp_path: Path) -> None:
    """JSON has all; the table has a row for each image, and for each project without one; no cell is a formula."""
    report = batch(project("=good", image("a"), image("b", without=1)), ProjectReport.failed("bad", "gone"))

    write_report(tmp_path, report)

    assert BatchReport.model_validate(json.loads((tmp_path / "batch.json").read_text("utf-8"))) == report
    with (tmp_path / "batch.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["project"], row["image"], row["status"], row["ok"], row["error"]) for row in rows] == [
        ("'=good", "a", "ok", "3", ""),
        ("'=good", "b", "partial", "2", ""),
        ("bad", "", "failed", "", "gone"),
    ]
    assert (tmp_path / "batch.html").read_text("utf-8") == page_of(report)


@pytest.mark.parametrize(("projects", "ok"), [((project("p", image()),), True), ((project("p", image(without=1)),), False)])
def test_batch_is_all_right_when_all_projects_are(projects: tuple[ProjectReport, ...], ok: bool) -> None:
    """The exit code tells."""
    assert batch(*projects).all_ok is ok
