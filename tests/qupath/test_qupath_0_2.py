"""A project of QuPath 0.2.3: another data version, other side files, and Java's own classes among the properties.

That its objects are read as QuPath reads them, and take additions, is shown together with those of
other versions in `test_data_file.py`, `test_editing.py` and `test_real_projects.py`.
"""

import shutil
from pathlib import Path

import pytest

from edited_files import emitted
from fixture_projects import DATA, drawn_in, prompts_in
from nuclick_qp.qupath.files_engine import open_files_project
from nuclick_qp.qupath.folder.side_files import listed_colours
from nuclick_qp.qupath.javastream.nodes import JavaObject, JavaString
from nuclick_qp.qupath.qpdata.data_file import DataFile, parse_data_file

FOLDER = DATA / "0.2.3" / "ihc"
JDK_CLASSES = {"java.util.TreeMap", "java.time.Ser", "java.util.Date", "java.util.BitSet"}


def load() -> DataFile:
    """Read the data file of the first image."""
    path = FOLDER / "data/1/data.qpdata"
    return parse_data_file(path.read_bytes(), source=path)


def test_prompts_are_the_points_and_lines_that_qupath_reads() -> None:
    """All of them, in order, with class, name, plane and nesting; also in a TMA core."""
    expected = drawn_in("0.2.3")

    found = prompts_in(open_files_project(FOLDER), expected)

    assert found == expected
    assert [len(found[entry_id]) for entry_id in ("1", "2")] == [35, 1]


def test_properties_of_unknown_classes_and_a_long_script_are_kept() -> None:
    """They are neither understood nor needed, and come out as they went in."""
    data = load()
    classes = {node.desc.name for node in data.graph.nodes if isinstance(node, JavaObject)}
    texts = [node.raw for node in data.graph.nodes if isinstance(node, JavaString)]

    assert data.version == 2
    assert classes > JDK_CLASSES
    assert max(map(len, texts)) > 0xFFFF
    assert emitted(data) == data.data
    assert dict(data.properties)["stain"] == "DAB"


def test_list_of_classes_has_one_without_a_colour(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """QuPath 0.2 lists the class that is none; the others keep their colours."""
    shutil.copytree(FOLDER, tmp_path / "study")

    colours = listed_colours(tmp_path / "study")

    assert colours == {"Tumor": -13578071, "Stroma": -8745193}
    assert caplog.text == ""
