"""OpenSlide in a process of its own, for files that may end it."""

import subprocess
from pathlib import Path

import numpy as np
import pytest

from mrxs_files import Scan, write_mrxs
from nuclick_qp.errors import UnreadableSlideError
from nuclick_qp.slides import open_slide, probe
from nuclick_qp.slides.probe import openslide_survives


def mrxs(folder: Path) -> Path:
    """Write a small slide that cannot be checked without OpenSlide."""
    return write_mrxs(folder / "slide.mrxs", Scan(np.full((100, 200, 3), 200, np.uint8), 100, 100))


def test_a_slide_is_asked_for_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process costs a fifth of a second, so a file that has not changed is known."""
    path = mrxs(tmp_path)
    assert openslide_survives(path)
    monkeypatch.setattr(subprocess, "run", None)

    assert openslide_survives(path)


def test_a_file_that_ends_the_process_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In one line, and this process goes on."""
    path = mrxs(tmp_path)
    script = tmp_path / "aborts.py"
    script.write_text("import os; os.abort()")
    monkeypatch.setattr(probe, "__file__", str(script))

    with pytest.raises(UnreadableSlideError, match="damaged in a way that OpenSlide does not survive"):
        open_slide(path)


def test_a_file_that_openslide_refuses_is_survived(tmp_path: Path) -> None:
    """Then OpenSlide itself says what is wrong."""
    path = tmp_path / "no.svs"
    path.write_bytes(b"nothing")

    assert openslide_survives(path)
