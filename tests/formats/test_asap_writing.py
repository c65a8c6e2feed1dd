"""Tests of `nuclick_qp.formats.asap.writing`: outlines into ASAP files."""

import time
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from shapely import MultiPolygon, Point, Polygon, box

from asap_files import KEY, annotation, asap_file, group, load, ring_of
from nuclick_qp.annotations.objects import ResultObject
from nuclick_qp.errors import WriteRefusedError
from nuclick_qp.formats.asap.reading import read_prompts
from nuclick_qp.formats.asap.writing import check_output, write_objects
from nuclick_qp.prompts import Plane
from nuclick_qp.storage.guarded import backup_of

OTHER = "fedcba9876543210fedc"
HAND_MADE = b"""<?xml version="1.0"?>
<!-- mine -->
<ASAP_Annotations>\r
  <Annotations>
    <Annotation  Type="Dot" Name='a "dot" &lt;1&gt; &#228;' PartOfGroup="Tumor &amp; more" Color="#123456" Extra="1"><Coordinates>
      <Coordinate X="1,50" Y="2.000" Order="0"></Coordinate></Coordinates></Annotation>

    <Annotation Name="ruler" Type="Measurement" PartOfGroup="None" Color="#F4FA58"><Coordinates>
      <Coordinate Order="1" X="9" Y="9"/><Coordinate Order="0" X="1e1" Y="3"/></Coordinates></Annotation>
  </Annotations>
  <AnnotationGroups><Group Name="Tumor &amp; more" PartOfGroup="None" Color="#00ff00"><Attributes><Attribute a="1"/></Attributes></Group>
  </AnnotationGroups>
</ASAP_Annotations>
"""


def _result(key: str = KEY, **changes: Any) -> ResultObject:
    fields: dict[str, Any] = {
        "outline": box(10, 10, 14.25, 13.5),
        "kind": "detection",
        "class_name": "Tumor & more",
        "plane": Plane(),
        "nested": False,
        "anchor": (10.0, 10.0),
        "key": key,
        "probability": 0.934,
    }
    return ResultObject(**(fields | changes))


@pytest.mark.parametrize(("probability", "told"), [(0.4999, "0.49"), (0.496, "0.49"), (0.29, "0.29"), (0.5, "0.50"), (0.504, "0.50")])
def test_rounding_makes_no_outline_sure(tmp_path: Path, probability: float, told: str) -> None:
    """Below 0.5 it is uncertain, and stays so when it is read back."""
    write_objects(tmp_path / "out.xml", [_result(probability=probability)], origin=(0, 0))

    (outline,), _ = load(tmp_path / "out.xml")
    assert outline.attrib["Name"].endswith(f" p={told}")


def test_new_file_satisfies_the_rules_of_asap(tmp_path: Path) -> None:
    """Polygons, not closed by their first point, in a group below the class, in its colour."""
    path = tmp_path / "new folder" / "out.xml"

    assert write_objects(path, [_result()], origin=(0, 0)) == 0

    (outline,), groups = load(path)
    below = groups["nuclick:outlines Tumor & more"]
    assert outline.attrib["Name"] == f"nuclick {KEY} p=0.93"
    assert (outline.attrib["Type"], outline.attrib["PartOfGroup"]) == ("Polygon", below.attrib["Name"])
    assert below.attrib["PartOfGroup"] == "Tumor & more"
    assert outline.attrib["Color"] == below.attrib["Color"] == groups["Tumor & more"].attrib["Color"]
    assert len(ring_of(outline)) == 4
    assert Polygon(ring_of(outline)).equals(_result().outline)
    assert not backup_of(path).exists()


