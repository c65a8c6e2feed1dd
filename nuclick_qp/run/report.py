"""What a run tells its user: counts for each image and for the project."""

import importlib.metadata
import time
from collections import Counter
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from nuclick_qp import __version__
from nuclick_qp.annotations.objects import NO_CLASS, Changes, EntryContent, is_mark, listed_classes
from nuclick_qp.plain_text import encodable
from nuclick_qp.prompts import UNSERVED, Outline, Status
from nuclick_qp.run.counts import Counts, count, total
from nuclick_qp.run.models import Models
from nuclick_qp.run.resume import Plan
from nuclick_qp.run.run_options import RunOptions
from nuclick_qp.storage.records import json_value

ImageStatus = Literal["ok", "partial", "failed", "no-prompts"]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True)


class PromptReport(_Frozen):
    """One prompt that has no new outline, or a doubtful one, for the lists of what to look at.

    Attributes
    ----------
    x, y
        In the slide frame; None when the prompt could not be read.
    """

    kind: str
    class_name: str | None
    x: float | None
    y: float | None
    status: str
    detail: str


class ImageReport(Counts):
    """One image of a run.

    Attributes
    ----------
    status
        ``ok``: every prompt has an outline; ``partial``: some have none, or `error` says what else went
        wrong after they were written; ``failed``: the image could not be worked on, `error` says why, and
        nothing was written; ``no-prompts``.
    statuses
        Prompts by exact status.
    removed, pruned, dropped
        Earlier results of ours that were replaced, that were removed because their prompt is gone, and that
        were removed because they are less probable than is asked for; or would be without `--dry-run`.
    turned
        Earlier results of ours that stay as they are, but became objects of the kind that was asked for; or would.
    orphaned
        Earlier results of ours whose prompt is gone, and that stay all the same.
    differing, weak
        Of those that are unchanged, how many another model made, or other options, and how many are less
        probable than is asked for.
    marked
        Prompts without an outline, or with an uncertain one, that got a mark, or would without `--dry-run`.
    estimated_mpp
        Micrometres per pixel that the objects under its clicks told, where nothing states them and outlines were made.
    undrawn
        Outlines, and prompts without one, that are on none of its pictures.
    without_outline, to_check
        The prompts that got no outline, and those that got an uncertain one.
    classes
        Full class names of all its prompts, of those left alone too; an empty text is unclassified.
    """

    image: str
    status: ImageStatus
    seconds: float
    error: str | None = None
    removed: int = 0
    pruned: int = 0
    dropped: int = 0
    turned: int = 0
    orphaned: int = 0
    differing: int = 0
    weak: int = 0
    marked: int = 0
    undrawn: int = 0
    estimated_mpp: float | None = None
    classes: tuple[str, ...] = ()
    statuses: dict[str, int]
    without_outline: tuple[PromptReport, ...] = ()
    to_check: tuple[PromptReport, ...] = ()


class ModelReport(_Frozen):
    """Which model worked on one kind of prompt."""

    name: str
    sha256: str
    mpp: float
    patch_px: int


class RunReport(Counts):
    """A whole run: the JSON object of ``run --json`` and of the run record.

    Attributes
    ----------
    model
        By kind of prompt (``point``, ``line``).
    unknown_classes
        Classes that were asked for and that no prompt has: most likely a typing error.
    stopped, not_begun
        Whether the run was stopped before all was done, and how many images it had not looked at by then.
    first_outline_seconds
        Time from its start until the first prompts were looked at; None where none were.
    """

    project: str
    engine: str
    model: dict[str, ModelReport]
    device: str
    precision: str
    version: str
    torch: str
    options: dict[str, Any]
    dry_run: bool
    unknown_classes: tuple[str, ...] = ()
    stopped: bool = False
    not_begun: int = 0
    images: tuple[ImageReport, ...]
    first_outline_seconds: float | None = None
    seconds: float

    @property
    def all_ok(self) -> bool:
        """Tell whether every prompt of every image got what it asked for."""
        return not self.stopped and not self.unknown_classes and all(image.status in ("ok", "no-prompts") for image in self.images)


