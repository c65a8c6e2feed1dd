"""Training images from the outlines that somebody drew in a QuPath project, some of them held out.

`from_project` takes images, or rectangles, in which every object is outlined. Here any outline will do: what lies
round it is read, and nothing else is said to be background.
"""

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from pathlib import Path

import numpy as np
import shapely
from shapely import MultiPolygon, Polygon

from nuclick_qp.annotations.objects import ClosedObject, result_id
from nuclick_qp.annotations.regions import LARGEST_REGION_PX, REGION_CLASSES, Part, is_object, rectangles_of, window_of
from nuclick_qp.errors import TrainingDataError
from nuclick_qp.qupath.locate import SlidePlaces
from nuclick_qp.qupath.open_image import open_image
from nuclick_qp.qupath.open_project import open_project
from nuclick_qp.qupath.protocol import ImageEntry, Project
from nuclick_qp.segmentation.candidates import MAX_COARSENING
from nuclick_qp.shapes.fill import paint_outlines
from nuclick_qp.slides import resolve_mpp
from nuclick_qp.training.config import Source, TrainingConfig
from nuclick_qp.training.holding_out import Place, hold_out
from nuclick_qp.training.images import SMALLEST_OBJECT_PX, LabelledImage, labelled_image

logger = logging.getLogger(__name__)

LEAST_OUTLINES = 20  # a quarter of fewer than that measures nothing
MPP_OPTION = "--mpp (`mpp` of the source in a configuration)"


@dataclass(slots=True)
class _LeftOut:
    """How many things of a project are nothing to learn an outline from, by why."""

    points: int = 0
    lines: int = 0
    untouched: int = 0
    large: int = 0
    small: int = 0
    outside: int = 0

    def __str__(self) -> str:
        told = [
            (self.points, "points without an outline"),
            (self.lines, "lines without an outline"),
            (self.untouched, "outlines of nuclick-qp that nobody corrected"),
            (self.large, "areas larger than an object"),
            (self.small, f"areas of less than {SMALLEST_OBJECT_PX} px or outside the image"),
            (self.outside, "outlines outside the rectangles"),
        ]
        return ", ".join(f"{count} {text}" for count, text in told if count)


@dataclass(frozen=True, slots=True)
class _Image:
    """One image of a project: its outlines, the rectangles that limit the area, and its pixel size."""

    entry: ImageEntry
    outlines: tuple[Polygon | MultiPolygon, ...]
    rectangles: tuple[tuple[Part, Polygon], ...]
    mpp: float
    size: tuple[int, int]


def load_outlines(source: Source, *, root: Path, config: TrainingConfig) -> tuple[list[LabelledImage], list[LabelledImage]]:
    """Read what lies round the outlines of a project, in two parts that share no object.

    Every closed annotation of the source's classes counts that is as large as an object can be, unless
    it is an outline of nuclick-qp that nobody changed: what a model drew teaches it nothing, and would
    praise it when it is measured. If any image has rectangles of class Training or Validation, only
    outlines within them count. Rectangles of class Validation, and images that match a validation glob,
    are held out; where there are none, `hold_out` chooses.

    Parameters
    ----------
    root
        Folder that the source's project is relative to; slides that have moved are searched below it.
    config
        Kind of prompt, resolution and side of the patches of the network.

    Returns
    -------
    training, validation
        No pixel of an object of the second is in an image of the first. Images weigh as much as they have objects.

    Raises
    ------
    TrainingDataError
        If there are fewer than `LEAST_OUTLINES`, or a region is too large; the message says what else there is.
    NuClickError
        If the project, an image's data, or a slide cannot be read, as in a run.
    """
    assert source.project is not None
    assert source.hold_out is not None
    with open_project(root / source.project) as project:
        places = SlidePlaces(project.path, project.stored_uri, root, root_option="--data")
        images, left_out = _read(project, source, places, config)
        found, besides = sum(len(image.outlines) for image in images), f", besides {left_out}" if str(left_out) else ""
        logger.info("%s has %d outlines to learn from%s", project.path, found, besides)
        if found < LEAST_OUTLINES:
            raise TrainingDataError(
                f"{project.path} has {found} outlines to learn from{besides}; "
                f"outline {LEAST_OUTLINES} objects or more, better 100"
            )
        held = hold_out(list(_places(images, source, config)), share=source.hold_out)
        _refuse_too_much(held, config)
        parts: tuple[list[LabelledImage], list[LabelledImage]] = ([], [])
        for image in images:
            for place, region in _regions(image, held, places, mpp=config.mpp):
                share = source.weight * len(region.centroids) / found
                parts[place.part == "Validation"].append(replace(region, weight=share))
    return parts


def _read(project: Project, source: Source, places: SlidePlaces, config: TrainingConfig) -> tuple[list[_Image], _LeftOut]:
    """Read the outlines of all images that have any."""
    chosen = [entry for entry in project.images() if fnmatchcase(entry.name, source.pattern)]
    if not chosen:
        raise TrainingDataError(f"{project.path} has no image that matches {source.pattern!r}; correct `pattern`")
    images, left_out = [], _LeftOut()
    for entry in chosen:
        closed, rectangles = _drawn(entry, project, source, left_out)
        if not closed:
            continue
        with open_image(entry, places) as slide:
            mpp = resolve_mpp(project=entry.mpp, slide=slide.mpp, option=source.mpp, source=str(slide.path), option_name=MPP_OPTION)
            size = slide.width, slide.height
        outlines = _of_objects(closed, size, config.mpp / mpp, config, left_out)
        images.append(_Image(entry, outlines, rectangles, mpp, size))
    if any(image.rectangles for image in images):
        images = [_in_rectangles(image, left_out) for image in images]
    return [image for image in images if image.outlines], left_out


