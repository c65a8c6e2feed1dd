"""The example of `make demo`, run as it is run there."""

import json
import subprocess
import sys
from pathlib import Path

EXAMPLES = Path(__file__).parents[1] / "examples"


def test_demo_shows_what_it_promises(tmp_path: Path) -> None:
    """Exit code 0: at least 95 % of the good points ok, bad ones reported, the user's bytes all there."""
    out = tmp_path / "out"

    done = subprocess.run([sys.executable, EXAMPLES / "demo.py", "--out", out], capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stdout + done.stderr
    assert (out / "overlay.png").stat().st_size > 100_000
    (record,) = (out / "project" / "nuclick").glob("run-*.json")
    assert json.loads(record.read_text())["ok"] >= 0.95 * 205


def test_demo_leaves_folders_of_others_alone(tmp_path: Path) -> None:
    """Only a folder that the demo made is made anew."""
    (tmp_path / "mine.txt").write_text("mine")

    done = subprocess.run([sys.executable, EXAMPLES / "demo.py", "--out", tmp_path], capture_output=True, text=True, check=False)

    assert done.returncode == 1
    assert "was not made by this demo" in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]
