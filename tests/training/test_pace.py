"""Tests of `training.pace`: a run that takes as many steps as it has time for."""

import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from nuclick_qp.training.config import Source, TrainingConfig
from nuclick_qp.training.pace import STEPS_BETWEEN_LOOKS, Pace, with_steps


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """Stand for the monotonic clock."""
    clock = SimpleNamespace(now=100.0)
    monkeypatch.setattr(time, "monotonic", lambda: clock.now)
    return clock


def _state(steps: int = 7) -> Any:
    source = Source(folder=Path("discs"), mpp=0.25)
    config = TrainingConfig(name="nuclei", prompt="point", description="", licence="", steps=steps, sources=(source,))
    return SimpleNamespace(step=0, config=config)


def _take(state: Any, pace: Pace, clock: SimpleNamespace, *, steps: int, seconds: float) -> None:
    for _ in range(steps):
        clock.now += seconds
        state.step += 1
        over = pace.look(state)
        assert over == (clock.now > pace.until)


def test_steps_are_those_that_the_time_holds(clock: SimpleNamespace) -> None:
    """The slow first ones, in which kernels are chosen, do not count; one that becomes faster takes more."""
    state = _state(with_steps(_state().config).steps)
    pace = Pace(until=400.0, fit=True)

    _take(state, pace, clock, steps=STEPS_BETWEEN_LOOKS, seconds=5.0)
    unknown = state.config.steps
    _take(state, pace, clock, steps=STEPS_BETWEEN_LOOKS, seconds=1.0)

    assert unknown > 1_000_000
    assert clock.now == 220
    assert state.config.steps == 40 + 180
    _take(state, pace, clock, steps=60, seconds=0.5)
    assert state.config.steps == 100 + 240  # 250 s before the end a step takes 0.625 s in the mean


def test_a_run_with_steps_of_its_own_keeps_them(clock: SimpleNamespace) -> None:
    """Its time only stops it."""
    state = _state()
    pace = Pace(until=130.0, fit=False)

    _take(state, pace, clock, steps=2 * STEPS_BETWEEN_LOOKS, seconds=1.0)

    assert state.config.steps == 7


def test_nothing_is_left_when_the_time_is_over(clock: SimpleNamespace) -> None:
    """A step that lasted too long is the last."""
    state = _state()
    pace = Pace(until=110.0, fit=True)

    _take(state, pace, clock, steps=2 * STEPS_BETWEEN_LOOKS, seconds=1.0)

    assert state.config.steps == state.step
