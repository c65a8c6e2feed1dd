"""Tests of `nuclick_qp.formats.asap.reading` and `nuclick_qp.formats.asap.document`: ASAP files as prompts."""

import os
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from shapely import Polygon

from asap_files import KEY, Save, annotation, asap_file, group
from nuclick_qp.errors import PromptError
from nuclick_qp.formats.asap.reading import read_prompts
from nuclick_qp.prompts import Prompt


@pytest.fixture
def save(tmp_path: Path) -> Save:
    """Give a function that saves annotations and groups as an ASAP file."""
    return partial(asap_file, tmp_path / "clicks.xml")


def _prompts(path: Path) -> tuple[Prompt, ...]:
    return read_prompts(path, origin=(0, 0)).prompts


@pytest.mark.parametrize(
    ("kind", "strokes", "strokes_in_line_group"),
    [
        ("Dot", 0, None),
        ("PointSet", 3, 1),
        ("Polygon", 0, 1),
        ("Spline", 0, 1),
        ("Rectangle", 0, 1),
        ("Measurement", 1, 1),
        ("None", 0, 0),
    ],
)
def test_every_type_is_what_it_is_meant_to_be(save: Save, kind: str, strokes: int, strokes_in_line_group: int | None) -> None:
    """Dots and point sets are points, measurements lines, areas nothing; in a line group all are strokes."""
    places = ((1.0, 2.0), (3.0, 9.0), (5.0, 4.0))
    if kind == "Dot":
        (prompt,) = _prompts(save(annotation("Dot", places[0])))
        assert (prompt.kind, prompt.strokes) == ("point", (places[:1],))
        return

    outside = _prompts(save(annotation(kind, *places)))
    inside = _prompts(save(annotation(kind, *places, group="nuclick:line"), groups=(group("nuclick:line"),)))

    assert [prompt.kind for prompt in outside] == (["point"] * 3 if kind == "PointSet" else ["line"] * strokes)
    assert [prompt.strokes for prompt in inside] == [(places,)] * (strokes_in_line_group or 0)


def test_dot_in_a_line_group_is_told(save: Save) -> None:
    """A stroke needs two points; the rest of the file is read."""
    path = save(annotation("Dot", (1, 2), group="nuclick:line"), annotation("Dot", (3, 4)), groups=(group("nuclick:line"),))

    content = read_prompts(path, origin=(0, 0))

    assert len(content.prompts) == 1
    (line,) = content.bad_prompts
    assert "'mine'" in line
    assert "has 1 point(s) and needs 2" in line


@pytest.mark.parametrize(("inner", "outer"), [("nuclick:line", "Gland"), ("Gland", "nuclick:line"), ("Gland", "Nuclick:Line")])
def test_class_is_the_innermost_group_that_is_one(save: Save, inner: str, outer: str) -> None:
    """A line group may lie inside the group of the class, or around it."""
    path = save(annotation("PointSet", (1, 2), (3, 4), group=inner), groups=(group(inner, outer), group(outer, "Slide"), group("Slide")))

    (prompt,) = _prompts(path)

    assert (prompt.kind, prompt.class_name) == ("line", "Gland")


def test_strokes_of_one_name_are_one_gland_and_names_of_asap_are_none(save: Save) -> None:
    """ASAP gives `Annotation 3` anew after something was deleted: that joins nothing."""
    names = ("left", "left", "Annotation 3", "Annotation 3", "right")
    strokes = [annotation("Measurement", (n, 0), (n, 9), name=name) for n, name in enumerate(names)]

    assert [len(prompt.strokes) for prompt in _prompts(save(*strokes))] == [2, 1, 1, 1]


def test_decimal_commas_are_read(save: Save) -> None:
    """They occur in the wild."""
    (prompt,) = _prompts(save(annotation("Dot", ("1234,5", "0,25"))))

    assert prompt.anchor == (1234.5, 0.25)


def test_gaps_and_shuffles_of_order_are_sorted_out(save: Save) -> None:
    """What comes first is clear, whatever the numbers."""
    rows = [f'<Coordinate Order="{order}" X="{order}" Y="0" />' for order in (7, 2, 30)]
    head = '<Annotation Name="a" Type="PointSet" PartOfGroup="None"><Coordinates>'

    prompts = _prompts(save(f"{head}{''.join(rows)}</Coordinates></Annotation>"))

    assert [prompt.anchor[0] for prompt in prompts] == [2, 7, 30]


