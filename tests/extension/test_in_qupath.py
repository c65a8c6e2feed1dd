"""The extension inside an installed QuPath, without its window: `QuPath script` on a project."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from drawn_projects import ALL, MakeProject, ours_of
from nuclick_qp.qupath.extension import install_extension
from nuclick_qp.qupath.jvm.engine import find_qupath
from nuclick_qp.qupath.open_project import open_project
from nuclick_qp.run.project import segment_project

pytestmark = pytest.mark.jvm
BUILD = Path(__file__).parents[2] / "qupath-extension" / "build.py"
SCRIPT = "println 'RESULT ' + nuclick.NuClickExtension.segmentAll(getCurrentImageData(), [kind: 'detection'])"


def test_a_run_finds_what_the_extension_did_unchanged(tmp_path: Path, make_project: MakeProject) -> None:
    """Outlines of the extension carry the ids and marks of a run; what it found nothing for, a run finds nothing for."""
    found, java = find_qupath(), shutil.which("java")
    if found is None or java is None or shutil.which("javac") is None:
        pytest.skip("needs a QuPath (PAQUO_QUPATH_DIR) and a JDK")
    jar, project, script = tmp_path / "nuclick-qp-extension.jar", make_project(*ALL), tmp_path / "all.groovy"
    subprocess.run([sys.executable, BUILD, jar], check=True, stdout=subprocess.DEVNULL)
    program = tmp_path / "nuclick-qp"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m nuclick_qp_cli.main "$@" --device cpu\n')
    program.chmod(0o755)
    home = tmp_path / "v0.5"
    home.mkdir()
    (installed,) = install_extension([home], program=program, jar=jar)
    script.write_text(SCRIPT)
    runtime = tmp_path / "runtime"
    runtime.mkdir(mode=0o700)
    (app,) = (folder for folder in ("lib/app", "app", "Contents/app") if (found.folder / folder).is_dir())  # Linux, Windows, macOS
    classes = os.pathsep.join([str(found.folder / app / "*"), str(installed)])
    command = [java, "-cp", classes, f"-Djava.util.prefs.userRoot={tmp_path}", "qupath.QuPath", "script"]
    env = {**os.environ, "XDG_RUNTIME_DIR": str(runtime)}

    said = subprocess.run(
        [*command, "-p", str(project), "-s", str(script)], env=env, capture_output=True, text=True, timeout=600, check=False
    )

    assert "RESULT [" in said.stdout, said.stdout + said.stderr
    live = len(ours_of(project))
    assert live > 0
    with open_project(project) as opened:
        report = segment_project(opened)
    assert (report.ok, report.skipped) == (0, live)
    assert len(ours_of(project)) == live
