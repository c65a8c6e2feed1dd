"""What several commands share: their options, models by name, reports to the terminal."""

import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer
from typer.core import TyperCommand

from nuclick_qp.kinds import PromptKind
from nuclick_qp.mpp_limits import LARGEST_MPP, SMALLEST_MPP
from nuclick_qp.plain_text import first_lines
from nuclick_qp.run.run_options import RunOptions
from nuclick_qp_cli.terminal import note, say, say_json

if TYPE_CHECKING:  # importing them loads torch, which no --help should wait for
    from nuclick_qp.run.models import ModelNames, Models
    from nuclick_qp.run.report import ImageReport, PromptReport, RunReport

EXIT_STOPPED = 130  # what shells give after Ctrl-C
NO_MODEL = "none"
DEFAULT_MODEL = "default"


class Engine(StrEnum):
    """What reads and writes the project."""

    AUTO = "auto"
    QUPATH = "qupath"
    FILES = "files"


class OverwriteChoice(StrEnum):
    """Which outlines of earlier runs are made anew."""

    NONE = "none"
    UNEDITED = "unedited"
    EDITED = "edited"


class OverwriteCommand(TyperCommand):
    """A command whose `--overwrite` needs no value; click would take the argument that follows it for one."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Give a lone `--overwrite` its value; the context is click's, or that of the click within newer versions of Typer."""
        return super().parse_args(ctx, [f"{arg}={OverwriteChoice.UNEDITED}" if arg == "--overwrite" else arg for arg in args])


class ScaleChoice(StrEnum):
    """What tells the scale of an image without a pixel size."""

    AUTO = "auto"
    GIVEN = "given"


class ObjectType(StrEnum):
    """What outlines are written as."""

    DETECTION = "detection"
    ANNOTATION = "annotation"
    CELL = "cell"


DEFAULTS = RunOptions()
DEFAULT_CLASSES = ",".join(DEFAULTS.classes)

