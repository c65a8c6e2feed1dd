"""Finding the file of an image."""

import unicodedata
from dataclasses import replace
from pathlib import Path, PurePosixPath, PureWindowsPath

import pytest
from PIL import Image

from nuclick_qp.errors import OptionError, SlideNotFoundError, SlideSizeMismatchError
from nuclick_qp.qupath.folder.project_json import read_project_file
from nuclick_qp.qupath.locate import SlidePlaces, find_slide, uri_to_path
from nuclick_qp.qupath.open_image import open_image
from nuclick_qp.qupath.protocol import ImageEntry
from nuclick_qp.slides import Slide, open_slide
from nuclick_qp.slides.view import Crop, Step, Turn

DATA = Path(__file__).parents[1] / "data" / "qupath"
CROP = Crop(3, 3, 20, 20)


def make(path: Path) -> Path:
    """Make a file where a slide shall be."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"pixels")
    return path


def draw(path: Path, width: int, height: int) -> Path:
    """Make an image of a size where a slide shall be."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (width, height)).save(path)
    return path


def entry(uri: str, size: tuple[int, int] | None = None) -> ImageEntry:
    """Give an entry of one file."""
    return ImageEntry("1", "my slide", (uri,), file_size=size)


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


def test_size_decides_between_files_of_one_name(tmp_path: Path) -> None:
    """When all of them can be opened."""
    draw(tmp_path / "root" / "a" / "a.png", 30, 40)
    draw(tmp_path / "root" / "b" / "a.png", 40, 31)
    slide = draw(tmp_path / "root" / "c" / "a.png", 40, 30)

    assert find_slide(entry("file:/old/a.png", (40, 30)), SlidePlaces(tmp_path / "project.qpproj", None, tmp_path / "root")) == slide


@pytest.mark.parametrize(("height", "which"), [(30, "one of them ({whole}) has"), (31, "none of them has")])
def test_size_does_not_decide_where_a_file_cannot_be_read(tmp_path: Path, height: int, which: str) -> None:
    """The damaged one may be the slide, and the whole one another patient's."""
    damaged = make(tmp_path / "root" / "patientA" / "a.png")
    whole = draw(tmp_path / "root" / "patientB" / "a.png", 40, height)

    with pytest.raises(SlideNotFoundError) as caught:
        find_slide(entry("file:/old/a.png", (40, 30)), SlidePlaces(tmp_path / "project.qpproj", None, tmp_path / "root"))

    told = which.format(whole=whole)
    assert f", and {told} the size of the image, 40 x 30 pixels, but {damaged} cannot be read; give a folder" in str(caught.value)


def test_size_that_does_not_decide_is_told(tmp_path: Path) -> None:
    """Some files of the right size, all, or none: neither is guessed."""
    slides = [draw(tmp_path / "root" / case / "a.png", 40, height) for case, height in zip("abc", (30, 31, 30), strict=True)]
    places = SlidePlaces(tmp_path / "project.qpproj", None, tmp_path / "root")

    with pytest.raises(SlideNotFoundError) as two:
        find_slide(entry("file:/old/a.png", (40, 30)), places)
    with pytest.raises(SlideNotFoundError) as none:
        find_slide(entry("file:/old/a.png", (99, 30)), places)
    draw(slides[1], 40, 30)
    with pytest.raises(SlideNotFoundError, match=", and all of them have the size of the image, 40 x 30 pixels; give a folder"):
        find_slide(entry("file:/old/a.png", (40, 30)), places)

    assert f"any of 3 files below --image-root {tmp_path / 'root'}: " in str(two.value)
    assert f", and 2 of them ({slides[0]}, {slides[2]}) have the size of the image, 40 x 30 pixels; give a folder" in str(two.value)
    assert ", and none of them has the size of the image, 99 x 30 pixels; give a folder" in str(none.value)
    assert "\n" not in str(two.value) + str(none.value)


def test_size_decides_only_between_the_nearest(tmp_path: Path) -> None:
    """A file with fewer folders in common with the path is no candidate, whatever its size."""
    draw(tmp_path / "root" / "case1" / "a.png", 40, 30)
    near = [draw(tmp_path / "root" / year / "case2" / "a.png", 40, 20 + n) for n, year in enumerate(("2024", "2025"))]
    places = SlidePlaces(tmp_path / "project.qpproj", None, tmp_path / "root")

    assert find_slide(entry("file:/old/case2/a.png", (40, 21)), places) == near[1]
    with pytest.raises(SlideNotFoundError, match=r"any of 2 files .* none of them has the size"):
        find_slide(entry("file:/old/case2/a.png", (40, 30)), places)


@pytest.mark.parametrize("folder", ["case2", "2025/case2"])
def test_folders_and_size_that_disagree_are_refused(tmp_path: Path, folder: str) -> None:
    """The file where the path says has another size, one of another case the right one: neither is read."""
    draw(tmp_path / "root" / "case1" / "a.png", 40, 30)
    near = draw(tmp_path / "root" / folder / "a.png", 40, 31)
    places = SlidePlaces(tmp_path / "project.qpproj", None, tmp_path / "root")

    with pytest.raises(SlideSizeMismatchError) as caught:
        open_image(entry("file:/old/case2/a.png", (40, 30)), places)

    assert str(caught.value).startswith(f"{near} has 40 x 31 pixels but image my slide of the project has 40 x 30;")


