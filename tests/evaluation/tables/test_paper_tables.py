"""Tests of `nuclick_qp.evaluation.paper_tables`: a table made on drawn data, by networks that are really trained."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from nuclick_qp.errors import DeviceError, LabelsError
from nuclick_qp.evaluation.baselines.fair import REGION_GROWINGS, WATERSHEDS, Chosen
from nuclick_qp.evaluation.baselines.students import Untaught
from nuclick_qp.evaluation.paper_tables import make_tables
from nuclick_qp.evaluation.tables import budgets
from nuclick_qp.evaluation.tables.labelled_sets import Size
from nuclick_qp.evaluation.tables.row_making import RowDone
from nuclick_qp.evaluation.tables.table_options import TableOptions
from nuclick_qp.evaluation.tables.workshop import TEACHERS, Trained, Workshop
from nuclick_qp.training.finish import git_commit

DISCS = [(60, 60, 14), (100, 60, 14), (200, 150, 17), (60, 240, 12), (340, 240, 13), (300, 60, 15), (140, 240, 14)]


@pytest.fixture
def data(tmp_path: Path, draw_pair: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> Path:
    """Draw discs in the place of MoNuSeg and of Pap smears, for a budget of a few steps."""
    for number in range(3):
        draw_pair(f"nuclei/train/monuseg_{number}", DISCS)
    draw_pair("nuclei/test/monuseg_9", DISCS[::-1])
    draw_pair("pap/test/lbc_1", [(x / 2, y / 2, radius / 2) for x, y, radius in DISCS])
    draw_pair("pap/test/lbc_2", [(x / 2, y / 2, radius / 2) for x, y, radius in DISCS[2:]])
    tiny = replace(budgets.BUDGETS["quick"], width=0.07, patches=320, batch=4, training=Size(), test=Size(), settings=Size(1))
    monkeypatch.setitem(budgets.BUDGETS, "quick", tiny)
    return tmp_path


def test_a_table_is_made_and_not_made_again(data: Path, tmp_path: Path) -> None:
    """NuClick is trained on nuclei and asked for Pap smears; the second command trains nothing."""
    done: list[RowDone] = []
    steps: list[tuple[str, int]] = []
    options = TableOptions((6,), "quick", tmp_path / "out", "cpu", 1)

    def make(which: TableOptions) -> Path:
        made = make_tables(data, which, on_row=done.append, on_training=lambda name, at: steps.append((name, at.step)))
        assert not made.missing
        return made.page

    page = make(options)
    make(options)
    trained = len(steps)

    assert [one.was_kept for one in done] == [False, True]
    row = done[0].row
    assert row.settings.samples == 320
    assert row.settings.images == ("lbc_1.png", "lbc_2.png")
    assert row.commit == git_commit()
    assert steps[-1] == ("nuclei/NuClick", trained) == ("nuclei/NuClick", 80)
    assert row.curve is not None
    assert (options.out / row.curve).read_text().startswith("step,loss,dice")
    assert all(one.aji > 0.5 for one in row.scores.values()), row.scores
    assert "not made yet" in page.read_text()  # of the other tables


def test_a_missing_data_set_or_device_is_told_before_anything_is_trained(data: Path, tmp_path: Path) -> None:
    """With the folder that it is looked for in; nothing lies in the output."""
    with pytest.raises(LabelsError, match="cells"):
        make_tables(data, TableOptions((3,), "quick", tmp_path / "out", "cpu"))
    with pytest.raises(DeviceError, match="mps"):
        make_tables(data, TableOptions((6,), "quick", tmp_path / "out", "mps"))
    assert not (tmp_path / "out").exists()


def test_settings_are_chosen_once_for_all_sets_that_are_measured(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The cells of Table 3 are measured on three sets, and candidates are tried on images of one."""
    fits: list[str] = []
    monkeypatch.setattr(Chosen, "fit", lambda method, images: fits.append(type(method.candidates[0]).__name__))
    workshop = Workshop(data, tmp_path / "out", budgets.BUDGETS["quick"], device="cpu")

    first, second, other = (workshop.chosen(candidates, "MoNuSeg") for candidates in (WATERSHEDS, list(WATERSHEDS), REGION_GROWINGS))

    assert first is second
    assert other is not first
    assert fits == ["Watershed", "RegionGrowing"]


def test_a_student_whose_teacher_drew_nothing_finds_nothing(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """As of a teacher of the quick budget, which has seen too little: nothing is trained, and a warning says so."""
    steps: list[str] = []
    workshop = Workshop(data, tmp_path / "out", budgets.BUDGETS["quick"], device="cpu", on_step=lambda name, _: steps.append(name))
    teacher = Trained(Untaught(), 0.0, None)
    monkeypatch.setitem(workshop._trained, TEACHERS["TNBC"], teacher)

    student = workshop.trained("students/U-Net, MoNuSeg, masks by NuClick (TNBC)")

    assert (student.curve, student.seconds, steps) == (None, 0.0, [])
    assert not any(student.method.segment(*pair).any() for pair in workshop.test_set("MoNuSeg").pairs)
    assert "drew an object in 0 of 3 images" in caplog.text
