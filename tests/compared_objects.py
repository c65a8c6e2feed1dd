"""The objects of a data file, described so that those of two files can be compared."""

from pathlib import Path

import numpy as np
from shapely.geometry.base import BaseGeometry

from nuclick_qp.annotations.objects import PROMPT_KEY, EntryContent
from nuclick_qp.prompts import XY
from nuclick_qp.qupath.qpdata.data_file import DataFile, parse_data_file
from nuclick_qp.qupath.qpdata.rois import Roi


def data_of(folder: Path, entry_id: str = "1") -> DataFile:
    """Parse the data file of an image of a project."""
    path = folder / "data" / entry_id / "data.qpdata"
    return parse_data_file(path.read_bytes(), source=path)


def assert_same_results(one: DataFile, other: DataFile) -> None:
    """Compare what is ours: outlines to 0.01 px, all else exactly."""
    assert our_objects(one) == our_objects(other)
    assert_close(vertices(one), vertices(other), within=0.01)


def assert_same(one: EntryContent, other: EntryContent, *, within: float) -> None:
    """Compare all but fingerprints; centroids with a tolerance in px, those of neighbours to 0.01 px, to which QuPath 0.8 rounds some."""
    assert one.prompts == other.prompts
    assert [p.key for p in one.prompts] == [p.key for p in other.prompts]
    assert one.bad_prompts == other.bad_prompts
    assert [(r.key, r.model, r.options) for r in one.results] == [(r.key, r.model, r.options) for r in other.results]
    assert [plane for _, plane in one.neighbours] == [plane for _, plane in other.neighbours]
    assert_close([r.centroid for r in one.results], [r.centroid for r in other.results], within=within)
    assert_close([xy for xy, _ in one.neighbours], [xy for xy, _ in other.neighbours], within=0.01)


def assert_close(one: list[XY], other: list[XY], *, within: float) -> None:
    """Compare points."""
    np.testing.assert_allclose(np.reshape(one, (-1, 2)), np.reshape(other, (-1, 2)), rtol=0, atol=within)


def assert_same_outline(one: BaseGeometry, other: BaseGeometry) -> None:
    """Compare areas: QuPath rounds to 0.01 px, and the corners that stand for an ellipse are others, to a thousandth of its area."""
    assert one.symmetric_difference(other).area <= 1e-3 * other.area + 0.01 * other.length


def users_objects(data: DataFile) -> list[tuple[object, ...]]:
    """Describe what is not ours; without the ids and the second name of TMA cores that QuPath adds to old files."""
    return [
        (
            (o.kind, o.name, o.class_name, o.locked, o.missing, parent.name),
            repr(o.measurements),
            [pair for pair in o.metadata if pair[0] != "Case ID"],
            region(o.roi),
            region(o.nucleus),
        )
        for o, parent in data.root.walk()
        if PROMPT_KEY not in dict(o.metadata)
    ]


def our_objects(data: DataFile) -> list[tuple[object, ...]]:
    """Describe what is ours, with ids and parents; outlines with holes without their coordinates."""
    return [
        (
            (o.kind, o.name, o.class_name, o.object_id, o.locked),
            (parent.name, region(parent.roi)),
            repr(o.measurements),
            sorted(o.metadata),
            o.roi.kind if o.roi and o.roi.shape else region(o.roi),
        )
        for o, parent in data.root.walk()
        if PROMPT_KEY in dict(o.metadata)
    ]


def vertices(data: DataFile) -> list[XY]:
    """List the vertices of our outlines with holes."""
    shapes = [o.roi for o, _ in data.root.walk() if PROMPT_KEY in dict(o.metadata) and o.roi and o.roi.shape]
    return [(x, y) for roi in shapes for x, y in roi.points.tolist()]


def region(roi: Roi | None) -> object:
    """Describe a region to the last bit."""
    return None if roi is None else (roi.kind, roi.c, roi.plane, roi.points.tolist(), roi.shape and roi.shape.wkb)
