"""Bad input through the command line: one clear line, the right exit code, every byte as before."""

import errno
import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from fixture_projects import snapshot
from nuclick_qp.qupath.folder.create import NewImage, create_project
from nuclick_qp.qupath.qpdata.new_objects import NewAnnotation

DrawDiscs = Callable[..., Path]
CommandLine = Callable[..., int]
DISCS = [(100.0, 100.0, 12.0), (200.0, 150.0, 12.0)]
GOOD = NewAnnotation("Points", tuple((x, y) for x, y, _ in DISCS))


@dataclass(frozen=True)
class Scene:
    """A project of one image, and its parts on disk."""

    project: Path
    slide: Path

    @property
    def data(self) -> Path:
        """Give the objects of the image."""
        return self.project.parent / "data" / "1" / "data.qpdata"

    def files(self) -> dict[str, bytes]:
        """Read every file of the project, and the slide."""
        return snapshot(self.project.parent.parent)


@pytest.fixture
def make_scene(tmp_path: Path, draw_discs: DrawDiscs) -> Callable[..., Scene]:
    """Give a function that makes a project of one image with annotations."""

    def make(*annotations: NewAnnotation, mpp: float | None = 0.25) -> Scene:
        slide = draw_discs(DISCS)
        image = NewImage(slide, slide.name, 400, 300, mpp, annotations or (GOOD,))
        return Scene(create_project(tmp_path / "project", [image]), slide)

    return make


