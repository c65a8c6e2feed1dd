"""Tests of `nuclick_qp.evaluation.tables.table_page` with `table_lines` and `order_words`: hand-made rows beside the paper's."""

import csv
import io
from collections.abc import Sequence

from nuclick_qp.evaluation.tables.paper_reading import READINGS
from nuclick_qp.evaluation.tables.rows import Row, RowKey
from nuclick_qp.evaluation.tables.table_lines import Section, sections
from nuclick_qp.evaluation.tables.table_page import csv_of, page
from paper_rows import NUCLICK, row_of

IFCN, LD = RowKey(2, "iFCN", "MoNuSeg"), RowKey(2, "LD", "MoNuSeg")
GLANDS = (RowKey(4, "GrabCut", "GlaS A", "fair"), RowKey(4, "NuClick", "GlaS A"))
PLANNED = (IFCN, LD, NUCLICK, *GLANDS, RowKey(5, "TNBC -> MoNuSeg", "MoNuSeg"))
ROWS = (row_of(NUCLICK, [0.80, 0.70, 0.90]), row_of(IFCN, [0.85, 0.74, 0.93]), row_of(LD, [0.79, 0.69, 0.91]))


def tables(rows: Sequence[Row] = ROWS, planned: Sequence[RowKey] = PLANNED) -> list[Section]:
    """Give the nine tables of the quick budget."""
    return sections(rows, "quick", planned)


def lines_of(text: str, table: int) -> list[str]:
    """Give the lines of one table's section."""
    return text.split(f"## Table {table} ", 1)[1].split("\n## ", 1)[0].splitlines()


def row_of_page(text: str, table: int, name: str) -> list[str]:
    """Give the cells of the first line of a table that begins with a name."""
    [first, *_] = [line for line in lines_of(text, table) if line.startswith(f"| {name}")]
    return [cell.strip() for cell in first.strip("|").split("|")]


def test_our_figure_stands_above_that_of_the_paper() -> None:
    """With its interval between the two."""
    name, aji, *_, hausdorff = row_of_page(page(tables(), "quick"), 2, "NuClick")

    assert name == "NuClick"
    ours, interval, paper = aji.split("<br>")
    assert (ours, paper) == ("**0.800**", "*0.834*")
    low, high = map(float, interval.split(" to "))
    assert 0.70 <= low < 0.8 < high <= 0.90
    assert hausdorff.startswith("**2.00**")
    assert hausdorff.endswith("*4.05*")


def test_differences_to_nuclick_are_paired_by_image() -> None:
    """Better by .04 in the mean, in each image by .03 or more: the interval excludes 0."""
    cells = row_of_page(page(tables(), "quick"), 2, "iFCN less NuClick")

    mean, interval = cells[1].split("<br>")
    assert mean == "+0.040"
    assert all(float(bound) >= 0.03 for bound in interval.split(" to "))


def test_the_order_is_told_as_found() -> None:
    """For or against NuClick: what is above it, what is not told apart from it; and the paper's order."""
    text = "\n".join(lines_of(page(tables(), "quick"), 2))

    assert "By AJI, ours: iFCN > NuClick ~ LD." in text
    assert "Paper: NuClick > LD > iFCN." in text
    assert "- Above *NuClick*: iFCN.\n- Level with *NuClick*: LD.\n" in text
    assert "Below *NuClick*" not in text


def test_one_image_puts_nothing_above_anything() -> None:
    """Of one image there is no interval, whatever the figures."""
    text = "\n".join(lines_of(page(tables([row_of(NUCLICK, [0.2]), row_of(IFCN, [0.9])]), "quick"), 2))

    assert "n = 1: no interval" in text
    assert "ours: iFCN ~ NuClick." in text


def test_rows_of_other_images_are_not_compared() -> None:
    """No difference, and a question mark in the order."""
    text = "\n".join(lines_of(page(tables([row_of(NUCLICK, [0.2, 0.3]), row_of(IFCN, [0.8, 0.9, 0.9])]), "quick"), 2))

    assert "ours: iFCN ? NuClick." in text
    assert "iFCN less" not in text


def test_rows_that_are_not_made_are_not_left_out() -> None:
    """Each says so, with the figures of the paper; those that nobody can make say why."""
    text = page(tables(), "quick")

    assert "3 of 9 rows; 3 are not made yet; 3 cannot be made" in text
    assert row_of_page(text, 4, "GrabCut (fair settings)") == ["GrabCut (fair settings): **not made yet**", "*0.462*", "*0.431*", "*290*"]
    assert row_of_page(text, 5, "GlaS -> CRAG") == ["GlaS -> CRAG: **cannot be made: CRAG is not at hand**", "*0.932*", "*31*"]
    assert "ours: no row is made yet" in "\n".join(lines_of(text, 4))


def test_a_page_without_any_row_has_all_tables_and_readings() -> None:
    """What the documentation shows before anything is measured."""
    text = page(tables([]), "full")

    assert [line.split(" {")[0] for line in text.splitlines() if line.startswith("## ")] == [
        *(f"## Table {number}" for number in range(1, 10)),
        "## How the paper is read",
    ]
    assert "0 of 9 rows" in text
    assert all(one.source in text for one in READINGS)


def test_a_page_shows_the_rows_of_its_budget() -> None:
    """Those of the other budget lie in the folder, and are another page."""
    full = row_of(NUCLICK, [0.9, 0.9, 0.9], budget="full")

    assert "**0.900**" not in page(tables([*ROWS, full]), "quick")
    assert row_of_page(page(sections([*ROWS, full], "full", PLANNED), "full"), 2, "NuClick")[1].startswith("**0.900**")
    assert row_of_page(page(sections([*ROWS, full], "full", PLANNED), "full"), 2, "iFCN")[0] == "iFCN: **not made yet**"


