"""Arguments of QuPath's servers: which image of a file, which part of it, and what is not followed."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from drawn_projects import points_at, run_on
from fixture_projects import snapshot
from nuclick_qp.model.predictor import Predictors
from nuclick_qp.qupath.folder.project_json import read_project_file
from nuclick_qp.qupath.folder.server_args import ServerArgs, read_server_args
from wrapped_images import BIOFORMATS, serve_with

MakeProject = Callable[..., Path]


@pytest.mark.parametrize(
    ("args", "series"),
    [
        ([], 0),
        (None, 0),
        (["--series", "3"], 3),
        (["--series=3"], 3),
        (["-s", "3"], 3),
        (["--series", "0"], 0),
        (["--series", "-1"], 0),
        (["--name", "label", "--series", "2"], 2),
        (["--series"], 0),
        (["--serious", "3"], 0),
    ],
)
def test_series_is_the_number_that_bio_formats_takes(args: object, series: int) -> None:
    """A number goes before a name, a negative one is none, and other words are passed over."""
    assert read_server_args(args).series == series


@pytest.mark.parametrize(
    "args",
    [
        ["--icc-profile"],
        ["--background-color", "black"],
        ["--bfOptions", "zeissczi.autostitch=false"],
        ["--classname", "BioFormatsServerBuilder"],
        ["--rotate", "ROTATE_90"],
        ["--order", "BGR"],
        ["--name", " "],
        ["words", "of", "another", "day"],
    ],
)
def test_arguments_that_leave_the_coordinates_are_passed_over(args: list[str]) -> None:
    """As QuPath's own servers do; rotations and channel orders of an import are builders, not arguments."""
    assert read_server_args(args) == ServerArgs()


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["--dims", "XYZCT"], "--dims XYZCT"),
        (["--name", "core 7"], "--name core 7"),
        (["-n=core 7"], "-n core 7"),
        (["--series", "first"], "--series first"),
        (["--series", "1", "--dims=XYZCT"], "--dims XYZCT"),
        (["--series", "4294967297"], "--series 429496729..."),
        (["--series", "9" * 5000], "--series 999999999..."),
        (["--series", "-" + "9" * 5000], "--series -99999999..."),
    ],
)
def test_other_pixels_are_told(args: list[str], words: str) -> None:
    """What picks or arranges pixels in a way that is not followed is never taken for the first image."""
    assert read_server_args(args).unfollowed == words


def test_import_options_count_where_no_server_is_named() -> None:
    """QuPath then goes about it as in an import."""
    assert read_server_args(["--rotate", "ROTATE_90"], names_server=False).unfollowed == "--rotate ROTATE_90"
    assert read_server_args(["--order", "BGR"], names_server=False).unfollowed == "--order BGR"
    assert read_server_args(["--rotate", "ROTATE_NONE", "--order", "RGB"], names_server=False) == ServerArgs()


def test_whole_slide_is_asked_for_by_one_word() -> None:
    """As QuPath compares it, letter by letter."""
    assert not read_server_args(["--icc-profile", "--no-crop"]).is_cropped
    assert read_server_args(["--No-Crop"]).is_cropped


def test_entry_carries_what_its_server_was_told(make_project: MakeProject) -> None:
    """Also through the wrapper that QuPath puts around a file without a pyramid."""
    project = make_project(points_at((60, 60)))
    serve_with(project, BIOFORMATS, "--series", "2", "--no-crop")
    content = json.loads(project.read_text("utf-8"))
    inner = content["images"][0]["serverBuilder"]
    content["images"][0]["serverBuilder"] = {"builderType": "pyramidize", "metadata": inner["metadata"], "builder": inner}
    project.write_text(json.dumps(content), "utf-8")

    (entry,) = read_project_file(project).images

    assert (entry.series, entry.is_cropped, entry.wrapped) == (2, False, None)


@pytest.mark.parametrize(
    ("args", "reason"),
    [
        (("--dims", "XYZCT"), "is made by QuPath from its file (--dims XYZCT)"),
        (("--name", "core 7"), "is made by QuPath from its file (--name core 7)"),
        (("--series", "1"), "discs-0.png is read as one image, there is no series 1"),
    ],
)
def test_image_that_cannot_be_picked_is_refused(
    make_project: MakeProject, predictors: Predictors, args: tuple[str, ...], reason: str
) -> None:
    """One line, and no byte of the project changes."""
    project = make_project(points_at((60, 60)))
    serve_with(project, BIOFORMATS, *args)
    before = snapshot(project.parent)

    report = run_on(project, predictors)

    assert report.images[0].status == "failed"
    assert reason in str(report.images[0].error)
    assert "\n" not in str(report.images[0].error)
    assert snapshot(project.parent) == before


def test_first_series_of_a_file_without_series_is_the_file(make_project: MakeProject, predictors: Predictors) -> None:
    """Bio-Formats counts the image of a PNG or SVS as series 0, and QuPath writes that down."""
    project = make_project(points_at((60, 60)))
    serve_with(project, BIOFORMATS, "--series", "0")

    assert run_on(project, predictors).ok == 1
