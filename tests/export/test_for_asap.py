"""Exports for ASAP: what its rules ask for, what is read back, and where outlines lie on the canvas."""

import xml.etree.ElementTree as ET
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import shapely
from shapely import Point, Polygon, box

from asap_files import load, ring_of
from drawn_objects import BIG, CELL, DISC, LEFT, OBJECTS, RING, TWO, Drawn, export, ids_in, result
from mrxs_files import ORIGIN, Scan, write_mrxs
from nuclick_qp.annotations.objects import Changes, ClosedObject
from nuclick_qp.export.record import ExportReport
from nuclick_qp.formats.asap.document import parse
from nuclick_qp.formats.asap.reading import read_prompts
from nuclick_qp.prompts import Plane
from nuclick_qp.qupath.folder.create import NewImage, create_project
from nuclick_qp.qupath.open_project import open_project
from nuclick_qp.qupath.qpdata.new_objects import NewAnnotation
from wrapped_images import cropped, rotated, wrap_image

MakeProject = Callable[..., Path]
DrawDiscs = Callable[..., Path]


def _export(project: Path, folder: Path, **options: object) -> ExportReport:
    return export(project, folder / "out", format="asap", **options)


def _file(folder: Path) -> Path:
    (path,) = (folder / "out").glob("*.xml")
    return path


def _objects(project: Path) -> list[ClosedObject]:
    with open_project(project) as opened:
        return list(opened.read_closed_objects(opened.images()[0]))


def _add_on(project: Path, plane: Plane, drawn: Drawn) -> None:
    """Write one more object, on a plane of its own."""
    with open_project(project) as opened:
        entry = opened.images()[0]
        opened.write(entry, Changes((replace(result(99, *drawn), plane=plane),)), fingerprint=opened.read(entry).fingerprint)


def _put_on_slide(project: Path, picture: Path) -> None:
    """Let the image of a project be a scan in the middle of a slide, not a PNG."""
    slide = write_mrxs(picture.with_suffix(".mrxs"), Scan.of(picture))
    project.write_text(project.read_text("utf-8").replace(picture.as_uri(), slide.as_uri()), "utf-8")


def _places(elements: Sequence[ET.Element]) -> list[tuple[float, float]]:
    return [(point.x, point.y) for point in (Polygon(ring_of(element)).centroid for element in elements)]


def test_what_our_reader_reads_back_are_the_objects(make_drawn_project: MakeProject, tmp_path: Path) -> None:
    """Kind and id in the name, the class as group, the outline in all its parts; a hole is no object, and the slit to it is narrow."""
    project = make_drawn_project(OBJECTS)

    assert _export(project, tmp_path).all_ok

    parts: defaultdict[tuple[str, str | None], list[Polygon]] = defaultdict(list)
    for annotation in parse(_file(tmp_path).read_bytes(), source=_file(tmp_path)).annotations:
        parts[annotation.name, annotation.group].append(Polygon(annotation.xy))
    objects = _objects(project)
    assert list(parts) == [(f"{o.kind} {o.object_id}", o.class_name or "Unclassified") for o in objects]
    assert [len(polygons) for polygons in parts.values()] == [2 if drawn is TWO else 1 for drawn in OBJECTS]
    for item, polygons in zip(objects, parts.values(), strict=True):
        assert all(polygon.is_valid for polygon in polygons)
        slit = 2 if item.outline.geom_type == "Polygon" and len(item.outline.interiors) else 0  # 16 px long, 0.1 px wide
        assert shapely.union_all(polygons).symmetric_difference(item.outline).area < slit + 0.05  # 32-bit floats, steps of 0.0001 px


def test_file_satisfies_the_rules_of_asap(make_drawn_project: MakeProject, tmp_path: Path) -> None:
    """Polygons in groups that are there, one for each class and no other, each in the colour of its group."""
    _export(make_drawn_project(OBJECTS), tmp_path)

    annotations, groups = load(_file(tmp_path))
    assert list(groups) == ["Gland", "Stroma", "Tumor", "Unclassified"]
    assert {element.attrib["Type"] for element in annotations} == {"Polygon"}
    assert all(element.attrib["Color"] == groups[element.attrib["PartOfGroup"]].attrib["Color"] for element in annotations)
    assert all(ring_of(element)[0] != ring_of(element)[-1] for element in annotations)


