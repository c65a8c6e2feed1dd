"""`nuclick-qp batch`: many QuPath projects on several processes, or on a cluster."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nuclick_qp.cluster.batch_options import ClusterOptions, JobQueue, QueueSystem
from nuclick_qp.errors import OptionError
from nuclick_qp.plain_text import first_lines
from nuclick_qp.run.run_options import RunOptions
from nuclick_qp.segmentation.segment_options import SegmentOptions
from nuclick_qp.stopping import hold_back_stops
from nuclick_qp_cli.shared import (
    DEFAULT_CLASSES,
    DEFAULT_MODEL,
    DEFAULTS,
    EXIT_STOPPED,
    BatchSizeOption,
    DeviceOption,
    DryRunOption,
    ForceOption,
    ImageRootOption,
    ImagesOption,
    KindOption,
    LinesOption,
    MarkFailedOption,
    MarkUncertainOption,
    MinProbabilityOption,
    MppOption,
    OverwriteChoice,
    OverwriteOption,
    PointsOption,
    PromptClassesOption,
    PruneOption,
    ReportJsonOption,
    ScaleChoice,
    ScaleOption,
    TtaOption,
    image_line,
    model_names,
    split_names,
)
from nuclick_qp_cli.terminal import note, say, say_json

if TYPE_CHECKING:  # importing them takes longer than a --help should
    from nuclick_qp.cluster.batch_report import BatchReport, ProjectReport
    from nuclick_qp.run.models import ModelNames

PLACES = ClusterOptions()
DASK = ("dask", "distributed", "dask_jobqueue", "bokeh", "jinja2")
IN_ONE_FILE = "settings of dask-jobqueue as YAML; workers are jobs."

ProjectsArgument = Annotated[
    list[str], typer.Argument(help="project.qpproj files or their folders, globs, or .txt files that list them.", show_default=False)
]


def batch(
    projects: ProjectsArgument,
    local: Annotated[int | None, typer.Option(help=f"Workers on this machine; {PLACES.local} if you name no other place.", min=1)] = None,
    scheduler: Annotated[str | None, typer.Option(metavar="ADDRESS", help="A Dask scheduler that runs already.")] = None,
    slurm: Annotated[Path | None, typer.Option(metavar="FILE", help=f"SLURM: {IN_ONE_FILE}")] = None,
    pbs: Annotated[Path | None, typer.Option(metavar="FILE", help=f"PBS: {IN_ONE_FILE}")] = None,
    sge: Annotated[Path | None, typer.Option(metavar="FILE", help=f"SGE: {IN_ONE_FILE}")] = None,
    jobs: Annotated[int, typer.Option(help="How many jobs a queue keeps running.", min=1)] = 1,
    retries: Annotated[int, typer.Option(help="Times an image is tried again whose worker died.", min=0)] = PLACES.retries,
    report: Annotated[Path | None, typer.Option(metavar="FOLDER", help="Folder for batch.json, batch.csv and batch.html.")] = None,
    images: ImagesOption = DEFAULTS.images,
    classes: PromptClassesOption = DEFAULT_CLASSES,
    points: PointsOption = DEFAULT_MODEL,
    lines: LinesOption = DEFAULT_MODEL,
    kind: KindOption = None,
    image_root: ImageRootOption = DEFAULTS.image_root,
    mpp: MppOption = DEFAULTS.mpp,
    scale: ScaleOption = ScaleChoice.AUTO,
    force: ForceOption = DEFAULTS.force,
    device: DeviceOption = "auto",
    batch_size: BatchSizeOption = DEFAULTS.segment.batch_size,
    tta: TtaOption = DEFAULTS.segment.tta,
    overwrite: OverwriteOption = OverwriteChoice.NONE,
    min_probability: MinProbabilityOption = DEFAULTS.min_probability,
    mark_failed: MarkFailedOption = DEFAULTS.mark_failed,
    mark_uncertain: MarkUncertainOption = DEFAULTS.mark_uncertain,
    prune: PruneOption = DEFAULTS.prune,
    dry_run: DryRunOption = DEFAULTS.dry_run,
    as_json: ReportJsonOption = False,
) -> None:
    """Run over many projects at once, on several processes of this machine or on a cluster."""
    names = model_names(points=points, lines=lines, device=device)
    options = RunOptions(
        images=images, classes=split_names(classes), left_out=names.left_out,
        image_root=None if image_root is None else image_root.absolute(),
        segment=SegmentOptions(batch_size=batch_size, tta=tta), kind=kind.value if kind else None, mpp=mpp, scale=scale.value,
        overwrite=overwrite.value, prune=prune, min_probability=min_probability,
        mark_failed=mark_failed, mark_uncertain=mark_uncertain, force=force, dry_run=dry_run,
    )  # fmt: skip
    files: dict[QueueSystem, Path | None] = {"slurm": slurm, "pbs": pbs, "sge": sge}
    queues = [JobQueue(system, file, jobs) for system, file in files.items() if file is not None]
    if len(queues) + (scheduler is not None) + (local is not None) > 1:
        raise OptionError("--local, --scheduler, --slurm, --pbs and --sge each say where the workers are; choose one")
    place = ClusterOptions(local or PLACES.local, scheduler, queues[0] if queues else None, retries)
    done = _work(projects, place, names, options, report)
    _print(done, as_json=as_json)
    if done.stopped:
        finished = sum(project.status != "stopped" for project in done.projects)
        note(f"stopped; {finished} of {len(done.projects)} projects done, run the same batch again to go on")
        sys.exit(EXIT_STOPPED)
    sys.exit(0 if done.all_ok else 1)


def _work(projects: list[str], place: ClusterOptions, names: "ModelNames", options: RunOptions, folder: Path | None) -> "BatchReport":
    """Do the work, and write the report where that was asked for."""
    try:
        from nuclick_qp.cluster.batch import segment_batch
        from nuclick_qp.cluster.batch_page import write_report
        from nuclick_qp.cluster.clusters import open_cluster
    except ModuleNotFoundError as err:
        if (err.name or "").partition(".")[0] not in DASK:
            raise
        raise OptionError(f"batch needs {err.name}, which is not installed: pip install 'nuclick-qp[cluster]'") from err
    from nuclick_qp.cluster.project_names import projects_named
    from nuclick_qp.storage.atomic import make_folder
    from nuclick_qp_cli.batch_progress import show_batch

    if folder is not None:
        make_folder(folder, option="--report")
    with hold_back_stops() as stopped, open_cluster(place) as client:
        note(f"dashboard: {client.dashboard_link}")
        with show_batch(stopped) as progress:
            done = segment_batch(projects_named(projects), client, names=names, options=options, retries=place.retries, progress=progress)
    if folder is not None:
        write_report(folder, done)
    return done


def _print(report: "BatchReport", *, as_json: bool) -> None:
    """Print a report to stdout: as JSON, or a few lines for each project."""
    if as_json:
        say_json(report.model_dump_json(indent=2))
        return
    for project in report.projects:
        for line in first_lines(list(_project_lines(project)), rest="--json and --report have all"):
            say(line)
    done = "would be written" if report.dry_run else "written"
    unsure = f", {report.uncertain} of them uncertain," if report.uncertain else ""
    by = f"{report.clicks_per_second:.1f} clicks/s with {report.workers} worker(s)"
    lost = f"; {report.lost_workers} worker(s) died, {report.repeated} image(s) were worked on again" if report.lost_workers else ""
    prompts = f"{report.new_outlines} of {report.prompts} prompts of {len(report.projects)} projects"
    say(f"{prompts} {done}{unsure} in {report.seconds:.1f} s: {by}{lost}")


def _project_lines(project: "ProjectReport") -> Iterator[str]:
    """Say what became of a project, and of its images that are not as they should be."""
    if project.run is None:
        yield f"{project.project}: {f'failed: {project.error}' if project.error else 'not begun'}"
        return
    counts = ", ".join(f"{number} {name}" for name, number in project.counts.model_dump().items() if number and name != "prompts")
    left = f", {project.run.not_begun} not begun" if project.run.not_begun else ""
    yield f"{project.project}: {counts or 'no prompts'} in {len(project.run.images)} image(s){left}"
    for image in project.run.images:
        if image.status in ("failed", "partial"):
            yield f"  {image_line(image, project.run)}"
