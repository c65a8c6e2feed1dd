"""Where a row of ours stands: beside which row of the paper, in which block of its table, and against which other row."""

from collections.abc import Mapping

from nuclick_qp.evaluation.tables.paper_figures import PAPER_TABLES, PaperRow
from nuclick_qp.evaluation.tables.rows import RowKey

# The block of the paper's table that a set stands for, where it has several; of Table 3 the other sets have no counterpart.
PAPER_PARTS: Mapping[tuple[int, str], str | None] = {
    (3, "BCCD and set 1"): None,
    (3, "SegPC"): None,
    (4, "GlaS A"): "A",
    (4, "GlaS B"): "B",
    (7, "MoNuSeg"): "MoNuSeg",
    (7, "TNBC"): "CPM",
    (8, "MoNuSeg"): "nuclei",
    (8, "touching cells"): "cells",
}
PAPER_NAMES: Mapping[tuple[int, str], str] = {  # where the paper's name is another one
    (1, "FCN-8"): "FCN",
    (5, "MoNuSeg -> TNBC"): "MoNuSeg -> CPM",
    (5, "MoNuSeg -> NuInsSeg"): "MoNuSeg -> CPM",
    (5, "TNBC -> MoNuSeg"): "CPM -> MoNuSeg",
    (7, "U-Net, NuClick of TNBC"): "U-Net, NuClick of CPM",
    (7, "SegNet, NuClick of TNBC"): "SegNet, NuClick of CPM",
    (7, "FCN-8, NuClick of TNBC"): "FCN-8, NuClick of CPM",
    (9, "trained without exclusion map"): "without exclusion map",
}
# Rows of the paper that nobody can make who lacks its data: their place, and what is missing.
IMPOSSIBLE: Mapping[RowKey, str] = {
    RowKey(5, "GlaS -> CRAG", "CRAG"): "CRAG is not at hand",
    RowKey(5, "CRAG -> GlaS A", "GlaS A"): "CRAG is not at hand",
    RowKey(5, "CRAG -> GlaS B", "GlaS B"): "CRAG is not at hand",
}
UNORDERED = frozenset({5, 6})  # tables that set no methods beside one another
REFERENCES: Mapping[int, str] = {1: "NuClick, 3 MS", 2: "NuClick", 3: "NuClick", 4: "NuClick", 9: "with exclusion map"}
ON_CENTROIDS: Mapping[str, int] = {"MoNuSeg": 2, "touching cells": 3}  # where NuClick is that Table 8 moves the clicks of


def paper_row(key: RowKey) -> PaperRow | None:
    """Give the row of the paper that a row stands beside; None where the paper has none."""
    part = "glands" if key in IMPOSSIBLE else "nuclei" if key.table == 5 else PAPER_PARTS.get((key.table, key.data), "")
    name = PAPER_NAMES.get((key.table, key.name), key.name)
    found = None if part is None else PAPER_TABLES[key.table].parts.get(part)
    return PaperRow(key.table, name, part) if part is not None and found is not None and name in found.rows else None


def reference(key: RowKey) -> RowKey | None:
    """Give the row that a row is compared with, image by image; None for that row itself, and where there is none."""
    other = _reference(key)
    return None if other == key else other


def _reference(key: RowKey) -> RowKey | None:
    name, _, of = key.name.partition(", ")
    match key.table:
        case 5:  # a NuClick that has learned from the set that is measured
            return RowKey(2, "NuClick", "MoNuSeg") if key.data == "MoNuSeg" else None
        case 7:
            return RowKey(7, f"{name}, truth", key.data) if of.startswith("NuClick") else None
        case 8:
            return RowKey(ON_CENTROIDS[key.data], "NuClick", key.data) if key.data in ON_CENTROIDS else None
        case number:
            return RowKey(number, REFERENCES[number], key.data) if number in REFERENCES else None


def block_of(key: RowKey) -> str:
    """Name the block of its table that a row stands in: its data; in Table 5 the kind of object."""
    if key.table == 5:
        return "glands" if key in IMPOSSIBLE else "nuclei"
    return key.data


def metrics_of(key: RowKey) -> tuple[str, ...]:
    """Give the columns of the block that a row stands in: those of the paper."""
    parts = PAPER_TABLES[key.table].parts
    return parts[block_of(key)].metrics if key.table == 5 else next(iter(parts.values())).metrics