def _truncate(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    scene.data.write_bytes(scene.data.read_bytes()[:300])


def _foreign(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    scene.data.write_bytes(b"PK\x03\x04 something else")


def _unknown_version(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    data = scene.data.read_bytes()
    assert data.count(b"Data file version 3") == 1
    scene.data.write_bytes(data.replace(b"Data file version 3", b"Data file version 9"))


def _missing_slide(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    scene.slide.unlink()


def _other_size(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    content = json.loads(scene.project.read_text())
    content["images"][0]["serverBuilder"]["metadata"]["width"] = 401
    scene.project.write_text(json.dumps(content))


def _full_disk(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(handle: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)


def _read_only(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*where: object) -> int:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr(os, "open", refuse)  # chmod does not stop the administrator that tests may run as


@pytest.mark.parametrize(
    ("spoil", "names", "remedy"),
    [
        (_truncate, "data.qpdata", "restore"),
        (_foreign, "data.qpdata", "QuPath"),
        (_unknown_version, "data.qpdata", "update nuclick-qp"),
        (_missing_slide, "discs.png", "--image-root"),
        (_other_size, "discs.png", "401"),
        (_full_disk, "data.qpdata", "free some disk space"),
        (_read_only, "data.qpdata", "right to write"),
    ],
)
def test_image_that_cannot_be_done_fails_and_nothing_is_lost(
    make_scene: Callable[..., Scene],
    command_line: CommandLine,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    spoil: Callable[[Scene, pytest.MonkeyPatch], None],
    names: str,
    remedy: str,
) -> None:
    """Exit code 1; the error names file and remedy in one line; every byte on disk is as before."""
    scene = make_scene()
    spoil(scene, monkeypatch)
    before = scene.files()

    code = command_line("run", scene.project, "--json", "--device", "cpu")

    (image,) = json.loads(capsys.readouterr().out)["images"]
    assert code == 1
    assert image["status"] == "failed"
    assert names in image["error"]
    assert remedy in image["error"]
    assert "\n" not in image["error"]
    assert scene.files() == before


def test_no_pixel_size_anywhere_says_what_to_do(
    make_scene: Callable[..., Scene], command_line: CommandLine, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit code 1 without, 0 with `--mpp`."""
    scene = make_scene(mpp=None)
    before = scene.files()

    assert command_line("run", scene.project, "--json", "--device", "cpu") == 1
    assert "pass --mpp, or set it in the Image tab" in json.loads(capsys.readouterr().out)["images"][0]["error"]
    assert scene.files() == before
    assert command_line("run", scene.project, "--mpp", "0.25", "--device", "cpu") == 0


def test_nan_coordinates_fail_by_themselves(
    make_scene: Callable[..., Scene], command_line: CommandLine, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit code 1, the bad point with its reason, the good ones done."""
    scene = make_scene(GOOD, NewAnnotation("Points", ((float("nan"), 5.0),), name="odd one"))

    code = command_line("run", scene.project, "--json", "--device", "cpu")

    report = json.loads(capsys.readouterr().out)
    assert (code, report["ok"], report["failed"]) == (1, 2, 1)
    assert "'odd one'" in report["images"][0]["without_outline"][0]["detail"]


def test_no_prompts_is_an_error_with_a_remedy(
    make_scene: Callable[..., Scene], command_line: CommandLine, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit code 3; a polygon is no prompt."""
    scene = make_scene(NewAnnotation("Polygon", ((1.0, 1.0), (50.0, 1.0), (50.0, 50.0))))
    before = scene.files()

    assert command_line("run", scene.project, "--device", "cpu") == 3
    assert "put a point in each nucleus" in capsys.readouterr().err
    assert scene.files() == before


@pytest.mark.parametrize("name", ["a [/x] b.png", "Präparat 日本.png", "[red]x.png"])
def test_image_names_may_hold_anything(
    tmp_path: Path, draw_discs: DrawDiscs, command_line: CommandLine, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    """Square brackets are no markup, and letters of any script are printed."""
    slide = draw_discs(DISCS)
    project = create_project(tmp_path / "project", [NewImage(slide, name, 400, 300, 0.25, (GOOD,))])

    assert command_line("run", project, "--device", "cpu") == 0
    assert f"{name}: 2 ok" in capsys.readouterr().out


@pytest.mark.parametrize("classes", ["Tumour", "Tumour,Stroma"])
def test_a_wrong_class_is_told_with_those_there_are(
    make_scene: Callable[..., Scene], command_line: CommandLine, capsys: pytest.CaptureFixture[str], classes: str
) -> None:
    """Whether no class was right, or only one of two was not."""
    scene = make_scene(*(NewAnnotation("Points", ((100.0, 100.0),), class_name=name) for name in ("Tumor", "Stroma")))

    assert command_line("run", scene.project, "--classes", classes, "--device", "cpu") in (1, 3)

    out, err = capsys.readouterr()
    assert "correct --classes: there are 'Stroma', 'Tumor'" in out + err


@pytest.mark.parametrize(
    ("classes", "said"),
    [("Tumour", "there are 'Tumor' and unclassified"), ("Tumour,Tumor", "there are 'Tumor' and unclassified"), (",", "1 ok")],
)
def test_prompts_without_a_class_are_called_unclassified(
    make_scene: Callable[..., Scene], command_line: CommandLine, capsys: pytest.CaptureFixture[str], classes: str, said: str
) -> None:
    """Not `''`; an empty name asks for them."""
    places = zip(GOOD.points, ("Tumor", None), strict=True)
    scene = make_scene(*(NewAnnotation("Points", (xy,), class_name=name) for xy, name in places))

    command_line("run", scene.project, "--classes", classes, "--device", "cpu")

    out, err = capsys.readouterr()
    assert said in out + err
    assert "''" not in out + err


def test_class_that_no_prompt_lacks_is_told_in_words(
    make_scene: Callable[..., Scene], command_line: CommandLine, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whoever asks for unclassified ones where all have a class."""
    scene = make_scene(NewAnnotation("Points", ((100.0, 100.0),), class_name="Tumor"))

    assert command_line("run", scene.project, "--classes", "Tumor,", "--device", "cpu") == 1

    assert "no prompt is unclassified; correct --classes: there are 'Tumor'" in capsys.readouterr().out


def test_damaged_data_name_our_backup_where_there_is_one(
    make_scene: Callable[..., Scene], command_line: CommandLine, capsys: pytest.CaptureFixture[str]
) -> None:
    """And `restore` then does what the message says."""
    scene = make_scene()
    before = scene.data.read_bytes()
    command_line("run", scene.project, "--device", "cpu")
    scene.data.write_bytes(scene.data.read_bytes()[:300])
    capsys.readouterr()

    assert command_line("run", scene.project, "--device", "cpu") == 1
    assert "`nuclick-qp restore`" in capsys.readouterr().out
    assert command_line("restore", scene.project) == 0
    assert scene.data.read_bytes() == before


@pytest.mark.parametrize("command", [(), ("run",), ("train",), ("models", "import"), ("evaluate",)])
def test_switches_are_shown_without_a_value(
    command_line: CommandLine, capsys: pytest.CaptureFixture[str], command: tuple[str, ...]
) -> None:
    """They take none."""
    assert command_line(*command, "--help") == 0

    shown = capsys.readouterr().out
    assert "--help" in shown
    assert "<bool>" not in shown.lower()


def test_a_slide_that_was_not_copied_whole_is_told_in_one_line(
    tmp_path: Path, command_line: CommandLine, capsys: pytest.CaptureFixture[str]
) -> None:
    """The library that reads it says what it finds in its own words, and only to those who asked with -v."""
    slide = tmp_path / "cut.svs"
    slide.write_bytes(b"II*\0" + (1_000_000).to_bytes(4, "little") + bytes(1000))
    prompts = tmp_path / "prompts.geojson"
    prompts.write_text('{"type": "FeatureCollection", "features": []}')
    words = ("segment", slide, "--prompts", prompts, "-o", tmp_path / "out.geojson", "--device", "cpu")

    codes = [command_line(*words), command_line("-v", *words)]

    quiet, raw = capsys.readouterr().err.splitlines()[0], "WARNING tifffile"
    assert codes == [3, 3]
    assert quiet.endswith("cut.svs holds no image, as when its end is missing; copy the file anew")
    assert raw not in quiet
