"""The small JSON files beside `data.qpdata`: counts of objects, and the project's list of classes.

They are conveniences of QuPath's project pane. Nothing here may cost the user an object, so a
failure is logged and never raised.
"""

import json
import logging
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nuclick_qp.annotations.objects import UNCLASSIFIED
from nuclick_qp.errors import WriteRefusedError
from nuclick_qp.storage.atomic import write_atomically
from nuclick_qp.storage.locks import hold
from nuclick_qp.storage.plain_files import LARGEST_SMALL_FILE, read_file

logger = logging.getLogger(__name__)

KIND_NAMES = {
    "root": "Root objects",
    "annotation": "Annotations",
    "detection": "Detections",
    "cell": "Cells",
    "tile": "Tiles",
    "tma-core": "TMA cores",
}
# Errors of a file that is no list of classes, or no counts: hand-made, damaged, nested without end, or not to be written.
UNUSABLE = (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError, WriteRefusedError)
DETECTION_KINDS = frozenset({"detection", "cell", "tile"})


@dataclass(frozen=True, slots=True)
class ClassColour:
    """A class of QuPath's list: full name, and colour as a packed signed 32-bit ARGB integer."""

    name: str
    colour: int | None


def hierarchy_summary(objects: Iterable[tuple[str, str | None]], *, like: Mapping[str, Any]) -> dict[str, Any]:
    """Count objects as QuPath's `summary.json` does.

    Parameters
    ----------
    objects
        Kind and full class name of every object but the root.
    like
        The counts that were there; their order and unknown keys are kept.
    """
    kinds: Counter[str] = Counter({"Root objects": 1})
    annotations: Counter[str] = Counter()
    detections: Counter[str] = Counter()
    for kind, class_name in objects:
        kinds[KIND_NAMES[kind]] += 1
        if kind == "annotation":
            annotations[class_name or UNCLASSIFIED] += 1
        elif kind in DETECTION_KINDS:
            detections[class_name or UNCLASSIFIED] += 1
    return {
        **like,
        "nObjects": kinds.total(),
        "objectTypeCounts": _in_order(kinds, like.get("objectTypeCounts")),
        "annotationClassificationCounts": _in_order(annotations, like.get("annotationClassificationCounts")),
        "detectionClassificationCounts": _in_order(detections, like.get("detectionClassificationCounts")),
    }


def update_summary(data_file: Path, objects: Iterable[tuple[str, str | None]]) -> None:
    """Bring the `summary.json` beside a `data.qpdata` up to date; one that is not there is not made."""
    path = data_file.with_name("summary.json")
    try:
        if path.is_symlink():  # of a stranger's project it may lead to any JSON file of the user
            logger.warning("%s is a symbolic link and was left as it is; QuPath makes it anew when it saves the image", path)
            return
        summary = json.loads(read_file(path, most=LARGEST_SMALL_FILE).decode())
        like = summary.get("hierarchy", {})
        timestamp = data_file.stat().st_mtime_ns // 1_000_000
        new = {**summary, "timestamp": timestamp, "hierarchy": hierarchy_summary(objects, like=like)}
        write_atomically(path, json.dumps(new, ensure_ascii=False, separators=(",", ":")).encode())
    except FileNotFoundError:
        return
    except UNUSABLE as err:
        logger.warning("%s was not brought up to date (%s); QuPath makes it anew when it saves the image", path, err)


def class_list(project_folder: Path) -> Path:
    """Give the place of the project's list of classes, whether it is there or not."""
    return project_folder / "classifiers" / "classes.json"


def listed_colours(project_folder: Path) -> dict[str, int]:
    """Give the colours of the project's list of classes by full name, as packed signed 32-bit ARGB integers.

    Empty when there is no list. Entries without a name or a colour are left out.
    """
    path = class_list(project_folder)
    try:
        classes = json.loads(read_file(path, most=LARGEST_SMALL_FILE).decode())["pathClasses"]
        read = [_listed_colour(entry) for entry in classes]
    except FileNotFoundError:
        return {}
    except UNUSABLE as err:
        logger.warning("%s cannot be read (%s); new classes get colours of their own", path, err)
        return {}
    if None in read:
        logger.warning("%s has classes without a name or with a colour that is none; they are passed over", path)
    return {c.name: c.colour for c in read if c is not None and c.colour is not None}


def add_classes(project_folder: Path, classes: Iterable[ClassColour]) -> None:
    """Append classes to the project's list, where they are not in it.

    A project without a list shows QuPath's default classes; a list made here would hide them.
    """
    path, wanted = class_list(project_folder), tuple(classes)
    try:
        if wanted and path.exists():
            with hold(path):  # another run may be adding its own
                _append_classes(path, wanted)
    except UNUSABLE as err:
        logger.warning("%s did not get the new classes (%s); add them in QuPath's Annotations tab", path, err)


def _append_classes(path: Path, classes: Iterable[ClassColour]) -> None:
    content = json.loads(read_file(path, most=LARGEST_SMALL_FILE).decode())
    known = {c.get("name") for c in content["pathClasses"]}
    new = [{"name": c.name, "color": c.colour} for c in classes if c.name not in known]
    if new:
        content["pathClasses"] += new
        write_atomically(path, json.dumps(content, ensure_ascii=False, indent=2).encode())


def _listed_colour(entry: object) -> ClassColour | None:
    """Read one class of the list; None for what is no class, or has a colour that is none."""
    name, colour = (entry.get("name"), entry.get("color")) if isinstance(entry, dict) else (None, None)
    if not isinstance(name, str):
        return None
    if colour is None:  # "Unclassified" in QuPath 0.2
        return ClassColour(name, None)
    if not isinstance(colour, int) or isinstance(colour, bool) or not -(1 << 31) <= colour < 1 << 32:
        return None
    return ClassColour(name, colour - (1 << 32) if colour >= 1 << 31 else colour)  # other programs write it unsigned


def _in_order(counts: Counter[str], like: object) -> dict[str, int]:
    """Give the counts in the order that stood there, new names last; names without objects go."""
    old = list(like) if isinstance(like, dict) else []
    return {name: counts[name] for name in dict.fromkeys([*old, *counts]) if counts[name]}
