"""Training images from a QuPath project: its closed annotations become the truth."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely import Polygon

from nuclick_qp.annotations.objects import ClosedObject
from nuclick_qp.annotations.regions import LARGEST_REGION_PX, REGION_CLASSES, Part, is_object, rectangles_of, window_of
from nuclick_qp.errors import TrainingDataError
from nuclick_qp.geometry import Window
from nuclick_qp.qupath.locate import SlidePlaces
from nuclick_qp.qupath.open_image import open_image
from nuclick_qp.qupath.open_project import open_project
from nuclick_qp.qupath.protocol import ImageEntry, Project
from nuclick_qp.shapes.fill import paint_outlines
from nuclick_qp.slides import Slide, resolve_mpp
from nuclick_qp.training.config import Source
from nuclick_qp.training.images import LabelledImage, labelled_image


@dataclass(frozen=True, slots=True)
class _Drawn:
    """What one image of a project holds: its objects, and the rectangles that limit the area."""

    entry: ImageEntry
    objects: tuple[ClosedObject, ...]
    rectangles: tuple[tuple[Part, Polygon], ...]


def load_project(source: Source, *, root: Path, mpp: float) -> tuple[list[LabelledImage], list[LabelledImage]]:
    """Read the annotated regions of a source that is a QuPath project.

    Every closed annotation of the source's classes is one object; where they overlap, the smaller
    one lies on top. If any image has rectangles of class Training or Validation, exactly what they
    hold is used. If none has, every image with objects is used as a whole: whatever is
    not annotated in it counts as background.

    Parameters
    ----------
    root
        Folder that the source's project is relative to; slides that have moved are searched below it.
    mpp
        Micrometres per pixel of the network.

    Returns
    -------
    training, validation
        The second holds rectangles of class Validation, and images that match one of the source's
        validation globs.

    Raises
    ------
    TrainingDataError
        If no image matches, nothing is annotated, a rectangle holds no object, or a region is too
        large; the message names the image.
    NuClickError
        If the project, an image's data, or a slide cannot be read, as in a run.
    """
    assert source.project is not None
    with open_project(root / source.project) as project:
        drawn = [_sort(entry, project, source) for entry in project.images() if fnmatchcase(entry.name, source.pattern)]
        if not drawn:
            raise TrainingDataError(f"{project.path} has no image that matches {source.pattern!r}; correct `pattern`")
        if not any(image.objects for image in drawn):
            of_classes = f" of the classes {', '.join(source.classes)}" if source.classes else ""
            raise TrainingDataError(f"{project.path} holds no closed annotation{of_classes}; outline every object in some region")
        has_rectangles = any(image.rectangles for image in drawn)
        used = [image for image in drawn if (image.rectangles if has_rectangles else image.objects)]
        places = SlidePlaces(project.path, project.stored_uri, root, root_option="--data")
        share = source.weight / sum(len(image.rectangles) or 1 for image in used)
        parts: tuple[list[LabelledImage], list[LabelledImage]] = ([], [])
        for image in used:
            for part, region in _regions(image, source, places, mpp=mpp, weight=share):
                parts[part == "Validation"].append(region)
    return parts


def _sort(entry: ImageEntry, project: Project, source: Source) -> _Drawn:
    """Tell objects from rectangles that limit the area, and leave out what is neither."""
    closed = project.read_closed_objects(entry, kinds=["annotation"])
    objects = tuple(a for a in closed if a.class_name not in REGION_CLASSES and is_object(a.class_name, source.classes))
    return _Drawn(entry, objects, rectangles_of(closed, image_name=entry.name, project=project.path))


def _regions(
    image: _Drawn, source: Source, places: SlidePlaces, *, mpp: float, weight: float
) -> Iterator[tuple[Part, LabelledImage]]:
    """Read what the rectangles of an image hold, or all of it when it has none."""
    with open_image(image.entry, places) as slide:
        mpp_slide = resolve_mpp(
            project=image.entry.mpp, slide=slide.mpp, option=source.mpp, source=str(slide.path), option_name="`mpp` of the source"
        )
        held_out = any(fnmatchcase(image.entry.name, glob) for glob in source.validation)
        name = f"{places.project}: image {image.entry.name!r}"
        whole: tuple[tuple[Part, Polygon], ...] = (("Training", shapely.box(0, 0, slide.width, slide.height)),)
        for part, box in image.rectangles or whole:
            where = f"{name}, the {part} rectangle at {box.bounds[0]:.0f}, {box.bounds[1]:.0f}," if image.rectangles else name
            window = _window(box, slide, scale=max(1.0, mpp / mpp_slide), where=where)
            pixels, labels = slide.read(window), paint_annotations(image.objects, window)
            region = labelled_image(where, pixels, labels, zoom=max(1.0, mpp_slide / mpp), weight=weight)
            yield ("Validation" if held_out else part), region


def _window(box: Polygon, slide: Slide, *, scale: float, where: str) -> Window:
    """Give the window of a region, cut to the slide."""
    window = window_of(box, width=slide.width, height=slide.height, scale=scale)
    if window is None:
        raise TrainingDataError(f"{where} lies outside the image; draw it anew")
    if window.width * window.height > LARGEST_REGION_PX:
        raise TrainingDataError(
            f"{where} has {window.width} x {window.height} px at the resolution of the network, more than {LARGEST_REGION_PX:,} in all; "
            "draw smaller rectangles of class Training and Validation"
        )
    return window


def paint_annotations(annotations: Sequence[ClosedObject], window: Window) -> NDArray[np.int32]:
    """Give the (H, W) labels of a window, one number per annotation, the smaller on top of the larger."""
    return paint_outlines([a.outline for a in sorted(annotations, key=lambda a: -a.outline.area)], window).labels
