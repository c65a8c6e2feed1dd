"""Tests of `nuclick_qp.run.image_scale`: images without a pixel size, from the project to what is written."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import nuclick_qp
from drawn_projects import DISCS, MakeProject, ours_of, points_at, run_on
from fakes import DarkIsObject, make_card
from nuclick_qp.model.predictor import Predictor, Predictors
from nuclick_qp.prompts import Status
from nuclick_qp.qupath.open_project import open_project
from nuclick_qp.qupath.qpdata.new_objects import NewAnnotation
from nuclick_qp.run.models import Models
from nuclick_qp.run.project import segment_project
from nuclick_qp.run.run_options import Progress, RunOptions
from nuclick_qp.run.run_record import RECORD_FOLDER

DrawDiscs = Callable[..., Path]
PLACES = [(x, y) for x, y, _ in DISCS]
CLICKS = points_at(*PLACES)
MEDIAN_PX = 2 * 8.5  # diameter of the discs
OBJECT_PX = 24.0
TOLD_MPP = 0.25 * OBJECT_PX / MEDIAN_PX
DIGITS = 0.06  # two digits, and discs of whole pixels


@pytest.fixture
def telling() -> Predictors:
    """Give a model for points whose objects tell the scale, and one for lines whose objects do not."""
    cards = {"point": make_card(object_px=OBJECT_PX), "line": make_card(name="long", prompt="line")}
    return {kind: Predictor(card, DarkIsObject(), device="cpu", precision="float32") for kind, card in cards.items()}  # type: ignore[misc]


def test_an_image_without_a_pixel_size_gets_that_which_its_objects_tell(make_project: MakeProject, telling: Predictors) -> None:
    """All prompts get their outline; the report and the record say what was estimated."""
    project = make_project(CLICKS, mpp=None)

    report = run_on(project, telling)

    assert report.ok == len(DISCS)
    assert report.images[0].estimated_mpp == pytest.approx(TOLD_MPP, rel=DIGITS)
    (record,) = (project.parent / RECORD_FOLDER).glob("run-*.json")
    assert json.loads(record.read_text())["images"][0]["estimated_mpp"] == report.images[0].estimated_mpp


def test_an_estimate_is_no_measurement(make_project: MakeProject, telling: Predictors) -> None:
    """Areas are in pixels, as QuPath has them in such an image; micrometres would look measured."""
    project = make_project(CLICKS, mpp=None)

    run_on(project, telling)

    names = [dict(item.measurements) for item in ours_of(project)]
    assert all("Area px^2" in one and not any("µm" in name for name in one) for one in names)
    assert sorted(one["Area px^2"] for one in names) == pytest.approx(sorted(np.pi * r**2 for _, _, r in DISCS), rel=0.05)


@pytest.mark.parametrize("where", ["project", "option"])
def test_a_stated_pixel_size_always_wins(make_project: MakeProject, telling: Predictors, where: str) -> None:
    """Whoever states it is believed, and gets micrometres."""
    project = make_project(CLICKS, mpp=0.25 if where == "project" else None)

    report = run_on(project, telling, mpp=0.25 if where == "option" else None)

    assert report.images[0].estimated_mpp is None
    assert all("Area µm^2" in dict(item.measurements) for item in ours_of(project))


def test_stating_what_was_estimated_gives_the_same_outlines(draw_discs: DrawDiscs, telling: Predictors) -> None:
    """It is printed with all digits that it has."""
    path = draw_discs(DISCS)

    found = nuclick_qp.segment(path, PLACES, predictor=telling["point"])
    again = nuclick_qp.segment(path, PLACES, predictor=telling["point"], mpp=float(f"{found.mpp:.2g}"))

    assert (found.is_mpp_estimated, again.is_mpp_estimated) == (True, False)
    assert found.outlines == again.outlines
    assert "at about" in repr(found)
    assert "Area px^2" in found.to_geojson()["features"][0]["properties"]["measurements"]
    assert "Area µm^2" in again.to_geojson()["features"][0]["properties"]["measurements"]


def test_a_run_again_changes_nothing_and_estimates_nothing(make_project: MakeProject, telling: Predictors) -> None:
    """What stands is unchanged, and no network is asked."""
    project = make_project(CLICKS, mpp=None)
    run_on(project, telling)
    before = (project.parent / "data" / "1" / "data.qpdata").read_bytes()
    unloaded = Models({kind: predictor.card for kind, predictor in telling.items()}, lambda: pytest.fail("a network was loaded"))

    with open_project(project) as opened:
        report = segment_project(opened, unloaded)

    assert report.images[0].statuses == {"unchanged": len(DISCS)}
    assert (report.images[0].differing, report.images[0].estimated_mpp) == (0, None)
    assert (project.parent / "data" / "1" / "data.qpdata").read_bytes() == before


def test_prompts_run_one_by_one_are_segmented_at_one_scale(make_project: MakeProject, telling: Predictors) -> None:
    """All clicks of an image tell its scale, those of other classes and those that are done as well."""
    project = make_project(points_at(PLACES[0], class_name="A"), points_at(*PLACES[1:], class_name="B"), mpp=None)

    told = [run_on(project, telling, classes=(name,)).images[0].estimated_mpp for name in ("A", "B")]

    assert told == [run_on(project, telling, overwrite="unedited").images[0].estimated_mpp] * 2


def test_given_refuses_an_image_without_a_pixel_size(make_project: MakeProject, telling: Predictors) -> None:
    """For those who want none of it."""
    report = run_on(make_project(CLICKS, mpp=None), telling, scale="given")

    assert report.images[0].status == "failed"
    assert "has no pixel size; pass --mpp, or set it in the Image tab of QuPath" in str(report.images[0].error)


def test_objects_of_a_model_that_states_no_size_tell_nothing(make_project: MakeProject, predictors: Predictors) -> None:
    """A nucleus may have 5 um or 25: nobody guesses for these."""
    report = run_on(make_project(CLICKS, mpp=None), predictors)

    assert "has no pixel size; pass --mpp" in str(report.images[0].error)


def test_lines_beside_clicks_need_a_pixel_size_that_is_stated(make_project: MakeProject, telling: Predictors) -> None:
    """The clicks would tell one, but what is enough for cells is none for glands; left out, they hinder nobody."""
    stroke = NewAnnotation("Polyline", ((50.0, 60.0), (70.0, 60.0)))
    project = make_project(CLICKS, stroke, mpp=None)

    refused = run_on(project, telling)
    report = run_on(project, telling, left_out=frozenset({"line"}))

    assert "has no pixel size, which model 'long' for lines has to know; pass --mpp" in str(refused.images[0].error)
    assert report.ok == len(DISCS)


def test_no_object_under_the_clicks_fails_the_image_only(make_project: MakeProject, telling: Predictors) -> None:
    """In one line; the run goes on."""
    report = run_on(make_project(points_at((20, 250)), mpp=None), telling)

    assert report.images[0].status == "failed"
    assert "no object under the clicks that tells it" in str(report.images[0].error)


@pytest.mark.parametrize(("radius", "told"), [(9, False), (80, True)])
def test_a_scale_that_no_microscope_has_is_told(
    draw_discs: DrawDiscs, telling: Predictors, caplog: pytest.LogCaptureFixture, radius: float, told: bool
) -> None:
    """Objects of 160 px would have pixels of 0.0375 um."""
    nuclick_qp.segment(draw_discs([(150, 150, radius)]), [(150, 150)], predictor=telling["point"])

    assert ["where microscopes have 0.04 to 1.2" in line for line in caplog.messages] == [True] * told


def test_a_stop_while_the_scale_is_looked_for_leaves_all_prompts(make_project: MakeProject, telling: Predictors) -> None:
    """As one at any other moment: nothing is written, and the next run does it."""
    project = make_project(CLICKS, mpp=None)
    asked = iter([False, False])

    with open_project(project) as opened:
        report = segment_project(opened, telling, options=RunOptions(), progress=Progress(stopped=lambda: next(asked, True)))

    assert report.stopped
    assert report.images[0].statuses == {str(Status.STOPPED): len(DISCS)}
    assert ours_of(project) == []


