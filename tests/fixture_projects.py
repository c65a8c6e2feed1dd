"""The projects that QuPath itself wrote, and what tests of both engines ask of them."""

import json
from pathlib import Path
from typing import Any

import pytest

from nuclick_qp.qupath.jvm.engine import JvmProject, find_qupath, open_jvm_project
from nuclick_qp.qupath.protocol import ImageEntry, Project

DATA = Path(__file__).parent / "data" / "qupath"
VERSIONS = ("0.3.2", "0.4.4", "0.6.0", "0.8")
NO_QUPATH = "no QuPath found; set PAQUO_QUPATH_DIR"

Drawn = dict[str, list[tuple[object, ...]]]  # by entry id: kind, strokes, class, name, (z, t), nested


def entry_of(project: Project, entry_id: str = "1") -> ImageEntry:
    """Pick an image by its id."""
    return next(e for e in project.images() if e.entry_id == entry_id)


def open_with_qupath(folder: Path) -> JvmProject:
    """Open a project with QuPath, or skip the test."""
    if find_qupath() is None:
        pytest.skip(NO_QUPATH)
    return open_jvm_project(folder)


def drawn_in(version: str) -> Drawn:
    """List what QuPath says was drawn in each image with data: one item per point and per line."""
    entries = json.loads((DATA / version / "expected.json").read_text("utf-8"))["entries"]
    return {entry["entry_id"]: _drawn(entry) for entry in entries if entry["has_data"]}


def prompts_in(project: Project, entry_ids: Drawn) -> Drawn:
    """List the prompts that an engine reads from the same images, in the same form."""
    return {
        entry_id: [
            (p.kind, p.strokes, p.class_name, p.name, (p.plane.z, p.plane.t), p.nested)
            for p in project.read(entry_of(project, entry_id)).prompts
        ]
        for entry_id in entry_ids
    }


def snapshot(folder: Path) -> dict[str, bytes]:
    """Give every file below a folder with its bytes."""
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def _drawn(entry: dict[str, Any]) -> list[tuple[object, ...]]:
    found: list[tuple[object, ...]] = []
    for item in entry["objects"] or ():
        about = (item["class"], item["name"], tuple(item["plane"][1:]), item["depth"] > 1)
        points = [tuple(p) for p in item.get("points") or ()]
        if item["type"] == "PathAnnotationObject" and item["roi"] == "Points":
            found += [("point", ((p,),), *about) for p in points]
        elif item["type"] == "PathAnnotationObject" and item["roi"] in ("Line", "Polyline"):
            found.append(("line", (tuple(points),), *about))
    return found
