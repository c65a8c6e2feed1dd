"""Tests of `nuclick_qp.run.project`: a project that is run again, with the files engine."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from shapely import box
from torch import Tensor

from drawn_projects import ALL, edit_outline, ours_of, points_at, run_on
from fakes import DarkIsObject, make_card
from fixture_projects import snapshot
from nuclick_qp.errors import DeviceError
from nuclick_qp.model.predictor import Predictor, Predictors
from nuclick_qp.qupath.open_project import open_project
from nuclick_qp.run.clearing import clear
from nuclick_qp.run.models import name_models
from nuclick_qp.run.project import segment_project
from nuclick_qp.segmentation.segment_options import SegmentOptions
from nuclick_qp.storage.locks import lock_of
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


@pytest.mark.parametrize("command", ["run", "clear", "restore"])
def test_lock_files_of_a_killed_run_go_with_the_next_that_has_nothing_to_do(
    make_project: MakeProject, predictors: Predictors, command_line: Callable[..., int], command: str
) -> None:
    """That of the image and that of the list of classes; a dry run writes nothing, and leaves them."""
    project = make_project(points_at((60, 60)))
    if command == "run":
        run_on(project, predictors)
    before = snapshot(project.parent)
    locks = [lock_of(project.parent / path) for path in ("data/1/data.qpdata", "classifiers/classes.json")]
    for lock in locks:
        lock.parent.mkdir(exist_ok=True)
        lock.write_bytes(b"1")
    run_on(project, predictors, dry_run=True)
    assert all(lock.exists() for lock in locks)

    if command == "run":
        run_on(project, predictors)
    else:
        command_line(command, project)

    assert snapshot(project.parent) == before


def test_outlines_of_better_runs_stay_and_are_told(
    make_project: MakeProject, predictors: Predictors, capsys: pytest.CaptureFixture[str]
) -> None:
    """A plain run after one with test-time augmentation changes not a byte, says so once, and does it again if asked to."""
    project = make_project(*ALL)
    data = project.parent / "data/1/data.qpdata"
    run_on(project, predictors, segment=SegmentOptions(tta=True))
    before = data.read_bytes()

    report = run_on(project, predictors)
    print_report(report, as_json=False)

    assert (report.ok, report.skipped, report.images[0].differing, report.all_ok) == (0, 4, 4, True)
    assert data.read_bytes() == before
    told = "discs-0.png: 4 unchanged; 4 outlines of another model or other options stay, --overwrite replaces them"
    assert told in capsys.readouterr().out
    again = run_on(project, predictors, overwrite="unedited")
    assert (again.ok, again.images[0].removed, again.images[0].differing) == (4, 4, 0)
    assert len(ours_of(project)) == 4


def test_edited_outlines_stay_until_asked_for(make_project: MakeProject, predictors: Predictors, command_line: Callable[..., int]) -> None:
    """Reshaped and re-classified ones are counted, are no failures, and only go by overwriting edited ones."""
    project = make_project(*ALL)
    run_on(project, predictors)
    edit_outline(project, 0, outline=box(55, 55, 65, 66.5))
    edit_outline(project, 0, class_name="Mitosis")  # the first is now the last
    before = {item.object_id: repr(item.roi) for item in ours_of(project)}

    plain, overwriting = run_on(project, predictors), run_on(project, predictors, overwrite="unedited")

    assert (plain.images[0].statuses, plain.all_ok) == ({"edited": 2, "unchanged": 2}, True)
    assert (overwriting.images[0].statuses, overwriting.images[0].removed) == ({"edited": 2, "ok": 2}, 2)
    assert {item.object_id: repr(item.roi) for item in ours_of(project)} == before
    assert run_on(project, predictors, overwrite="edited").images[0].statuses == {"ok": 4}
    assert "Mitosis" not in {item.class_name for item in ours_of(project)}


def test_another_kind_is_given_to_what_stands(
    make_project: MakeProject, predictors: Predictors, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """`--as annotation` needs neither slide nor network for it: shape, class, measurements and what made it stay. It is told as such."""
    project = make_project(*ALL)
    run_on(project, predictors)
    before = {item.object_id: (repr(item.roi), item.class_name, item.metadata) for item in ours_of(project)}
    measured = {item.object_id: item.measurements for item in ours_of(project)}
    (tmp_path / "discs-0.png").unlink()

    tried = run_on(project, predictors, kind="annotation", dry_run=True)
    report = run_on(project, predictors, kind="annotation")
    for told in (tried, report):
        print_report(told, as_json=False)

    assert (report.skipped, report.images[0].removed, report.images[0].turned, report.all_ok) == (4, 0, 4, True)
    out = capsys.readouterr().out
    assert "discs-0.png: 4 unchanged; 4 outlines of earlier runs would be made annotations, with the same shape\n" in out
    assert "discs-0.png: 4 unchanged; 4 outlines of earlier runs made annotations, with the same shape\n" in out
    assert {item.object_id: (repr(item.roi), item.class_name, item.metadata) for item in ours_of(project)} == before
    assert {item.kind for item in ours_of(project)} == {"annotation"}
    assert {item.object_id: item.measurements for item in ours_of(project)} == measured
    assert run_on(project, predictors).skipped == 4
    assert {item.kind for item in ours_of(project)} == {"annotation"}


@pytest.mark.parametrize("arguments", [("--overwrite", "PROJECT"), ("PROJECT", "--overwrite"), ("PROJECT", "--overwrite=edited")])
def test_overwrite_needs_no_value(
    make_project: MakeProject, command_line: Callable[..., int], capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...]
) -> None:
    """The argument that follows it is never taken for one."""
    project = make_project(*ALL)

    code = command_line("run", *(project if name == "PROJECT" else name for name in arguments), "--json", "--dry-run", "--lines", "none")

    assert code in (0, 1)
    asked = "edited" if "--overwrite=edited" in arguments else "unedited"
    assert json.loads(capsys.readouterr().out)["options"]["overwrite"] == asked


def test_overwrite_replaces_own_detections_only(make_project: MakeProject, predictors: Predictors) -> None:
    """As many detections as before, each prompt once, the same bytes."""
    project = make_project(*ALL)
    run_on(project, predictors)
    before = (project.parent / "data/1/data.qpdata").read_bytes()

    report = run_on(project, predictors, overwrite="unedited")

    assert (report.ok, report.images[0].removed) == (4, 4)
    assert len(ours_of(project)) == 4
    assert (project.parent / "data/1/data.qpdata").read_bytes() == before


class _SeesNothing(DarkIsObject):
    """A network that gives every pixel a probability of 0."""

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, 5, P, P) to logits (N, 1, P, P)."""
        return super().forward(x) - 1000


