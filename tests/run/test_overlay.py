"""Tests of `run --overlay` and `segment --overlay`: pictures for checking."""

import json
import logging
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import shapely
from numpy.typing import NDArray
from PIL import Image

from drawn_projects import ALL, DISCS, ours_of, points_at, run_on
from fakes import DarkIsObject, make_card
from nuclick_qp.annotations.objects import ResultObject
from nuclick_qp.geometry import Window
from nuclick_qp.model.predictor import Predictor, Predictors
from nuclick_qp.prompts import UNSERVED, Plane, Status
from nuclick_qp.qupath.open_project import open_project
from nuclick_qp.run.file import segment_file
from nuclick_qp.run.overlay import CLEAR, NO_CLASS_COLOUR, REASONS, UNCERTAIN, Overlay, draw
from nuclick_qp.run.overlay_windows import MOST_PICTURES, MOST_PX, plan_windows
from nuclick_qp.run.run_options import RunOptions

MakeProject = Callable[..., Path]
NOWHERE = points_at((150, 250))  # nothing lies there


def pixels_of(folder: Path) -> NDArray[np.uint8]:
    """Read the only picture in a folder."""
    (path,) = folder.iterdir()
    return np.asarray(Image.open(path))


def listed(project: Path, class_name: str) -> tuple[int, int, int]:
    """Give the colour that a project has for a class."""
    with open_project(project) as opened:
        packed = opened.class_colours()[class_name]
    return packed >> 16 & 255, packed >> 8 & 255, packed & 255


def places_of(pixels: NDArray[np.uint8], colour: tuple[int, int, int]) -> NDArray[np.intp]:
    """Give the (row, col) of all pixels of a colour."""
    return np.argwhere((pixels == colour).all(axis=-1))


def test_a_picture_shows_outlines_in_their_colours_and_a_cross_where_there_is_none(
    make_project: MakeProject, predictors: Predictors, tmp_path: Path
) -> None:
    """Round the objects, with a margin, in twice the size as there is room; unclassified ones have a colour of their own."""
    project = make_project(*ALL, NOWHERE)

    report = run_on(project, predictors, overlay=tmp_path / "out")

    assert (report.ok, report.empty) == (4, 1)
    pixels = pixels_of(tmp_path / "out")
    left, top, scale = 60 - 9 - 48, 60 - 9 - 48, 2
    for colour, (x, y, radius) in ((NO_CLASS_COLOUR, DISCS[3]), (listed(project, "Stroma"), DISCS[2])):
        row, col = int((y - top) * scale), int((x - left) * scale)
        near = pixels[row - 40 : row + 40, col - 40 : col + 40]
        ring = np.hypot(*(places_of(near, colour) - (40, 40)).T)
        assert ring.max() == pytest.approx(radius * scale, abs=3)
    crosses = places_of(pixels, REASONS[Status.EMPTY])
    near = np.abs(crosses - ((250 - top) * scale, (150 - left) * scale)).max(axis=1) <= 8
    assert near.sum() > 30


def test_uncertain_outlines_have_a_ring_round_their_prompt(make_project: MakeProject, tmp_path: Path) -> None:
    """As well when they are from an earlier run; the legend counts them."""
    card = make_card(calibration=((0, 0), (1, 0.4)))
    doubting: Predictors = {"point": Predictor(card, DarkIsObject(), device="cpu", precision="float32")}
    project = make_project(*ALL)

    for name in ("first", "again"):
        run_on(project, doubting, overlay=tmp_path / name)

    pixels = pixels_of(tmp_path / "first")
    left, top, scale = 60 - 9 - 48, 60 - 9 - 48, 2
    rings = places_of(pixels, UNCERTAIN)
    for x, y, _ in DISCS:
        distance = np.hypot(*(rings - ((y - top) * scale, (x - left) * scale)).T)
        assert (distance < 10).sum() > 20
    np.testing.assert_array_equal(pixels_of(tmp_path / "again"), pixels)


def test_a_rerun_draws_what_stands(make_project: MakeProject, predictors: Predictors, tmp_path: Path) -> None:
    """Nothing is new, and the picture is the same."""
    project = make_project(*ALL, NOWHERE)
    run_on(project, predictors, overlay=tmp_path / "first")

    again = run_on(project, predictors, overlay=tmp_path / "again")

    assert again.ok == 0
    np.testing.assert_array_equal(pixels_of(tmp_path / "again"), pixels_of(tmp_path / "first"))


def test_a_file_gets_pictures_too(draw_discs: Callable[..., Path], predictors: Predictors, tmp_path: Path) -> None:
    """`segment` draws as `run` does; a class without a colour gets a clear one; a dry run draws nothing."""
    prompts = tmp_path / "points.geojson"
    places = {"type": "MultiPoint", "coordinates": [[60, 60], [150, 250]]}
    prompts.write_text(json.dumps({"type": "Feature", "properties": {"classification": {"name": "A"}}, "geometry": places}))
    slide, output, folder = draw_discs(DISCS), tmp_path / "out.geojson", tmp_path / "pictures"
    segment_file(slide, prompts, output, predictors=predictors, options=RunOptions(mpp=0.25, overlay=folder, dry_run=True))
    assert not folder.exists()

    segment_file(slide, prompts, output, predictors=predictors, options=RunOptions(mpp=0.25, overlay=folder))

    assert [path.name for path in folder.iterdir()] == ["discs.png-01.png"]
    drawn = places_of(pixels_of(folder), CLEAR[0])
    assert (drawn[:, 0] < 200).sum() > 100  # those of the legend lie below


