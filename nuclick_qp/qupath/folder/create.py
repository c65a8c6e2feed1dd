"""A new QuPath project on disk, with images and annotations, as QuPath itself would save it."""

import json
import shutil
import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from PIL import Image

from nuclick_qp.annotations.colours import colour_of
from nuclick_qp.errors import WriteRefusedError
from nuclick_qp.qupath.folder.side_files import hierarchy_summary
from nuclick_qp.qupath.qpdata.new_file import new_data_file
from nuclick_qp.qupath.qpdata.new_objects import NewAnnotation
from nuclick_qp.storage.atomic import write_atomically

THUMBNAIL_SIZE = (1000, 600)  # largest width and height of QuPath's own
CHANNELS = (("Red", -65536), ("Green", -16711936), ("Blue", -16776961))  # packed ARGB
SERVER = "qupath.imagej.images.servers.ImageJServerBuilder"
ImageType = Literal["BRIGHTFIELD_H_DAB", "BRIGHTFIELD_H_E", "BRIGHTFIELD_OTHER", "FLUORESCENCE", "OTHER", "UNSET"]


@dataclass(frozen=True, slots=True)
class NewImage:
    """An image to be put into a new project.

    Attributes
    ----------
    path
        RGB image of 8 bits that ImageJ reads: PNG, JPEG or plain TIFF.
    name
        Shown in QuPath.
    width, height
        Level-0 pixels.
    mpp
        Micrometres per pixel; None leaves the image without a pixel size.
    annotations
        All children of the root.
    image_type
        QuPath's, decides how stains are shown.
    """

    path: Path
    name: str
    width: int
    height: int
    mpp: float | None
    annotations: tuple[NewAnnotation, ...] = ()
    image_type: ImageType = "BRIGHTFIELD_OTHER"


def create_project(
    folder: Path, images: Sequence[NewImage], *, qupath_version: str = "0.5.1", colours: Mapping[str, int] | None = None
) -> Path:
    """Make a project and give its `project.qpproj`.

    Parameters
    ----------
    folder
        New or empty.
    qupath_version
        Version that the project claims to be saved by.
    colours
        Packed ARGB colours of classes by full name; other classes get one that depends on the name.

    Raises
    ------
    WriteRefusedError
        If the folder holds a project, or it or the thumbnail of an image cannot be made. Nothing of
        the project is left then.
    """
    path = folder.absolute() / "project.qpproj"
    made = [folder / "data", folder / "classifiers"]
    if any(folder.glob("*.qpproj")) or any(part.exists() for part in made):
        raise WriteRefusedError(f"{folder} holds a project; choose a folder that is empty or does not exist")
    now = int(time.time() * 1000)
    content = {
        "version": qupath_version,
        "createTimestamp": now,
        "modifyTimestamp": now,
        "uri": path.as_uri(),
        "lastID": len(images),
        "images": [_project_image(image, number) for number, image in enumerate(images, 1)],
    }
    try:
        for number, image in enumerate(images, 1):
            _write_entry(path, number, image, qupath_version=qupath_version, colours=colours or {})
        _write_classes(folder, images, colours or {})
        write_atomically(path, _pretty(content))  # last: without it the folder is no project
    except OSError as err:
        for part in made:
            shutil.rmtree(part, ignore_errors=True)
        raise WriteRefusedError(f"{folder} cannot be filled with a project ({err}); check images and folder") from err
    return path


def _project_image(image: NewImage, number: int) -> dict[str, Any]:
    """Give the element of `images`; the random name is fixed by place and image, so that runs agree."""
    return {
        "serverBuilder": _builder(image),
        "entryID": number,
        "randomizedName": str(uuid.uuid5(uuid.NAMESPACE_URL, f"{number} {image.name}")),
        "imageName": image.name,
        "metadata": {},
    }


def _builder(image: NewImage) -> dict[str, Any]:
    """Describe how QuPath opens the image."""
    return {
        "builderType": "uri",
        "providerClassName": SERVER,
        "uri": image.path.absolute().as_uri(),
        "args": [],
        "metadata": _server_metadata(image),
    }


def _server_metadata(image: NewImage) -> dict[str, Any]:
    """Describe the pixels: one level, RGB."""
    side = {"value": 1.0, "unit": "px"} if image.mpp is None else {"value": float(image.mpp), "unit": "µm"}
    return {
        "name": image.name,
        "width": image.width,
        "height": image.height,
        "sizeZ": 1,
        "sizeT": 1,
        "channelType": "DEFAULT",
        "isRGB": True,
        "pixelType": "UINT8",
        "levels": [{"downsample": 1.0, "width": image.width, "height": image.height}],
        "channels": [{"name": name, "color": colour} for name, colour in CHANNELS],
        "pixelCalibration": {
            "pixelWidth": side,
            "pixelHeight": side,
            "zSpacing": {"value": 1.0, "unit": "z-slice"},
            "timeUnit": "SECONDS",
            "timepoints": [0.0],
        },
        "preferredTileWidth": image.width,
        "preferredTileHeight": image.height,
    }


def _write_entry(project: Path, number: int, image: NewImage, *, qupath_version: str, colours: Mapping[str, int]) -> None:
    """Write the folder of one image."""
    folder = project.parent / "data" / str(number)
    folder.mkdir(parents=True)
    builder = _builder(image)
    data = new_data_file(
        server_json=json.dumps(builder, ensure_ascii=False),
        annotations=image.annotations,
        image_type=image.image_type,
        qupath_version=qupath_version,
        project_entry=f"{project}::{number}",
        colours=colours,
    )
    write_atomically(folder / "data.qpdata", data)
    write_atomically(folder / "server.json", _compact({"builder": builder, "metadata": builder["metadata"]}))
    summary = {
        "timestamp": (folder / "data.qpdata").stat().st_mtime_ns // 1_000_000,
        "imageType": image.image_type,
        "server": {"width": image.width, "height": image.height, "sizeC": len(CHANNELS), "sizeZ": 1, "sizeT": 1},
        "hierarchy": hierarchy_summary([("annotation", a.class_name) for a in image.annotations], like={}),
    }
    write_atomically(folder / "summary.json", _compact(summary))
    with Image.open(image.path) as pixels:
        thumbnail = pixels.convert("RGB")
    thumbnail.thumbnail(THUMBNAIL_SIZE)
    thumbnail.save(folder / "thumbnail.jpg", quality=85)


def _write_classes(folder: Path, images: Sequence[NewImage], colours: Mapping[str, int]) -> None:
    """List the classes in use; no list when there are none, so that QuPath shows its own."""
    used = (annotation.class_name for image in images for annotation in image.annotations)
    names = list(dict.fromkeys([*colours, *(name for name in used if name)]))
    (folder / "classifiers").mkdir(parents=True, exist_ok=True)
    if names:
        classes = [{"name": name, "color": colours.get(name, colour_of(name))} for name in names]
        write_atomically(folder / "classifiers" / "classes.json", _pretty({"pathClasses": classes}))


def _pretty(content: object) -> bytes:
    return json.dumps(content, ensure_ascii=False, indent=2).encode()


def _compact(content: object) -> bytes:
    return json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode()
