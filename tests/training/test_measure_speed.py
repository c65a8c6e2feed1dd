"""Tests of `examples/training/measure_speed.py`."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from training import measure_speed

CONFIG = """
name = "discs"
prompt = "point"
description = "drawn discs"
licence = "GPL-3.0-or-later"
patch_px = 32
batch_size = 2
width = 0.07

[[sources]]
folder = "discs"
mpp = 0.25
validation = ["two*"]
"""


def test_three_speeds_are_told(
    tmp_path: Path, draw_pair: Callable[..., Path], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The device and its settings, then a line for each part of the work, the last of which is the measure of the others."""
    for name in ("discs/one", "discs/two"):
        draw_pair(name, [(30, 30, 9), (90, 30, 9)])
    (tmp_path / "discs.toml").write_text(CONFIG)
    arguments = [str(tmp_path / "discs.toml"), str(tmp_path), "--device", "cpu", "--batches", "2", "--batch-size", "3"]
    monkeypatch.setattr("sys.argv", ["measure_speed.py", *arguments])

    measure_speed.main()

    first, *rates = capsys.readouterr().out.splitlines()
    assert first.startswith("cpu, width 0.07, batches of 3 patches of 32 px")
    assert [line.split(":")[0] for line in rates] == ["batches made", "steps on one batch", "both in turn"]
    assert all(re.search(r": [1-9][\d,]* patches/s", line) for line in rates)
    assert rates[-1].endswith("1.00 of both in turn")


def test_a_configuration_that_is_not_there_is_told(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """In one line, with the exit code of our own errors."""
    monkeypatch.setattr("sys.argv", ["measure_speed.py", "nowhere.toml", "."])

    with pytest.raises(SystemExit) as end:
        measure_speed.main()

    assert end.value.code == 3
    assert capsys.readouterr().err.count("\n") == 1
