"""`nuclick-qp restore`: bring back what a project held before the first run."""

import json
import sys
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from nuclick_qp_cli.shared import ImagesOption, JsonOption, ProjectArgument
from nuclick_qp_cli.terminal import say, say_json

if TYPE_CHECKING:  # the reader of projects takes a while to load
    from nuclick_qp.annotations.going_back import Losses
    from nuclick_qp.qupath.restore import Restored


def restore(
    project: ProjectArgument,
    images: ImagesOption = "*",
    force: Annotated[bool, typer.Option("--force", help="Also where points, lines or areas of yours would go.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Tell what would come back and what would go, but write nothing.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Bring back the data file that each image had before nuclick-qp first wrote into it; what it holds now is kept beside it."""
    from nuclick_qp.qupath.choosing import choose_images
    from nuclick_qp.qupath.files_engine import open_files_project
    from nuclick_qp.qupath.restore import restore_images

    opened = open_files_project(project)
    chosen = choose_images(opened, images, remedy="name the project that `run` wrote into")
    restored = restore_images(opened, chosen, force=force, dry_run=dry_run)
    if as_json:
        say_json(json.dumps({"project": str(opened.path), "dry_run": dry_run, "images": [asdict(image) for image in restored]}, indent=2))
    else:
        for image in restored:
            say(f"{image.image}: {_meaning(image, dry_run=dry_run)}")
        say(f"{sum(image.status == 'restored' for image in restored)} of {len(restored)} images {_done(dry_run)}")
    sys.exit(1 if any(image.status in ("failed", "refused") for image in restored) else 0)


def _meaning(image: "Restored", *, dry_run: bool) -> str:
    match image.status:
        case "restored":
            goes = _what_goes(image.goes)
            gone = f"; {goes} {'would go' if dry_run else 'gone'}" if goes else ""
            kept = f"; what it held lies in {image.detail}" if image.detail and not dry_run else ""
            return f"{image.objects} objects {_done(dry_run)}{gone}{kept}"
        case "refused":
            return (
                f"left as it is: {_what_goes(image.goes)} would go, drawn or changed since the first run; "
                "`nuclick-qp clear` removes outlines of nuclick-qp only, and --force restores all the same"
            )
        case "unchanged":
            return "it holds what its backup holds"
        case "no-backup":
            return "it has no backup: no run has changed it, or one has made it from nothing"
        case "failed":
            return f"failed: {image.detail}"


def _what_goes(goes: "Losses") -> str:
    """List what goes, as `30 points, 1 area, 12 outlines of nuclick-qp and 1 mark of nuclick-qp`."""
    users = [("point", "", goes.points), ("line", "", goes.lines), ("area", "", goes.areas)]
    ours = [(noun, " of nuclick-qp", count) for noun, count in (("outline", goes.outlines), ("mark", goes.marks))]
    parts = [f"{count} {noun}{'s' * (count != 1)}{more}" for noun, more, count in (*users, *ours) if count]
    return " and ".join(filter(None, [", ".join(parts[:-1]), *parts[-1:]]))


def _done(dry_run: bool) -> str:
    return "would be restored" if dry_run else "restored"
