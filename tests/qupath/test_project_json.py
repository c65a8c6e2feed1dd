"""Reading `project.qpproj`."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from nuclick_qp.errors import ProjectNotFoundError, UnreadableProjectError
from nuclick_qp.qupath.folder.project_json import ProjectFile, find_project_file, read_project_file
from nuclick_qp.slides.view import Crop, Turn

DATA = Path(__file__).parents[1] / "data" / "qupath"
VERSIONS = ("0.3.2", "0.4.4", "0.6.0", "0.8")


def parse(tmp_path: Path, content: object) -> ProjectFile:
    """Write a project file, as JSON unless it is text, and read it."""
    path = tmp_path / "project.qpproj"
    path.write_text(content if isinstance(content, str) else json.dumps(content), "utf-8")
    return read_project_file(path)


def image(**builder: Any) -> dict[str, Any]:
    """Give the JSON of an image."""
    return {"serverBuilder": {"builderType": "uri", "uri": "file:/s/a.svs", "args": []} | builder, "entryID": 7, "imageName": "a"}


def project(*images: object) -> dict[str, Any]:
    """Give the JSON of a project."""
    return {"version": "0.5.1", "lastID": 9, "images": list(images)}


def calibrated(width: float, height: float, unit: str) -> dict[str, Any]:
    """Give server metadata with a pixel size."""
    return {"pixelCalibration": {"pixelWidth": {"value": width, "unit": unit}, "pixelHeight": {"value": height, "unit": unit}}}


@pytest.mark.parametrize("version", VERSIONS)
def test_entries_equal_what_qupath_lists(version: str) -> None:
    """Ids, names and URIs are those that QuPath itself reads."""
    expected = json.loads((DATA / version / "expected.json").read_text("utf-8"))["entries"]

    found = read_project_file(DATA / version / "ihc" / "project.qpproj").images

    assert [(e.entry_id, e.name, list(e.uris)) for e in found] == [(e["entry_id"], e["image_name"], e["uris"]) for e in expected]
    assert all(e.wrapped is None and e.series == 0 for e in found)


@pytest.mark.parametrize("version", VERSIONS)
def test_sizes_and_pixel_sizes_come_from_the_server_metadata(version: str) -> None:
    """Sizes in level-0 pixels; no pixel size where the unit is px; nothing for an image never opened."""
    found = {e.name: (e.width, e.height, e.mpp) for e in read_project_file(DATA / version / "ihc" / "project.qpproj").images}

    assert found["ihc.png"] == (512, 512, None)
    assert found["Präparat 01 é.png"] == (512, 256, None)
    assert found["nodata.png"] == (None, None, None)
    if "CMU-1-Small-Region.svs" in found:
        width, height, mpp = found["CMU-1-Small-Region.svs"]
        assert (width, height) == (2220, 2967)
        assert mpp == pytest.approx(0.499, abs=1e-6)


def test_project_without_images_has_none() -> None:
    """An empty project is read; the pipeline decides what it is worth."""
    found = read_project_file(DATA / "0.6.0" / "empty" / "project.qpproj")

    assert found.images == ()
    assert found.version == "0.6.0"
    assert found.uri == "file:/home/pathology/projects/0.6.0/empty/project.qpproj"


def test_series_is_read_from_the_arguments(tmp_path: Path) -> None:
    """Bio-Formats names the image inside a file by `--series`."""
    found = parse(tmp_path, project(image(args=["--bfOptions", "a=b", "--series", "3"])))

    assert found.images[0].series == 3


@pytest.mark.parametrize(
    ("calibration", "mpp"),
    [
        (calibrated(0.25, 0.25, "µm"), 0.25),
        (calibrated(0.2, 0.4, "µm"), 0.3),
        (calibrated(1, 1, "px"), None),
        (calibrated(0, 0.25, "µm"), None),
        (calibrated(float("nan"), 0.25, "µm"), None),
        ({}, None),
    ],
)
def test_pixel_size_is_the_mean_of_both_sides_in_micrometres(tmp_path: Path, calibration: dict[str, Any], mpp: float | None) -> None:
    """Anything but two positive numbers in micrometres is no pixel size."""
    found = parse(tmp_path, project(image(metadata=calibration)))

    assert found.images[0].mpp == (None if mpp is None else pytest.approx(mpp))


def test_turned_crop_knows_its_file_and_both_sizes(tmp_path: Path) -> None:
    """URI and size of the file are found two levels down; the size of the image is that of the outermost server."""
    region = {"x": 1, "y": 2, "width": 6, "height": 5, "z": 0, "t": 0}
    inner = {"builderType": "cropped", "builder": image(metadata={"width": 9, "height": 8})["serverBuilder"], "region": region}
    outer = {"builderType": "rotated", "builder": inner, "rotation": "ROTATE_270", "metadata": {"width": 5, "height": 6}}

    entry = parse(tmp_path, project({"entryID": 1, "imageName": "r", "serverBuilder": outer})).images[0]

    assert (entry.uris, entry.width, entry.height, entry.file_size) == (("file:/s/a.svs",), 5, 6, (9, 8))
    assert (entry.steps, entry.wrapped) == ((Crop(1, 2, 6, 5), Turn(3)), None)


def test_image_of_several_files_lists_them_all(tmp_path: Path) -> None:
    """A sparse image has one builder in each region."""
    regions = [{"builder": image(uri=f"file:/s/{n}.svs")["serverBuilder"]} for n in "ab"]

    entry = parse(tmp_path, project({"entryID": 1, "serverBuilder": {"builderType": "sparse", "regions": regions}})).images[0]

    assert (entry.wrapped, entry.uris, entry.name) == ("sparse", ("file:/s/a.svs", "file:/s/b.svs"), "a.svs")


@pytest.mark.parametrize("other", [{"regions": 5}, {"builders": 5}, {"builders": True}, {"regions": [5]}, {"builders": {"a": 1}}])
def test_image_of_no_list_of_files_has_none(tmp_path: Path, other: dict[str, Any]) -> None:
    """What is no list of builders is passed over: QuPath may learn new kinds of servers."""
    entry = parse(tmp_path, project({"entryID": 1, "serverBuilder": {"builderType": "new", **other}})).images[0]

    assert (entry.wrapped, entry.uris) == ("new", ())


def test_number_that_no_float_holds_is_no_pixel_size(tmp_path: Path) -> None:
    """JSON has whole numbers of any length."""
    assert parse(tmp_path, project(image(metadata=calibrated(10**400, 10**400, "um")))).images[0].mpp is None


def test_project_with_a_last_id_but_no_version_is_read(tmp_path: Path) -> None:
    """QuPath refuses only a project that has neither."""
    found = parse(tmp_path, {"lastID": 7, "images": [image()]})

    assert (found.version, found.images[0].entry_id) == ("", "7")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("{broken", "not JSON"),
        ("", "not JSON"),
        ("[" * 100_000, "not JSON"),
        ([1, 2], "not a project of QuPath"),
        ({"images": []}, "no version and no lastID"),
        ({"version": "0.5.1"}, "no list of images"),
        ({"version": "0.5.1", "images": {}}, "no list of images"),
        (project("text"), "image 1 of 1 has no serverBuilder"),
        (project(image(), {"entryID": 2}), "image 2 of 2 has no serverBuilder"),
        (project(image() | {"entryID": None}), "no usable entryID"),
        (project(image() | {"entryID": "../7"}), "no usable entryID"),
        (project(image(), image()), "two images with the entryID 7"),
    ],
)
def test_foreign_project_file_is_refused_with_file_and_remedy(tmp_path: Path, content: object, reason: str) -> None:
    """One line says which file, what is wrong and what to do."""
    with pytest.raises(UnreadableProjectError) as caught:
        parse(tmp_path, content)

    message = str(caught.value)
    assert reason in message
    assert str(tmp_path / "project.qpproj") in message
    assert "project.qpproj.backup" in message
    assert "\n" not in message


def test_binary_file_is_not_a_project(tmp_path: Path) -> None:
    """Bytes that are not UTF-8 are refused like any other text that is not JSON."""
    (tmp_path / "project.qpproj").write_bytes(b"\xac\xed\x00\x05")

    with pytest.raises(UnreadableProjectError, match="not JSON"):
        read_project_file(tmp_path / "project.qpproj")


def test_folder_stands_for_the_only_project_in_it(tmp_path: Path) -> None:
    """The name of the file does not matter, nor do QuPath's backups."""
    for name in ("mine.qpproj", "mine.qpproj.backup"):
        (tmp_path / name).write_text("{}")

    assert find_project_file(tmp_path) == tmp_path / "mine.qpproj"
    assert find_project_file(tmp_path / "mine.qpproj") == tmp_path / "mine.qpproj"


