"""Which objects of an image are exported, and in which tiles."""

import logging
import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import shapely
from shapely import MultiPolygon, Polygon

from nuclick_qp.annotations.objects import ClosedObject
from nuclick_qp.annotations.regions import LARGEST_REGION_PX, is_object, region_of, window_of
from nuclick_qp.errors import ProjectError
from nuclick_qp.export.export_options import ExportOptions
from nuclick_qp.geometry import Window
from nuclick_qp.qupath.choosing import file_stem
from nuclick_qp.qupath.locate import SlidePlaces
from nuclick_qp.qupath.open_image import open_image
from nuclick_qp.qupath.protocol import ImageEntry, Project
from nuclick_qp.shapes.polygons import valid_polygons
from nuclick_qp.slides import Slide, resolve_mpp

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ImageObjects:
    """One image with what is to be exported of it.

    Attributes
    ----------
    stem
        Beginning of the names of its files, its own in the project.
    objects
        In the order of the hierarchy; each encloses something.
    regions
        Rectangles in the slide frame, on whole pixels; None for the whole image.
    broken
        Number of objects left out because their outline encloses nothing.
    classes
        Full names of the classes of all its closed objects, an empty text for none.
    """

    entry: ImageEntry
    stem: str
    objects: tuple[ClosedObject, ...]
    regions: tuple[Polygon, ...] | None
    broken: int
    classes: frozenset[str]


@dataclass(frozen=True, slots=True)
class ExportTile:
    """A part of an image, or all of it, that is exported as a picture of its own.

    Attributes
    ----------
    name
        Of its files, without ending.
    mpp
        Micrometres per pixel of the tile; None when unknown.
    """

    name: str
    window: Window
    mpp: float | None


@dataclass(frozen=True, slots=True)
class PlacedObject:
    """An object that reaches into a rectangle.

    Attributes
    ----------
    inside
        The part of its outline that lies in the rectangle, in the slide frame.
    is_cut
        Whether a part lies outside.
    """

    item: ClosedObject
    inside: Polygon | MultiPolygon
    is_cut: bool


def read_image(project: Project, entry: ImageEntry, options: ExportOptions) -> ImageObjects:
    """Read the objects of an image, and the rectangles that limit what is exported.

    Raises
    ------
    ProjectError
        If an annotation of the class of regions is no upright rectangle, or the data of the image
        cannot be read.
    """
    closed = project.read_closed_objects(entry)
    marks: list[ClosedObject] = []
    rest: list[ClosedObject] = []
    for item in closed:
        is_mark = options.regions is not None and item.kind == "annotation" and item.class_name == options.regions
        (marks if is_mark else rest).append(item)
    chosen = [item for item in rest if item.kind in options.kinds and is_object(item.class_name, options.classes)]
    whole = tuple(item for item in chosen if item.outline.area > 0)
    boxes = (region_of(mark.outline, mark.class_name, image_name=entry.name, project=project.path) for mark in marks)
    regions = None if options.regions is None else tuple(map(_on_whole_pixels, boxes))
    classes = frozenset(item.class_name or "" for item in closed)
    return ImageObjects(entry, file_stem(entry), whole, regions, len(chosen) - len(whole), classes)


@contextmanager
def open_tiles(image: ImageObjects, places: SlidePlaces, options: ExportOptions) -> Iterator[tuple[Slide | None, tuple[ExportTile, ...]]]:
    """Give the tiles of an image, and its slide when pixels are wanted or the project does not know enough.

    Raises
    ------
    ProjectError
        If a tile lies outside the image, or has too many pixels to be written, or the objects lie
        on several planes.
    SlideError
        If the slide is needed and cannot be used, or a pixel size is asked for and that of the image
        is unknown.
    """
    _refuse_several_planes(image)
    entry = image.entry
    knows_enough = entry.width is not None and entry.height is not None and (options.mpp is None or entry.mpp is not None)
    if knows_enough and not options.pixels:
        assert entry.width is not None
        assert entry.height is not None
        yield None, plan_tiles(image, width=entry.width, height=entry.height, mpp=entry.mpp, options=options)
        return
    with open_image(entry, places) as slide:
        mpp = entry.mpp or slide.mpp
        if options.mpp is not None:
            mpp = resolve_mpp(project=entry.mpp, slide=slide.mpp, option=None, source=str(slide.path), option_name="no --mpp")
        yield slide, plan_tiles(image, width=slide.width, height=slide.height, mpp=mpp, options=options)


