"""`nuclick-qp export`: exit codes, what is printed, what is written."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from drawn_objects import DISC, RING

CommandLine = Callable[..., int]


def test_export_says_what_it_did(command_line: CommandLine, study: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit code 0, a line for each image, and the files; nothing else is asked for."""
    code = command_line("export", study, "-o", tmp_path / "out", "--format", "geojson")

    lines = capsys.readouterr().out.splitlines()
    with_files = {path.stem.rsplit("-", 1)[0] for path in (tmp_path / "out").glob("*.geojson")}
    assert code == 0
    assert {line.split(": ")[0] for line in lines[:-1] if not line.endswith("nothing to export")} == with_files
    assert lines[-1].endswith(f"objects exported into {tmp_path / 'out'}")


def test_export_json_is_the_record(command_line: CommandLine, study: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The same object on stdout and in the folder."""
    command_line("export", study, "-o", tmp_path / "out", "--format", "csv", "--kinds", "detections,cell", "--json")

    assert json.loads(capsys.readouterr().out) == json.loads((tmp_path / "out" / "export.json").read_text("utf-8"))


def test_missing_slides_fail_image_by_image(
    command_line: CommandLine, study: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit code 1, and each image says why."""
    shutil.rmtree(study / "slides", ignore_errors=True)

    code = command_line("export", study, "-o", tmp_path / "out", "--format", "masks", "--images", "*")

    assert code == 1
    assert "failed: " in capsys.readouterr().out


def test_export_for_asap_says_what_it_did(
    command_line: CommandLine, make_drawn_project: Callable[..., Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """One file for each image with objects; a slide that is missing fails its image, with the option that helps."""
    project = make_drawn_project([DISC, RING], [DISC], [])
    (tmp_path / "slide 1.png").unlink()

    code = command_line("export", project, "-o", tmp_path / "out", "--format", "asap")

    first, second, *rest = capsys.readouterr().out.splitlines()
    assert code == 1
    assert first == "slide 0: 2 objects"
    assert second.startswith("slide 1: failed: ")
    assert "pass --image-root" in second
    assert rest == ["slide 2: nothing to export", f"2 objects exported into {tmp_path / 'out'}"]
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["export.json", "slide 0-1.xml"]


def test_class_that_nobody_has_is_told(
    command_line: CommandLine, study: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The rest is exported; exit code 1."""
    code = command_line("export", study, "-o", tmp_path / "out", "--format", "csv", "--classes", "Tumor,Tumour")

    assert code == 1
    assert "no object has the class 'Tumour'; correct --classes: there are " in capsys.readouterr().out


@pytest.mark.parametrize(
    ("options", "code", "said"),
    [
        (("--format", "csv", "--mpp", "0.5"), 2, "leave --mpp out"),
        (("--format", "csv", "--kinds", "nuclei"), 2, "--kinds 'nuclei' is none of detection, annotation, cell"),
        (("--format", "csv", "--kinds", ""), 2, "--kinds names nothing"),
        (("--format", "csv", "--images", "no such"), 2, "no image that matches"),
        (("--format", "csv", "--regions", "no such"), 3, "in a rectangle of class 'no such'"),
        (("--format", "tiff"), 2, "tiff"),
    ],
)
def test_wrong_use_is_one_line(
    command_line: CommandLine,
    study: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    options: tuple[str, ...],
    code: int,
    said: str,
) -> None:
    """On stderr, with an exit code that tells wrong use from errors."""
    assert command_line("export", study, "-o", tmp_path / "out", *options) == code
    assert said in capsys.readouterr().err
