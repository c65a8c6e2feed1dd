"""Exports of whole projects: names, failures, refusals, the folder that they go into."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from shapely import Point, box

from drawn_objects import DISC, OBJECTS, TWO, Drawn, export, result, table
from fixture_projects import snapshot
from nuclick_qp.annotations.objects import Changes
from nuclick_qp.errors import OptionError, ProjectError, WriteRefusedError
from nuclick_qp.export import tiles
from nuclick_qp.geometry import Window
from nuclick_qp.prompts import Plane
from nuclick_qp.qupath.open_project import open_project
from nuclick_qp.slides import Slide
from nuclick_qp.storage.labels import find_pairs

MakeProject = Callable[..., Path]


def test_images_of_any_name_have_files_of_their_own(make_drawn_project: MakeProject, tmp_path: Path) -> None:
    """Slashes, equal names, letters of all kinds, and very long names."""
    names = ["a/b", "a/b", "..", "Präparat: 1?", "x" * 300]

    export(make_drawn_project(*[[DISC]] * 5, names=names), tmp_path / "out", format="geojson")

    found = {path.name for path in (tmp_path / "out").iterdir()}
    assert found >= {"a_b-1.geojson", "a_b-2.geojson", "image-3.geojson", "Präparat_ 1_-4.geojson"}
    assert len(found) == 6


def test_same_project_gives_the_same_bytes(make_drawn_project: MakeProject, tmp_path: Path) -> None:
    """No date, no order of chance."""
    project = make_drawn_project(OBJECTS, [DISC])

    for name in ("masks", "coco", "geojson", "csv", "asap"):
        files = []
        for run in ("one", "two"):
            export(project, tmp_path / name / run, format=name)
            files.append(snapshot(tmp_path / name / run))
        assert files[0] == files[1]


def test_failed_image_does_not_stop_the_others(make_drawn_project: MakeProject, tmp_path: Path) -> None:
    """It is named with its error; the rest is exported, and what an earlier export wrote of it stays."""
    project = make_drawn_project([DISC], [TWO])
    export(project, tmp_path / "out", format="masks")
    (tmp_path / "slide 0.png").unlink()

    report = export(project, tmp_path / "out", format="masks", overwrite=True)

    assert [image.status for image in report.images] == ["failed", "ok"]
    assert "--image-root" in (report.images[0].error or "")
    assert not report.all_ok
    assert len(find_pairs(tmp_path / "out")) == 2
    assert "slide 0-1.png" in report.files


@pytest.mark.parametrize("pixels", [True, False])
def test_whole_slide_too_large_is_refused_before_it_is_read(
    make_drawn_project: MakeProject, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pixels: bool
) -> None:
    """The message says how large it would be, and a pixel size that would do; nothing is written."""
    monkeypatch.setattr(tiles, "LARGEST_REGION_PX", 30_000)
    project = make_drawn_project([DISC])

    report = export(project, tmp_path / "out", format="masks", pixels=pixels)

    assert report.images[0].error == (
        "image 'slide 0' would have 400 x 300 px at 0.25 um/px, more than 30,000 in all; "
        "pass --mpp 0.5 or more, or export rectangles with --regions CLASS"
    )
    assert list((tmp_path / "out").iterdir()) == []
    assert export(project, tmp_path / "out", format="masks", mpp=0.5).all_ok


def test_folder_that_holds_anything_else_is_left_alone(make_drawn_project: MakeProject, tmp_path: Path) -> None:
    """Not without --overwrite, and with it only when an export made the folder."""
    project = make_drawn_project([DISC])
    export(project, tmp_path / "out", format="csv")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("mine")

    with pytest.raises(WriteRefusedError, match="out is not empty; name another folder, or pass --overwrite"):
        export(project, tmp_path / "out", format="csv")
    with pytest.raises(WriteRefusedError, match=r"mine holds files and no export\.json"):
        export(project, tmp_path / "mine", format="csv", overwrite=True)
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["notes.txt"]


def test_overwrite_leaves_nothing_of_the_earlier_export(make_drawn_project: MakeProject, tmp_path: Path) -> None:
    """A tile that is no longer there would be trained on; files of the user stay, also those that a record names outside."""
    project = make_drawn_project([DISC], [TWO])
    export(project, tmp_path / "out", format="masks")
    (tmp_path / "out" / "notes.txt").write_text("mine")
    record = tmp_path / "out" / "export.json"
    record.write_text(record.read_text().replace('"files": [', '"files": ["../slide 0.png",'))

    export(project, tmp_path / "out", format="masks", images="slide 0", overwrite=True)

    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert names == {"slide 0-1.png", "slide 0-1_label.tif", "labels.csv", "classes.json", "export.json", "notes.txt"}
    assert (tmp_path / "slide 0.png").exists()


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"format": "csv", "mpp": 0.5}, OptionError, "--mpp is for masks and coco"),
        ({"format": "asap", "mpp": 0.5}, OptionError, "asap keeps the coordinates of the image"),
        ({"format": "masks", "mpp": -1.0}, OptionError, "is not a pixel size"),
        ({"format": "masks", "regions": "ROI"}, ProjectError, "in a rectangle of class 'ROI' in its 1 image"),
        ({"format": "csv", "kinds": ("cell",)}, ProjectError, r"project\.qpproj has no closed cells"),
        ({"format": "csv", "images": "*.svs"}, OptionError, "no image that matches --images"),
    ],
)
def test_exports_of_nothing_are_errors(
    make_drawn_project: MakeProject, tmp_path: Path, options: dict[str, Any], error: type[Exception], message: str
) -> None:
    """One line that says what was looked for."""
    with pytest.raises(error, match=message):
        export(make_drawn_project([DISC]), tmp_path / "out", **options)


@pytest.mark.parametrize(
    ("mark", "message"),
    [
        ((Point(60, 60).buffer(50), "annotation", "ROI"), "has an annotation of class ROI that is no upright rectangle"),
        ((box(900, 900, 950, 950), "annotation", "ROI"), "the rectangle at 900, 900, lies outside the image"),
    ],
)
def test_regions_that_are_no_rectangles_fail(make_drawn_project: MakeProject, tmp_path: Path, mark: Drawn, message: str) -> None:
    """Named with their image; nothing of it is exported."""
    report = export(make_drawn_project([DISC, mark]), tmp_path / "out", format="masks", regions="ROI")

    assert message in (report.images[0].error or "")


def test_pixel_size_is_needed_only_when_one_is_asked_for(make_drawn_project: MakeProject, tmp_path: Path) -> None:
    """Without --mpp an image is exported as it is; with it the message says where to put its own."""
    project = make_drawn_project([DISC], mpp=None)

    report = export(project, tmp_path / "out", format="masks", mpp=0.5)

    assert "has no pixel size; pass no --mpp, or set it in the Image tab of QuPath" in (report.images[0].error or "")
    assert export(project, tmp_path / "out", format="masks").images[0].tiles[0].mpp is None


def test_objects_on_several_planes_make_no_tile(make_drawn_project: MakeProject, tmp_path: Path) -> None:
    """They would lie over one another; formats without tiles keep the plane."""
    project = make_drawn_project([DISC])
    with open_project(project) as opened:
        entry = opened.images()[0]
        above = replace(result(7, *TWO), plane=Plane(1, 0))
        opened.write(entry, Changes((above,)), fingerprint=opened.read(entry).fingerprint)

    report = export(project, tmp_path / "masks", format="masks")
    export(project, tmp_path / "csv", format="csv")

    assert "has objects on several planes" in (report.images[0].error or "")
    assert [row["z"] for row in table(tmp_path / "csv" / "objects.csv")] == ["0", "1"]


def test_stopped_export_keeps_what_is_done(make_drawn_project: MakeProject, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The table and the record speak of the images before the stop, so that --overwrite can begin anew."""
    project = make_drawn_project([DISC], [TWO])
    read = Slide.read

    def stop_at_second(slide: Slide, window: Window) -> Any:
        if slide.path.name == "slide 1.png":
            raise KeyboardInterrupt
        return read(slide, window)

    with monkeypatch.context() as patched:
        patched.setattr(Slide, "read", stop_at_second)
        with pytest.raises(KeyboardInterrupt):
            export(project, tmp_path / "out", format="masks")

    assert [row["tile"] for row in table(tmp_path / "out" / "labels.csv")] == ["slide 0-1"]
    assert export(project, tmp_path / "out", format="masks", overwrite=True).all_ok
