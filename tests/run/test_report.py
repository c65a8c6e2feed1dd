"""Tests of `nuclick_qp.run.report`."""

import time
from typing import Any

from shapely import box

from nuclick_qp.annotations.objects import Changes, EntryContent
from nuclick_qp.prompts import UNSERVED, WITH_OUTLINE, Outline, Status, click_at
from nuclick_qp.run.counts import COUNTED_AS, count, total
from nuclick_qp.run.report import failed_image, report_image
from nuclick_qp.run.resume import Plan

# An image of which nothing was read, and in which nothing was done.
NOTHING: dict[str, Any] = {"content": EntryContent(()), "plan": Plan((), ()), "changes": Changes(()), "since": time.perf_counter()}


def _outline(status: Status) -> Outline:
    prompt = click_at(3, 4, class_name="Tumor")
    if status in WITH_OUTLINE:
        return Outline.found(prompt, box(0, 0, 1, 1), 0.9 if status is Status.OK else 0.4)
    return Outline(prompt, status, detail="why")


def test_every_status_is_counted_once() -> None:
    """The six counts add up to the number of prompts."""
    counts = count([_outline(status) for status in Status], bad_prompts=2)

    assert set(COUNTED_AS) == set(Status)
    assert counts.prompts == len(Status) + 2
    assert counts.prompts == counts.ok + counts.uncertain + counts.empty + counts.outside + counts.failed + counts.skipped


def test_unchanged_edited_and_duplicate_prompts_are_no_failures() -> None:
    """A re-run with nothing to do is all ok; anything the user did not get is not."""
    settled = [_outline(Status.OK), _outline(Status.UNCHANGED), _outline(Status.EDITED), _outline(Status.DUPLICATE)]
    assert report_image("a", settled, **NOTHING).status == "ok"

    for status in UNSERVED:
        report = report_image("a", [*settled, _outline(status)], **NOTHING)
        assert report.status == "partial"
        assert [(p.status, p.x, p.y, p.detail) for p in report.without_outline] == [(str(status), 3.0, 4.0, "why")]


def test_prompts_that_could_not_be_read_are_listed() -> None:
    """They count as failed, with the line that says why."""
    report = report_image("a", [], **(NOTHING | {"content": EntryContent((), ("point 1 lies at nan",))}))

    assert (report.status, report.failed, report.prompts) == ("partial", 1, 1)
    assert report.without_outline[0].detail == "point 1 lies at nan"


def test_image_without_prompts_is_no_failure() -> None:
    """Most images of a project may have none."""
    assert report_image("a", [], **NOTHING).status == "no-prompts"


def test_total_adds_up() -> None:
    """Failed images have no counts, and spoil none."""
    one = report_image("a", [_outline(Status.OK), _outline(Status.EMPTY)], **NOTHING)
    broken = failed_image("b", ValueError("no"), plan=None, since=time.perf_counter())

    assert (total([one, broken, one]).prompts, total([one, broken, one]).ok) == (4, 2)
    assert broken.error == "no"
