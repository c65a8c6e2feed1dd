"""`nuclick-qp clear`: take our outlines out of a project or a file, and nothing else."""

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from nuclick_qp_cli.shared import Engine, EngineOption, ImagesOption, JsonOption
from nuclick_qp_cli.terminal import say, say_json


def clear(
    path: Annotated[Path, typer.Argument(help="A project.qpproj or its folder, an ASAP file, or a GeoJSON file.", show_default=False)],
    images: ImagesOption = "*",
    edited: Annotated[bool, typer.Option("--edited", help="Also outlines that you reshaped or gave another class.")] = False,
    engine: EngineOption = Engine.AUTO,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Count, but write nothing.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Remove the outlines that nuclick-qp wrote; all that you drew stays."""
    from nuclick_qp.run.clearing import clear as clear_outlines

    cleared = clear_outlines(path, images=images, engine=engine.value, edited=edited, dry_run=dry_run)
    if as_json:
        say_json(json.dumps({"path": str(path), "dry_run": dry_run, "images": [asdict(image) for image in cleared]}, indent=2))
    else:
        done = "would be removed" if dry_run else "removed"
        for image in cleared:
            kept = f"; {image.edited} that you edited stay, --edited removes them" if image.edited else ""
            went = _counted(image.removed, image.unmarked)
            say(f"{image.image}: " + (f"failed: {image.detail}" if image.status == "failed" else f"{went} {done}{kept}"))
        went = _counted(sum(image.removed for image in cleared), sum(image.unmarked for image in cleared))
        say(f"{went} {done}")
    sys.exit(1 if any(image.status == "failed" for image in cleared) else 0)


def _counted(outlines: int, marks: int) -> str:
    """Say how many, as `3 outlines and 1 mark`."""
    counts = [("outline", outlines), *([("mark", marks)] if marks else [])]
    return " and ".join(f"{count} {noun}{'s' * (count != 1)}" for noun, count in counts)