def test_exported_outlines_are_no_prompts(make_drawn_project: MakeProject, tmp_path: Path) -> None:
    """`segment` takes them for areas that the user drew, and never replaces one."""
    _export(make_drawn_project(OBJECTS), tmp_path)

    content = read_prompts(_file(tmp_path), origin=(0, 0))

    assert (content.prompts, content.bad_prompts, content.results) == ((), (), ())


def test_outlines_lie_where_asap_shows_the_object(make_drawn_project: MakeProject, tmp_path: Path) -> None:
    """QuPath crops a slide to its bounds, ASAP shows the canvas around them."""
    project = make_drawn_project([DISC, CELL])
    _put_on_slide(project, tmp_path / "slide 0.png")

    assert _export(project, tmp_path).all_ok

    places = _places(load(_file(tmp_path))[0])
    assert places == [pytest.approx((x + ORIGIN[0], y + ORIGIN[1]), abs=1e-3) for x, y in ((60, 60), (200.5, 150))]


def test_objects_of_a_turned_crop_lie_on_the_whole_slide(make_drawn_project: MakeProject, tmp_path: Path) -> None:
    """ASAP opens the file: its x, y are at 200 - (y - 50), x - 40 of the part from (40, 50) that QuPath shows turned by 90 degrees."""
    places = [(60, 60), (203, 150)]
    seen: list[Drawn] = [(Point(200 - (y - 50), x - 40).buffer(8), "detection", "Tumor") for x, y in places]
    project = make_drawn_project(seen)
    _put_on_slide(project, tmp_path / "slide 0.png")
    wrap_image(project, lambda inner: rotated(cropped(inner, 40, 50, 300, 200), "ROTATE_90"), width=200, height=300)

    assert _export(project, tmp_path).all_ok

    assert _places(load(_file(tmp_path))[0]) == [pytest.approx((x + ORIGIN[0], y + ORIGIN[1]), abs=1e-3) for x, y in places]


def test_slide_that_is_not_found_fails_its_image(make_drawn_project: MakeProject, tmp_path: Path) -> None:
    """Only the slide tells where the image lies on the canvas: one line, and no outlines at a guess; the others go on."""
    project = make_drawn_project([DISC], [DISC])
    (tmp_path / "slide 0.png").unlink()

    report = _export(project, tmp_path)

    assert [image.status for image in report.images] == ["failed", "ok"]
    assert "image 'slide 0' is not at" in (report.images[0].error or "")
    assert "--image-root" in (report.images[0].error or "")
    assert _file(tmp_path).name == "slide 1-2.xml"


def test_image_without_objects_needs_no_slide(make_drawn_project: MakeProject, tmp_path: Path) -> None:
    """There is nothing to place."""
    project = make_drawn_project([], [DISC])
    (tmp_path / "slide 0.png").unlink()

    report = _export(project, tmp_path)

    assert [image.status for image in report.images] == ["nothing", "ok"]


@pytest.mark.parametrize(
    ("class_name", "group"),
    [
        ('Größe <5> & "b"', 'Größe <5> & "b"'),
        ("Tumor: Positive", "Tumor: Positive"),
        ("日本 \U0001f52c", "日本 \U0001f52c"),
        ("tab\tand\nline", "tab\tand\nline"),
        ("Crohn's", "Crohn\u2019s"),
        ("bad \x01", "bad \ufffd"),
    ],
)
def test_any_class_becomes_a_group(make_drawn_project: MakeProject, tmp_path: Path, class_name: str, group: str) -> None:
    """Escaped; what stops XML or `wholeslidedata` is replaced."""
    _export(make_drawn_project([(box(10, 10, 20, 20), "detection", class_name)]), tmp_path)

    (element,), groups = load(_file(tmp_path))
    assert (element.attrib["PartOfGroup"], list(groups)) == (group, [group])


def test_names_of_annotations_stand_first(draw_discs: DrawDiscs, tmp_path: Path) -> None:
    """The list in ASAP shows what the user called an object; the id keeps objects of one name apart."""
    ring = ((10.0, 10.0), (20.0, 10.0), (20.0, 30.0))
    drawn = NewAnnotation("Polygon", ring, name='Drüse <7> & "co"', class_name="Gland")
    project = create_project(tmp_path / "study", [NewImage(draw_discs([]), "discs.png", 400, 300, 0.25, (drawn,))])

    _export(project, tmp_path)

    (element,), _ = load(_file(tmp_path))
    assert element.attrib["Name"] == f'Drüse <7> & "co" (annotation {ids_in(project)[0]})'
    assert set(ring_of(element)) == set(ring)


