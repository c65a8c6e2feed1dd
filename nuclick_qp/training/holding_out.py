"""Which outlines of a project are held out of a training, so that it can be measured on them."""

import hashlib
from collections import defaultdict
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, replace

import shapely
from shapely import MultiPolygon, Polygon

from nuclick_qp.annotations.regions import Part

LEAST, MOST = 0.6, 1.4  # of the wanted share, where whole images or places are held out

KEPT_CLEAR = 1 / 64  # of the reach: two pixels of a patch of 128, for reading blends neighbouring pixels


@dataclass(frozen=True, slots=True)
class Place:
    """Part of an image that holds outlines.

    Attributes
    ----------
    image
        Which image.
    box, outlines
        In the slide frame; the outlines lie in the box.
    reach
        How far round an outline pixels matter, in level-0 pixels.
    """

    image: str
    part: Part
    box: Polygon
    outlines: tuple[Polygon | MultiPolygon, ...]
    reach: float


def hold_out(places: Sequence[Place], *, share: float) -> list[Place]:
    """Hold a share of the outlines out; nothing changes where the user has done so.

    Whole images, if some of them have about that share of all outlines. Else whole places that touch
    no other. Else the place with most outlines is cut in two. So no object that is held out shows in
    a patch of the training.

    Returns
    -------
    list of Place
        Those of both parts. Which images are chosen depends on the names of all, and stays as outlines are added.
    """
    if any(place.part == "Validation" for place in places):
        return list(places)
    by_image: dict[Hashable, list[int]] = {}
    for number, place in enumerate(places):
        by_image.setdefault(place.image, []).append(number)
    by_touch = _touching(places)
    for groups in (by_image, by_touch):
        if chosen := _choose(groups, places, share):
            return [replace(place, part="Validation") if number in chosen else place for number, place in enumerate(places)]
    total = sum(len(place.outlines) for place in places)
    largest = max(by_touch.values(), key=lambda group: sum(len(places[number].outlines) for number in group))
    rest = [place for number, place in enumerate(places) if number not in largest]
    return [*rest, *_cut([places[number] for number in largest], round(share * total))]


def _touching(places: Sequence[Place]) -> dict[Hashable, list[int]]:
    """Group places that touch one another."""
    groups: defaultdict[Hashable, list[int]] = defaultdict(list)
    for image in dict.fromkeys(place.image for place in places):
        joined = shapely.get_parts(shapely.union_all([place.box for place in places if place.image == image])).tolist()
        for number, place in enumerate(places):
            if place.image == image:
                groups[image, next(i for i, part in enumerate(joined) if part.intersects(place.box))].append(number)
    return groups


def _choose(groups: Mapping[Hashable, list[int]], places: Sequence[Place], share: float) -> set[int]:
    """Choose groups that have about a share of the outlines together; none if they do not come near it."""
    total = sum(len(place.outlines) for place in places)
    chosen: set[int] = set()
    count = 0
    for key in sorted(groups, key=lambda key: hashlib.sha256(repr(key).encode()).digest()):
        more = sum(len(places[number].outlines) for number in groups[key])
        if count + more <= MOST * share * total:
            chosen.update(groups[key])
            count += more
        if count >= LEAST * share * total:
            return chosen
    return set()


def _cut(group: Sequence[Place], wanted: int) -> list[Place]:
    """Hold out the outlines at the right or the lower end of a group of places; those on the cut are in neither part."""
    cuts = [_cut_along(group, wanted, axis) for axis in (0, 1)]
    return max(cuts, key=lambda parts: sum(len(place.outlines) for place in parts))


def _cut_along(group: Sequence[Place], wanted: int, axis: int) -> list[Place]:
    """Cut across an axis: what begins right of the line is held out, what ends left of it is trained on."""
    outlines = sorted((outline for place in group for outline in place.outlines), key=lambda outline: outline.bounds[axis])
    held = tuple(outlines[-max(1, wanted) :])
    line = held[0].bounds[axis] - KEPT_CLEAR * group[0].reach
    parts = []
    for place in group:
        left, top, right, bottom = place.box.bounds
        own = tuple(outline for outline in place.outlines if outline.bounds[2 + axis] <= line)
        if own:
            box = shapely.box(left, top, min(right, line), bottom) if axis == 0 else shapely.box(left, top, right, min(bottom, line))
            parts.append(replace(place, box=box, outlines=own))
    whole = shapely.box(*shapely.union_all([place.box for place in group]).bounds)
    seen = shapely.box(*shapely.union_all(held).bounds).buffer(group[0].reach, join_style="mitre")
    box = shapely.box(*seen.intersection(whole).bounds)
    return [*parts, replace(group[0], part="Validation", box=box, outlines=held)]