def test_only_file_of_the_name_must_have_the_size(tmp_path: Path) -> None:
    """Another slide of that name is not taken for the one that is missing."""
    draw(tmp_path / "root" / "a.png", 40, 31)

    with pytest.raises(SlideSizeMismatchError, match=r"a\.png has 40 x 31 pixels but image my slide"):
        open_image(entry("file:/old/a.png", (40, 30)), SlidePlaces(tmp_path / "project.qpproj", None, tmp_path / "root"))


@pytest.mark.parametrize("below", ["t.png", "x/t.png", "patientB/deep/t.png"])
def test_part_of_a_file_of_unknown_size_is_not_cut_out_of_one_that_was_searched_for(tmp_path: Path, below: str) -> None:
    """Any larger slide of that name would do, however it was found."""
    found = draw(tmp_path / "root" / below, 400, 300)
    places = SlidePlaces(tmp_path / "p" / "project.qpproj", "file:///gone/study/project.qpproj", tmp_path / "root")
    part = replace(entry("file:///gone/x/t.png"), width=20, height=20, steps=(Turn(1), CROP))

    with pytest.raises(SlideNotFoundError) as caught:
        open_image(part, places)

    assert str(caught.value) == (
        f"{places.project}: image 'my slide' is a part of a file whose size the project does not state, so {found} may be another slide "
        f"of that name; put the right one at /gone/x/t.png or {tmp_path}/x/t.png, or open the project in QuPath and correct the path"
    )


@pytest.mark.parametrize(
    ("uri", "size", "steps"),
    [
        ("file:///gone/x/t.png", (40, 30), (CROP,)),
        ("file:///gone/x/t.png", None, (Turn(2),)),
        ("file:///gone/study/t.png", None, (CROP,)),
        ("t.png", None, (CROP,)),
    ],
)
def test_part_is_cut_out_of_a_file_that_must_be_the_right_one(
    tmp_path: Path, uri: str, size: tuple[int, int] | None, steps: tuple[Step, ...]
) -> None:
    """It has the size of the whole, no cut hides the size, or it lies where the project says or moved along."""
    draw(tmp_path / "root" / "t.png", 40, 30)
    beside = draw(tmp_path / "p" / "t.png", 40, 30)
    places = SlidePlaces(tmp_path / "p" / "project.qpproj", "file:///gone/study/project.qpproj", tmp_path / "root")

    with open_image(replace(entry(uri, size), steps=steps), places) as slide:
        assert slide.path == (tmp_path / "root" / "t.png" if uri == "file:///gone/x/t.png" else beside)


def test_files_are_opened_only_where_the_size_must_decide(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of thousands of slides below the root, those of the name alone; of one candidate or without a size, none."""
    opened: list[str] = []

    def spy(path: Path, *, series: int, is_cropped: bool) -> Slide:
        opened.append(path.parent.name)
        return open_slide(path, series=series, is_cropped=is_cropped)

    monkeypatch.setattr("nuclick_qp.qupath.locate.open_slide", spy)
    for case in "abc":
        draw(tmp_path / "root" / case / "a.png", 40, 30)
        draw(tmp_path / "root" / case / f"{case}.png", 40, 30)
    places = SlidePlaces(tmp_path / "project.qpproj", None, tmp_path / "root")

    find_slide(entry("file:/old/b.png", (40, 30)), places)
    find_slide(entry("file:/old/c/a.png", (40, 30)), places)
    with pytest.raises(SlideNotFoundError):
        find_slide(entry("file:/old/a.png"), places)
    assert opened == []
    with pytest.raises(SlideNotFoundError):
        find_slide(entry("file:/old/a.png", (40, 30)), places)
    assert opened == ["a", "b", "c"]


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


@pytest.mark.usefixtures("modes_hold")
def test_a_place_in_a_locked_folder_does_not_keep_from_searching(tmp_path: Path) -> None:
    """Projects name the homes of other people: the slide is searched for, and without a root the message says why it was not seen."""
    locked = make(tmp_path / "home" / "a.svs").parent
    copy = make(tmp_path / "slides" / "a.svs")
    wanted = entry((locked / "a.svs").as_uri())
    locked.chmod(0)

    try:
        assert find_slide(wanted, SlidePlaces(tmp_path / "p.qpproj", image_root=tmp_path / "slides")) == copy
        with pytest.raises(SlideNotFoundError, match=r"a\.svs \(in a folder that this user may not enter\); pass --image-root"):
            find_slide(wanted, SlidePlaces(tmp_path / "p.qpproj"))
    finally:
        locked.chmod(0o700)


@pytest.mark.parametrize("place", ["n" * 300, "n/" * 3000, "n%00"])
def test_a_place_that_no_disk_has_does_not_keep_from_searching(tmp_path: Path, place: str) -> None:
    """Names of more than 255 bytes, paths of more than 4096, names with a NUL."""
    copy = make(tmp_path / "slides" / "a.svs")

    assert find_slide(entry(f"file:///{place}/a.svs"), SlidePlaces(tmp_path / "p.qpproj", image_root=tmp_path / "slides")) == copy
