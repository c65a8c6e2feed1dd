"""How many steps fit into the time that a user gives."""

from pathlib import Path

import pytest

from fakes import make_card
from nuclick_qp.tuning.recipe import LEAST_STEPS, MOST_STEPS, config_for, steps_within
from nuclick_qp.tuning.tune_options import TuneOptions


@pytest.mark.parametrize(("seconds", "steps"), [(-5.0, LEAST_STEPS), (1e6, MOST_STEPS)])
def test_steps_are_no_fewer_and_no_more_than_are_of_use(tmp_path: Path, seconds: float, steps: int) -> None:
    """However little time is left, and however much."""
    network = {"width": 0.07, "ms_blocks": 3, "in_channels": 5, "ms3_dilation": 3}
    options = TuneOptions(device="cpu", threads=1)
    config = config_for(make_card(patch_px=32, network=network), tmp_path / "project.qpproj", options, name="mine", steps=1)

    assert steps_within(seconds, config, options) == steps
