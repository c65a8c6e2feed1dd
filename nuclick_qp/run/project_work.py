"""What begins and ends the work on a project, whoever works on its images in between."""

from collections.abc import Sequence

from nuclick_qp.errors import PromptError
from nuclick_qp.qupath.choosing import choose_images
from nuclick_qp.qupath.protocol import ImageEntry, Project
from nuclick_qp.run.models import Models
from nuclick_qp.run.report import ImageReport, RunReport, make_report, nothing_to_do
from nuclick_qp.run.run_options import RunOptions
from nuclick_qp.run.run_record import RECORD_FOLDER, write_record
from nuclick_qp.storage.atomic import make_folder


def begin_project(project: Project, options: RunOptions) -> list[ImageEntry]:
    """List the images that are to be worked on, and make the folders that were asked for.

    Raises
    ------
    OptionError
        If no image matches.
    WriteRefusedError
        If a folder cannot be made.
    ProjectError
        If the project holds no images.
    """
    chosen = choose_images(project, options.images, remedy="add some in QuPath and put a point in each nucleus")
    for folder, option in ((options.geojson, "--geojson"), (options.overlay, "--overlay")):
        if folder is not None and not options.dry_run:
            make_folder(folder, option=option)
    return [entry for entry in chosen if entry.entry_id not in options.skip]


def end_project(
    project: Project,
    models: Models,
    *,
    options: RunOptions,
    images: Sequence[ImageReport],
    not_begun: int,
    since: float,
    first: float | None = None,
) -> RunReport:
    """Put the reports of the images together, and keep the record of the run where something was written.

    Parameters
    ----------
    not_begun, since, first
        As for `make_report`.

    Raises
    ------
    PromptError
        If no image holds a prompt that the options leave in.
    """
    if not not_begun and not any(image.prompts or image.error or image.pruned for image in images):
        classes = {name for image in images for name in image.classes}
        raise PromptError(nothing_to_do(project.path, len(images), options, classes=classes))
    report = make_report(
        project.path, project.engine, models, options=options, images=images, not_begun=not_begun, since=since, first=first
    )
    if not options.dry_run and any(image.new_outlines or image.pruned for image in images):
        write_record(project.path.parent / RECORD_FOLDER, report)
    return report