def _drawn(
    entry: ImageEntry, project: Project, source: Source, left_out: _LeftOut
) -> tuple[list[ClosedObject], tuple[tuple[Part, Polygon], ...]]:
    """Give the closed annotations of the source's classes that are the user's, and the rectangles that limit the area."""
    content = project.read(entry)
    untouched = {str(result_id(result.key)) for result in content.results if not result.is_edited(result.class_name)}
    closed = project.read_closed_objects(entry, kinds=["annotation"])
    objects = [item for item in closed if item.class_name not in REGION_CLASSES and is_object(item.class_name, source.classes)]
    left_out.points += sum(prompt.kind == "point" and not prompt.is_background for prompt in content.prompts)
    left_out.lines += sum(prompt.kind == "line" for prompt in content.prompts)
    left_out.untouched += sum(item.object_id in untouched for item in objects)
    rectangles = rectangles_of(closed, image_name=entry.name, project=project.path)
    return [item for item in objects if item.object_id not in untouched], rectangles


def _of_objects(
    closed: Sequence[ClosedObject], size: tuple[int, int], scale: float, config: TrainingConfig, left_out: _LeftOut
) -> tuple[Polygon | MultiPolygon, ...]:
    """Leave out what cannot be an object: regions of tissue, slips of the pen, and what lies outside the image.

    Parameters
    ----------
    scale
        Level-0 pixels per pixel of the network.
    """
    largest = config.patch_px * scale * (MAX_COARSENING if config.prompt == "line" else 1)
    kept = []
    for item in closed:
        outline = shapely.intersection(item.outline, shapely.box(0, 0, *size))
        if not isinstance(outline, Polygon | MultiPolygon) or outline.area < SMALLEST_OBJECT_PX * max(1, scale) ** 2:
            left_out.small += 1
        elif max(np.subtract(outline.bounds[2:], outline.bounds[:2])) > largest:
            left_out.large += 1
        else:
            kept.append(outline)
    return tuple(kept)


def _in_rectangles(image: _Image, left_out: _LeftOut) -> _Image:
    """Keep the outlines that lie wholly within a rectangle: half an object has no true outline."""
    kept = tuple(outline for outline in image.outlines if any(_holds(box, outline) for _, box in image.rectangles))
    left_out.outside += len(image.outlines) - len(kept)
    return replace(image, outlines=kept)


def _holds(box: Polygon, outline: Polygon | MultiPolygon) -> bool:
    return bool(box.covers(shapely.box(*outline.bounds)))


def _places(images: Sequence[_Image], source: Source, config: TrainingConfig) -> Iterator[Place]:
    """Give the parts of images that hold outlines: rectangles, or what lies within a patch of outlines."""
    for image in images:
        held_out = any(fnmatchcase(image.entry.name, glob) for glob in source.validation)
        reach, (width, height) = config.patch_px * config.mpp / image.mpp, image.size
        around: list[tuple[Part, Polygon]] = [("Training", box) for box in _neighbourhoods(image.outlines, reach)]
        boxes = image.rectangles or around
        rest = list(image.outlines)
        for part, box in sorted(boxes, key=lambda one: one[0] == "Training"):  # what lies in two is held out
            own = tuple(outline for outline in rest if _holds(box, outline))
            rest = [outline for outline in rest if outline not in own]
            if own:
                left, top, right, bottom = box.bounds
                cut = shapely.box(max(left, 0), max(top, 0), min(right, width), min(bottom, height))
                yield Place(image.entry.entry_id, "Validation" if held_out else part, cut, own, reach)


def _neighbourhoods(outlines: Sequence[Polygon | MultiPolygon], reach: float) -> list[Polygon]:
    """Give boxes that share no pixel, and each of which holds some outlines and what lies within reach of them."""
    boxes = [shapely.box(*outline.bounds).buffer(reach, join_style="mitre") for outline in outlines]
    while True:
        merged = [shapely.box(*part.bounds) for part in shapely.get_parts(shapely.union_all(boxes)).tolist()]
        if len(merged) == len(boxes):
            return merged
        boxes = merged


def _refuse_too_much(places: Sequence[Place], config: TrainingConfig) -> None:
    """Refuse what would fill the memory, before a pixel is read."""
    pixels = sum(place.box.area * (config.patch_px / place.reach) ** 2 for place in places)
    if pixels > LARGEST_REGION_PX:
        raise TrainingDataError(
            f"the outlines lie in {pixels:,.0f} px at the resolution of the network, more than {LARGEST_REGION_PX:,}; "
            "draw rectangles of class Training round some of them"
        )


def _regions(image: _Image, held: Sequence[Place], places: SlidePlaces, *, mpp: float) -> Iterator[tuple[Place, LabelledImage]]:
    """Read the places of one image, and paint their outlines, the smaller on top."""
    with open_image(image.entry, places) as slide:
        for place in held:
            if place.image != image.entry.entry_id:
                continue
            window = window_of(place.box, width=slide.width, height=slide.height, scale=max(1.0, mpp / image.mpp))
            assert window is not None  # it holds outlines
            largest_first = sorted(place.outlines, key=lambda outline: -outline.area)
            labels = paint_outlines(largest_first, window).labels
            left, top = place.box.bounds[:2]
            where = f"{places.project}: image {image.entry.name!r}, the {place.part.lower()} part at {left:.0f}, {top:.0f},"
            yield place, labelled_image(where, slide.read(window), labels, zoom=max(1.0, image.mpp / mpp), weight=1.0)
