"""Tests of runs that mark prompts without an outline, and that ask for a least probability."""

from collections.abc import Callable
from pathlib import Path

import pytest
from shapely import box

from asap_files import annotation, asap_file, group
from drawn_projects import ALL, edit_outline, objects_of, ours_of, points_at, run_on
from fakes import DarkIsObject, make_card
from nuclick_qp.formats.asap.reading import read_prompts
from nuclick_qp.model.predictor import Predictor, Predictors
from nuclick_qp.qupath.open_project import open_project
from nuclick_qp.run.clearing import clear
from nuclick_qp.run.file import segment_file
from nuclick_qp.run.run_options import RunOptions
from nuclick_qp_cli.shared import print_report

MakeProject = Callable[..., Path]
NOWHERE = points_at((150, 250))  # nothing lies there


@pytest.fixture
def doubting() -> Predictors:
    """Give a model that finds what the others find, and of whose outlines an IoU of 0.4 is expected at most."""
    card = make_card(calibration=((0, 0), (0.9, 0.4), (1, 0.4)))
    return {"point": Predictor(card, DarkIsObject(), device="cpu", precision="float32")}


def marks_of(project: Path) -> list[str | None]:
    """Give the classes of the marks of the first image."""
    with open_project(project) as opened:
        return [class_name for _, class_name in opened.read(opened.images()[0]).marks]


def test_prompts_without_an_outline_are_marked(make_project: MakeProject, predictors: Predictors) -> None:
    """A small annotation of the class, which is neither a prompt, nor an outline, nor exported; once, however often it is run."""
    project = make_project(*ALL, NOWHERE)

    report = run_on(project, predictors, mark_failed="Missed")

    (mark,) = [item for item in objects_of(project) if item.class_name == "Missed"]
    assert mark.kind == "annotation"
    assert mark.roi is not None
    assert mark.roi.centroid == pytest.approx((150, 250), abs=0.01)
    assert (report.empty, report.images[0].marked) == (1, 1)
    before = (project.parent / "data/1/data.qpdata").read_bytes()
    again = run_on(project, predictors, mark_failed="Missed")
    assert (again.prompts, again.empty, again.images[0].statuses) == (5, 1, {"empty": 1, "unchanged": 4})
    assert (again.images[0].orphaned, again.images[0].marked) == (0, 0)
    assert (project.parent / "data/1/data.qpdata").read_bytes() == before
    with open_project(project) as opened:
        assert "Missed" not in {item.class_name for item in opened.read_closed_objects(opened.images()[0])}


def test_marks_change_class_and_go_with_their_reason(make_project: MakeProject, predictors: Predictors) -> None:
    """Another class takes the place of the first; a run that asks for no marks leaves them; success, and a deleted point, end them."""
    project = make_project(*ALL, NOWHERE)
    run_on(project, predictors, min_probability=1.0, mark_failed="Missed")
    assert marks_of(project) == ["Missed"] * 5

    run_on(project, predictors, min_probability=1.0, mark_failed="Look")
    assert marks_of(project) == ["Look"] * 5
    run_on(project, predictors)

    assert marks_of(project) == ["Look"]
    assert len(ours_of(project)) == 5
    clear(project)
    assert marks_of(project) == []
    assert ours_of(project) == []


def test_uncertain_outlines_are_marked_until_they_are_checked(make_project: MakeProject, doubting: Predictors) -> None:
    """A class of their own; a later run leaves the mark alone, and a correction by hand ends it."""
    project = make_project(*ALL, NOWHERE)

    report = run_on(project, doubting, mark_failed="Missed", mark_uncertain="Check")

    assert (report.uncertain, report.ok, report.images[0].marked, report.images[0].status) == (4, 0, 5, "partial")
    assert sorted(map(str, marks_of(project))) == ["Check"] * 4 + ["Missed"]
    again = run_on(project, doubting, mark_failed="Missed", mark_uncertain="Check")
    assert (again.images[0].statuses, again.images[0].marked) == ({"empty": 1, "unchanged": 4}, 0)
    run_on(project, doubting, mark_failed="Missed")
    assert sorted(map(str, marks_of(project))) == ["Check"] * 4 + ["Missed"]
    edit_outline(project, 0, outline=box(50, 50, 70, 70))
    run_on(project, doubting, mark_failed="Missed", mark_uncertain="Check")
    assert sorted(map(str, marks_of(project))) == ["Check"] * 3 + ["Missed"]


