"""Tests of stops: `Progress.stopped` in `nuclick_qp.run.project` and `nuclick_qp.run.file`, and in what lies below."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from torch import Tensor, nn

from drawn_projects import ALL, DISCS, ours_of
from fakes import DarkIsObject, make_card
from nuclick_qp.guidance.signals import MarkedPatches
from nuclick_qp.model.predictor import Predictor, Predictors
from nuclick_qp.prompts import Status, click_at
from nuclick_qp.qupath.open_project import open_project
from nuclick_qp.run.file import segment_file
from nuclick_qp.run.project import segment_project
from nuclick_qp.run.report import RunReport
from nuclick_qp.run.run_options import Progress, RunOptions
from nuclick_qp.run.run_record import RECORD_FOLDER
from nuclick_qp.segmentation.prompts_to_outlines import segment_prompts
from nuclick_qp.segmentation.segment_options import SegmentOptions
from nuclick_qp.slides import open_slide
from nuclick_qp.stopping import Stopped
from nuclick_qp_cli.shared import end_with

MakeProject = Callable[..., Path]
ONE_BY_ONE = SegmentOptions(batch_size=1)


class _StopAfter:
    """A user who asks for a stop when so many prompts are finished."""

    def __init__(self, count: int) -> None:
        self.left = count

    def advance(self, count: int) -> None:
        self.left -= count

    def stopped(self) -> bool:
        return self.left <= 0


def _run(project: Path, predictors: Predictors, *, stop_after: int = 1000) -> RunReport:
    user = _StopAfter(stop_after)
    progress = Progress(advance=user.advance, stopped=user.stopped)
    with open_project(project) as opened:
        return segment_project(opened, predictors, options=RunOptions(segment=ONE_BY_ONE), progress=progress)


def test_stopped_run_keeps_what_is_finished(make_project: MakeProject, predictors: Predictors) -> None:
    """Finished images, and in the image at hand finished prompts, are written; the record and the report say what is left."""
    project = make_project(*ALL, images=3)

    report = _run(project, predictors, stop_after=6)

    assert (report.stopped, report.all_ok, report.not_begun) == (True, False, 1)
    assert [image.statuses for image in report.images] == [{"ok": 4}, {"ok": 2, "stopped": 2}]
    assert [len(ours_of(project, entry)) for entry in "12"] == [4, 2]
    assert report.images[1].status == "partial"
    assert report.images[1].without_outline == ()
    (record,) = (project.parent / RECORD_FOLDER).glob("run-*.json")
    assert json.loads(record.read_text())["stopped"] is True


def test_run_after_a_stop_does_the_rest(make_project: MakeProject, predictors: Predictors) -> None:
    """What was finished is skipped, and in the end there is the same as without a stop."""
    project = make_project(*ALL, images=2)
    _run(project, predictors, stop_after=3)

    report = _run(project, predictors)

    assert (report.ok, report.skipped, report.stopped, report.all_ok) == (5, 3, False, True)
    assert [len(ours_of(project, entry)) for entry in "12"] == [4, 4]


def test_stop_after_the_last_prompt_is_none(make_project: MakeProject, predictors: Predictors) -> None:
    """All is done, so nothing was stopped."""
    report = _run(make_project(*ALL), predictors, stop_after=4)

    assert (report.ok, report.stopped, report.all_ok) == (4, False, True)


def test_stop_before_the_first_image_is_no_error(
    make_project: MakeProject, predictors: Predictors, capsys: pytest.CaptureFixture[str]
) -> None:
    """One line and exit code 130, and nothing about a project without prompts."""
    report = _run(make_project(*ALL, images=3), predictors, stop_after=0)

    with pytest.raises(SystemExit) as done:
        end_with(report, as_json=True)

    assert (done.value.code, report.not_begun) == (130, 3)
    assert capsys.readouterr().err == "stopped; 0 of 3 images done, run again to go on\n"


def test_stopped_segment_writes_what_is_finished(
    draw_discs: Callable[..., Path], predictors: Predictors, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """For one image the line counts prompts."""
    prompts, user = tmp_path / "prompts.geojson", _StopAfter(3)
    prompts.write_text(json.dumps({"type": "MultiPoint", "coordinates": [[x, y] for x, y, _ in DISCS]}))

    report = segment_file(
        draw_discs(DISCS),
        prompts,
        tmp_path / "out.geojson",
        predictors=predictors,
        options=RunOptions(mpp=0.25, segment=ONE_BY_ONE),
        progress=Progress(advance=user.advance, stopped=user.stopped),
    )

    assert len(json.loads((tmp_path / "out.geojson").read_text())["features"]) == 3
    with pytest.raises(SystemExit, match="130"):
        end_with(report, as_json=False)
    assert capsys.readouterr().err == "stopped; 3 of 4 prompts done, run again to go on\n"


def test_double_click_is_settled_after_the_stop(draw_discs: Callable[..., Path], dark_predictor: Predictor) -> None:
    """Two clicks in one object of which the stop came first leave no outline, and no message that misleads."""
    asked = iter([False, False, *[True] * 100])  # the two masks apart, and no more

    with open_slide(draw_discs(DISCS)) as slide:
        outlines = segment_prompts(
            [click_at(300, 200), click_at(302, 200), click_at(60, 60)],
            slide,
            predictor=dark_predictor,
            mpp=0.25,
            options=ONE_BY_ONE,
            stopped=lambda: next(asked),
        )

    assert [outline.status for outline in outlines] == [Status.STOPPED, Status.DUPLICATE, Status.STOPPED]


def test_network_is_left_between_two_layers() -> None:
    """A batch may take minutes on a CPU; the network gives the same afterwards, and to others at the same time."""
    patches = MarkedPatches.without_marks(np.random.default_rng(0).integers(0, 256, (3, 64, 64, 3), np.uint8))
    layers: list[str] = []

    class Layers(nn.Sequential):
        def forward(self, x: Tensor) -> Tensor:
            layers.append("first")
            x = self[0](x)
            layers.append("second")
            return x

    predictor = Predictor(make_card(), Layers(DarkIsObject()), device="cpu", precision="float32")
    before = predictor.predict(patches)
    layers.clear()

    with pytest.raises(Stopped):
        predictor.predict(patches, stopped=lambda: bool(layers))

    assert layers == ["first"]
    assert np.array_equal(predictor.predict(patches), before)


def test_segment_that_is_stopped_while_it_waits_changes_nothing(
    draw_discs: Callable[..., Path], predictors: Predictors, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another run is at the file: the first Ctrl-C ends the waiting, and all prompts are reported as stopped."""
    prompts, output = tmp_path / "prompts.geojson", tmp_path / "out.geojson"
    prompts.write_text(json.dumps({"type": "MultiPoint", "coordinates": [[x, y] for x, y, _ in DISCS]}))

    def held(_: Path, *, stopped: Callable[[], bool]) -> None:
        assert stopped()
        raise Stopped

    monkeypatch.setattr("nuclick_qp.run.file.hold", held)
    report = segment_file(
        draw_discs(DISCS), prompts, output, predictors=predictors, options=RunOptions(mpp=0.25), progress=Progress(stopped=lambda: True)
    )

    assert (report.stopped, report.images[0].statuses) == (True, {"stopped": len(DISCS)})
    assert not output.exists()
