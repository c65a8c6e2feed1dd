"""Runs over projects that QuPath saved in between: both engines find the same done, and leave the same."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from torch import Tensor, nn
from torch.nn import functional

from compared_objects import assert_same_results, data_of, our_objects
from drawn_projects import objects_of, ours_of, points_at, run_on
from fakes import DarkIsObject, make_card
from fixture_projects import DATA, NO_QUPATH, VERSIONS, open_with_qupath
from nuclick_qp.annotations.objects import PROMPT_KEY
from nuclick_qp.model.predictor import Predictor, Predictors
from nuclick_qp.qupath.jvm.engine import find_qupath
from nuclick_qp.qupath.open_project import Engine, open_project
from nuclick_qp.qupath.qpdata.new_objects import NewAnnotation
from nuclick_qp.run.clearing import clear
from nuclick_qp.run.report import ImageReport
from qupath_itself import Edit, QuPathImage, save_in_qupath, slides_at

MakeProject = Callable[..., Path]
ENGINES: tuple[Engine, ...] = ("files", "qupath")
# From right to left, and points from right to left: geometries of QuPath 0.6 turn both.
SQUIGGLE = NewAnnotation("Polyline", ((304.0, 196.25), (303.5, 203.0), (296.0, 198.0)), class_name="Gland")
REGION = NewAnnotation("Polygon", ((180.0, 120.0), (240.5, 120.0), (240.0, 181.0), (180.0, 180.0)), class_name="Region*")
DRAWN = points_at((100.25, 70), (60, 60.5)), points_at((203, 150), class_name="Stroma"), SQUIGGLE, REGION

pytestmark = pytest.mark.jvm


class NearPrompt(nn.Module):
    """A network whose object is the surrounding of the prompt, whatever the image shows."""

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, 5, P, P) to logits (N, 1, P, P)."""
        return functional.max_pool2d(x[:, 3:4], kernel_size=13, stride=1, padding=6) * 40 - 20


@pytest.fixture(autouse=True)
def qupath() -> None:
    """Skip where no QuPath is installed."""
    if find_qupath() is None:
        pytest.skip(NO_QUPATH)


@pytest.fixture
def predictors(dark_predictor: Predictor) -> Predictors:
    """Give a model for points and one for lines."""
    line = Predictor(make_card(prompt="line", name="dark-lines"), DarkIsObject(), device="cpu", precision="float32")
    return {"point": dark_predictor, "line": line}


@pytest.fixture
def copies(make_project: MakeProject) -> dict[Engine, Path]:
    """Give a drawn project for each engine."""
    project = make_project(*DRAWN)
    return {engine: Path(shutil.copytree(project.parent, project.parent.with_name(engine))) / project.name for engine in ENGINES}


def edit_in_qupath(copies: dict[Engine, Path], edit: Edit = lambda image: None) -> None:
    """Let the user do the same in both."""
    for project in copies.values():
        save_in_qupath(open_with_qupath(project), edit=edit)


def run_both(copies: dict[Engine, Path], predictors: Predictors, **options: object) -> ImageReport:
    """Run each engine over its copy: they tell and leave the same. Give what they tell of the image."""
    reports = [run_on(project, predictors, engine=engine, **options).images[0] for engine, project in copies.items()]

    assert reports[0].model_dump(exclude={"seconds"}) == reports[1].model_dump(exclude={"seconds"})
    assert_same_results(*(data_of(project.parent) for project in copies.values()))
    return reports[0]


@pytest.mark.parametrize("first", ENGINES)
@pytest.mark.parametrize("second", ENGINES)
def test_qupaths_own_saving_leaves_nothing_to_do(make_project: MakeProject, predictors: Predictors, first: Engine, second: Engine) -> None:
    """Prompts keep their keys, and results what says how they were made; QuPath shows all of them."""
    project = make_project(*DRAWN)
    seen: list[int] = []
    assert run_on(project, predictors, engine=first).ok == 4
    before = our_objects(data_of(project.parent))

    save_in_qupath(open_with_qupath(project), edit=lambda image: seen.append(len(image.ours())))
    saved = (project.parent / "data/1/data.qpdata").read_bytes()
    report = run_on(project, predictors, engine=second)

    assert seen == [4]
    assert (report.ok, report.skipped) == (0, 4)
    assert (project.parent / "data/1/data.qpdata").read_bytes() == saved
    assert our_objects(data_of(project.parent)) == before