def test_folder_with_several_projects_is_refused(tmp_path: Path) -> None:
    """Which one is meant is not guessed."""
    for name in ("a.qpproj", "b.qpproj"):
        (tmp_path / name).write_text("{}")

    with pytest.raises(UnreadableProjectError, match=r"a\.qpproj, b\.qpproj.*name the \.qpproj file"):
        find_project_file(tmp_path)


@pytest.mark.parametrize(("name", "reason"), [("", "holds no .qpproj file"), ("gone.qpproj", "does not exist")])
def test_missing_project_says_what_to_give(tmp_path: Path, name: str, reason: str) -> None:
    """A folder without a project and a path without a file."""
    with pytest.raises(ProjectNotFoundError) as caught:
        find_project_file(tmp_path / name)

    assert reason in str(caught.value)
    assert str(tmp_path / name) in str(caught.value)
    assert "project.qpproj file of a QuPath project" in str(caught.value)


@pytest.mark.usefixtures("modes_hold")
def test_a_project_that_may_not_be_seen_is_not_called_absent(tmp_path: Path) -> None:
    """In a locked folder, or as one: the message speaks of permissions."""
    folder = tmp_path / "project"
    folder.mkdir()
    folder.chmod(0)

    try:
        for path in (folder, folder / "project.qpproj"):
            with pytest.raises(UnreadableProjectError, match="permissions"):
                find_project_file(path)
    finally:
        folder.chmod(0o700)


@pytest.mark.skipif(os.name != "posix", reason="Windows has no such pipes")
def test_a_pipe_is_no_project(tmp_path: Path) -> None:
    """Nobody waits for what comes out of it."""
    os.mkfifo(tmp_path / "project.qpproj")

    with pytest.raises(UnreadableProjectError, match="no plain file"):
        read_project_file(find_project_file(tmp_path))


@pytest.mark.parametrize("depth", [400, 990, 5000, 100_000])
def test_servers_in_servers_without_end_are_one_clear_line(tmp_path: Path, depth: int) -> None:
    """From Python 3.12 on, JSON is read to a depth at which what follows gives up."""
    builder = '{"builder":' * depth + '{"uri":"file:/a.png"}' + "}" * depth
    path = tmp_path / "project.qpproj"
    path.write_text('{"version":"0.5.0","images":[{"entryID":1,"imageName":"a","serverBuilder":' + builder + "}]}")

    try:
        read_project_file(path)
    except UnreadableProjectError as err:
        assert str(path) in str(err)  # noqa: PT017  # what is not too deep may be read
