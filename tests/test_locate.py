"""Finding the file of an image."""

import unicodedata
from pathlib import Path, PurePosixPath, PureWindowsPath

import pytest

from nuclick_qp.errors import OptionError, SlideNotFoundError
from nuclick_qp.projects.locate import SlidePlaces, find_slide, uri_to_path
from nuclick_qp.projects.protocol import ImageEntry
from nuclick_qp.projects.qupath_files.project_json import read_project_file

DATA = Path(__file__).parent / "data" / "qupath"


def make(path: Path) -> Path:
    """Make a file where a slide shall be."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"pixels")
    return path


def entry(uri: str) -> ImageEntry:
    """Give an entry of one file."""
    return ImageEntry("1", "my slide", (uri,))


@pytest.mark.parametrize(
    ("uri", "path"),
    [
        ("file:/data/a.svs", PurePosixPath("/data/a.svs")),
        ("file:///data/a.svs", PurePosixPath("/data/a.svs")),
        ("file://localhost/data/a.svs", PurePosixPath("/data/a.svs")),
        ("file:///data/sub%20folder/Pr%C3%A4parat%2001%20%C3%A9.png", PurePosixPath("/data/sub folder/Präparat 01 é.png")),
        ("file:/data/100%25%23%3F.svs", PurePosixPath("/data/100%#?.svs")),
        ("file:/C:/slides/a%20b.svs", PureWindowsPath("C:/slides/a b.svs")),
        ("file:///C:/slides/a.svs", PureWindowsPath("C:/slides/a.svs")),
        ("C:\\slides\\a.svs", PureWindowsPath("C:/slides/a.svs")),
        ("file:////host/share/a.svs", PureWindowsPath("//host/share/a.svs")),
        ("file://host/share/a.svs", PureWindowsPath("//host/share/a.svs")),
        ("slides/a.svs", PurePosixPath("slides/a.svs")),
        ("../a.svs", PurePosixPath("../a.svs")),
        ("/data/a.svs", PurePosixPath("/data/a.svs")),
    ],
)
def test_every_form_of_file_uri_becomes_a_path(uri: str, path: PurePosixPath | PureWindowsPath) -> None:
    """Percent codes are UTF-8; drives and UNC names give Windows paths on any system."""
    found = uri_to_path(uri)

    assert found == path
    assert type(found) is type(path)


@pytest.mark.parametrize("uri", ["https://omero.example/webclient/?show=image-1", "omero:12", "s3://bucket/a.svs"])
def test_image_on_a_server_is_refused_with_a_remedy(tmp_path: Path, uri: str) -> None:
    """Only files can be read."""
    with pytest.raises(SlideNotFoundError, match=r"'my slide' is not a file but .*export it as OME-TIFF"):
        find_slide(entry(uri), SlidePlaces(tmp_path / "project.qpproj"))


def test_slide_at_its_place_is_taken(tmp_path: Path) -> None:
    """Nothing else is looked at."""
    slide = make(tmp_path / "sub folder" / "é.png")
    make(tmp_path / "root" / "é.png")

    assert find_slide(entry(slide.as_uri()), SlidePlaces(tmp_path / "p" / "project.qpproj", None, tmp_path / "root")) == slide


def test_relative_place_starts_at_the_project(tmp_path: Path) -> None:
    """Not at the current folder."""
    slide = make(tmp_path / "slides" / "a.png")

    assert find_slide(entry("../slides/a.png"), SlidePlaces(tmp_path / "p" / "project.qpproj")) == slide


@pytest.mark.parametrize(
    ("stored", "uri"),
    [
        ("file:/old/disk/study/qupath/project.qpproj", "file:/old/disk/study/slides/a.png"),
        ("file:/D:/study/qupath/project.qpproj", "file:/D:/study/slides/a.png"),
        ("file:////host/share/study/qupath/project.qpproj", "file:////host/share/study/slides/a.png"),
    ],
)
def test_slide_that_moved_with_the_project_is_found(tmp_path: Path, stored: str, uri: str) -> None:
    """The way from project to slide is the same as before, also for projects from Windows."""
    slide = make(tmp_path / "study" / "slides" / "a.png")
    project = tmp_path / "study" / "qupath" / "project.qpproj"

    assert find_slide(entry(uri), SlidePlaces(project, stored)) == slide


def test_slide_on_another_drive_did_not_move_with_the_project(tmp_path: Path) -> None:
    """There is no way from D: to E: that could be walked again."""
    make(tmp_path / "study" / "slides" / "a.png")
    project = tmp_path / "study" / "qupath" / "project.qpproj"

    with pytest.raises(SlideNotFoundError, match="--image-root"):
        find_slide(entry("file:/E:/study/slides/a.png"), SlidePlaces(project, "file:/D:/study/qupath/project.qpproj"))


def test_end_of_the_path_below_the_root_wins_over_the_name(tmp_path: Path) -> None:
    """Folders that kept their names tell slides of one name apart."""
    make(tmp_path / "root" / "case1" / "a.png")
    slide = make(tmp_path / "root" / "case2" / "a.png")

    assert find_slide(entry("file:/old/case2/a.png"), SlidePlaces(tmp_path / "project.qpproj", None, tmp_path / "root")) == slide


def test_folders_in_common_decide_deep_below_the_root(tmp_path: Path) -> None:
    """Also when there are new folders above those that kept their names."""
    make(tmp_path / "root" / "2024" / "case1" / "a.png")
    slide = make(tmp_path / "root" / "2025" / "case2" / "a.png")

    assert find_slide(entry("file:/D:/old/case2/a.png"), SlidePlaces(tmp_path / "project.qpproj", None, tmp_path / "root")) == slide


def test_only_file_of_the_name_is_taken(tmp_path: Path) -> None:
    """Wherever it is below the root."""
    slide = make(tmp_path / "root" / "x" / "y" / "a.png")

    assert find_slide(entry("file:/old/case2/a.png"), SlidePlaces(tmp_path / "project.qpproj", None, tmp_path / "root")) == slide


def test_accents_match_in_both_unicode_forms(tmp_path: Path) -> None:
    """A slide copied from macOS may have its accents apart."""
    slide = make(tmp_path / "root" / "x" / unicodedata.normalize("NFD", "é.png"))

    assert find_slide(entry("file:/old/%C3%A9.png"), SlidePlaces(tmp_path / "project.qpproj", None, tmp_path / "root")) == slide


def test_several_files_of_the_name_are_not_guessed_between(tmp_path: Path) -> None:
    """The error lists the first of them and says what to do."""
    slides = [make(tmp_path / "root" / case / "a.png") for case in "abcd"]

    with pytest.raises(SlideNotFoundError) as caught:
        find_slide(entry("file:/old/a.png"), SlidePlaces(tmp_path / "project.qpproj", None, tmp_path / "root"))

    message = str(caught.value)
    assert "any of 4 files" in message
    assert all(str(slide) in message for slide in slides[:3])
    assert str(slides[3]) not in message
    assert "give a folder that holds only one of them" in message


def test_missing_slide_names_image_place_and_remedy(tmp_path: Path) -> None:
    """Both places are named: the old one and the one beside the moved project."""
    project = tmp_path / "p" / "project.qpproj"

    with pytest.raises(SlideNotFoundError) as caught:
        find_slide(entry("file:/old/study/a.png"), SlidePlaces(project, "file:/old/study/project.qpproj"))

    message = str(caught.value)
    assert "'my slide' is not at /old/study/a.png and " in message
    assert str(tmp_path / "p" / "a.png") in message
    assert "--image-root" in message
    assert "\n" not in message


def test_slide_missing_below_the_root_is_named(tmp_path: Path) -> None:
    """The file name to look for is in the message."""
    with pytest.raises(SlideNotFoundError, match=r"not below --image-root .* it must hold a file called a\.png"):
        find_slide(entry("file:/old/a.png"), SlidePlaces(tmp_path / "project.qpproj", None, tmp_path))


def test_entry_without_any_file_is_refused(tmp_path: Path) -> None:
    """A project entry whose builder names no URI."""
    with pytest.raises(SlideNotFoundError, match="names no file"):
        find_slide(ImageEntry("1", "x", ()), SlidePlaces(tmp_path / "project.qpproj"))


def test_root_that_is_no_folder_is_refused_at_once(tmp_path: Path) -> None:
    """Before any image is looked for."""
    with pytest.raises(OptionError, match=r"--image-root .*gone is not a folder"):
        SlidePlaces(tmp_path / "project.qpproj", None, tmp_path / "gone")


@pytest.mark.parametrize("version", ["0.3.2", "0.4.4", "0.6.0", "0.8"])
def test_slides_of_a_moved_project_are_found_below_the_root(version: str) -> None:
    """All but the one that is missing on purpose, blanks and accents included."""
    project = read_project_file(DATA / version / "ihc" / "project.qpproj")
    places = SlidePlaces(project.path, project.uri, DATA / "slides")

    found = {e.name: find_slide(e, places).name for e in project.images if e.name not in ("missing.png", "CMU-1-Small-Region.svs")}

    assert found == {name: name for name in ("ihc.png", "ihc_rot.png", "Präparat 01 é.png", "nodata.png")}
    with pytest.raises(SlideNotFoundError, match=r"missing\.png"):
        find_slide(next(e for e in project.images if e.name == "missing.png"), places)
