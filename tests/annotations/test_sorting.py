"""Sorting the objects of an image into prompts, results and neighbours."""

import math

import numpy as np
import pytest

from nuclick_qp.annotations.objects import MODEL_KEY, OPTIONS_KEY, PROMPT_KEY, EarlierResult
from nuclick_qp.annotations.sorting import FoundKind, FoundObject, sort_objects
from nuclick_qp.prompts import Plane

NAN = math.nan
SQUIGGLE = [(0, 0), (5, 5), (9, 0)]


def points(*xy: tuple[float, float], **rest: object) -> FoundObject:
    """Give a Points annotation."""
    return FoundObject("annotation", "points", (np.array(xy, float).reshape(-1, 2),), **rest)  # type: ignore[arg-type]  # fields by name


def line(*xy: tuple[float, float], **rest: object) -> FoundObject:
    """Give a Line or Polyline annotation."""
    return FoundObject("annotation", "lines", (np.array(xy, float).reshape(-1, 2),), **rest)  # type: ignore[arg-type]  # fields by name


def test_each_point_is_one_prompt_in_the_users_order() -> None:
    """With class, name, plane and nesting of its annotation."""
    found = points((3, 4), (1, 2), name="n", class_name="Tumor", plane=Plane(2, 1), nested=True)

    prompts = sort_objects([found], fingerprint="f").prompts

    assert [p.strokes for p in prompts] == [(((3.0, 4.0),),), (((1.0, 2.0),),)]
    assert all((p.kind, p.name, p.class_name, p.plane, p.nested) == ("point", "n", "Tumor", Plane(2, 1), True) for p in prompts)


def test_prompts_keep_the_order_of_the_hierarchy() -> None:
    """Points and lines are not sorted apart."""
    prompts = sort_objects([line(*SQUIGGLE), points((1, 1)), line((1, 1), (2, 2))], fingerprint="").prompts

    assert [p.kind for p in prompts] == ["line", "point", "line"]


def test_lines_of_one_name_class_and_plane_are_one_prompt() -> None:
    """Strokes in the order of the hierarchy, at the place of the first."""
    objects = [line(*SQUIGGLE, name="g1"), points((1, 1)), line((50, 50), (60, 60), name="g1")]

    prompts = sort_objects(objects, fingerprint="").prompts

    assert [p.kind for p in prompts] == ["line", "point"]
    assert prompts[0].strokes == (tuple(SQUIGGLE), ((50, 50), (60, 60)))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({}, {}),
        ({"name": ""}, {"name": ""}),
        ({"name": "a"}, {"name": "b"}),
        ({"name": "a", "class_name": "Tumor"}, {"name": "a"}),
        ({"name": "a"}, {"name": "a", "plane": Plane(1, 0)}),
        ({"name": "a"}, {"name": "a", "plane": Plane(0, 1)}),
    ],
)
def test_other_lines_stay_apart(one: dict[str, object], other: dict[str, object]) -> None:
    """No name, another name, another class, another plane."""
    assert len(sort_objects([line(*SQUIGGLE, **one), line(*SQUIGGLE, **other)], fingerprint="").prompts) == 2


def test_points_of_one_name_stay_apart() -> None:
    """Names join strokes of a squiggle, never clicks."""
    assert len(sort_objects([points((1, 1), name="a"), points((2, 2), name="a")], fingerprint="").prompts) == 2


def test_annotation_of_several_lines_is_one_prompt() -> None:
    """A geometry made of lines is one squiggle with several strokes."""
    both = FoundObject("annotation", "lines", (np.array(SQUIGGLE, float), np.array([(1.0, 1), (2, 2)])))

    (prompt,) = sort_objects([both], fingerprint="").prompts

    assert [len(s) for s in prompt.strokes] == [3, 2]