def report_image(
    image: str,
    outlines: Sequence[Outline],
    *,
    content: EntryContent,
    plan: Plan,
    changes: Changes,
    error: str | None = None,
    undrawn: int = 0,
    estimated_mpp: float | None = None,
    since: float,
) -> ImageReport:
    """Give the report of an image that was worked on.

    Parameters
    ----------
    content, plan, changes
        What was read, what was to be done, and what was done to the file.
    error, undrawn
        What went wrong after the outlines were written, and how many things are on no picture.
    estimated_mpp
        See `ImageReport`.
    since
        `time.perf_counter()` at its start.
    """
    pruned = changes.remove_keys & plan.orphans
    turned = changes.remove_keys & {prompt.key for prompt, _ in plan.turned}
    replaced = changes.remove_keys & {item.key for item in changes.add} - turned
    counts = count(outlines, bad_prompts=len(content.bad_prompts))
    missed = [o for o in outlines if o.status in UNSERVED]
    statuses = Counter([*(str(o.status) for o in outlines), *([str(Status.FAILED)] * len(content.bad_prompts))])
    is_done = not (missed or content.bad_prompts or error or statuses[Status.STOPPED])
    return ImageReport(
        **counts.model_dump(),
        image=encodable(image),
        status="no-prompts" if not counts.prompts else "ok" if is_done else "partial",
        seconds=round(time.perf_counter() - since, 3),
        error=None if error is None else encodable(error),
        removed=sum(result.key in replaced for result in content.results),
        pruned=sum(result.key in pruned for result in content.results),
        dropped=sum(result.key in changes.remove_keys - pruned - replaced - turned for result in content.results),
        turned=sum(result.key in turned for result in content.results),
        orphaned=sum(result.key in plan.orphans - pruned for result in content.results),
        differing=plan.differing,
        weak=plan.weak,
        marked=sum(is_mark(item.key) for item in changes.add),
        undrawn=undrawn,
        estimated_mpp=estimated_mpp,
        classes=tuple(sorted({prompt.class_name or NO_CLASS for prompt in content.prompts})),
        statuses={name: n for name, n in sorted(statuses.items()) if n},
        without_outline=(*map(_unread_prompt, content.bad_prompts), *map(_report_prompt, missed)),
        to_check=tuple(_report_prompt(one) for one in outlines if one.status is Status.UNCERTAIN),
    )


def failed_image(image: str, error: Exception, *, plan: Plan | None, since: float) -> ImageReport:
    """Give the report of an image that an error ended.

    Parameters
    ----------
    plan
        Its prompts, where they could be read: all that were to be done have failed.
    """
    settled = count(plan.settled if plan else ())
    failed = len(plan.todo) if plan else 0
    counts = settled.model_copy(update={"prompts": settled.prompts + failed, "failed": settled.failed + failed})
    return ImageReport(
        **counts.model_dump(),
        image=encodable(image),
        status="failed",
        seconds=round(time.perf_counter() - since, 3),
        error=encodable(str(error)),
        statuses={},
    )


def unknown_classes(wanted: Sequence[str], images: Sequence[ImageReport]) -> tuple[str, ...]:
    """List the classes that were asked for and that no image has; nothing while an image is unread."""
    if any(image.status == "failed" for image in images):
        return ()
    return tuple(name for name in wanted if not any(name in image.classes for image in images))


def nothing_to_do(path: Path, images: int, options: RunOptions, *, classes: Collection[str]) -> str:
    """Say that no prompt was found, and what to do.

    Parameters
    ----------
    classes
        Those that prompts have, left out or not.
    """
    wanted = f" of the classes {listed_classes(options.classes)}" if options.classes else ""
    remedy = "put a point in each nucleus in QuPath or ASAP, save, and run again"
    if options.classes and classes:
        remedy = f"correct --classes: there are {listed_classes(classes)}"
    return f"{path} has no points or lines{wanted} in its {images} image(s); {remedy}"


def make_report(
    source: Path,
    engine: str,
    models: Models,
    *,
    options: RunOptions,
    images: Sequence[ImageReport],
    not_begun: int = 0,
    since: float,
    first: float | None = None,
) -> RunReport:
    """Put the reports of all images together.

    Parameters
    ----------
    source, engine
        What was read, and by what.
    not_begun
        Images that a stop left out.
    since
        `time.perf_counter()` at the start of the run.
    first
        Seconds until the first prompts were looked at.
    """
    return RunReport(
        **total(images).model_dump(),
        project=encodable(str(source)),
        engine=engine,
        model={
            str(kind): ModelReport(name=card.name, sha256=card.sha256, mpp=card.mpp, patch_px=card.patch_px)
            for kind, card in models.cards.items()
        },
        device=models.device,
        precision=models.precision,
        version=__version__,
        torch=importlib.metadata.version("torch"),
        options=json_value(options),
        dry_run=options.dry_run,
        unknown_classes=() if not_begun else unknown_classes(options.classes, images),
        stopped=not_begun > 0 or any(Status.STOPPED in image.statuses for image in images),
        not_begun=not_begun,
        images=tuple(images),
        first_outline_seconds=None if first is None else round(first, 3),
        seconds=round(time.perf_counter() - since, 3),
    )


def _unread_prompt(detail: str) -> PromptReport:
    return PromptReport(kind="unknown", class_name=None, x=None, y=None, status=str(Status.FAILED), detail=detail)


def _report_prompt(outline: Outline) -> PromptReport:
    x, y = outline.prompt.anchor
    return PromptReport(
        kind=outline.prompt.kind,
        class_name=outline.prompt.class_name,
        x=round(x, 2),
        y=round(y, 2),
        status=str(outline.status),
        detail=outline.detail,
    )