def plan_tiles(image: ImageObjects, *, width: int, height: int, mpp: float | None, options: ExportOptions) -> tuple[ExportTile, ...]:
    """Make each region of an image a tile, or the whole image one.

    Parameters
    ----------
    width, height
        Of the image, in level-0 pixels.
    mpp
        Micrometres per level-0 pixel; needed when the options name a pixel size.

    Raises
    ------
    ProjectError
        If a region lies outside the image, or has more pixels than can be written.
    """
    scale = 1.0
    if options.mpp is not None:
        assert mpp is not None
        scale = options.mpp / mpp
        if scale < 1:
            logger.warning("%s is enlarged %.3g times: it has %.3g um/px, --mpp is %.3g", image.entry.name, 1 / scale, mpp, options.mpp)
    tiles = []
    is_whole = image.regions is None
    for number, box in enumerate(image.regions or () if not is_whole else [shapely.box(0, 0, width, height)], start=1):
        where = f"image {image.entry.name!r}"
        where = where if is_whole else f"{where}, the rectangle at {box.bounds[0]:.0f}, {box.bounds[1]:.0f},"
        window = window_of(box, width=width, height=height, scale=scale)
        if window is None:
            raise ProjectError(f"{where} lies outside the image, or is smaller than one pixel; draw it anew")
        tile = ExportTile(image.stem if is_whole else f"{image.stem}_r{number}", window, None if mpp is None else mpp * scale)
        if options.pixels or options.format == "masks":
            _refuse_too_large(tile, where)
        tiles.append(tile)
    return tuple(tiles)


def place_objects(objects: Sequence[ClosedObject], box: tuple[float, float, float, float]) -> list[PlacedObject]:
    """Find the objects that share an area with a box of the slide frame, in the same order."""
    outlines = np.array([item.outline for item in objects], dtype=object)
    area = shapely.box(*box)
    shapely.prepare(area)
    reach_in, lie_inside = shapely.intersects(area, outlines), shapely.covers(area, outlines)
    placed = []
    for item, inside in zip(np.flatnonzero(reach_in).tolist(), lie_inside[reach_in].tolist(), strict=True):
        found = objects[item]
        part = found.outline if inside else valid_polygons(shapely.intersection(found.outline, area))
        if part.area > 0:  # not when they only touch
            placed.append(PlacedObject(found, part, is_cut=not inside))
    return placed


def _on_whole_pixels(box: Polygon) -> Polygon:
    """Round a rectangle, so that pixels at full resolution are taken over as they are."""
    left, top, right, bottom = map(round, box.bounds)
    return shapely.box(left, top, right, bottom)


def _refuse_several_planes(image: ImageObjects) -> None:
    """Refuse what would put objects of several slices or time points into one picture."""
    if len({item.plane for item in image.objects}) > 1:
        raise ProjectError(f"image {image.entry.name!r} has objects on several planes, and a tile has one; use --format geojson or csv")


def _refuse_too_large(tile: ExportTile, where: str) -> None:
    """Refuse a whole slide at full resolution before a pixel of it is read."""
    pixels = tile.window.width * tile.window.height
    if pixels <= LARGEST_REGION_PX:
        return
    size, remedy = f"{tile.window.width} x {tile.window.height} px", "export rectangles with --regions CLASS"
    if tile.mpp is not None:
        coarser = math.ceil(tile.mpp * math.sqrt(pixels / LARGEST_REGION_PX) * 100) / 100
        size, remedy = f"{size} at {tile.mpp:.4g} um/px", f"pass --mpp {coarser:g} or more, or {remedy}"
    raise ProjectError(f"{where} would have {size}, more than {LARGEST_REGION_PX:,} in all; {remedy}")
