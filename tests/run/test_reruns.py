"""Tests of `nuclick_qp.run.project`: a project that is run again, with the files engine."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from drawn_projects import ALL, ours_of, points_at, run_on
from fakes import DarkIsObject, make_card
from fixture_projects import snapshot
from nuclick_qp.model.predictor import Predictor, Predictors
from nuclick_qp.qupath.open_project import open_project
from nuclick_qp.segmentation.segment_options import SegmentOptions
from nuclick_qp_cli.shared import print_report

MakeProject = Callable[..., Path]


def test_second_run_has_nothing_to_do(make_project: MakeProject, predictors: Predictors) -> None:
    """Key, model and options unchanged: all is skipped, and not a byte of the project changes."""
    project = make_project(*ALL)
    run_on(project, predictors)
    before = snapshot(project.parent)

    report = run_on(project, predictors)

    assert (report.ok, report.skipped, report.all_ok) == (0, 4, True)
    assert snapshot(project.parent) == before


def test_other_augmentation_is_done_again(make_project: MakeProject, predictors: Predictors) -> None:
    """With and without test-time augmentation are two results, of which a project has the last."""
    project = make_project(*ALL)
    augmented = SegmentOptions(tta=True)

    reports = [run_on(project, predictors, segment=segment) for segment in (SegmentOptions(), augmented, augmented, SegmentOptions())]

    assert [(report.ok, report.skipped) for report in reports] == [(4, 0), (4, 0), (0, 4), (4, 0)]
    assert len(ours_of(project)) == 4
    assert reports[1].options["segment"]["tta"] is True


def test_overwrite_replaces_own_detections_only(make_project: MakeProject, predictors: Predictors) -> None:
    """As many detections as before, each prompt once, the same bytes."""
    project = make_project(*ALL)
    run_on(project, predictors)
    before = (project.parent / "data/1/data.qpdata").read_bytes()

    report = run_on(project, predictors, overwrite=True)

    assert (report.ok, report.images[0].removed) == (4, 4)
    assert len(ours_of(project)) == 4
    assert (project.parent / "data/1/data.qpdata").read_bytes() == before


def test_earlier_result_stays_when_the_new_run_finds_nothing(make_project: MakeProject, predictors: Predictors) -> None:
    """Old results never go before new ones are in hand."""
    project = make_project(*ALL)
    run_on(project, predictors)
    blind: Predictors = {"point": Predictor(make_card(min_object_px=60_000), DarkIsObject(), device="cpu", precision="float32")}

    report = run_on(project, blind)

    assert report.empty == 4
    assert len(ours_of(project)) == 4


def test_own_results_are_neither_prompts_nor_neighbours(make_project: MakeProject, predictors: Predictors) -> None:
    """Results of ours become neither prompts nor neighbours of the next run."""
    project = make_project(*ALL)
    run_on(project, predictors)

    with open_project(project) as opened:
        content = opened.read(opened.images()[0])

    assert len(content.prompts) == 4
    assert content.neighbours == ()
    assert {result.key for result in content.results} == {prompt.key for prompt in content.prompts}


def test_empty_prompt_stays_empty_when_run_again(make_project: MakeProject, predictors: Predictors) -> None:
    """Two clicks on one disc, too far apart for one object: the one without an outline gets none from a second run either."""
    project = make_project(points_at((56, 60), (64.5, 60)))
    first = run_on(project, predictors)
    before = ours_of(project)

    second = run_on(project, predictors)

    assert (first.ok, first.empty) == (1, 1)
    assert (second.ok, second.empty, second.skipped) == (0, 1, 1)
    assert [item.object_id for item in ours_of(project)] == [item.object_id for item in before]


def test_outlines_of_two_runs_do_not_overlap(make_project: MakeProject, predictors: Predictors) -> None:
    """What stands is not taken away by a prompt of another class that comes later."""
    project = make_project(points_at((56, 60), class_name="Tumor"), points_at((64.5, 60), class_name="Stroma"))

    run_on(project, predictors, classes=("Tumor",))
    report = run_on(project, predictors, classes=("Stroma",))

    assert report.empty == 1
    assert [item.class_name for item in ours_of(project)] == ["Tumor"]


def test_moved_point_is_not_held_up_by_its_old_outline(make_project: MakeProject, predictors: Predictors, tmp_path: Path) -> None:
    """An outline whose prompt is gone takes no part: the user moved the click to mend it."""
    project = make_project(points_at((58, 60)))
    run_on(project, predictors)
    data = (project.parent / "data/1/data.qpdata").read_bytes()
    place = np.array([58.0], ">f4").tobytes()
    assert data.count(place) == 1
    (project.parent / "data/1/data.qpdata").write_bytes(data.replace(place, np.array([62.0], ">f4").tobytes()))

    assert run_on(project, predictors).ok == 1


def test_geojson_of_several_runs_adds_up(make_project: MakeProject, predictors: Predictors, tmp_path: Path) -> None:
    """A later run adds its outlines to the file, and replaces those of the same prompts."""
    project = make_project(*ALL)
    for classes in (("Tumor",), ("Stroma",), ("Tumor",)):
        run_on(project, predictors, geojson=tmp_path / "out", classes=classes, overwrite=True)

    (path,) = (tmp_path / "out").iterdir()
    names = [feature["properties"]["classification"]["name"] for feature in json.loads(path.read_text())["features"]]
    assert sorted(names) == ["Stroma", "Tumor", "Tumor"]


def _move_point(project: Path, old: float, new: float) -> None:
    """Move a point along x, as the user does in QuPath between two runs."""
    path = project.parent / "data/1/data.qpdata"
    before, after = (np.array([x], ">f4").tobytes() for x in (old, new))
    assert path.read_bytes().count(before) == 1
    path.write_bytes(path.read_bytes().replace(before, after))


def test_prune_removes_results_whose_prompt_is_gone(make_project: MakeProject, predictors: Predictors, tmp_path: Path) -> None:
    """Without it the outline of the old place stays beside that of the new one; in the GeoJSON file, too."""
    project = make_project(points_at((58, 60)), points_at((203, 150), class_name="Stroma"))
    run_on(project, predictors)
    _move_point(project, 58, 62)
    moved = run_on(project, predictors, geojson=tmp_path / "out")
    assert (len(ours_of(project)), moved.images[0].orphaned) == (3, 1)

    told = run_on(project, predictors, prune=True, dry_run=True)
    assert len(ours_of(project)) == 3
    pruned = run_on(project, predictors, prune=True, geojson=tmp_path / "out")

    assert told.images[0].pruned == pruned.images[0].pruned == 1
    assert told.images[0].orphaned == pruned.images[0].orphaned == 0
    assert (pruned.ok, pruned.skipped) == (0, 2)
    assert sorted(item.class_name or "" for item in ours_of(project)) == ["Stroma", "Tumor"]
    assert run_on(project, predictors, prune=True).images[0].pruned == 0


def test_results_whose_prompt_is_gone_are_told(
    make_project: MakeProject, predictors: Predictors, capsys: pytest.CaptureFixture[str]
) -> None:
    """A user who moved a point sees two outlines; the summary says why, and what to do."""
    project = make_project(points_at((58, 60)))
    run_on(project, predictors)
    _move_point(project, 58, 62)

    print_report(run_on(project, predictors), as_json=False)
    print_report(run_on(project, predictors, prune=True), as_json=False)

    stays, gone = (line for line in capsys.readouterr().out.splitlines() if line.startswith("discs-0.png"))
    assert stays.endswith("1 ok; 1 results whose prompt is gone stay, --prune removes them")
    assert gone.endswith("1 unchanged; 1 results whose prompt is gone removed")


def test_prune_keeps_results_of_prompts_that_were_left_out(make_project: MakeProject, predictors: Predictors) -> None:
    """A prompt of another class, or of a kind without a model now, is still there."""
    project = make_project(*ALL)
    run_on(project, predictors)

    report = run_on(project, predictors, prune=True, classes=("Stroma",), overwrite=True)

    assert (report.ok, report.images[0].removed, report.images[0].pruned) == (1, 1, 0)
    assert len(ours_of(project)) == 4


def test_prune_leaves_what_the_user_drew(make_project: MakeProject, predictors: Predictors) -> None:
    """The moved point and all other annotations are there, byte for byte, when our results have gone."""
    project = make_project(points_at((58, 60)), points_at((300, 200), class_name="Stroma"))
    data = project.parent / "data/1/data.qpdata"
    _move_point(project, 58, 150)  # nothing lies there
    untouched = data.read_bytes()
    _move_point(project, 150, 58)
    run_on(project, predictors, classes=("Tumor",))
    _move_point(project, 58, 150)

    report = run_on(project, predictors, classes=("Tumor",), prune=True)

    assert (report.empty, report.images[0].pruned) == (1, 1)
    assert data.read_bytes() == untouched
