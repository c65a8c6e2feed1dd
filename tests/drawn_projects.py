"""Projects of drawn discs, and runs over them: what tests of runs share."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from shapely.geometry.base import BaseGeometry

from nuclick_qp.annotations.objects import PROMPT_KEY, Changes
from nuclick_qp.model.predictor import Predictors
from nuclick_qp.qupath.open_project import Engine, open_project
from nuclick_qp.qupath.qpdata.data_file import parse_data_file
from nuclick_qp.qupath.qpdata.new_objects import NewAnnotation
from nuclick_qp.qupath.qpdata.path_objects import PathObject
from nuclick_qp.run.project import segment_project
from nuclick_qp.run.report import RunReport
from nuclick_qp.run.results import standing_object
from nuclick_qp.run.run_options import RunOptions

MakeProject = Callable[..., Path]
DISCS = [(60.0, 60.0, 9.0), (100.0, 70.0, 7.0), (300.0, 200.0, 10.0), (203.0, 150.0, 8.0)]


def points_at(*places: tuple[float, float], class_name: str | None = "Tumor", name: str | None = None) -> NewAnnotation:
    """Make one annotation of some points."""
    return NewAnnotation("Points", places, name=name, class_name=class_name)


ALL = points_at((60, 60), (100, 70)), points_at((300, 200), class_name="Stroma"), points_at((203, 150), class_name=None)


def run_on(project: Path, predictors: Predictors, *, engine: Engine = "auto", **options: Any) -> RunReport:
    """Run over a whole project."""
    with open_project(project, engine=engine) as opened:
        return segment_project(opened, predictors, options=RunOptions(**options))


def objects_of(project: Path, entry: str = "1") -> tuple[PathObject, ...]:
    """Read the objects of an image that have no parent but the root."""
    path = project.parent / "data" / entry / "data.qpdata"
    return parse_data_file(path.read_bytes(), source=path).objects


def ours_of(project: Path, entry: str = "1") -> list[PathObject]:
    """Read those that a run has written."""
    return [item for item in objects_of(project, entry) if PROMPT_KEY in dict(item.metadata)]


def edit_outline(project: Path, number: int, **changes: Any) -> None:
    """Change a result of the first image as a user does in QuPath; it becomes the last."""
    with open_project(project) as opened:
        entry = opened.images()[0]
        content = opened.read(entry)
        item = standing_object(content.results[number])
        assert item is not None
        opened.write(entry, Changes((replace(item, **changes),), frozenset({item.key})), fingerprint=content.fingerprint)


def outlines_of(project: Path, image: int = 0) -> list[BaseGeometry]:
    """Give the outlines of the results of an image, in the order of the file."""
    with open_project(project) as opened:
        found = [result.outline for result in opened.read(opened.images()[image]).results]
    return [outline for outline in found if outline is not None]
