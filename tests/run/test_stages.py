"""Tests of `nuclick_qp.run.stages`: reading, work and writing side by side, and runs of projects that do so."""

import threading
import time
from collections.abc import Callable
from contextvars import ContextVar
from pathlib import Path

import pytest

from drawn_projects import ALL, ours_of, points_at
from nuclick_qp.errors import WeightsError
from nuclick_qp.model.predictor import Predictor, Predictors
from nuclick_qp.qupath.folder_project import FolderProject
from nuclick_qp.qupath.open_project import open_project
from nuclick_qp.run.models import Models
from nuclick_qp.run.project import segment_project
from nuclick_qp.run.run_options import Progress
from nuclick_qp.run.stages import in_stages
from nuclick_qp.storage.locks import lock_of

MakeProject = Callable[..., Path]
LONG = 20.0  # seconds after which a test does not wait any more

_mine: ContextVar[int] = ContextVar("_mine")


def test_the_next_is_read_and_the_last_is_written_while_one_is_worked_on() -> None:
    """Each step of a job waits for steps of its neighbours that can only run beside it."""
    read = [threading.Event() for _ in range(4)]
    worked = [threading.Event() for _ in range(4)]

    def do_read(job: int) -> int:
        read[job].set()
        return job

    def do_work(job: int) -> int:
        if job < 3:
            assert read[job + 1].wait(LONG)
        worked[job].set()
        return job

    def do_write(job: int) -> int:
        if job < 3:
            assert worked[job + 1].wait(LONG)
        return 10 * job

    assert list(in_stages(range(4), read=do_read, work=do_work, write=do_write)) == [0, 10, 20, 30]


def test_no_more_than_one_is_read_ahead() -> None:
    """Memory does not grow with the number of jobs."""
    seen: list[int] = []

    def work(job: int) -> int:
        time.sleep(0.02)
        assert max(seen) <= job + 1
        return job

    def read(job: int) -> int:
        seen.append(job)
        return job

    assert list(in_stages(range(9), read=read, work=work, write=lambda job: job)) == list(range(9))


def test_the_steps_of_a_job_share_its_context() -> None:
    """What one step sets the next one sees, and no other job does."""

    def read(job: int) -> int:
        assert _mine.get(None) is None
        _mine.set(job)
        return job

    def check(job: int) -> int:
        assert _mine.get() == job
        return job

    assert list(in_stages(range(5), read=read, work=check, write=check)) == list(range(5))
    assert _mine.get(None) is None


def test_an_error_of_the_work_comes_when_what_was_done_is_written() -> None:
    """And nothing is worked on behind it."""
    written: list[int] = []

    def work(job: int) -> int:
        if job == 2:
            raise WeightsError("no weights")
        return job

    def write(job: int) -> int:
        time.sleep(0.05)
        written.append(job)
        return job

    with pytest.raises(WeightsError):
        list(in_stages(range(5), read=lambda job: job, work=work, write=write))

    assert written == [0, 1]


def test_a_stop_leaves_what_is_not_begun() -> None:
    """What was worked on is written."""
    stops = iter([False, False, True])

    assert list(in_stages(range(5), read=lambda n: n, work=lambda n: n, write=lambda n: n, stopped=lambda: next(stops))) == [0, 1]
    assert list(in_stages([], read=lambda n: n, work=lambda n: n, write=lambda n: n)) == []


def test_an_image_stays_locked_until_it_is_written(
    make_project: MakeProject, predictors: Predictors, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the thread that segments and the one that writes; afterwards no lock is left."""
    project = make_project(*ALL, images=3)
    locks = [lock_of(project.parent / "data" / str(number) / "data.qpdata") for number in (1, 2, 3)]
    seen: list[tuple[str, list[bool]]] = []
    write = FolderProject.write

    def spy(self: FolderProject, entry: object, *arguments: object, **named: object) -> None:
        seen.append((entry.entry_id, [lock.exists() for lock in locks]))  # type: ignore[attr-defined]
        write(self, entry, *arguments, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(FolderProject, "write", spy)
    with open_project(project, engine="files") as opened:
        report = segment_project(opened, predictors)

    assert report.all_ok
    assert [entry_id for entry_id, _ in seen] == ["1", "2", "3"]
    assert all(held[number] for number, (_, held) in enumerate(seen))
    assert not any(lock.exists() for lock in locks)


def test_images_that_were_segmented_are_written_when_the_model_of_the_next_is_missing(
    make_project: MakeProject, dark_predictor: Predictor
) -> None:
    """An error that ends the run loses nothing of what was done, and leaves no lock."""
    project = make_project(points_at((60, 60)), images=2)
    done: list[int] = []

    class Flaky(Models):
        def load(self) -> Predictors:
            if done:
                raise WeightsError("the weights are gone")
            return {"point": dark_predictor}

    models = Flaky({"point": dark_predictor.card}, dict)
    with open_project(project, engine="files") as opened, pytest.raises(WeightsError):
        segment_project(opened, models, progress=Progress(advance=done.append))

    assert [len(ours_of(project, entry)) for entry in "12"] == [1, 0]
    assert not list(project.parent.rglob("*nuclick-lock"))