def test_an_outline_that_is_sure_now_needs_no_mark(make_project: MakeProject, doubting: Predictors, predictors: Predictors) -> None:
    """A better model takes the marks away, and an uncertain outline is one all the same: all is well with the run."""
    project = make_project(*ALL)
    first = run_on(project, doubting, mark_uncertain="Check")

    run_on(project, predictors, overwrite="unedited", mark_uncertain="Check")

    assert first.all_ok
    assert [(p.status, p.detail) for p in first.images[0].to_check] == [("uncertain", "its outline has a probability of 0.40 only")] * 4
    assert marks_of(project) == []


def test_uncertain_outlines_are_told(make_project: MakeProject, doubting: Predictors, capsys: pytest.CaptureFixture[str]) -> None:
    """They count as written, with their places."""
    report = run_on(make_project(*ALL), doubting)

    print_report(report, as_json=False)

    lines = capsys.readouterr().out.splitlines()
    assert lines[0].endswith(": 4 uncertain")
    assert lines[1] == "  uncertain: point at (60.0, 60.0): its outline has a probability of 0.40 only"
    assert lines[-1].startswith("4 of 4 prompts written, 4 of them uncertain, in ")


def test_marks_stand_in_asap_and_geojson_files(
    draw_discs: Callable[..., Path], predictors: Predictors, tmp_path: Path
) -> None:
    """With the same rules."""
    slide = draw_discs([(60, 60, 12)])
    prompts = asap_file(tmp_path / "clicks.xml", *(annotation("Dot", xy, group="A") for xy in ((60, 60), (150, 250))), groups=(group("A"),))
    options = RunOptions(mpp=0.25, mark_failed="Missed")
    for name in ("out.xml", "out.geojson"):
        output = tmp_path / name
        segment_file(slide, prompts, output, predictors=predictors, options=options)
        before = output.read_bytes()
        again = segment_file(slide, prompts, output, predictors=predictors, options=options)

        assert (again.images[0].statuses, output.read_bytes()) == ({"empty": 1, "unchanged": 1}, before)
        assert b"Missed" in before
        (cleared,) = clear(output)
        assert (cleared.removed, cleared.unmarked) == (1, 1)
        assert b"nuclick mark" not in output.read_bytes()
    assert read_prompts(tmp_path / "out.xml", origin=(0, 0)).marks == ()


def test_improbable_outlines_are_not_written(make_project: MakeProject, predictors: Predictors, tmp_path: Path) -> None:
    """They have a status of their own, and a run that asks for less writes them."""
    project = make_project(*ALL)

    high = run_on(project, predictors, min_probability=1.0, geojson=tmp_path / "out")

    assert (high.images[0].statuses, high.empty, high.all_ok) == ({"below-probability": 4}, 4, False)
    assert "has a probability of" in high.images[0].without_outline[0].detail
    assert ours_of(project) == []
    assert run_on(project, predictors, min_probability=0.9).ok == 4


def test_outlines_that_became_improbable_stay_until_pruned(
    make_project: MakeProject, predictors: Predictors, capsys: pytest.CaptureFixture[str]
) -> None:
    """They are counted; an edited one is the user's."""
    project = make_project(*ALL)
    run_on(project, predictors)
    edit_outline(project, 0, class_name="Mitosis")

    told = run_on(project, predictors, min_probability=1.0)
    assert (told.images[0].statuses, told.images[0].weak, len(ours_of(project))) == ({"edited": 1, "unchanged": 3}, 3, 4)
    print_report(run_on(project, predictors, min_probability=1.0, prune=True, dry_run=True), as_json=False)
    pruned = run_on(project, predictors, min_probability=1.0, prune=True)
    print_report(pruned, as_json=False)

    assert (pruned.images[0].removed, pruned.images[0].dropped) == (0, 3)
    printed = capsys.readouterr().out
    for word in ("would be removed", "removed"):
        assert f"1 edited; 3 outlines less probable than asked {word}\n" in printed
    assert pruned.images[0].statuses == {"below-probability": 3, "edited": 1}
    assert [item.class_name for item in ours_of(project)] == ["Mitosis"]


def test_overwriting_with_a_least_probability_leaves_no_weaker_outline(make_project: MakeProject, predictors: Predictors) -> None:
    """What the report calls too improbable is not in the file."""
    project = make_project(*ALL)
    run_on(project, predictors)

    report = run_on(project, predictors, min_probability=1.0, overwrite="unedited")

    assert (report.images[0].statuses, ours_of(project)) == ({"below-probability": 4}, [])
