"""The project's list of classes, as QuPath and others write it."""

import json
from pathlib import Path

import pytest

from nuclick_qp.qupath.folder.side_files import listed_colours, update_summary


def list_classes(folder: Path, classes: object) -> Path:
    """Write a list of classes into a project folder, and give the folder."""
    path = folder / "classifiers" / "classes.json"
    path.parent.mkdir()
    path.write_text(json.dumps({"pathClasses": classes}), "utf-8")
    return folder


def test_colours_are_signed_however_they_are_written(tmp_path: Path) -> None:
    """QuPath writes them signed, other programs unsigned; both are the same 32 bits."""
    folder = list_classes(tmp_path, [{"name": "a", "color": -3670016}, {"name": "b", "color": 4291297280}, {"name": "c", "color": 255}])

    assert listed_colours(folder) == {"a": -3670016, "b": -3670016, "c": 255}


@pytest.mark.parametrize(
    "entry",
    [
        {"name": "x", "color": 2**32},
        {"name": "x", "color": -(2**31) - 1},
        {"name": "x", "color": 2**70},
        {"name": "x", "color": True},
        {"name": "x", "color": "red"},
        {"name": ["x"], "color": -1},
        {"color": -1},
        "x",
        None,
    ],
)
def test_entry_that_is_no_class_does_not_cost_the_others_their_colours(
    tmp_path: Path, entry: object, caplog: pytest.LogCaptureFixture
) -> None:
    """It is passed over and told; what has no colour of 32 bits could not be written."""
    folder = list_classes(tmp_path, [{"name": "a", "color": -1}, entry, {"name": "b", "color": -2}])

    assert listed_colours(folder) == {"a": -1, "b": -2}
    assert "they are passed over" in caplog.text


@pytest.mark.parametrize("classes", [5, None, True])
def test_list_that_is_none_gives_no_colours_and_is_told(tmp_path: Path, classes: object, caplog: pytest.LogCaptureFixture) -> None:
    """Colours are a convenience, and never end a run."""
    assert listed_colours(list_classes(tmp_path, classes)) == {}
    assert "cannot be read" in caplog.text


def test_class_without_a_colour_is_usual(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Nothing is said of it: QuPath gives it one when it shows it."""
    assert listed_colours(list_classes(tmp_path, [{"name": "a"}, {"name": "b", "color": -2}])) == {"b": -2}
    assert caplog.text == ""


@pytest.mark.usefixtures("modes_hold")
def test_counts_in_a_folder_that_got_locked_are_no_error(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The objects are on disk by then; one line tells."""
    (tmp_path / "1").mkdir(mode=0)

    update_summary(tmp_path / "1" / "data.qpdata", [])

    (line,) = caplog.messages
    assert "summary.json was not brought up to date" in line
