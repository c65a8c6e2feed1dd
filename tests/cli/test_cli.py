"""Tests of the command line: exit codes, what goes to stdout, what to stderr."""

import json
import math
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from asap_files import annotation, asap_file
from drawn_cells import CELLS, draw_smear
from fixture_projects import snapshot
from nuclick_qp.qupath.folder.create import NewImage, create_project
from nuclick_qp.qupath.qpdata.new_objects import NewAnnotation

DrawDiscs = Callable[..., Path]
DISCS = [(100.0, 100.0, 12.0), (200.0, 150.0, 12.0)]
KEYS = ["image", "status", "prompts", "ok", "empty", "outside", "failed", "skipped", "seconds"]


def _call(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run the command line as a user does, in a process of its own."""
    command = [sys.executable, "-W", "error", "-m", "nuclick_qp_cli.main", *map(str, arguments)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.run(command, capture_output=True, text=True, env=environment, check=False, timeout=300)


@pytest.fixture
def project(tmp_path: Path, draw_discs: DrawDiscs) -> Path:
    """Make a project of one image with two points on discs."""
    slide = draw_discs(DISCS)
    points = NewAnnotation("Points", tuple((x, y) for x, y, _ in DISCS), class_name="Tumor")
    return create_project(tmp_path / "project", [NewImage(slide, slide.name, 400, 300, 0.25, (points,))])


def test_run_prints_one_json_object_to_stdout(project: Path) -> None:
    """Exit code 0, all keys of the contract, and nothing but JSON on stdout."""
    done = _call("run", project, "--json", "--device", "cpu")

    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert {"project", "engine", "model", "images", "prompts", "ok", "seconds"} <= report.keys()
    assert (report["prompts"], report["ok"], report["engine"]) == (2, 2, "files")
    assert all(key in report["images"][0] for key in KEYS)
    assert "image 1 of 1: discs.png, 0 of 2 prompts" in done.stderr


def test_run_tells_prompts_without_outline_and_exits_with_1(tmp_path: Path, draw_discs: DrawDiscs) -> None:
    """One line for each of them."""
    slide = draw_discs(DISCS)
    points = NewAnnotation("Points", ((100.0, 100.0), (900.0, 20.0)))
    project = create_project(tmp_path / "project", [NewImage(slide, slide.name, 400, 300, 0.25, (points,))])

    done = _call("run", project, "--device", "cpu")

    assert done.returncode == 1, done.stderr
    assert "outside-slide: point at (900.0, 20.0)" in done.stdout
    assert "1 of 2 prompts written" in done.stdout


def _broken(project: Path, problem: str) -> Path:
    """Spoil a project, or the way to it."""
    match problem:
        case "no such project":
            return project.with_name("gone.qpproj")
        case "not JSON":
            project.write_text("{")
        case "no images":
            content = json.loads(project.read_text())
            project.write_text(json.dumps({**content, "images": []}))
        case "folder without project":
            project.unlink()
            return project.parent
        case "no prompts":
            shutil.rmtree(project.parent / "data" / "1")
    return project


@pytest.mark.parametrize("problem", ["no such project", "not JSON", "no images", "folder without project", "no prompts"])
def test_projects_that_cannot_be_used_exit_with_3(project: Path, problem: str) -> None:
    """One line on stderr that names the file; nothing on stdout; nothing changed on disk."""
    broken = _broken(project, problem)
    before = snapshot(project.parent)

    done = _call("run", broken, "--device", "cpu")

    assert done.returncode == 3
    assert done.stdout == ""
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("nuclick-qp: ")]
    assert str(broken) in line
    assert "Traceback" not in done.stderr
    assert snapshot(project.parent) == before


@pytest.mark.parametrize("data", [b"\xac\xed\x00\x05w\x04", b"PK\x03\x04 not QuPath", b""])
def test_broken_data_fails_its_image_and_exits_with_1(project: Path, data: bytes) -> None:
    """The image is reported as failed with file and remedy; its bytes are as before."""
    path = project.parent / "data" / "1" / "data.qpdata"
    path.write_bytes(data)

    done = _call("run", project, "--json", "--device", "cpu")

    assert done.returncode == 1, done.stderr
    assert str(path) in json.loads(done.stdout)["images"][0]["error"]
    assert path.read_bytes() == data


@pytest.mark.parametrize(
    "arguments",
    [["--points", "none", "--lines", "none"], ["--as", "blob"], ["--batch-size", "0"], ["--mpp", "-1"], ["--images", "*.svs"], ["--bogus"]],
)
def test_wrong_usage_exits_with_2(project: Path, arguments: list[str]) -> None:
    """Typer's own errors, and options that contradict one another."""
    done = _call("run", project, *arguments)

    assert done.returncode == 2
    assert done.stdout == ""


@pytest.mark.parametrize(
    ("arguments", "said"),
    [(["--points", "nucleii"], "choose one of: "), (["--device", "cuda:77"], "--device"), (["--engine", "qupath"], "PAQUO_QUPATH_DIR")],
)
def test_what_is_not_there_exits_with_3(project: Path, arguments: list[str], said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A model, a device or a QuPath that this machine lacks; the message says what to do."""
    monkeypatch.setenv("PAQUO_QUPATH_DIR", str(project.parent / "no-qupath-here"))

    done = _call("run", project, *arguments)

    assert done.returncode == 3
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_segment_writes_outlines_of_points(tmp_path: Path, draw_discs: DrawDiscs) -> None:
    """GeoJSON in, GeoJSON out."""
    prompts = tmp_path / "prompts.geojson"
    prompts.write_text(json.dumps({"type": "MultiPoint", "coordinates": [[x, y] for x, y, _ in DISCS]}))

    done = _call("segment", draw_discs(DISCS), "--prompts", prompts, "-o", tmp_path / "out.geojson", "--mpp", "0.25", "--device", "cpu")

    assert done.returncode == 0, done.stderr
    assert len(json.loads((tmp_path / "out.geojson").read_text())["features"]) == 2


def test_segment_adds_outlines_to_an_asap_file(tmp_path: Path, draw_discs: DrawDiscs) -> None:
    """One file per slide: prompts in it, outlines into it."""
    dots = [annotation("Dot", (x, y)) for x, y, _ in DISCS]
    path = asap_file(tmp_path / "discs.xml", *dots)

    done = _call("segment", draw_discs(DISCS), "--prompts", path, "-o", path, "--mpp", "0.25", "--device", "cpu")

    assert done.returncode == 0, done.stderr
    assert path.read_text().count('Type="Polygon"') == 2
    assert "".join(dots) in path.read_text()


def test_run_and_segment_average_over_views_when_asked(
    project: Path, tmp_path: Path, draw_discs: DrawDiscs, command_line: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    """`--tta` stands in the report, and a run with it does not take the results of one without for its own."""
    prompts = tmp_path / "prompts.geojson"
    prompts.write_text(json.dumps({"type": "MultiPoint", "coordinates": [[x, y] for x, y, _ in DISCS]}))
    one_image = ["segment", draw_discs(DISCS), "--prompts", prompts, "-o", tmp_path / "out.geojson", "--mpp", "0.25"]

    reports = []
    for arguments in (["run", project], ["run", project, "--tta", "--overwrite"], [*one_image, "--tta"]):
        assert command_line(*arguments, "--json", "--device", "cpu") == 0
        reports.append(json.loads(capsys.readouterr().out))

    assert [report["ok"] for report in reports] == [2, 2, 2]
    assert [report["options"]["segment"]["tta"] for report in reports] == [False, True, True]


@pytest.mark.parametrize("name", ["out.geojson", "out.geojson.gz"])
def test_segment_spares_a_file_that_is_there(
    tmp_path: Path, draw_discs: DrawDiscs, command_line: Callable[..., int], capsys: pytest.CaptureFixture[str], name: str
) -> None:
    """It may hold the objects of somebody else: told before the work begins, and replaced only when that is said."""
    prompts, output = tmp_path / "prompts.geojson", tmp_path / name
    prompts.write_text(json.dumps({"type": "MultiPoint", "coordinates": [[x, y] for x, y, _ in DISCS]}))
    output.write_bytes(b"the objects of somebody else")
    arguments = ["segment", draw_discs(DISCS), "--prompts", prompts, "-o", output, "--mpp", "0.25", "--device", "cpu"]

    assert command_line(*arguments) == 2

    assert f"{output} is there already; name another file, or pass --overwrite" in capsys.readouterr().err
    assert output.read_bytes() == b"the objects of somebody else"
    assert command_line(*arguments, "--overwrite") == 0
    assert output.read_bytes() != b"the objects of somebody else"


def test_segment_without_pixel_size_says_what_to_do(tmp_path: Path, draw_discs: DrawDiscs) -> None:
    """Exit code 3, and no output file."""
    prompts = tmp_path / "prompts.geojson"
    prompts.write_text(json.dumps({"type": "Point", "coordinates": [100, 100]}))

    done = _call("segment", draw_discs(DISCS), "--prompts", prompts, "-o", tmp_path / "out.geojson")

    assert done.returncode == 3
    assert "has no pixel size; pass --mpp" in done.stderr
    assert not (tmp_path / "out.geojson").exists()


def test_models_are_listed() -> None:
    """As text and as JSON."""
    assert "nuclei: " in _call("models", "list").stdout
    assert "nuclei" in [card["name"] for card in json.loads(_call("models", "list", "--json").stdout)]


def test_doctor_says_what_is_there() -> None:
    """Versions, devices, QuPath or not, weights whole: exit code 0 on a sound installation."""
    done = _call("doctor", "--json")

    assert done.returncode == 0, done.stdout + done.stderr
    health = json.loads(done.stdout)
    assert health["devices"][-1] == "cpu"
    assert all(model["problem"] is None for model in health["models"])
    assert "model nuclei (points): weights whole" in _call("doctor").stdout


def test_doctor_finds_a_broken_model_of_the_users_own(own_models: Path) -> None:
    """Exit code 1, and a line that names the file."""
    own_models.mkdir()
    (own_models / "mine.json").write_text("{}")

    done = _call("doctor")

    assert done.returncode == 1
    assert f"model mine (unknowns): {own_models / 'mine.json'} is not a model card" in done.stdout


def test_help_loads_neither_torch_nor_paquo() -> None:
    """The first screen must come at once."""
    code = "import sys, runpy; sys.argv = ['nuclick-qp', '--help']\ntry:\n runpy.run_module('nuclick_qp_cli.main', run_name='__main__')\n"
    code += "except SystemExit: pass\nheavy = {'torch', 'paquo', 'jpype', 'numpy', 'shapely', 'pydantic'}\n"
    code += "print('LOADED', sorted(heavy & set(sys.modules)))"

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.splitlines()[-1] == "LOADED []"


def test_run_with_nothing_to_do_loads_no_network(project: Path) -> None:
    """Cards tell that all results hold; torch alone takes longer to load than such a run."""
    code = "import sys, runpy\ntry:\n runpy.run_module('nuclick_qp_cli.main', run_name='__main__', alter_sys=True)\n"
    code += "except SystemExit: pass\nprint('LOADED', sorted({'torch', 'paquo', 'scipy', 'skimage'} & set(sys.modules)))"
    assert _call("run", project, "--device", "cpu").returncode == 0

    done = subprocess.run([sys.executable, "-c", code, "run", str(project)], capture_output=True, text=True, check=True)

    assert "discs.png: 2 unchanged" in done.stdout
    assert done.stdout.splitlines()[-1] == "LOADED []"
    assert done.stderr == ""


def test_failure_is_told_once(project: Path, draw_discs: DrawDiscs) -> None:
    """In the report; a log line beside it would say the same again."""
    draw_discs(DISCS).unlink()

    done = _call("run", project, "--device", "cpu")

    assert done.returncode == 1
    assert done.stdout.count("discs.png: failed: ") == 1
    assert "--image-root" not in done.stderr


def test_version_is_printed() -> None:
    """And nothing else."""
    assert _call("--version").stdout.strip().count(".") == 2


def test_a_smear_without_a_pixel_size_tells_its_scale(tmp_path: Path) -> None:
    """With the shipped model for cells, at twice the magnification: outlines, and a line that says what was estimated."""
    pixels, places = draw_smear(2)
    Image.fromarray(pixels).save(tmp_path / "smear.png")
    geometry = {"type": "MultiPoint", "coordinates": places}
    prompts = tmp_path / "clicks.geojson"
    prompts.write_text(json.dumps({"type": "Feature", "geometry": geometry, "properties": {}}))
    arguments: list[str | Path] = ["segment", tmp_path / "smear.png", "--prompts", prompts, "--points", "cells", "--device", "cpu"]

    done = _call(*arguments, "-o", tmp_path / "cells.geojson")
    again = _call(*arguments, "-o", tmp_path / "cells.geojson", "--json")
    refused = _call(*arguments, "-o", tmp_path / "given.geojson", "--scale", "given")

    assert done.returncode == 0, done.stderr
    assert "3 ok" in done.stdout
    assert "0.12 um per pixel, estimated from the size of the objects" in done.stdout
    features = json.loads((tmp_path / "cells.geojson").read_text())["features"]
    areas = [feature["properties"]["measurements"]["Area px^2"] for feature in features]
    assert sorted(areas) == pytest.approx(sorted(math.pi * (2 * radius) ** 2 for _, _, radius in CELLS), rel=0.1)
    assert json.loads(again.stdout)["images"][0]["statuses"] == {"unchanged": 3}
    assert refused.returncode == 3
    assert "smear.png has no pixel size; pass --mpp" in refused.stderr
