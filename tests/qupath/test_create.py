"""New projects on disk."""

import json
import math
from pathlib import Path

import pytest
from PIL import Image

from fixture_projects import snapshot
from nuclick_qp.annotations.objects import Changes
from nuclick_qp.errors import WriteRefusedError
from nuclick_qp.prompts import Plane
from nuclick_qp.qupath.files_engine import open_files_project
from nuclick_qp.qupath.folder.create import NewImage, create_project
from nuclick_qp.qupath.locate import SlidePlaces, find_slide
from nuclick_qp.qupath.qpdata.new_objects import NewAnnotation


@pytest.fixture
def slide(tmp_path: Path) -> Path:
    """Give an image whose name has a blank and an accent."""
    path = tmp_path / "slides" / "Präparat 1.png"
    path.parent.mkdir()
    Image.new("RGB", (1200, 900), (250, 240, 245)).save(path)
    return path


def new_image(slide: Path, *annotations: NewAnnotation, mpp: float | None = 0.5) -> NewImage:
    """Give the image to be put into a project."""
    return NewImage(slide, "my image", 1200, 900, mpp, annotations, "BRIGHTFIELD_H_DAB")


def test_new_project_reads_back_as_it_was_made(tmp_path: Path, slide: Path) -> None:
    """Images, sizes, slides and every prompt in order."""
    clicks = NewAnnotation("Points", ((1.5, 2.5), (3, 4)), name="many", class_name="Tumor: Positive", plane=Plane(1, 2))
    squiggle = NewAnnotation("Polyline", ((10, 10), (20, 20), (30, 10)))

    path = create_project(tmp_path / "new", [new_image(slide, clicks, squiggle), new_image(slide, mpp=None)])

    project = open_files_project(path)
    one, two = project.images()
    assert (one.entry_id, one.name, one.width, one.height, one.mpp) == ("1", "my image", 1200, 900, 0.5)
    assert (two.entry_id, two.mpp) == ("2", None)
    assert find_slide(one, SlidePlaces(path)) == slide
    assert [(p.kind, p.strokes, p.class_name, p.name, p.plane) for p in project.read(one).prompts] == [
        ("point", (((1.5, 2.5),),), "Tumor: Positive", "many", Plane(1, 2)),
        ("point", (((3, 4),),), "Tumor: Positive", "many", Plane(1, 2)),
        ("line", (((10, 10), (20, 20), (30, 10)),), None, None, Plane()),
    ]
    assert project.read(two).prompts == ()


def test_new_project_has_all_files_that_qupath_makes(tmp_path: Path, slide: Path) -> None:
    """The same names and keys as in a project that QuPath saved."""
    made = create_project(tmp_path / "new", [new_image(slide, NewAnnotation("Points", ((1, 2),), class_name="Tumor"))]).parent
    model = Path(__file__).parents[1] / "data" / "qupath" / "0.4.4" / "ihc"

    def keys(path: Path) -> list[str]:
        return list(json.loads(path.read_text("utf-8")))

    assert {p.name for p in (made / "data" / "1").iterdir()} == {"data.qpdata", "server.json", "summary.json", "thumbnail.jpg"}
    assert keys(made / "project.qpproj") == keys(model / "project.qpproj")
    assert keys(made / "data" / "1" / "summary.json") == keys(model / "data" / "1" / "summary.json")
    image, like = (json.loads((p / "project.qpproj").read_text("utf-8"))["images"][0] for p in (made, model))
    assert list(image) == [key for key in like if key != "description"]
    assert list(image["serverBuilder"]) == list(like["serverBuilder"])
    assert list(image["serverBuilder"]["metadata"]) == list(like["serverBuilder"]["metadata"])
    assert image["serverBuilder"]["providerClassName"] == like["serverBuilder"]["providerClassName"]


def test_classes_are_listed_once_with_the_colours_asked_for(tmp_path: Path, slide: Path) -> None:
    """Others get a colour of their own."""
    annotations = [NewAnnotation("Points", ((1, 2),), class_name=c) for c in ("Tumor", "Stroma", "Tumor", None)]

    made = create_project(tmp_path / "new", [new_image(slide, *annotations)], colours={"Tumor": -3670016}).parent

    classes = json.loads((made / "classifiers" / "classes.json").read_text("utf-8"))["pathClasses"]
    assert [c["name"] for c in classes] == ["Tumor", "Stroma"]
    assert classes[0]["color"] == -3670016


def test_project_without_classes_has_no_list(tmp_path: Path, slide: Path) -> None:
    """QuPath then shows its default classes."""
    made = create_project(tmp_path / "new", [new_image(slide)]).parent

    assert not (made / "classifiers" / "classes.json").exists()


def test_thumbnail_keeps_the_shape_and_fits(tmp_path: Path, slide: Path) -> None:
    """At most 1000 x 600, as QuPath's own."""
    made = create_project(tmp_path / "new", [new_image(slide)]).parent

    with Image.open(made / "data" / "1" / "thumbnail.jpg") as thumbnail:
        assert (thumbnail.size, thumbnail.format) == ((800, 600), "JPEG")


def test_project_that_is_there_is_not_overwritten(tmp_path: Path, slide: Path) -> None:
    """Not a byte of it."""
    path = create_project(tmp_path / "new", [new_image(slide)])
    before = snapshot(path.parent)

    with pytest.raises(WriteRefusedError, match="holds a project; choose a folder that is empty"):
        create_project(tmp_path / "new", [new_image(slide)])

    assert snapshot(path.parent) == before


def test_missing_image_leaves_no_half_project(tmp_path: Path, slide: Path) -> None:
    """The folder can be used again."""
    with pytest.raises(WriteRefusedError, match=r"gone\.png"):
        create_project(tmp_path / "new", [new_image(slide), new_image(tmp_path / "gone.png")])

    assert list((tmp_path / "new").iterdir()) == []
    assert create_project(tmp_path / "new", [new_image(slide)]).exists()


def test_points_that_are_not_finite_are_told_and_the_rest_read(tmp_path: Path, slide: Path) -> None:
    """From the file to the text, and results of the good ones can be written."""
    clicks = NewAnnotation("Points", ((1, 2), (math.nan, 4), (5, math.inf)), name="many", class_name="Tumor")
    squiggle = NewAnnotation("Polyline", ((10, 10), (math.nan, 20), (30, 10)))
    project = open_files_project(create_project(tmp_path / "new", [new_image(slide, clicks, squiggle)]))

    content = project.read(project.images()[0])

    assert [p.anchor for p in content.prompts] == [(1, 2)]
    assert len(content.bad_prompts) == 3
    assert content.bad_prompts[0].startswith("point 2 of 3 of annotation 'many' (Tumor")
    project.write(project.images()[0], Changes(()), fingerprint=content.fingerprint)
