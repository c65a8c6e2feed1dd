"""Tests of the extension's talk with the service: its Groovy source against a real service, without QuPath."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from shapely.geometry import shape

from nuclick_qp import __version__
from nuclick_qp.annotations.objects import OUTLINE_KEY
from nuclick_qp.prompts import Plane, Prompt, click_at

HERE = Path(__file__).parent
SOURCE = HERE.parents[1] / "qupath-extension" / "groovy"
CLICKS = [(60.25, 50.0), (150.004, 80.5), (240.0, 160.125)]


def groovy_command() -> list[str]:
    """Give the command that runs a Groovy script; skip the test where there is none."""
    jars = os.environ.get("NUCLICK_GROOVY")  # a folder of jars, such as that of the npm package npm-groovy-lint
    java = shutil.which("java")
    if jars and java:
        return [java, "-cp", os.pathsep.join(map(str, sorted(Path(jars).glob("groovy*.jar")))), "groovy.ui.GroovyMain"]
    if (groovy := shutil.which("groovy")) is not None:
        return [groovy]
    pytest.skip("no Groovy here: put `groovy` on the PATH, or name a folder with its jars in NUCLICK_GROOVY")


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Let exchange.groovy ask a service for three discs, and give what it tells."""
    command = groovy_command()
    folder = tmp_path_factory.mktemp("extension")
    picture = folder / "discs.png"
    y, x = np.mgrid[:220, :320]
    near = np.any([(x - cx) ** 2 + (y - cy) ** 2 < 144 for cx, cy in CLICKS], axis=0)
    Image.fromarray(np.where(near[..., None], [90, 60, 140], [235, 215, 225]).astype(np.uint8)).save(picture)
    program = folder / "nuclick-qp"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m nuclick_qp_cli.main "$@" --device cpu\n')
    program.chmod(0o755)
    runtime = folder / "runtime"
    runtime.mkdir(mode=0o700)
    done = subprocess.run(
        [*command, str(HERE / "exchange.groovy"), str(SOURCE), str(program), str(picture), __version__, *(f"{x},{y}" for x, y in CLICKS)],
        env={**os.environ, "XDG_RUNTIME_DIR": str(runtime)},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def test_every_prompt_gets_its_result(told: dict[str, Any]) -> None:
    """In the order of the prompts, with the keys that the package computes; and Groovy computes the same ones."""
    keys = [click_at(x, y).key for x, y in CLICKS]

    assert [result["key"] for result in told["all"]] == keys == told["keys"]
    assert {result["status"] for result in told["all"]} <= {"ok", "empty", "outside-own-mask"}
    assert any(result["feature"] for result in told["all"])


def test_the_key_of_a_squiggle_is_that_of_the_package(told: dict[str, Any]) -> None:
    """Several strokes, halves of a hundredth, minus zero, another plane."""
    strokes = (((20.0, 20.0), (60.125, 70.3)), ((1.005, 2.0), (-0.001, 4.0)))

    assert told["line_key"] == Prompt("line", strokes, plane=Plane(1, 2)).key


def test_a_click_is_answered_in_one_round(told: dict[str, Any]) -> None:
    """The pixels that it takes are guessed: one region is read, and nothing is asked for."""
    assert len(told["reads_of_one"]) == 1


def test_an_untouched_outline_is_known_as_such(told: dict[str, Any]) -> None:
    """Groovy computes the hash of shape and class that the service wrote."""
    written = [result["metadata"][OUTLINE_KEY] for result in told["all"] if result["feature"]]

    assert told["digests"] == written
    assert all(shape(result["feature"]["geometry"]).is_valid for result in told["all"] if result["feature"])
    assert written[0].endswith(hashlib.sha256(b"Tumor").hexdigest()[:6])


def test_a_killed_service_is_started_again(told: dict[str, Any]) -> None:
    """By the next click, which gets its answer."""
    assert told["after_kill"] == [click_at(*CLICKS[0]).key]
    assert told["moved"] is True


def test_what_is_wrong_is_told_in_words(told: dict[str, Any]) -> None:
    """A wrong token, a jar of another version, a program that is not there; each with what to do."""
    assert "token is wrong" in told["wrong_token"]
    assert "version 9.9, and " in told["other_version"]
    assert f"nuclick-qp {__version__}. Run 'nuclick-qp install-extension'" in told["other_version"]
    assert told["no_program"].startswith("/no/such/program is no program. Choose nuclick-qp in")


def test_changes_of_prompts_are_found(told: dict[str, Any]) -> None:
    """Added, gone, and of another class."""
    found = {what: [prompt["class_name"] for prompt in prompts] for what, prompts in told["changes"].items()}

    assert found == {"added": [None], "gone": ["Tumor"], "reclassified": ["Stroma"]}
