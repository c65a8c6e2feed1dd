"""Several runs on one project at once; `trials_concurrency.py` makes as many trials as you like."""

import random
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from drawn_projects import ALL, ours_of, run_on
from fixture_projects import entry_of, snapshot
from nuclick_qp.model.predictor import Predictors
from nuclick_qp.qupath.open_project import open_project
from nuclick_qp.run.clearing import clear
from nuclick_qp.run.project import segment_project
from nuclick_qp.run.run_options import Progress
from nuclick_qp.stopping import Stopped
from trials_concurrency import Found, make_original, try_once


@pytest.mark.skipif(sys.platform == "win32", reason="needs fork")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
@pytest.mark.parametrize("seed", range(4))
def test_runs_at_once_lose_nothing_and_report_what_stands_on_disk(tmp_path: Path, seed: int) -> None:
    """Two to four, some killed: every report is true, every changed image has its backup, and a last run finds no trace of them."""
    original = make_original(tmp_path)
    (tmp_path / "trial").mkdir()

    assert try_once(original, tmp_path / "trial", random.Random(seed)) == Found()


def test_run_that_is_stopped_while_it_waits_changes_nothing(
    make_project: Callable[..., Path], predictors: Predictors, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All its prompts are reported as stopped, those of other runs are not touched."""
    path = make_project(*ALL)
    before = snapshot(path.parent)

    def held(*_: object, **__: object) -> None:
        raise Stopped

    monkeypatch.setattr("nuclick_qp.qupath.folder_project.hold", held)
    with open_project(path) as project:
        report = segment_project(project, predictors, progress=Progress(stopped=iter((False,) + (True,) * 99).__next__))

    assert (report.stopped, report.images[0].statuses) == (True, {"stopped": 4})
    assert snapshot(path.parent) == before


def test_work_of_another_run_is_found_when_the_waiting_ends(make_project: Callable[..., Path], predictors: Predictors) -> None:
    """The image is read anew: what the other has done is unchanged, not done twice or refused."""
    path = make_project(*ALL)
    started: list[str] = []
    with open_project(path) as project:
        real = type(project).hold

        def hold_later(opened: object, entry: object, **options: object) -> object:
            if not started:
                started.append("other")
                run_on(path, predictors, classes=("Tumor",))
            return real(opened, entry, **options)  # type: ignore[arg-type]

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(type(project), "hold", hold_later)
            report = segment_project(project, predictors)

    assert (report.images[0].error, report.images[0].statuses) == (None, {"ok": 2, "unchanged": 2})
    assert entry_of(project).name in report.images[0].image


def test_clearing_waits_for_a_run_and_clears_what_it_wrote(
    make_project: Callable[..., Path], predictors: Predictors, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is neither refused nor counts what stood there before."""
    path = make_project(*ALL)
    run_on(path, predictors, classes=("Stroma",))
    with open_project(path) as project:
        real, started = type(project).hold, list[str]()

    def hold_later(opened: object, entry: object, **options: object) -> object:
        if not started:
            started.append("other")
            run_on(path, predictors)
        return real(opened, entry, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(type(project), "hold", hold_later)
    (cleared,) = clear(path)

    assert (cleared.status, cleared.removed, ours_of(path)) == ("cleared", 4, [])
