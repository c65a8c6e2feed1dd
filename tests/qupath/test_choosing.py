"""Tests of `nuclick_qp.qupath.choosing`: what each command says when there is no image to work on."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

CommandLine = Callable[..., int]


@pytest.mark.parametrize(
    ("command", "advice"),
    [
        (("run",), "add some in QuPath and put a point in each nucleus"),
        (("export", "-o", "out", "--format", "csv"), "add some in QuPath and outline objects in them"),
        (("restore",), "name the project that `run` wrote into"),
    ],
)
def test_project_without_images_gets_the_advice_of_the_command(
    command_line: CommandLine,
    study: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    command: tuple[str, ...],
    advice: str,
) -> None:
    """Points are for runs: an export needs outlines, and a restore an earlier run."""
    monkeypatch.chdir(study)
    file = study / "project.qpproj"
    file.write_text(json.dumps(json.loads(file.read_text("utf-8")) | {"images": []}))

    assert command_line(command[0], file, *command[1:]) == 3

    assert capsys.readouterr().err.endswith(f"{file} holds no images; {advice}\n")