def test_overwrite_leaves_the_same(copies: dict[Engine, Path], predictors: Predictors) -> None:
    """After QuPath has saved, each result is replaced by one that is the same."""
    run_both(copies, predictors)
    first = our_objects(data_of(copies["files"].parent))
    edit_in_qupath(copies)

    report = run_both(copies, predictors, overwrite="unedited")

    assert (report.ok, report.removed, report.skipped) == (4, 4, 0)
    assert our_objects(data_of(copies["files"].parent)) == first


@pytest.mark.parametrize("prune", [False, True])
def test_moved_points_are_done_anew(copies: dict[Engine, Path], predictors: Predictors, prune: bool) -> None:
    """The point beside it in the same annotation is not."""
    run_both(copies, predictors)
    edit_in_qupath(copies, lambda image: image.put(image.drawn("Tumor"), (99.5, 71.25), (60, 60.5)))

    report = run_both(copies, predictors, prune=prune)

    assert (report.ok, report.skipped, report.pruned, report.orphaned) == (1, 3, int(prune), int(not prune))


def test_classified_prompts_are_done_anew(copies: dict[Engine, Path], predictors: Predictors) -> None:
    """The outline of the old class goes."""
    run_both(copies, predictors)
    edit_in_qupath(copies, lambda image: image.classify(image.drawn("Stroma"), "Stroma: Positive"))

    report = run_both(copies, predictors)

    assert (report.ok, report.skipped, report.removed, report.orphaned) == (1, 3, 1, 0)
    assert sorted(str(item.class_name) for item in ours_of(copies["qupath"])) == ["Gland", "Stroma: Positive", "Tumor", "Tumor"]


@pytest.mark.parametrize("prune", [False, True])
def test_results_of_deleted_prompts_stay_until_pruned(copies: dict[Engine, Path], predictors: Predictors, prune: bool) -> None:
    """A line here; the rest is untouched."""
    run_both(copies, predictors)
    edit_in_qupath(copies, lambda image: image.remove(image.drawn("Gland")))

    report = run_both(copies, predictors, prune=prune)

    assert (report.ok, report.skipped, report.pruned, report.orphaned) == (0, 3, int(prune), int(not prune))
    assert len(ours_of(copies["qupath"])) == 4 - prune


def test_deleted_results_are_made_anew(copies: dict[Engine, Path], predictors: Predictors) -> None:
    """Only that one, with the id it had."""
    run_both(copies, predictors)
    first = {item.object_id for item in ours_of(copies["files"])}
    edit_in_qupath(copies, lambda image: image.remove(image.ours()[0]))

    report = run_both(copies, predictors)

    assert (report.ok, report.skipped, report.removed) == (1, 3, 0)
    assert {item.object_id for item in ours_of(copies["qupath"])} == first


@pytest.mark.parametrize("overwrite", ["none", "unedited"])
def test_results_that_the_user_classified_stay(copies: dict[Engine, Path], predictors: Predictors, overwrite: str) -> None:
    """With the class and the name that they were given; nothing else counts as edited after QuPath has saved."""
    run_both(copies, predictors)

    def change(image: QuPathImage) -> None:
        image.classify(image.ours()[1], "Immune cells")
        image.ours()[1].setName("looked at")

    edit_in_qupath(copies, change)

    report = run_both(copies, predictors, overwrite=overwrite)
    assert report.statuses == {"edited": 1, "unchanged" if overwrite == "none" else "ok": 3}
    assert [item.name for item in ours_of(copies["qupath"]) if item.class_name == "Immune cells"] == ["looked at"]


def test_resolved_hierarchies_are_the_same(copies: dict[Engine, Path], predictors: Predictors) -> None:
    """QuPath puts prompts and results into the region that holds them: done all the same, and done anew in the same place."""
    run_both(copies, predictors)
    edit_in_qupath(copies, lambda image: image.hierarchy.resolveHierarchy())

    skipped = run_both(copies, predictors)
    again = run_both(copies, predictors, overwrite="unedited")

    assert (skipped.skipped, again.ok, again.removed) == (4, 4, 4)
    regions = [item for item in objects_of(copies["qupath"]) if item.class_name == "Region*"]
    assert [PROMPT_KEY in dict(child.metadata) for child in regions[0].children] == [False, True]