def test_each_seed_has_its_line_and_is_compared_within_it() -> None:
    """Seed 1 of iFCN with NuClick of seed 1."""
    second = [row_of(NUCLICK, [0.5, 0.5, 0.5], seed=1), row_of(IFCN, [0.6, 0.6, 0.6], seed=1)]
    text = page(tables([*ROWS, *second]), "quick")

    differences = [line.split("|")[2] for line in lines_of(text, 2) if line.startswith("| iFCN less")]
    assert [one.split("<br>")[0].strip() for one in differences] == ["+0.040", "+0.100"]
    assert len([line for line in lines_of(text, 2) if line.startswith("| NuClick | **")]) == 2


def test_of_rows_that_differ_in_settings_the_last_counts() -> None:
    """The page says how many are not shown; none of them is lost."""
    rows = [row_of(NUCLICK, [0.5, 0.5, 0.5], hour=2, batch=32), *ROWS, row_of(NUCLICK, [0.6, 0.6, 0.6], hour=1, batch=16)]

    text = page(tables(rows), "quick", kept=len(rows))

    assert [line for line in lines_of(text, 2) if line.startswith("| NuClick | **")] == [
        line for line in lines_of(text, 2) if line.startswith("| NuClick | **0.500**")
    ]
    assert "2 kept rows, of the other budget or with earlier settings, are not shown" in text
    assert "not shown" not in page(tables(), "quick", kept=len(ROWS))


def test_a_method_of_somebodys_own_joins_its_table() -> None:
    """After the planned rows, compared with NuClick, and its name stays text."""
    text = page(tables([*ROWS, row_of(RowKey(2, "a|b\n<i>", "MoNuSeg"), [0.1, 0.2, 0.3])]), "quick")

    assert "| a\\|b &lt;i> | **0.200**<br>" in text
    assert "a\\|b &lt;i> less NuClick" in text
    assert "Below *NuClick*: a\\|b &lt;i>." in text


def test_a_row_is_compared_with_one_of_another_table_where_that_is_the_question() -> None:
    """Learned elsewhere against learned here, on the same images; the table is named."""
    text = page(tables([*ROWS, row_of(RowKey(5, "TNBC -> MoNuSeg", "MoNuSeg"), [0.7, 0.6, 0.8])]), "quick")

    assert row_of_page(text, 5, "TNBC -> MoNuSeg less NuClick of Table 2")[1].startswith("-0.100<br>")


def test_what_a_row_was_made_with_stands_on_the_page() -> None:
    """Data, images, samples, seconds, seed, device and commit."""
    text = page(tables(), "quick")

    head = next(line for line in lines_of(text, 2) if line.startswith("| made with"))
    made = next(line for line in lines_of(text, 2) if line.startswith("| NuClick | drawn"))
    cells = dict(zip(head.split("|")[1:-1], [cell.strip() for cell in made.split("|")[1:-1]], strict=True))
    assert {name.strip(): value for name, value in cells.items()} == {
        "made with": "NuClick", "learned from": "drawn", "images": "3", "µm/px": "0.25", "samples": "6,400", "batch": "64",
        "width": "0.25", "training, s": "60", "test images, s": "1.5", "seed": "0", "device": "cpu", "commit": "`0123456789`",
    }  # fmt: skip


def test_settings_that_were_chosen_are_told() -> None:
    """On the page below the table, and in the CSV file; of rows without a choice nothing is."""
    grown = row_of(RowKey(2, "Region Growing", "MoNuSeg", "fair")).model_copy(update={"chosen": "RegionGrowing(iterations=60)"})
    there = tables([*ROWS, grown])

    told = [line for line in lines_of(page(there, "quick"), 2) if line.startswith("- Chosen")]

    assert told == ["- Chosen for Region Growing (fair settings): RegionGrowing(iterations=60)"]
    records = csv.DictReader(io.StringIO(csv_of(there).decode()))
    assert {(one["row"], one["chosen"]) for one in records if one["chosen"]} == {("Region Growing", "RegionGrowing(iterations=60)")}


def test_pictures_are_shown_where_there_are_some() -> None:
    """And no link leads to a picture that is not there."""
    text = page(tables(), "quick", plots=("table-2.svg",))

    assert "![Table 2: our figures with intervals, and the paper's](table-2.svg)" in text
    assert text.count(".svg") == 1


def test_csv_has_a_line_for_each_row_and_metric() -> None:
    """With what is not made, and numbers that are not rounded."""
    records = list(csv.DictReader(io.StringIO(csv_of(tables()).decode())))

    assert len(records) == 3 * 5 + 2 * 3 + 2 + 3 * 2
    [ifcn] = [one for one in records if (one["row"], one["metric"]) == ("iFCN", "aji")]
    assert float(ifcn["value"]) == sum([0.85, 0.74, 0.93]) / 3
    assert float(ifcn["low"]) < float(ifcn["value"]) < float(ifcn["high"])
    assert (ifcn["status"], ifcn["paper"], ifcn["against"], ifcn["commit"]) == ("made", "0.806", "NuClick", "0123456789")
    assert (ifcn["images"], ifcn["samples"], ifcn["budget"], ifcn["data"]) == ("3", "6400", "quick", "MoNuSeg")
    assert float(ifcn["difference_low"]) > 0
    assert ifcn["made_at"] == "2026-11-27T00:00:00+00:00"
    [missing] = [one for one in records if (one["row"], one["metric"]) == ("GrabCut", "f1")]
    assert (missing["status"], missing["variant"], missing["value"], missing["paper"]) == ("not made yet", "fair", "", "0.462")
