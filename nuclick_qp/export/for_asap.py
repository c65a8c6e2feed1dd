"""ASAP: one XML file per image, with a group for each class."""

from collections.abc import Iterator, Mapping, Sequence

import shapely

from nuclick_qp.annotations.colours import colour_of
from nuclick_qp.annotations.objects import UNCLASSIFIED, ClosedObject
from nuclick_qp.errors import ProjectError
from nuclick_qp.export.target import Target, Written, write_file
from nuclick_qp.export.tiles import ImageObjects
from nuclick_qp.export.untiled import object_rows
from nuclick_qp.formats.asap.document import DEFAULT_COLOUR, NO_GROUP, AsapGroup
from nuclick_qp.formats.asap.text import colour_text, file_bytes, group_text, polygons_xml, rings_of, xml_text
from nuclick_qp.prompts import Plane
from nuclick_qp.qupath.open_image import open_image


def write_asap(image: ImageObjects, target: Target) -> Iterator[Written[None]]:
    """Write the objects of an image as Polygons for ASAP.

    Their coordinates are level-0 pixels of the whole canvas, as in ASAP. QuPath crops a slide to its
    scanned bounds, and only the slide tells where these begin; an image that is cropped or turned in
    QuPath has its objects put where they lie on the whole slide. Objects that reach into a region are
    whole. Parts of an object have one name; holes are opened by a slit; nuclei of cells are left out.

    Raises
    ------
    ProjectError
        If an object lies on a plane other than the first, its class has a name that ASAP takes for
        none, or two classes would become one group.
    SlideError
        If the slide is not found or cannot be opened.
    """
    items = [row.item for row in object_rows(image)]
    if not items:
        return
    _refuse_what_asap_lacks(items, f"image {image.entry.name!r}")
    groups = _groups(items, target.class_colours)
    with open_image(image.entry, target.places) as slide:
        origin, view = slide.bounds_origin, slide.view
    polygons = (
        polygon
        for item in items
        for polygon in polygons_xml(
            rings_of(shapely.transform(item.outline, view.to_box), origin=origin),
            name=_name(item),
            group=groups[_group_name(item.class_name)],
        )
    )
    file = write_file(target, f"{image.stem}.xml", file_bytes(polygons, groups.values()))
    yield Written((file,), objects=len(items))


def _refuse_what_asap_lacks(items: Sequence[ClosedObject], where: str) -> None:
    """Refuse what would be shown on the wrong plane, in no group, or in the group of another class."""
    if any(item.plane != Plane() for item in items):
        raise ProjectError(f"{where} has objects on planes other than the first, and ASAP has no planes; use --format geojson or csv")
    if any(item.class_name == NO_GROUP for item in items):
        raise ProjectError(f"{where} has objects of class {NO_GROUP!r}, ASAP's word for no group; rename the class in QuPath")
    group_of: dict[str, str | None] = {}
    for class_name in dict.fromkeys(item.class_name or None for item in items):
        group = _group_name(class_name)
        if group in group_of:
            two = f"{_class_text(group_of[group])} and of {_class_text(class_name)}"
            raise ProjectError(
                f"{where} has objects of {two}, which would be one group in ASAP, {group!r}; "
                "rename one of the two in QuPath, or name with --classes those to export"
            )
        group_of[group] = class_name


def _groups(items: Sequence[ClosedObject], colours: Mapping[str, int]) -> dict[str, AsapGroup]:
    """Give a group for each class, in the colour that the class has in the project, sorted by name."""
    groups = {}
    for class_name in dict.fromkeys(item.class_name for item in items):
        colour = DEFAULT_COLOUR if class_name is None else colour_text(colours.get(class_name, colour_of(xml_text(class_name))))
        groups[_group_name(class_name)] = AsapGroup(_group_name(class_name), None, colour)
    return dict(sorted(groups.items()))


def _group_name(class_name: str | None) -> str:
    return group_text(class_name or UNCLASSIFIED)


def _class_text(class_name: str | None) -> str:
    return f"class {class_name!r}" if class_name else "no class"


def _name(item: ClosedObject) -> str:
    """Name an object in ASAP's list: as in QuPath, with its kind, and with its id, which the table of objects has, too."""
    about = f"{item.kind} {item.object_id}"
    return f"{item.name} ({about})" if item.name else about