def test_missing_group_still_is_a_class(save: Save) -> None:
    """ASAP rejects such a file; what was meant is clear."""
    (prompt,) = _prompts(save(annotation("Dot", (1, 2), group="Tumor")))

    assert prompt.class_name == "Tumor"


def test_groups_inside_one_another_come_to_an_end(save: Save) -> None:
    """A circle of groups is read, though ASAP would hang on it."""
    (prompt,) = _prompts(save(annotation("Dot", (1, 2), group="A"), groups=(group("A", "B"), group("B", "A"))))

    assert prompt.class_name == "A"


def test_a_long_chain_of_groups_is_looked_at_once(save: Save) -> None:
    """What thousands of dots lie in, each deeper than the last, costs no more than the length of the file."""
    depth = 20_000
    chain = [group(f"nuclick:{n}", f"nuclick:{n + 1}") for n in range(depth)]
    dots = [annotation("Dot", (n, 2), group=f"nuclick:{n}") for n in range(0, depth, 10)]

    prompts = _prompts(save(*dots, groups=(*chain, group(f"nuclick:{depth}", "Tumor"), group("Tumor"))))

    assert {prompt.class_name for prompt in prompts} == {"Tumor"}
    assert len(prompts) == len(dots)


@pytest.mark.parametrize("kind", ["Ellipse", "", "PointSet "])
def test_unknown_types_are_told_and_the_rest_is_read(save: Save, kind: str) -> None:
    """ASAP loads them and draws nothing."""
    content = read_prompts(save(annotation(kind, (1, 2)), annotation("dot", (3, 4))), origin=(0, 0))

    assert [prompt.anchor for prompt in content.prompts] == [(3, 4)]
    assert len(content.bad_prompts) == 1
    assert "nothing that ASAP draws" in content.bad_prompts[0]


def test_annotation_without_coordinates_is_told(save: Save) -> None:
    """Nothing is dropped silently."""
    content = read_prompts(save(annotation("Dot", name="empty")), origin=(0, 0))

    assert content.bad_prompts == ("annotation 'empty' without coordinates is nothing that ASAP draws; draw it anew",)


@pytest.mark.parametrize("value", ["nan", "1e300"])
def test_coordinates_that_are_no_place_fail_by_themselves(save: Save, value: str) -> None:
    """As in projects."""
    content = read_prompts(save(annotation("Dot", (value, 2)), annotation("Dot", (3, 4))), origin=(0, 0))

    assert (len(content.prompts), len(content.bad_prompts)) == (1, 1)


def test_prompts_are_moved_to_the_slide_frame(save: Save) -> None:
    """ASAP counts from the corner of the canvas, the slide frame from that of the bounds."""
    path = save(annotation("Dot", (130, 95)), annotation("Polygon", (110, 70), (120, 70), (120, 80), name=f"nuclick {KEY} p=0.93"))

    content = read_prompts(path, origin=(100, 60))

    assert [prompt.anchor for prompt in content.prompts] == [(30, 35)]
    assert content.results[0].outline is not None
    assert content.results[0].outline.bounds == (10, 10, 20, 20)


def test_key_survives_asap(save: Save) -> None:
    """ASAP holds 32-bit floats, so a file that it saved again has other digits and the same prompts."""
    text = "123456.7849"
    saved = f"{float(np.float32(text)):.9g}"
    keys = [read_prompts(save(annotation("Dot", (x, 5))), origin=(120_000, 0)).prompts[0].key for x in (text, saved)]

    assert saved != text
    assert keys[0] == keys[1]


