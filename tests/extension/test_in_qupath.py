"""The extension inside an installed QuPath, without its window: `QuPath script` on projects."""

import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from drawn_projects import ALL, MakeProject, ours_of
from fixture_projects import DATA, VERSIONS
from nuclick_qp.qupath.extension import install_extension
from nuclick_qp.qupath.jvm.engine import find_qupath
from nuclick_qp.qupath.open_project import open_project
from nuclick_qp.run.project import segment_project
from nuclick_qp.run.run_options import RunOptions
from qupath_itself import slides_at

pytestmark = pytest.mark.jvm
BUILD = Path(__file__).parents[2] / "qupath-extension" / "build.py"
UM = 0.25
SCRIPT = f"""
setPixelSizeMicrons({UM}, {UM})
println 'RESULT ' + nuclick.NuClickExtension.segmentAll(getCurrentImageData(), [kind: 'detection'])
"""


def run_script(project: Path, folder: Path) -> list[Counter[str]]:
    """Let QuPath run the script for all images of a project, and save; give the prompts of each image by their status."""
    found, java = find_qupath(), shutil.which("java")
    if found is None or java is None or shutil.which("javac") is None:
        pytest.skip("needs a QuPath (PAQUO_QUPATH_DIR) and a JDK")
    jar, script, program, home, runtime = (folder / name for name in ("built.jar", "all.groovy", "nuclick-qp", "v0.5", "runtime"))
    subprocess.run([sys.executable, BUILD, jar], check=True, stdout=subprocess.DEVNULL)
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m nuclick_qp_cli "$@"\n')
    program.chmod(0o755)
    home.mkdir()
    runtime.mkdir(mode=0o700)
    script.write_text(SCRIPT)
    (installed,) = install_extension([home], program=program, jar=jar)
    (app,) = (place for place in ("lib/app", "app", "Contents/app") if (found.folder / place).is_dir())  # Linux, Windows, macOS
    classes = os.pathsep.join([str(found.folder / app / "*"), str(installed)])
    command = [java, "-cp", classes, f"-Djava.util.prefs.userRoot={folder}", "qupath.QuPath", "script"]

    said = subprocess.run(
        [*command, "-p", str(project), "-s", str(script)],
        env={**os.environ, "XDG_RUNTIME_DIR": str(runtime)}, capture_output=True, text=True, timeout=600, check=False,
    )  # fmt: skip

    told = re.findall(r"RESULT [\[{](.*)[\]}]", said.stdout)
    assert told, said.stdout + said.stderr
    return [Counter({name: int(n) for name, n in re.findall(r"([\w-]+)[:=](\d+)", line)}) for line in told]


def test_a_run_finds_what_the_extension_did_unchanged(tmp_path: Path, make_project: MakeProject) -> None:
    """Outlines of the extension carry the ids and marks of a run; what it found nothing for, a run finds nothing for."""
    project = make_project(*ALL)

    run_script(project, tmp_path)

    live = len(ours_of(project))
    assert live > 0
    with open_project(project) as opened:
        report = segment_project(opened)
    assert (report.ok, report.skipped) == (0, live)
    assert len(ours_of(project)) == live


@pytest.mark.parametrize("version", VERSIONS)
def test_projects_of_each_version_are_outlined(tmp_path: Path, version: str) -> None:
    """All images whose slide is there; a run leaves their outlines as they are."""
    folder = tmp_path / "ihc"
    shutil.copytree(DATA / version / "ihc", folder)
    slides_at(folder, DATA / "slides")

    told = run_script(folder / "project.qpproj", tmp_path)

    outlined = sum(counts.get(status, 0) for counts in told for status in ("ok", "uncertain"))
    assert outlined > 0
    with open_project(folder, engine="files") as opened:
        standing = sum(len(opened.read(entry).results) for entry in opened.images())
        report = segment_project(opened, options=RunOptions(mpp=UM))
    assert standing == outlined
    assert sum(image.statuses.get("unchanged", 0) for image in report.images) == outlined