def test_pictures_that_fail_unsay_no_outline(make_project: MakeProject, predictors: Predictors, tmp_path: Path) -> None:
    """The outlines are counted as written, and the error is told; the next run draws."""
    project = make_project(*ALL)
    in_the_way = tmp_path / "out" / "discs-0.png-1-01.png"
    in_the_way.mkdir(parents=True)

    report = run_on(project, predictors, overlay=tmp_path / "out")

    assert (report.ok, report.all_ok, report.images[0].status) == (4, False, "partial")
    assert "the outlines are in the project, but: " in (report.images[0].error or "")
    assert len(ours_of(project)) == 4
    in_the_way.rmdir()
    assert run_on(project, predictors, overlay=tmp_path / "out").all_ok
    assert in_the_way.is_file()


def test_pictures_of_an_earlier_run_that_are_no_longer_made_go(
    make_project: MakeProject, predictors: Predictors, tmp_path: Path
) -> None:
    """Whoever looks through a folder sees one state of an image; files of others stay."""
    folder = tmp_path / "out"
    folder.mkdir()
    for name in ("discs-0.png-1-02.png", "mine.png"):
        (folder / name).write_bytes(b"")

    run_on(make_project(*ALL), predictors, overlay=folder)

    assert sorted(path.name for path in folder.iterdir()) == ["discs-0.png-1-01.png", "mine.png"]


def test_windows_show_everything_while_there_is_room() -> None:
    """Things that lie together get one window; those farther apart several, none larger than a picture may be."""
    size = (100_000, 80_000)
    near = [(x, 500.0, x + 30, 530.0) for x in (100.0, 900.0, 1700.0)]
    far = [(x, y, x + 30, y + 30) for x in (0.0, 30_000.0) for y in (0.0, 50_000.0, 79_900.0)]

    assert [window.slide_box[:2] for window in plan_windows(near, size=size, scale=1.0).windows] == [(52.0, 452.0)]
    plan = plan_windows(far, size=size, scale=1.0)

    assert (len(plan.windows), plan.undrawn) == (6, 0)
    for left, top, right, bottom in far:
        assert any(
            w.slide_box[0] <= left and w.slide_box[1] <= top and right <= w.slide_box[2] and bottom <= w.slide_box[3] for w in plan.windows
        )


def test_windows_are_coarser_and_then_fewer_where_things_are_spread() -> None:
    """At most 16 windows of bounded size, inside the image; the fullest ones, and the others are counted."""
    size = (100_000, 80_000)
    spread = [(x * 3000.0, y * 3000.0, x * 3000.0 + 20, y * 3000.0 + 20) for x in range(6) for y in range(6)]
    lonely = [(x * 9000.0, y * 9000.0, x * 9000.0 + 20, y * 9000.0 + 20) for x in range(5) for y in range(5)] + [(0.0, 0.0, 30.0, 30.0)]

    coarse, fewer = (plan_windows(things, size=size, scale=1.0) for things in (spread, lonely))

    assert coarse.undrawn == 0
    assert (len(fewer.windows), fewer.undrawn) == (MOST_PICTURES, 9)
    for window in (*coarse.windows, *fewer.windows):
        left, top, right, bottom = window.slide_box
        assert max(window.width, window.height) <= MOST_PX
        assert 0 <= left < right <= size[0]
        assert 0 <= top < bottom <= size[1]


def test_a_thing_larger_than_a_picture_is_cut_off_and_things_outside_the_image_are_left_out() -> None:
    """A prompt outside the slide has no pixels; there is no window where nothing is left."""
    large = plan_windows([(0.0, 0.0, 90_000.0, 10.0)], size=(100_000, 80_000), scale=1.0)

    assert [max(window.width, window.height) for window in large.windows] == [MOST_PX]
    assert plan_windows([(-50.0, 0.0, -40.0, 10.0)], size=(100, 100), scale=1.0).windows == ()


def test_prompts_that_no_picture_shows_are_told(
    make_project: MakeProject, predictors: Predictors, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """One line with their number, which the report has, too."""
    monkeypatch.setattr("nuclick_qp.run.overlay_windows.MOST_PX", 120)
    monkeypatch.setattr("nuclick_qp.run.overlay_windows.MOST_PICTURES", 1)
    monkeypatch.setattr("nuclick_qp.run.overlay_windows.COARSENING", (1,))
    with caplog.at_level(logging.WARNING):
        report = run_on(make_project(*ALL), predictors, overlay=tmp_path / "out")

    assert "discs-0.png: 3 of 4 outlines and prompts are on none of its 1 pictures" in caplog.text
    assert report.images[0].undrawn == 3


def test_a_dark_colour_has_a_light_rim() -> None:
    """On the nuclei of H&E, QuPath's dark red would not be seen."""
    overlay = Overlay("a", (), (), (), colours={}, mpp=None, cards={})
    tumor = ResultObject(shapely.box(10, 10, 30, 30), "detection", "Tumor", Plane(), False, (20, 20), "key")
    dark = replace(overlay, objects=(tumor,), colours={"Tumor": 0xC80000})
    bright = replace(overlay, objects=(tumor,), colours={"Tumor": 0xFFE000})
    ground = np.full((40, 40, 3), 30, np.uint8)

    on_dark, on_bright = (np.asarray(draw(ground, one, Window(0, 0, 40, 40), place=""))[5:35, 5:35] for one in (dark, bright))

    assert (on_dark.min(axis=-1) > 150).any()
    assert not (on_bright.min(axis=-1) > 150).any()


def test_each_reason_for_no_outline_has_a_colour() -> None:
    """A new status must not end a picture."""
    assert UNSERVED | {Status.STOPPED} == set(REASONS)