ProjectArgument = Annotated[Path, typer.Argument(help="The project.qpproj file, or its folder.", show_default=False)]
ImagesOption = Annotated[str, typer.Option(help="Only images whose name matches this glob.")]
PromptClassesOption = Annotated[str, typer.Option(help="Only prompts of these classes, separated by commas.")]
PointsOption = Annotated[
    str,
    typer.Option(help="Model for points: name, or path of its card, weights or folder; 'none' leaves them out.", show_default="nuclei"),
]
LinesOption = Annotated[str, typer.Option(help="Model for lines, named as for points; 'none' leaves them out.", show_default="glands")]
EngineOption = Annotated[Engine, typer.Option(help="What reads and writes the project.")]
ImageRootOption = Annotated[Path | None, typer.Option(help="Folder to search for slides that have moved.")]
MppOption = Annotated[
    float | None, typer.Option(help="um per pixel where neither project nor slide say it.", min=SMALLEST_MPP, max=LARGEST_MPP)
]
DeviceOption = Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:N or mps.")]
BatchSizeOption = Annotated[int, typer.Option(help="Clicks that go through the network at once.", min=1)]
OverwriteOption = Annotated[
    OverwriteChoice,
    typer.Option(
        metavar="[=edited]",
        show_default=False,
        help="Also segment prompts that have an outline, except those whose outline you edited; with =edited these, too.",
    ),
]
PruneOption = Annotated[bool, typer.Option("--prune", help="Remove outlines of earlier runs whose point or line is gone.")]
DryRunOption = Annotated[bool, typer.Option("--dry-run", help="Segment and report, but write nothing.")]
MinProbabilityOption = Annotated[
    float, typer.Option(help="Outlines below this probability are not written; earlier ones go with --prune.", min=0, max=1)
]
MarkFailedOption = Annotated[
    str | None, typer.Option(metavar="CLASS", help="Put a small annotation of this class where a prompt has no outline.")
]
MarkUncertainOption = Annotated[
    str | None, typer.Option(metavar="CLASS", help="Put a small annotation of this class where an outline is uncertain.")
]
OverlayOption = Annotated[
    Path | None, typer.Option(metavar="FOLDER", help="Folder for pictures of the outlines over the image, to check them by eye.")
]
ScaleOption = Annotated[
    ScaleChoice,
    typer.Option(help="Where nothing states a pixel size: auto takes it from the objects under clicks, for cells; given refuses it."),
]
KindOption = Annotated[
    ObjectType | None,
    typer.Option("--as", help="What the outlines become, those of earlier runs as well; new ones detections if you do not say."),
]
TtaOption = Annotated[
    bool, typer.Option("--tta", help="Average over several views of each patch: better, and four to five times the work.")
]
EventsOption = Annotated[bool, typer.Option("--events", help="Tell progress as lines of JSON on stderr, for programs.")]
ForceOption = Annotated[bool, typer.Option("--force", help="Segment images that are, or look like, fluorescence, too.")]
ReportJsonOption = Annotated[bool, typer.Option("--json", help="Print the report as one JSON object.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]


def split_names(text: str) -> tuple[str, ...]:
    """Split a list at its commas; an empty text is an empty list."""
    return tuple(name.strip() for name in text.split(",")) if text else ()


def choose_models(*, points: str, lines: str, device: str) -> tuple["Models", frozenset[PromptKind]]:
    """Find the models that two options name, and list the kinds of prompts that ``none`` leaves out."""
    names = model_names(points=points, lines=lines, device=device)
    return names.find(), names.left_out


def model_names(*, points: str, lines: str, device: str) -> "ModelNames":
    """Say which models two options name."""
    from nuclick_qp.errors import OptionError
    from nuclick_qp.run.models import ModelNames

    named: dict[PromptKind, str] = {"point": points, "line": lines}
    left_out = frozenset(kind for kind, name in named.items() if name == NO_MODEL)
    if len(left_out) == len(named):
        raise OptionError("--points none and --lines none leave nothing to do; name a model for one of them")
    chosen = {f"{kind}s": name for kind, name in named.items() if name not in (NO_MODEL, DEFAULT_MODEL)}
    return ModelNames(**chosen, device=device, left_out=left_out)


def end_with(report: "RunReport", *, as_json: bool) -> NoReturn:
    """Print a report, and end with the exit code that says whether all is well."""
    print_report(report, as_json=as_json)
    if report.stopped:
        note(f"stopped; {_done_before(report)} done, run again to go on")
        sys.exit(EXIT_STOPPED)
    sys.exit(0 if report.all_ok else 1)


def print_report(report: "RunReport", *, as_json: bool) -> None:
    """Print a report to stdout: as JSON, or as a few lines to read."""
    from nuclick_qp.annotations.objects import listed_classes

    if as_json:
        say_json(report.model_dump_json(indent=2))
        return
    for image in report.images:
        say(image_line(image, report))
        for prompts in (image.without_outline, image.to_check):
            for line in first_lines([_prompt_line(prompt) for prompt in prompts], rest="--json lists all"):
                say(f"  {line}")
    there = listed_classes({name for image in report.images for name in image.classes}) or "none"
    for name in report.unknown_classes:
        say(f"no prompt {'has the class' if name else 'is'} {listed_classes([name])}; correct --classes: there are {there}")
    done = "would be written" if report.dry_run else "written"
    by = f" ({report.device}, {report.precision})" if report.device != "none" else ""
    unsure = f", {report.uncertain} of them uncertain," if report.uncertain else ""
    say(f"{report.new_outlines} of {report.prompts} prompts {done}{unsure} in {report.seconds:.1f} s{by}")


def _prompt_line(prompt: "PromptReport") -> str:
    place = "" if prompt.x is None or prompt.y is None else f" at ({prompt.x:.1f}, {prompt.y:.1f})"
    return f"{prompt.status}: {prompt.kind}{place}: {prompt.detail}"


def _done_before(report: "RunReport") -> str:
    """Say how far a stopped run came."""
    images = len(report.images) + report.not_begun
    left = [image.statuses.get("stopped", 0) for image in report.images]
    if images == 1 and report.images:
        return f"{report.prompts - left[0]} of {report.prompts} prompts"
    return f"{left.count(0)} of {images} images"


def image_line(image: "ImageReport", report: "RunReport") -> str:
    """Say what became of an image."""
    if image.status == "failed":
        return f"{image.image}: failed: {image.error}"
    counts = ", ".join(f"{number} {status}" for status, number in image.statuses.items())
    will = "would be " if report.dry_run else ""
    notes = (
        (image.removed, f"earlier results {will}replaced"),
        (image.turned, f"outlines of earlier runs {will}made {report.options['kind']}s, with the same shape"),
        (image.differing, "outlines of another model or other options stay, --overwrite replaces them"),
        (image.weak, "outlines are less probable than asked, --prune removes them"),
        (image.dropped, f"outlines less probable than asked {will}removed"),
        (image.estimated_mpp, "um per pixel, estimated from the size of the objects, as nothing states it; areas are in px"),
        (image.marked, f"prompts {will}marked"),
        (image.pruned, f"results whose prompt is gone {will}removed"),
        (image.orphaned, "results whose prompt is gone stay, --prune removes them"),
    )
    told = [f"{number} {text}" for number, text in notes if number]
    return f"{image.image}: " + "; ".join([counts or "no prompts", *told, *([image.error] if image.error else [])])
