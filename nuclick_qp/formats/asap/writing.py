"""Outlines into an ASAP file, beside all that the user drew in it."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from nuclick_qp.annotations.colours import colour_of
from nuclick_qp.annotations.objects import ResultObject, outline_digest
from nuclick_qp.errors import PromptError, WriteRefusedError
from nuclick_qp.formats.asap.document import ANNOTATIONS, DEFAULT_COLOUR, GROUPS, NO_GROUP, ROOT, AsapDocument, AsapGroup, Span, parse
from nuclick_qp.formats.asap.reading import OWN_GROUPS, drawn_area, earlier_key
from nuclick_qp.formats.asap.text import ascii_bytes, colour_text, file_bytes, group_text, group_xml, polygons_xml, rings_of, xml_text
from nuclick_qp.prompts import UNCERTAIN_BELOW, Plane
from nuclick_qp.storage.guarded import content_of, replace_data_file
from nuclick_qp.storage.plain_files import read_file

RESULT_GROUP = f"{OWN_GROUPS}outlines"
Edit = tuple[int, int, str]  # replace the bytes from here to there


def check_output(path: Path, *, template: Path | None) -> None:
    """Refuse an output that `write_objects` could not write into, before any work is done.

    Raises
    ------
    WriteRefusedError
        As `write_objects` does.
    """
    _base(path, template)


def write_objects(
    path: Path,
    objects: Sequence[ResultObject],
    *,
    origin: tuple[int, int],
    template: Path | None = None,
    drop_keys: Collection[str] = (),
) -> int:
    """Add outlines to an ASAP file, which is made when it is not there.

    Every outline becomes a Polygon in the group ``nuclick:outlines CLASS`` inside the group of its
    class, and has that group's colour. Its name begins with ``nuclick KEY p=PROBABILITY`` and says what
    made it, see `result_name`. Several parts have one name; holes are opened by a slit. Outlines of an
    earlier run for the same prompts go, and groups of ours that are empty then; every other byte of the
    file stays. A group that the file refers to and lacks is added, as
    ASAP rejects such a file. A backup of the first touch is kept beside the file.

    Parameters
    ----------
    origin
        (x, y) of the slide frame on the canvas, `Slide.bounds_origin`.
    template
        The ASAP file whose content a new file begins with.
    drop_keys
        Prompt keys whose outlines go without new ones.

    Returns
    -------
    int
        Prompts whose earlier outlines went.

    Raises
    ------
    WriteRefusedError
        If the file cannot be written, is no ASAP file or one that ASAP would not load, or an
        outline lies on a plane other than the first. The file is as it was.
    """
    if any(result.plane != Plane() for result in objects):
        raise WriteRefusedError(f"{path} cannot hold outlines of stacks, as ASAP has no planes; write them as GeoJSON")
    document, old = _base(path, template)
    added = {result.key for result in objects}
    keys = added | set(drop_keys)
    replaced = {key for annotation in document.annotations if (key := earlier_key(annotation)) in keys}
    new = _merged(document, objects, gone=keys, origin=origin)
    _verify(document, new, gone=keys, added=added, source=path)
    replace_data_file(path, new, old=old)
    return len(replaced)


def _base(path: Path, template: Path | None) -> tuple[AsapDocument, bytes | None]:
    """Give the document to add to, and what the file holds now."""
    source = path
    try:
        content = old = content_of(path)
        if old is None and template is not None:
            source = template
            content = read_file(template)
    except OSError as err:
        raise WriteRefusedError(f"{source} cannot be read ({err.strerror or err}); choose another file for the outlines") from err
    return _loadable(file_bytes((), ()) if content is None else content, source=source), old


def _loadable(data: bytes, *, source: Path) -> AsapDocument:
    """Parse a file, and refuse it when ASAP would not load it for another reason than a missing group."""
    try:
        document = parse(data, source=source)
    except PromptError as err:
        raise WriteRefusedError(str(err)) from err
    fault = _fault(document)
    if fault:
        raise WriteRefusedError(f"{source} {fault}, and nothing can be added to it: correct that, or write the outlines as GeoJSON")
    return document


def _fault(document: AsapDocument) -> str | None:
    if b"\0" in document.data:
        return "is UTF-16, not UTF-8 as ASAP writes it"
    for annotation in document.annotations:
        if annotation.group == "":
            return f"cannot be loaded by ASAP: annotation {annotation.name!r} has no PartOfGroup"
        if not annotation.is_contiguous:
            return f"cannot be loaded by ASAP: the Order in annotation {annotation.name!r} has gaps"
    parents = {group.name: group.parent for group in document.groups}
    sound: set[str] = set()
    for group in parents:
        chain: dict[str, None] = {}
        above: str | None = group
        while above is not None and above not in sound and above not in chain:
            chain[above] = None
            above = parents.get(above)
        if above in chain:
            return f"cannot be loaded by ASAP: group {above!r} lies inside itself"
        sound.update(chain)  # in place; `|=` with the keys of a dictionary copies the set, group by group
    return None


def _merged(document: AsapDocument, objects: Sequence[ResultObject], *, gone: Collection[str], origin: tuple[int, int]) -> bytes:
    new_groups = _new_groups(document, objects)
    groups = {group.name: group for group in (*document.groups, *new_groups)}
    spans = [annotation.span for annotation in document.annotations if earlier_key(annotation) in gone]
    spans += [group.span for group in _emptied(document, objects, gone) if group.span is not None]
    edits: list[Edit] = [(_before_space(document.data, span.start), span.end, "") for span in spans]
    lists = (
        (document.annotations_span, ANNOTATIONS[-1], "".join(_annotations_xml(objects, groups, origin=origin))),
        (document.groups_span, GROUPS[-1], "".join(map(group_xml, new_groups))),
    )
    missing = ""
    for span, tag, content in lists:
        if span is None:
            missing += f"\n\t<{tag}>{content}\n\t</{tag}>"
        elif content:
            edits.append(_append(document.data, span, tag, content, indent="\n\t"))
    if missing:
        edits.append(_append(document.data, document.root, ROOT[0], missing, indent="\n"))
    return _edited(document.data, edits)


def _emptied(document: AsapDocument, objects: Sequence[ResultObject], gone: Collection[str]) -> list[AsapGroup]:
    """List the groups of ours that nothing lies in any more."""
    left = {annotation.group for annotation in document.annotations if earlier_key(annotation) not in gone}
    before = {annotation.group for annotation in document.annotations} - left
    used = left | {_result_group(result.class_name) for result in objects} | {group.parent for group in document.groups}
    return [group for group in document.groups if group.name.startswith(RESULT_GROUP) and group.name in before - used]


def _new_groups(document: AsapDocument, objects: Sequence[ResultObject]) -> list[AsapGroup]:
    """List the groups that the file will need and lacks, each after its parent."""
    groups = {group.name: group for group in document.groups}
    named = [annotation.group for annotation in document.annotations] + [group.parent for group in document.groups]
    for name in filter(None, named):
        groups.setdefault(name, AsapGroup(name, None))
    for class_name in dict.fromkeys(result.class_name for result in objects):
        parent, colour = None, DEFAULT_COLOUR
        if class_name and class_name != NO_GROUP:
            parent = xml_text(class_name)
            colour = groups.setdefault(parent, AsapGroup(parent, None, colour_text(colour_of(parent)))).colour
        groups.setdefault(_result_group(class_name), AsapGroup(_result_group(class_name), parent, colour))
    known = {group.name for group in document.groups}
    return [group for name, group in groups.items() if name not in known]


def _result_group(class_name: str | None) -> str:
    """Name the group of the outlines of a class."""
    return f"{RESULT_GROUP} {group_text(class_name)}" if class_name else RESULT_GROUP


def _annotations_xml(objects: Iterable[ResultObject], groups: Mapping[str, AsapGroup], *, origin: tuple[int, int]) -> Iterable[str]:
    for result in objects:
        rings = rings_of(result.outline, origin=origin)
        name = result_name(result, rings)
        yield from polygons_xml(rings, name=name, group=groups[_result_group(result.class_name)])


def result_name(result: ResultObject, rings: Sequence[NDArray[np.float64]]) -> str:
    """Give the name that marks an outline as ours, with its probability, and what tells later runs how it was made.

    The digest of the outline is that of what ASAP holds: 32-bit numbers on the canvas, without holes.
    """
    class_name = None if result.class_name == NO_GROUP else result.class_name
    held = drawn_area([np.asarray(ring, np.float32).astype(np.float64) for ring in rings])
    told = {
        "p": "" if result.probability is None else _two_digits(result.probability),
        "s": outline_digest(held, class_name) if result.written else "",
        "o": result.options,
        "m": xml_text(result.model),
    }
    return " ".join([f"nuclick {result.key}", *(f"{mark}={text}" for mark, text in told.items() if text)])


def _two_digits(probability: float) -> str:
    """Round a probability, but never across the line below which an outline is uncertain: later runs read it back."""
    rounded = round(probability, 2)
    return f"{min(rounded, UNCERTAIN_BELOW - 0.01) if probability < UNCERTAIN_BELOW else rounded:.2f}"


def _append(data: bytes, span: Span, tag: str, content: str, *, indent: str) -> Edit:
    """Add content at the end of an element, before the space that its closing tag is indented by."""
    if span.closing is None:
        place = _before_space(data, span.end - 2)  # before the "/>"
        return place, span.end, f">{content}{indent}</{tag}>"
    place = _before_space(data, span.closing)
    return place, place, content


def _before_space(data: bytes, end: int) -> int:
    """Give the place where the white space before a place begins; without a copy of the file."""
    while data[end - 1 : end].isspace():
        end -= 1
    return end


def _edited(data: bytes, edits: Iterable[Edit]) -> bytes:
    """Apply edits."""
    pieces: list[bytes] = []
    done = 0
    for start, end, new in sorted(edits, key=lambda edit: edit[:2]):
        pieces += [data[done:start], ascii_bytes(new)]
        done = end
    return b"".join([*pieces, data[done:]])


def _verify(document: AsapDocument, new: bytes, *, gone: set[str], added: set[str], source: Path) -> None:
    """Parse what would be written, and find in it all that has to be there, unchanged."""
    after = _loadable(new, source=source)
    old = [document.data[a.span.start : a.span.end] for a in document.annotations if earlier_key(a) not in gone]
    kept = [new[a.span.start : a.span.end] for a in after.annotations if earlier_key(a) not in gone]
    names = {group.name for group in after.groups}
    asked = {annotation.group for annotation in after.annotations} | {group.parent for group in after.groups}
    found = {earlier_key(annotation) for annotation in after.annotations}
    staying = [group for group in document.groups if group.name in names or not group.name.startswith(RESULT_GROUP)]
    is_whole = old == kept and list(after.groups[: len(staying)]) == staying and asked - {None} <= names
    if not is_whole or not added <= found or (gone - added) & found:
        raise WriteRefusedError(f"{source} is written in a way that nothing can be added to safely; save it in ASAP, and run again")
