"""Tests of `nuclick_qp.evaluation.tables.table_plots`: pictures of hand-made rows."""

import re
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from nuclick_qp.errors import TrainingDataError
from nuclick_qp.evaluation.tables.rows import RowKey
from nuclick_qp.evaluation.tables.table_lines import sections
from nuclick_qp.evaluation.tables.table_plots import OURS, PAPER, curves_of, figure_of
from paper_rows import NUCLICK, row_of

IFCN, LD = RowKey(2, "iFCN", "MoNuSeg"), RowKey(2, "LD $x$", "MoNuSeg")
LOG = "step,loss,dice,seconds_per_step,waiting_share\n10,1.0,0.5,1,0\n20,0.5,0.75,1,0\n"


def test_a_table_is_drawn_with_both_figures_of_each_row() -> None:
    """Ours of what is made, the paper's of all; one that is not made says so; names are no mathematics."""
    picture = figure_of(sections([row_of(), row_of(LD, [0.5])], "quick", [IFCN, NUCLICK, LD])[1])

    assert picture is not None
    ET.fromstring(picture)
    assert len(marks(picture, OURS)) == 5 * 2 + 1  # two rows in five columns, and the legend
    assert len(marks(picture, PAPER)) == 5 * 2 + 1
    for text in ("iFCN (not made yet)", "LD $x$", "Table 2: Nuclei: interactive methods", "ours, 95 % interval"):
        assert text in picture.decode()


def test_the_same_rows_give_the_same_bytes() -> None:
    """No date and no chance, so that a page that is made again does not change."""
    first, second = (figure_of(sections([row_of()], "quick", [NUCLICK])[1]) for _ in range(2))

    assert first == second


def test_nothing_is_drawn_of_a_table_without_rows() -> None:
    """An empty frame would look like a failure of the plot."""
    section = sections([row_of()], "quick", [NUCLICK])[0]

    assert figure_of(section) is None
    assert curves_of(section, Path("nowhere")) is None


def test_curves_run_over_the_samples_of_each_training(tmp_path: Path) -> None:
    """One for each training, though two rows share it; 64 patches in each of 20 steps."""
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "log.csv").write_text(LOG)
    rows = [row_of(curve="one/log.csv"), row_of(seed=1, curve="one/log.csv"), row_of(IFCN, curve="two/log.csv"), row_of(LD)]

    picture = curves_of(sections(rows, "quick", [])[1], tmp_path)

    assert picture is not None
    text = picture.decode()
    assert "NuClick, from drawn" in text
    assert "iFCN, from drawn" in text
    assert "LD" not in text
    assert "1,200" in text  # 20 steps of 64


def test_the_curve_of_a_student_says_once_whose_masks_it_learned_from(tmp_path: Path) -> None:
    """Its name has the teacher, and its set the images."""
    (tmp_path / "log.csv").write_text(LOG)
    student = row_of(RowKey(7, "U-Net, NuClick of TNBC", "MoNuSeg"), training="MoNuSeg, masks by NuClick (TNBC)", curve="log.csv")

    picture = curves_of(sections([student], "quick", [])[6], tmp_path)

    assert picture is not None
    assert "U-Net, NuClick of TNBC, from MoNuSeg" in picture.decode()
    assert "masks by" not in picture.decode()


def test_a_curve_that_is_gone_is_named(tmp_path: Path) -> None:
    """A row promises it; drawing the others alone would hide that."""
    with pytest.raises(TrainingDataError, match=r"one/log\.csv is missing or empty"):
        curves_of(sections([row_of(curve="one/log.csv")], "quick", [])[1], tmp_path)


def marks(picture: bytes, colour: str) -> list[str]:
    """Give the markers of a colour: matplotlib draws each as a use of a shape, with its own style."""
    return re.findall(rf"<use [^>]*style=\"[^\"]*{colour}[^\"]*\"", picture.decode())