def test_lines_that_the_user_merged_are_one_prompt(copies: dict[Engine, Path], predictors: Predictors) -> None:
    """A geometry of two lines from then on, done once, however often QuPath saves it."""
    edit_in_qupath(copies, lambda image: image.merge(image.drawn("Gland"), image.draw_line((305.5, 205), (297.125, 207))))

    first = run_both(copies, predictors)
    edit_in_qupath(copies)

    assert (first.prompts, first.ok) == (4, 4)
    assert run_both(copies, predictors).skipped == 4
    with open_project(copies["qupath"], engine="qupath") as opened:
        strokes = [prompt.strokes for prompt in opened.read(opened.images()[0]).prompts if prompt.kind == "line"]
    assert [len(lines) for lines in strokes] == [2]


@pytest.mark.parametrize("version", ["0.2.3", *VERSIONS])
def test_fixtures_run_the_same_and_stay_done(version: str, tmp_path: Path) -> None:
    """All images of a project that QuPath wrote; then QuPath saves it, and each engine goes over the results of the other."""
    near = Predictor(make_card(), NearPrompt(), device="cpu", precision="float32")
    predictors: Predictors = {"point": near, "line": near}
    copies: dict[Engine, Path] = {}
    for engine in ENGINES:
        folder = Path(shutil.copytree(DATA / version / "ihc", tmp_path / engine))
        slides_at(folder, DATA / "slides")
        copies[engine] = folder / "project.qpproj"
    first = [run_on(project, predictors, engine=engine, mpp=0.25) for engine, project in copies.items()]
    with_slide = [entry_id for entry_id in ("1", "2", "3") if (DATA / version / "ihc/data" / entry_id).exists()]
    for project in copies.values():
        for entry_id in with_slide:
            save_in_qupath(open_with_qupath(project), entry_id)

    second = [run_on(project, predictors, engine=engine, mpp=0.25) for engine, project in zip(ENGINES[::-1], copies.values(), strict=True)]

    for one, other in (first, second):
        assert [image.statuses for image in one.images] == [image.statuses for image in other.images]
    assert first[0].ok > 30
    assert (second[0].ok, second[0].skipped) == (0, first[0].ok + first[0].skipped)
    for entry_id in with_slide:
        assert_same_results(*(data_of(project.parent, entry_id) for project in copies.values()))


def test_marks_of_prompts_without_an_outline_are_the_same(copies: dict[Engine, Path], predictors: Predictors) -> None:
    """Both engines mark them, leave them after QuPath has saved, and take them away with their prompt."""
    edit_in_qupath(copies, lambda image: image.put(image.drawn("Tumor"), (150, 250), (60, 60.5)))

    first = run_both(copies, predictors, mark_failed="Missed")
    edit_in_qupath(copies)
    second = run_both(copies, predictors, mark_failed="Missed")
    edit_in_qupath(copies, lambda image: image.put(image.drawn("Tumor"), (100.25, 70), (60, 60.5)))
    third = run_both(copies, predictors)

    assert (first.marked, first.statuses) == (1, {"empty": 1, "ok": 3})
    assert (second.marked, second.statuses) == (0, {"empty": 1, "unchanged": 3})
    assert (third.marked, third.statuses) == (0, {"ok": 1, "unchanged": 3})
    assert "Missed" not in {item.class_name for item in ours_of(copies["qupath"])}


def test_clearing_is_the_same(copies: dict[Engine, Path], predictors: Predictors) -> None:
    """An outline that the user classified in QuPath stays, unless it is named."""
    run_both(copies, predictors)
    edit_in_qupath(copies, lambda image: image.classify(image.ours()[1], "Immune cells"))

    for edited in (False, True):
        cleared = [clear(project, engine=engine, edited=edited) for engine, project in copies.items()]
        assert cleared[0] == cleared[1]
        assert_same_results(*(data_of(project.parent) for project in copies.values()))
        assert len(ours_of(copies["files"])) == 1 - edited