def test_earlier_result_stays_when_the_new_run_finds_nothing(make_project: MakeProject, predictors: Predictors) -> None:
    """Old results never go before new ones are in hand."""
    project = make_project(*ALL)
    run_on(project, predictors)
    blind: Predictors = {"point": Predictor(make_card(), _SeesNothing(), device="cpu", precision="float32")}

    report = run_on(project, blind, overwrite="unedited")

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
        run_on(project, predictors, geojson=tmp_path / "out", classes=classes, overwrite="unedited")

    (path,) = (tmp_path / "out").iterdir()
    names = [feature["properties"]["classification"]["name"] for feature in json.loads(path.read_text())["features"]]
    assert sorted(names) == ["Stroma", "Tumor", "Tumor"]


def test_geojson_holds_all_outlines_of_the_image(make_project: MakeProject, predictors: Predictors, tmp_path: Path) -> None:
    """Also when nothing was new, and as the user has changed them; not those that are gone, but what others put there."""
    project = make_project(*ALL)
    run_on(project, predictors, classes=("Tumor",))
    edit_outline(project, 0, class_name="Mitosis")

    run_on(project, predictors, geojson=tmp_path / "out")

    (path,) = (tmp_path / "out").iterdir()
    collection = json.loads(path.read_text())
    names = [(feature["properties"].get("classification") or {}).get("name") for feature in collection["features"]]
    assert sorted(map(str, names)) == ["Mitosis", "None", "Stroma", "Tumor"]
    shapes = {feature["id"]: feature["geometry"] for feature in collection["features"]}
    path.unlink()
    assert run_on(project, predictors, geojson=tmp_path / "out").ok == 0
    assert {feature["id"]: feature["geometry"] for feature in json.loads(path.read_text())["features"]} == shapes
    theirs = {"type": "Feature", "geometry": {"type": "Point", "coordinates": [1, 2]}, "properties": {}}
    path.write_text(json.dumps({"type": "FeatureCollection", "features": [*collection["features"], theirs]}))
    clear(project, edited=True)
    run_on(project, predictors, geojson=tmp_path / "out", classes=("Stroma",))
    left = json.loads(path.read_text())["features"]
    assert [feature["properties"].get("classification", {}).get("name") for feature in left] == ["Stroma", None]
    assert left[1] == theirs


def test_clearing_leaves_what_users_drew(make_project: MakeProject, predictors: Predictors, command_line: Callable[..., int]) -> None:
    """The file is what it was before the run, to the byte, but for an edited outline until it is named."""
    project = make_project(*ALL)
    data = project.parent / "data/1/data.qpdata"
    before = data.read_bytes()
    run_on(project, predictors)
    edit_outline(project, 0, outline=box(55, 55, 65, 66.5))
    worked = snapshot(project.parent)

    assert command_line("clear", project, "--dry-run", "--images", "discs*") == 0
    assert snapshot(project.parent) == worked
    assert command_line("clear", project) == 0
    assert len(ours_of(project)) == 1
    assert command_line("clear", project.parent, "--edited") == 0
    assert data.read_bytes() == before
    assert command_line("clear", project) == 0


def test_clearing_tells_what_is_not_there(tmp_path: Path, command_line: Callable[..., int], capsys: pytest.CaptureFixture[str]) -> None:
    """A wrong path is no GeoJSON file that cannot be read."""
    assert command_line("clear", tmp_path / "gone") == 3
    assert "gone does not exist; give a QuPath project or its folder, an ASAP file or a GeoJSON file" in capsys.readouterr().err


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

    report = run_on(project, predictors, prune=True, classes=("Stroma",), overwrite="unedited")

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


def test_model_that_cannot_be_loaded_ends_the_run(make_project: MakeProject) -> None:
    """It fails no image: all would fail alike. Nothing is written; and a run that needs no network does not miss it."""
    project = make_project(*ALL, images=2)
    before = snapshot(project.parent)
    models = name_models(device="cuda:77")

    with open_project(project) as opened, pytest.raises(DeviceError, match="cuda:77"):
        segment_project(opened, models)
    assert snapshot(project.parent) == before

    with open_project(project) as opened:
        segment_project(opened, name_models(device="cpu"))
        assert segment_project(opened, models).all_ok