def test_every_byte_of_the_user_stays(tmp_path: Path) -> None:
    """What is added taken out again gives the old file, and the group has the colour that the user gave it."""
    path = tmp_path / "slide.xml"
    path.write_bytes(HAND_MADE)

    write_objects(path, [_result(), _result(OTHER, class_name=None)], origin=(0, 0))

    new = path.read_bytes()
    for end_of_list in (b"\n  </Annotations>", b"\n  </AnnotationGroups>"):
        head, tail = HAND_MADE.split(end_of_list)
        assert new.count(end_of_list) == 1
        assert head.split(b"</Annotations>")[-1] in new
        assert tail.split(b"<AnnotationGroups>")[0] in new
    assert new.startswith(HAND_MADE[: HAND_MADE.index(b"\n  </Annotations>")])
    annotations, groups = load(path)
    assert [a.attrib["Name"] for a in annotations[:2]] == ['a "dot" <1> ä', "ruler"]
    assert annotations[2].attrib["Color"] == groups["nuclick:outlines Tumor & more"].attrib["Color"] == "#00ff00"
    assert annotations[3].attrib["PartOfGroup"] == "nuclick:outlines"
    assert backup_of(path).read_bytes() == HAND_MADE


def test_second_run_replaces_its_own_and_gives_the_same_bytes(tmp_path: Path) -> None:
    """Only outlines of the same prompts go, and only these."""
    path = tmp_path / "slide.xml"
    path.write_bytes(HAND_MADE)
    both = [_result(), _result(OTHER, outline=MultiPolygon([box(0, 0, 1, 1), box(2, 2, 3, 3)]))]
    write_objects(path, both, origin=(0, 0))
    first = path.read_bytes()

    assert write_objects(path, both, origin=(0, 0)) == 2
    assert path.read_bytes() == first

    assert write_objects(path, [_result(OTHER, outline=box(5, 5, 6, 6))], origin=(0, 0)) == 1
    kept = ET.fromstring(first).findall("*/Annotation")[2]
    assert [ring_of(a)[0] for a in load(path)[0][2:]] == [ring_of(kept)[0], (6, 5)]
    assert backup_of(path).read_bytes() == HAND_MADE


def test_renamed_outline_is_the_users(tmp_path: Path) -> None:
    """A name is all that marks an outline as ours."""
    path = tmp_path / "slide.xml"
    write_objects(path, [_result()], origin=(0, 0))
    path.write_text(path.read_text().replace(f"nuclick {KEY} p=0.93", "checked"))

    write_objects(path, [_result()], origin=(0, 0))

    assert [a.attrib["Name"] for a in load(path)[0]] == ["checked", f"nuclick {KEY} p=0.93"]


def test_template_is_what_a_new_file_begins_with(tmp_path: Path) -> None:
    """An existing output is added to as it is; the template never changes."""
    template, path = tmp_path / "clicks.xml", tmp_path / "out.xml"
    template.write_bytes(HAND_MADE)

    write_objects(path, [_result()], origin=(0, 0), template=template)
    write_objects(path, [_result(OTHER)], origin=(0, 0), template=template)

    assert [a.attrib["Type"] for a in load(path)[0]] == ["Dot", "Measurement", "Polygon", "Polygon"]
    assert template.read_bytes() == HAND_MADE


@pytest.mark.parametrize(
    "content",
    [
        "<ASAP_Annotations/>",
        "<ASAP_Annotations></ASAP_Annotations>",
        "<ASAP_Annotations><Annotations /><AnnotationGroups\n/></ASAP_Annotations>",
        "<ASAP_Annotations><Annotations>\n</Annotations></ASAP_Annotations>",
        "<ASAP_Annotations><AnnotationGroups><!-- none --></AnnotationGroups></ASAP_Annotations>",
        "\ufeff<ASAP_Annotations>\n\t<Annotations/>\n</ASAP_Annotations>",
    ],
)
def test_lists_that_are_empty_or_missing_are_filled(tmp_path: Path, content: str) -> None:
    """However the file writes that there is nothing."""
    path = tmp_path / "slide.xml"
    path.write_text(content, encoding="utf-8")

    write_objects(path, [_result(), _result(OTHER)], origin=(0, 0))

    annotations, groups = load(path)
    assert len(annotations) == len(groups) == 2


