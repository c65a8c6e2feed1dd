"""Projects of drawn objects for tests of exports, and how their tables are read."""

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from shapely import MultiPolygon, Point, Polygon, box

from nuclick_qp.annotations.objects import Changes, ResultObject
from nuclick_qp.export.export_options import ExportOptions
from nuclick_qp.export.exporting import export_project
from nuclick_qp.export.record import ExportReport
from nuclick_qp.kinds import ObjectKind
from nuclick_qp.prompts import Plane
from nuclick_qp.qupath.folder.create import NewImage, create_project
from nuclick_qp.qupath.open_project import open_project

Drawn = tuple[Polygon | MultiPolygon, ObjectKind, str | None]

DISC: Drawn = (Point(60, 60).buffer(12), "detection", "Tumor")
CELL: Drawn = (Point(200.5, 150).buffer(12), "cell", "Stroma")  # the border between LEFT and RIGHT runs through it
RING: Drawn = (Polygon(Point(300, 200).buffer(30).exterior, [Point(300, 200).buffer(14).exterior]), "annotation", "Gland")
INNER: Drawn = (Point(300, 200).buffer(9), "detection", None)
BIG: Drawn = (box(40, 40, 90, 90), "annotation", "Gland")  # holds DISC
TWO: Drawn = (MultiPolygon([box(120, 220, 140, 240), box(150, 225, 161, 240)]), "detection", "Tumor")
LEFT: Drawn = (box(0.2, 0, 200.3, 300), "annotation", "Region*")
RIGHT: Drawn = (box(200.3, 0, 400, 300), "annotation", "Region*")
OBJECTS = (DISC, CELL, RING, INNER, BIG, TWO)


def fill_project(
    folder: Path, slides: Sequence[Path], images: Sequence[Sequence[Drawn]], *, mpp: float | None, names: Sequence[str]
) -> Path:
    """Make a project of slides of 400 x 300 px with objects in each."""
    new = [NewImage(slide, name, 400, 300, mpp) for slide, name in zip(slides, names or [s.stem for s in slides], strict=True)]
    path = create_project(folder, new)
    with open_project(path) as project:
        for entry, drawn in zip(project.images(), images, strict=True):
            add = tuple(result(number, *one) for number, one in enumerate(drawn))
            project.write(entry, Changes(add), fingerprint=project.read(entry).fingerprint)
    return path


def result(number: int, outline: Polygon | MultiPolygon, kind: ObjectKind, class_name: str | None) -> ResultObject:
    """Give an object as it is written into a project, with two measurements."""
    shape = (("Area µm^2", outline.area / 16), ("Odd", 0.5))
    return ResultObject(outline, kind, class_name, Plane(), False, (0, 0), f"{number}", shape=shape)


def export(project: Path, folder: Path, **options: Any) -> ExportReport:
    """Export a project."""
    with open_project(project) as opened:
        return export_project(opened, folder, ExportOptions(**options))


def table(path: Path) -> list[dict[str, str]]:
    """Read a table with a header."""
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def ids_in(project: Path) -> list[str]:
    """Give the ids of the objects of the first image."""
    with open_project(project) as opened:
        return [item.object_id for item in opened.read_closed_objects(opened.images()[0])]