def test_outlines_of_ours_are_results_and_no_prompts(save: Save) -> None:
    """Wherever they lie; parts of one key are one result, an invalid one has no outline."""
    square = ((0, 0), (4, 0), (4, 4), (0, 4))
    far = tuple((x + 10, y) for x, y in square)
    bow_tie = ((0, 0), (4, 4), (4, 0), (0, 4))
    ours = [annotation("Polygon", *xy, name=f"nuclick {KEY} p=0.93", group="nuclick:line") for xy in (square, far)]
    other = annotation("Polygon", *bow_tie, name="nuclick 99999999999999999999")

    content = read_prompts(save(*ours, other), origin=(0, 0))

    assert content.prompts == ()
    first, second = content.results
    assert first.key == KEY
    assert first.outline is not None
    assert first.outline.symmetric_difference(Polygon(square).union(Polygon(far))).area == 0
    assert second.outline is None


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is not XML"),
        (b"<ASAP_Annotations><Annotations>", "is not XML"),
        (b"<Annotations MicronsPerPixel='0.25'/>", "begins with <Annotations> instead of <ASAP_Annotations>"),
        (b"<?xml version='1.0' encoding='klingon'?><ASAP_Annotations/>", "is not XML"),
        (b"\xff\xfe\x00", "is not XML"),
    ],
)
def test_other_files_are_one_clear_line(tmp_path: Path, content: bytes, said: str) -> None:
    """No other exception gets out."""
    path = tmp_path / "odd.xml"
    path.write_bytes(content)

    with pytest.raises(PromptError, match=rf"odd\.xml {said}") as caught:
        read_prompts(path, origin=(0, 0))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "rows",
    [
        '<Coordinate Order="0" X="1.234,5" Y="2" />',
        '<Coordinate Order="0" X="1" />',
        '<Coordinate X="1" Y="2" />',
        '<Coordinate Order="-1" X="1" Y="2" />',
        '<Coordinate Order="first" X="1" Y="2" />',
        '<Coordinate Order="0" X="1" Y="2" /><Coordinate Order="0" X="3" Y="4" />',
    ],
)
def test_ambiguous_coordinates_are_one_clear_line(save: Save, rows: str) -> None:
    """It names the annotation and the file."""
    with pytest.raises(PromptError, match=r"annotation 'odd' of .*clicks\.xml"):
        _prompts(save(f'<Annotation Name="odd" Type="Dot" PartOfGroup="None"><Coordinates>{rows}</Coordinates></Annotation>'))


def test_missing_file_is_named(tmp_path: Path) -> None:
    """A path that is not there."""
    with pytest.raises(PromptError, match=r"gone\.xml cannot be read"):
        _prompts(tmp_path / "gone.xml")


@pytest.mark.parametrize(
    "subset",
    [
        '[<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;"><!ENTITY c "&b;&b;&b;&b;">]',
        '[<!ENTITY c SYSTEM "file:///etc/passwd">]',
        '[<!ENTITY % c SYSTEM "http://localhost:9/evil.dtd"> %c;]',
        'SYSTEM "http://localhost:9/evil.dtd"',
    ],
)
def test_entity_bombs_and_external_entities_are_refused(tmp_path: Path, subset: str) -> None:
    """By the document type that they need, before anything is expanded or fetched."""
    path = tmp_path / "bomb.xml"
    use = "&c;" if "ENTITY c" in subset else ""
    path.write_text(f"<!DOCTYPE ASAP_Annotations {subset}><ASAP_Annotations><Annotations>{use}</Annotations></ASAP_Annotations>")

    with pytest.raises(PromptError, match=r"bomb\.xml has a document type"):
        _prompts(path)


@pytest.mark.shared
@pytest.mark.skipif("NUCLICK_SHARED" not in os.environ, reason="real files are needed; set NUCLICK_SHARED to their folder")
@pytest.mark.parametrize(("name", "points"), [("asap-dot", 1), ("asap-pointset", 5), ("asap-polygon", 0)])
def test_files_that_asap_saved_are_read(name: str, points: int) -> None:
    """A dot, five points, an area."""
    prompts = _prompts(Path(os.environ["NUCLICK_SHARED"], "data", "asap", f"{name}.xml"))

    assert [prompt.kind for prompt in prompts] == ["point"] * points
    assert all(prompt.class_name is None for prompt in prompts)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("x", ["NaN", "INF", "-1e39"])
def test_an_outline_of_ours_without_a_place_is_no_area(tmp_path: Path, x: str) -> None:
    """A result is there, so its prompt is not done a second time without a word; it stands nowhere."""
    path = asap_file(tmp_path / "a.xml", annotation("Polygon", (x, 1), (5, 1), (5, 5), (1, 5), name=f"nuclick {KEY} p=0.90"))

    (result,) = read_prompts(path, origin=(0, 0)).results

    assert result.outline is None
