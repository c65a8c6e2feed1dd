"""Tests of `nuclick_qp_cli.progress`."""

import sys

import pytest

from nuclick_qp.run.run_options import ImageStart
from nuclick_qp.stopping import never
from nuclick_qp.training.loop import TrainingProgress
from nuclick_qp_cli.progress import RunCourse, show_progress, show_training


class _Clock:
    """A clock that only goes when it is told to."""

    def __init__(self) -> None:
        self.seconds = 1000.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> _Clock:
    """Replace the clock of progress by one that stands still."""
    still = _Clock()
    monkeypatch.setattr("time.monotonic", still)
    return still


def test_time_left_is_that_of_the_whole_run(clock: _Clock) -> None:
    """100 prompts in 50 s; 60 are left here, and eight images are taken to hold 130 each, as the two before on average."""
    course = RunCourse()
    course.start(ImageStart("a", prompts=100, number=1, images=10))
    course.advance(100)
    course.start(ImageStart("b", prompts=160, number=2, images=10))
    clock.seconds += 50
    assert course.seconds_left == pytest.approx((160 + 8 * 130) / 2)

    course.advance(100)

    assert course.seconds_left == pytest.approx((60 + 8 * 130) / 4)
    assert course.where == "image 2 of 10: b"


def test_images_with_nothing_to_do_make_no_haste(clock: _Clock) -> None:
    """That 48 of 50 are done by an earlier run says nothing of the speed; nothing is said before a prompt is finished."""
    course = RunCourse()
    for number in range(1, 49):
        course.start(ImageStart("old", prompts=0, number=number, images=50))
    assert course.seconds_left is None
    course.start(ImageStart("new", prompts=98, number=49, images=50))
    course.advance(49)
    clock.seconds += 49

    assert course.seconds_left == pytest.approx(49 + 2)


def test_without_a_terminal_there_is_a_line_a_minute(clock: _Clock, capsys: pytest.CaptureFixture[str]) -> None:
    """The first at once, for what a log file is read for: is it running, how far is it, how long will it take."""
    with show_progress(never) as told:
        told.start_image(ImageStart("a[b].svs", prompts=1000, number=3, images=4))
        for _ in range(100):
            clock.seconds += 1
            told.advance(5)

    assert capsys.readouterr().err.splitlines() == [
        "image 3 of 4: a[b].svs, 0 of 1000 prompts",
        "image 3 of 4: a[b].svs, 300 of 1000 prompts, 5.0 clicks/s, about 3 min left",
    ]


def test_image_with_nothing_to_do_prints_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    """Two thousand images that are done would bury the two that are not."""
    with show_progress(never) as told:
        told.start_image(ImageStart("a", prompts=0, number=1, images=2000))

    assert capsys.readouterr().err == ""


def test_stop_is_told_once(capsys: pytest.CaptureFixture[str]) -> None:
    """The user sees that Ctrl-C was noticed, and what the second one does."""
    with show_progress(lambda: True) as told:
        assert told.stopped()
        assert told.stopped()

    assert capsys.readouterr().err == "stopping: what is done is being written; Ctrl-C again stops at once\n"


def test_progress_that_nobody_reads_ends_no_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """A parent that closes takes the pipe with it."""

    class _Closed:
        def write(self, _text: str) -> None:
            raise BrokenPipeError

        def flush(self) -> None:
            raise BrokenPipeError

        def isatty(self) -> bool:
            return False

    monkeypatch.setattr(sys, "stderr", _Closed())

    with show_progress(never) as told:
        told.start_image(ImageStart("a", prompts=10))


def test_training_without_a_terminal_prints_a_line_a_minute(clock: _Clock, capsys: pytest.CaptureFixture[str]) -> None:
    """Step, loss, and the time left at the pace since the first step."""
    with show_training() as show:
        for step in range(1, 92):
            clock.seconds += 1
            show(TrainingProgress(step, 1000, 0.25, None))

    assert capsys.readouterr().err.splitlines() == [
        "step 1 of 1000, loss 0.250, about 17 min left",
        "step 61 of 1000, loss 0.250, about 16 min left",
    ]