def test_joined_lines_are_nested_only_when_all_are() -> None:
    """The result of strokes inside and outside an annotation belongs to the root."""
    mixed = sort_objects([line(*SQUIGGLE, name="g", nested=True), line(*SQUIGGLE, name="g")], fingerprint="").prompts
    inside = sort_objects([line(*SQUIGGLE, name="g", nested=True), line(*SQUIGGLE, name="g", nested=True)], fingerprint="").prompts

    assert [p.nested for p in (*mixed, *inside)] == [False, True]


@pytest.mark.parametrize("kind", ["detection", "cell", "tile", "tma-core"])
@pytest.mark.parametrize("shape", ["points", "lines"])
def test_only_annotations_are_prompts(kind: FoundKind, shape: str) -> None:
    """Points and lines of detections were not drawn by hand."""
    found = FoundObject(kind, shape, (np.array(SQUIGGLE, float),))  # type: ignore[arg-type]  # one of the literals

    assert sort_objects([found], fingerprint="").prompts == ()


@pytest.mark.parametrize("value", [NAN, math.inf, -math.inf])
def test_point_that_is_not_finite_is_told_and_the_rest_read(value: float) -> None:
    """The text names annotation, class and which of its points."""
    content = sort_objects([points((1, 1), (2, value), (3, 3), name="many", class_name="Tumor"), points((4, 4))], fingerprint="")

    assert [p.anchor for p in content.prompts] == [(1, 1), (3, 3), (4, 4)]
    (text,) = content.bad_prompts
    assert "point 2 of 3 of annotation 'many' (Tumor" in text
    assert "delete it" in text


@pytest.mark.parametrize(
    ("xy", "reason"), [([(0, 0), (NAN, 1)], "NaN or infinite"), ([(0, 0)], "1 point(s) and needs 2"), ([], "0 point(s)")]
)
def test_unusable_line_is_told_and_the_rest_read(xy: list[tuple[float, float]], reason: str) -> None:
    """Not finite, or too short."""
    content = sort_objects([line(*xy, name="g"), line(*SQUIGGLE)], fingerprint="")

    assert len(content.prompts) == 1
    (text,) = content.bad_prompts
    assert reason in text
    assert "annotation 'g' (unclassified" in text


def test_empty_point_annotation_is_nothing() -> None:
    """Neither a prompt nor a fault."""
    content = sort_objects([points()], fingerprint="")

    assert (content.prompts, content.bad_prompts) == ((), ())


def test_results_of_ours_are_told_from_neighbours() -> None:
    """The metadata decide; areas drawn by hand and tiles are neither."""
    ours = {PROMPT_KEY: "k", MODEL_KEY: "m", OPTIONS_KEY: "o"}
    objects = [
        FoundObject("detection", "area", centroid=(1, 2), metadata=ours),
        FoundObject("annotation", "area", centroid=(3, 4), metadata={PROMPT_KEY: "l"}),
        FoundObject("detection", "area", centroid=(5, 6), plane=Plane(1, 0)),
        FoundObject("cell", "area", centroid=(7, 8), metadata={"other": "x"}),
        FoundObject("detection", "area", centroid=(NAN, NAN)),
        FoundObject("tile", "area", centroid=(9, 9)),
        FoundObject("annotation", "area", centroid=(9, 9)),
        FoundObject("tma-core", "area", centroid=(9, 9)),
    ]

    content = sort_objects(objects, fingerprint="f")

    assert content.results == (EarlierResult("k", "m", "o", (1, 2)), EarlierResult("l", "", "", (3, 4), kind="annotation"))
    assert content.neighbours == (((5, 6), Plane(1, 0)), ((7, 8), Plane()))
    assert (content.prompts, content.fingerprint) == ((), "f")


def test_a_line_of_more_points_than_a_hand_makes_is_bad() -> None:
    """Drawing a million points took 3 GB; a line of a hundred thousand is still read."""
    content = sort_objects([line(*[(1.0, 2.0), (3.0, 4.0)] * 50_001), line(*[(1.0, 2.0), (3.0, 4.0)] * 50_000)], fingerprint="")

    assert len(content.prompts) == 1
    assert "has 100,002 points, and 100,000 are the most" in content.bad_prompts[0]
