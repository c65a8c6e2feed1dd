"""Data files made from nothing."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from edited_files import emitted
from nuclick_qp.prompts import Plane
from nuclick_qp.qupath.qpdata.data_file import parse_data_file
from nuclick_qp.qupath.qpdata.new_file import new_data_file
from nuclick_qp.qupath.qpdata.new_objects import NewAnnotation
from nuclick_qp.qupath.qpdata.path_objects import PathObject


def empty_file(**changes: Any) -> bytes:
    """Make a data file without objects, or with what is asked for."""
    arguments: dict[str, Any] = {"server_json": "{}", "annotations": [], "qupath_version": "0.5.1", "project_entry": "p::1"}
    return new_data_file(**(arguments | changes))


def points_of(objects: Sequence[PathObject]) -> list[list[list[float]]]:
    """Give the coordinates of all objects."""
    return [item.roi.points.tolist() for item in objects if item.roi]


def test_a_new_file_holds_what_was_drawn() -> None:
    """Reading gives the annotations back, coordinates in the precision of the file."""
    drawn = [
        NewAnnotation("Points", ((1.5, 2.5), (3, 4)), name="nuclei ü", class_name="Tumor: Positive", description="by\N{GRINNING FACE} me"),
        NewAnnotation("Line", ((0.1, 2), (3, 4)), locked=True),
        NewAnnotation("Polyline", ((1, 2), (3, 4), (5, 5)), class_name="Gland", plane=Plane(1, 2)),
        NewAnnotation("Polygon", ((1, 2), (30, 4), (5, 50)), class_name="Gland"),
    ]

    found = parse_data_file(empty_file(annotations=drawn), source=Path("data.qpdata"))

    assert [(o.name, o.class_name, o.locked) for o in found.objects] == [(d.name, d.class_name, d.locked) for d in drawn]
    assert [o.roi.kind for o in found.objects if o.roi] == [d.roi_kind for d in drawn]
    assert [o.roi.plane for o in found.objects if o.roi] == [d.plane for d in drawn]
    assert points_of(found.objects) == [[list(xy) for xy in d.points] for d in drawn]
    assert found.objects[0].metadata == (("ANNOTATION_DESCRIPTION", "by\N{GRINNING FACE} me"),)
    assert len({o.object_id for o in found.objects}) == 4
    assert found.properties == (("PROJECT_ENTRY_ID", "p::1"),)


def test_a_new_file_is_the_same_each_time_and_reproducible() -> None:
    """No clock and no random number goes into it."""
    data = empty_file()

    assert data == empty_file()
    assert emitted(parse_data_file(data, source=Path("data.qpdata"))) == data


def test_a_new_file_of_an_unknown_image_type_is_refused() -> None:
    """QuPath could not read it."""
    with pytest.raises(ValueError, match="no image type of QuPath"):
        empty_file(image_type="BRIGHT")


@pytest.mark.parametrize(("kind", "n_points"), [("Points", 0), ("Line", 3), ("Polyline", 1), ("Polygon", 2)])
def test_an_annotation_of_too_few_points_cannot_be_made(kind: Any, n_points: int) -> None:
    """QuPath's own classes would not allow it."""
    with pytest.raises(ValueError, match=kind):
        NewAnnotation(kind, tuple((float(i), 0.0) for i in range(n_points)))