def test_missing_groups_of_the_user_are_completed(tmp_path: Path) -> None:
    """ASAP rejects a file that refers to a group which is not there; parents count, too."""
    path = asap_file(tmp_path / "slide.xml", annotation("Dot", (1, 2), group="Lost"), groups=(group("Child", "Gone"),))

    write_objects(path, [], origin=(0, 0))

    _, groups = load(path)
    assert set(groups) == {"Child", "Lost", "Gone"}


@pytest.mark.parametrize(
    "class_name", ['a<b>&"c"', "Crohn's", "日本 \U0001f52c", "tab\tand\nline", "None", " wide ", "line", "bad \x01\ud800"]
)
def test_any_class_name_goes_through(tmp_path: Path, class_name: str) -> None:
    """Escaped, with groups complete; what no XML holds becomes U+FFFD, and `None` stays ASAP's word for no group."""
    path = tmp_path / "slide.xml"

    write_objects(path, [_result(class_name=class_name)], origin=(0, 0))

    (outline,), groups = load(path)
    parent = groups[outline.attrib["PartOfGroup"]].attrib["PartOfGroup"]
    assert parent == class_name.replace("\x01", "\ufffd").replace("\ud800", "\ufffd")
    assert "'" not in outline.attrib["PartOfGroup"]
    assert read_prompts(path, origin=(0, 0)).prompts == ()


def test_outlines_are_moved_to_the_canvas_and_come_back(tmp_path: Path) -> None:
    """Slide frame -> canvas -> slide frame."""
    path = tmp_path / "slide.xml"
    outline = Point(50.03, 40).buffer(9)

    write_objects(path, [_result(outline=outline)], origin=(1000, 600))

    (element,), _ = load(path)
    (back,) = read_prompts(path, origin=(1000, 600)).results
    assert np.mean(ring_of(element), axis=0) == pytest.approx([1050.03, 640], abs=1e-3)
    assert back.outline is not None
    assert back.outline.symmetric_difference(outline).area < 0.01  # 57 px of border, in 32-bit floats and steps of 0.0001 px


def test_holes_are_opened_not_filled(tmp_path: Path) -> None:
    """ASAP knows no holes; the area stays that of the outline, but for the slit."""
    path = tmp_path / "slide.xml"
    ring = Point(50, 50).buffer(20).difference(Point(53, 50).buffer(8))

    write_objects(path, [_result(outline=ring)], origin=(0, 0))

    (element,), _ = load(path)
    written = Polygon(ring_of(element))
    assert written.is_valid
    assert written.area == pytest.approx(ring.area, abs=1.2)  # a slit of 9 x 0.1 px, and the steps
    assert not written.contains(Point(53, 50))


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("mine", "is not XML"),
        ("", "is not XML"),
        ("<!DOCTYPE a [<!ENTITY b 'c'>]><ASAP_Annotations/>", "document type"),
        ("<Annotations/>", "begins with <Annotations>"),
        (annotation("Dot", (1, 2), first=3), "has gaps"),
        (annotation("Dot", (1, 2)).replace("PartOfGroup", "Group"), "has no PartOfGroup"),
        (annotation("Dot", ("x", 2)), "cannot be read"),
        (group("A", "B") + group("B", "A"), "lies inside itself"),
    ],
)
def test_file_that_asap_would_not_load_is_refused(tmp_path: Path, content: str, said: str) -> None:
    """Before any work, and again when writing; it stays as it is."""
    path = tmp_path / "slide.xml"
    if content.startswith(("<Annotation ", "<Group ")):
        asap_file(path, *([content] if "<Group" not in content else []), groups=(content,) if "<Group" in content else ())
    else:
        path.write_text(content)
    before = path.read_bytes()

    with pytest.raises(WriteRefusedError, match=said):
        check_output(path, template=None)
    with pytest.raises(WriteRefusedError, match=rf"slide\.xml.*{said}"):
        write_objects(path, [_result()], origin=(0, 0))
    assert {p: p.read_bytes() for p in tmp_path.iterdir()} == {path: before}