def test_groups_have_the_colours_of_the_project(draw_discs: DrawDiscs, tmp_path: Path) -> None:
    """Those that QuPath's list of classes shows."""
    drawn = NewAnnotation("Polygon", ((10.0, 10.0), (20.0, 10.0), (20.0, 30.0)), class_name="Gland")
    image = NewImage(draw_discs([]), "discs.png", 400, 300, 0.25, (drawn,))
    project = create_project(tmp_path / "study", [image], colours={"Gland": -0x1000000 + 0x12ABEF})

    _export(project, tmp_path)

    assert load(_file(tmp_path))[1]["Gland"].attrib["Color"] == "#12ABEF"


def test_regions_choose_objects_and_leave_them_whole(make_drawn_project: MakeProject, tmp_path: Path) -> None:
    """As in GeoJSON: one file for the image, what reaches in is not cut."""
    _export(make_drawn_project([DISC, CELL, RING, LEFT]), tmp_path, regions="Region*")

    places = _places(load(_file(tmp_path))[0])
    assert places == [pytest.approx((60, 60), abs=1e-3), pytest.approx((200.5, 150), abs=1e-3)]


def test_objects_on_other_planes_are_refused(make_drawn_project: MakeProject, tmp_path: Path) -> None:
    """ASAP would show all of them on the one that it has; left out by their class they do not matter."""
    project = make_drawn_project([DISC])
    _add_on(project, Plane(1, 0), BIG)

    report = _export(project, tmp_path)

    assert report.images[0].error == (
        "image 'slide 0' has objects on planes other than the first, and ASAP has no planes; use --format geojson or csv"
    )
    assert list((tmp_path / "out").iterdir()) == []
    assert _export(project, tmp_path, classes=("Tumor",)).all_ok


def test_class_that_asap_takes_for_no_group_is_refused(make_drawn_project: MakeProject, tmp_path: Path) -> None:
    """`None` stands for no group in ASAP's files; an object would lose its class."""
    report = _export(make_drawn_project([(Point(60, 60).buffer(12), "detection", "None")]), tmp_path)

    assert "objects of class 'None', ASAP's word for no group; rename the class in QuPath" in (report.images[0].error or "")


@pytest.mark.parametrize(
    ("names", "told", "group"),
    [
        (("Crohn's", "Crohn\u2019s"), """class "Crohn's" and of class 'Crohn\u2019s'""", "Crohn\u2019s"),
        ((None, "Unclassified"), "no class and of class 'Unclassified'", "Unclassified"),
        (("a\x01", "a\x02"), "class 'a\\x01' and of class 'a\\x02'", "a\ufffd"),
    ],
)
def test_classes_that_would_become_one_group_are_refused(
    make_drawn_project: MakeProject, tmp_path: Path, names: tuple[str | None, str], told: str, group: str
) -> None:
    """Nothing in the file could tell them apart again; either of them alone is exported."""
    project = make_drawn_project([(box(10 * i, 10, 10 * i + 9, 20), "detection", name) for i, name in enumerate((*names, "Tumor"))])

    report = _export(project, tmp_path)

    assert report.images[0].error == (
        f"image 'slide 0' has objects of {told}, which would be one group in ASAP, {group!r}; "
        "rename one of the two in QuPath, or name with --classes those to export"
    )
    assert list((tmp_path / "out").iterdir()) == []
    assert _export(project, tmp_path, classes=(names[0] or "", "Tumor")).all_ok


def test_wholeslidedata_reads_what_is_exported(make_drawn_project: MakeProject, tmp_path: Path) -> None:
    """Every polygon with its class, in lower case, as label."""
    parser = pytest.importorskip("wholeslidedata.accessories.asap.parser", reason="pip install wholeslidedata").AsapAnnotationParser()
    _export(make_drawn_project([DISC, RING, (box(0, 0, 9, 9), "cell", "Crohn's"), (box(0, 0, 9, 9), "cell", None)]), tmp_path)

    read = list(parser._parse(_file(tmp_path)))

    assert [one["label"]["name"] for one in read] == ["tumor", "gland", "crohn\u2019s", "unclassified"]
    assert Polygon(read[0]["coordinates"]).area == pytest.approx(DISC[0].area, rel=1e-3)
