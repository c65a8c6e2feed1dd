"""A few hostile files of each group against the command line; `python -m attack` runs all of them, see `attack`."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
MUTATED = 9  # one of each group that mutates files
LONGEST_S = 300  # a hang is what this is for


@pytest.mark.skipif(sys.platform != "linux", reason="processes are forked and watched as Linux does")
def test_hostile_files_end_in_one_line() -> None:
    """No traceback, no hang, nothing outside the folder, memory and output bounded: in a fresh process, which can be forked."""
    path = os.pathsep.join([str(HERE), *sys.path])
    command = [sys.executable, "-m", "attack", "--quick", "--mutated", str(MUTATED)]

    done = subprocess.run(command, env=os.environ | {"PYTHONPATH": path, "OMP_NUM_THREADS": "1"}, capture_output=True, text=True,
                          timeout=LONGEST_S, check=False)  # fmt: skip

    assert done.returncode == 0, done.stderr + done.stdout