def test_a_chain_of_groups_takes_time_in_proportion(tmp_path: Path) -> None:
    """Each group in the next, 10^5 of them: a second, not the minutes of looking at all for each."""
    depth = 100_000
    path = tmp_path / "slide.xml"
    asap_file(path, groups=(*(group(f"{n}", f"{n + 1}") for n in range(depth)), group(f"{depth}")))
    since = time.process_time()

    check_output(path, template=None)

    assert time.process_time() - since < 20


def test_utf_16_is_refused(tmp_path: Path) -> None:
    """What is added would be bytes of another encoding."""
    path = tmp_path / "slide.xml"
    path.write_text('<?xml version="1.0" encoding="utf-16"?><ASAP_Annotations/>', encoding="utf-16")

    with pytest.raises(WriteRefusedError, match="is UTF-16"):
        write_objects(path, [_result()], origin=(0, 0))


def test_other_encodings_are_added_to(tmp_path: Path) -> None:
    """What is added is ASCII."""
    path = tmp_path / "slide.xml"
    dot = annotation("Dot", (1, 2), name="Präparat")
    path.write_bytes(
        f'<?xml version="1.0" encoding="latin-1"?><ASAP_Annotations><Annotations>{dot}</Annotations></ASAP_Annotations>'.encode("latin-1")
    )

    write_objects(path, [_result(class_name="日本")], origin=(0, 0))

    annotations, groups = load(path)
    assert [a.attrib["Name"] for a in annotations] == ["Präparat", f"nuclick {KEY} p=0.93"]
    assert set(groups) == {"日本", "nuclick:outlines 日本"}


def test_text_that_looks_like_the_end_of_a_tag_is_refused_or_kept(tmp_path: Path) -> None:
    """What is written is parsed before it replaces anything."""
    path = tmp_path / "slide.xml"
    path.write_text("<ASAP_Annotations><Annotations>/></Annotations></ASAP_Annotations>")
    before = path.read_bytes()

    with pytest.raises(WriteRefusedError):
        write_objects(path, [_result()], origin=(0, 0))
    assert path.read_bytes() == before


def test_planes_are_refused(tmp_path: Path) -> None:
    """ASAP has none."""
    with pytest.raises(WriteRefusedError, match="no planes; write them as GeoJSON"):
        write_objects(tmp_path / "out.xml", [_result(plane=Plane(1, 0))], origin=(0, 0))
    assert list(tmp_path.iterdir()) == []


def test_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    """A file where a folder should be."""
    (tmp_path / "file").write_text("mine")

    with pytest.raises(WriteRefusedError, match=r"out\.xml cannot be read"):
        write_objects(tmp_path / "file" / "out.xml", [_result()], origin=(0, 0))


def test_wholeslidedata_reads_what_is_written(tmp_path: Path) -> None:
    """Its parser finds every outline with the label of its group, in lower case, and its colour."""
    parser = pytest.importorskip("wholeslidedata.accessories.asap.parser", reason="pip install wholeslidedata").AsapAnnotationParser()
    path = asap_file(tmp_path / "slide.xml", annotation("Dot", (1, 2), group="Crohn"), groups=(group("Crohn"),))
    write_objects(path, [_result(class_name="Crohn's"), _result(OTHER, class_name=None, outline=box(0, 0, 2, 3))], origin=(5, 5))

    # `parse` goes on to make objects of Shapely 1.7, which today's Python no longer installs.
    dot, first, second = parser._parse(path)

    assert (dot["type"], dot["label"]["name"]) == ("point", "crohn")
    assert (first["type"], first["label"]["name"]) == ("polygon", "nuclick:outlines crohn’s")
    assert Polygon(first["coordinates"]).equals(box(15, 15, 19.25, 18.5))
    assert (second["label"]["name"], second["label"]["color"]) == ("nuclick:outlines", "#F4FA58")
