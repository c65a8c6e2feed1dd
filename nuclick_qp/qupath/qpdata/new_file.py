"""A `data.qpdata` for an image that has none yet."""

import json
import struct
import uuid
from collections.abc import Mapping, Sequence

from nuclick_qp.qupath.javastream.emit import emit
from nuclick_qp.qupath.javastream.nodes import Block, Item, JavaObject, encode_text
from nuclick_qp.qupath.qpdata.building import Builder
from nuclick_qp.qupath.qpdata.java_classes import OBJECTS
from nuclick_qp.qupath.qpdata.new_objects import FILE_IDS, NewAnnotation, annotation_object, root_object

IMAGE_TYPES = ("BRIGHTFIELD_H_DAB", "BRIGHTFIELD_H_E", "BRIGHTFIELD_OTHER", "FLUORESCENCE", "OTHER", "UNSET")
DATA_VERSION = 3


def new_data_file(
    *,
    server_json: str,
    annotations: Sequence[NewAnnotation],
    image_type: str = "BRIGHTFIELD_OTHER",
    qupath_version: str,
    project_entry: str,
    colours: Mapping[str, int] | None = None,
) -> bytes:
    """Make the bytes of a data file that holds annotations, all of them children of the root.

    Parameters
    ----------
    server_json
        The ``serverBuilder`` of the image, as in `project.qpproj`.
    annotations
        In the order in which QuPath will list them.
    image_type
        One of `IMAGE_TYPES`.
    qupath_version
        Version that the file claims to be written for, ``0.5.1``.
    project_entry
        ``<path of project.qpproj>::<entry id>``, as QuPath notes it in the properties of an image.
    colours
        Packed ARGB colours of classes by full name; others get one that depends on the name.

    Raises
    ------
    ValueError
        If the image type is unknown or `server_json` is no JSON.

    Examples
    --------
    >>> click = NewAnnotation("Points", ((10.5, 20.5),), class_name="Tumor")
    >>> data = new_data_file(server_json="{}", annotations=[click], qupath_version="0.5.1", project_entry="project.qpproj::1")
    >>> data[8:27]
    b'Data file version 3'
    """
    if image_type not in IMAGE_TYPES:
        raise ValueError(f"{image_type!r} is no image type of QuPath; choose one of {', '.join(IMAGE_TYPES)}")
    builder = Builder(colours=colours)
    children = [annotation_object(builder, a, object_id=_id(f"{project_entry} {i} {a}")) for i, a in enumerate(annotations)]
    root = root_object(builder, children, object_id=_id(project_entry))
    server = {"dataVersion": DATA_VERSION, "qupathVersion": qupath_version, "server": json.loads(server_json)}
    properties = builder.hash_map([(builder.text("PROJECT_ENTRY_ID"), builder.text(project_entry))])
    contents: list[Item] = [
        Block(_utf(f"Data file version {DATA_VERSION}")),
        builder.text(json.dumps(server, ensure_ascii=False, separators=(",", ":"))),
        _locale(builder),
        builder.enum("qupath.lib.images.ImageData$ImageType", image_type),
        None,  # stains
        builder.external("qupath.lib.plugins.workflow.Workflow", Block(struct.pack(">ii", 1, 0))),
        builder.object(f"{OBJECTS}hierarchy.PathObjectHierarchy", root, None),
        properties,
        builder.text("EOF"),
    ]
    return emit(contents)


def _locale(builder: Builder) -> JavaObject:
    """Make the locale in which numbers were formatted: English, with a hash code still to be computed."""
    none = builder.text("")
    return builder.external("java.util.Locale", b"\xff\xff\xff\xff", none, none, builder.text("en"), none, none)


def _utf(text: str) -> bytes:
    raw = encode_text(text)
    return struct.pack(">H", len(raw)) + raw


def _id(seed: str) -> str:
    return str(uuid.uuid5(FILE_IDS, seed))
