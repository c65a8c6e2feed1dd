"""Kill -9 at every step of a write: on disk is the old data file or the new one, whole."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from fixture_projects import DATA

# Forks a writer for each fault point: the n-th time that it calls the system it is killed, before the call or, for
# a write, in the middle of it. Ends with the number of points when a writer comes through.
KILL_EVERYWHERE = """
import io, os, shutil, signal, sys
from pathlib import Path
from shapely import box
from nuclick_qp.annotations.objects import PROMPT_KEY, Changes, ResultObject
from nuclick_qp.qupath.files_engine import open_files_project
from nuclick_qp.prompts import Plane

original, copies = Path(sys.argv[1]), Path(sys.argv[2])
result = ResultObject(box(10, 10, 30, 30), "detection", "New", Plane(), False, (20.0, 20.0), "a")

def kill_at(last):
    calls = 0
    def counted(call):
        def step(*arguments, **options):
            nonlocal calls
            calls += 1
            if calls == last:
                os.kill(os.getpid(), signal.SIGKILL)
            return call(*arguments, **options)
        return step
    class Torn(io.FileIO):
        def write(self, data):
            nonlocal calls
            calls += 1
            if calls == last:
                super().write(bytes(data)[: len(data) // 2])
                os.kill(os.getpid(), signal.SIGKILL)
            return super().write(data)
    os.fdopen = lambda handle, mode: Torn(handle, "wb")
    for name in ("fsync", "replace", "rename", "chmod", "unlink", "mkdir", "open"):
        setattr(os, name, counted(getattr(os, name)))

for point in range(1, 200):
    folder = Path(shutil.copytree(original, copies / str(point)))
    project = open_files_project(folder)
    entry = project.images()[0]
    changes, fingerprint = Changes((result,)), project.read(entry).fingerprint
    writer = os.fork()
    if writer == 0:
        kill_at(point)
        with project:
            project.write(entry, changes, fingerprint=fingerprint)
        os._exit(0)
    status = os.waitpid(writer, 0)[1]
    if status == 0:
        print(point)
        break
    if not os.WIFSIGNALED(status):
        sys.exit(f"the writer ended with {status}")
"""
FEWEST_POINTS = 25  # backup, data, list of classes, counts, time of the project: each a temporary file, a write, two syncs and a rename


@pytest.mark.skipif(sys.platform == "win32", reason="needs fork")
def test_a_write_killed_anywhere_leaves_the_old_file_or_the_new_one(tmp_path: Path) -> None:
    """And a whole backup or none, and side files that are whole; a later run goes on from there."""
    original = tmp_path / "ihc"
    shutil.copytree(DATA / "0.6.0" / "ihc", original)
    old = (original / "data" / "1" / "data.qpdata").read_bytes()

    command = [sys.executable, "-c", KILL_EVERYWHERE, str(original), str(tmp_path / "killed")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr
    points = int(done.stdout)
    assert points > FEWEST_POINTS
    new = (tmp_path / "killed" / str(points) / "data" / "1" / "data.qpdata").read_bytes()
    seen = [_content(tmp_path / "killed" / str(point), old) for point in range(1, points)]
    assert set(seen) == {old, new}
    assert seen.index(new) == seen.count(old)  # old up to one moment, new from then on


def _content(folder: Path, old: bytes) -> bytes:
    """Give the data file, when all else is whole."""
    image = folder / "data" / "1"
    for path in (image / "summary.json", folder / "classifiers" / "classes.json", folder / "project.qpproj"):
        assert json.loads(path.read_text("utf-8"))
    backup = image / "data.qpdata.nuclick-backup"
    assert not backup.exists() or backup.read_bytes() == old
    return (image / "data.qpdata").read_bytes()
