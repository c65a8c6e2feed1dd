"""Which rows our tables have, beside which row of the paper each stands, and which row it is compared with.

A row that is planned and not made is printed as such; one that is made and not planned, as of a method of your own, is
printed after the planned ones of its part.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from nuclick_qp.evaluation.tables.paper_figures import GLANDS, JITTER, METHODS, PANOPTIC, PaperRow
from nuclick_qp.evaluation.tables.rows import RowKey

NO_CRAG = "no open copy of CRAG is at hand"


@dataclass(frozen=True, slots=True)
class PlannedRow:
    """A row that our tables are to have.

    Attributes
    ----------
    beside
        The row of the paper that it stands beside; None where the paper has none.
    against
        The row that it is compared with, image by image; None for that row itself, and where there is none.
    impossible
        Why it cannot be made; empty for those that can.
    """

    key: RowKey
    beside: PaperRow | None = None
    against: RowKey | None = None
    impossible: str = ""


@dataclass(frozen=True, slots=True)
class PlannedPart:
    """A block of rows that are measured on the same images.

    Attributes
    ----------
    name
        As in `RowKey.part`.
    title
        What stands above it; empty for the one part of a table.
    metrics
        Columns, by the names of `Scores`.
    rows
        In the order in which they are printed.
    reference
        The row that rows of others are compared with.
    is_ordered
        Whether it says something which row is better.
    """

    name: str
    title: str
    metrics: tuple[str, ...]
    rows: tuple[PlannedRow, ...]
    reference: RowKey | None = None
    is_ordered: bool = True


CLASSIC = ("Watershed", "Region growing", "Active contour")
VARIANTS = ("paper", "fair")
NETWORKS = {"U-Net": "U-Net", "FCN-8": "FCN", "SegNet": "SegNet"}  # in Table 1 the paper leaves out the 8
BLOCKS = ("0 blocks", "1 block", "2 blocks", "3 blocks", "4 blocks")


def _against(reference: RowKey, *rows: PlannedRow) -> tuple[PlannedRow, ...]:
    """Compare all rows but the reference with it."""
    return tuple(row if row.key == reference else PlannedRow(row.key, row.beside, reference, row.impossible) for row in rows)


def _methods(table: int, part: str, *, classic: tuple[str, ...], deep: tuple[str, ...], paper_part: str | None) -> tuple[PlannedRow, ...]:
    """Give the rows of Tables 2 to 4: those without a network in two variants, the others, NuClick last."""
    keys = [RowKey(table, name, part, variant) for name in classic for variant in VARIANTS]
    keys += [RowKey(table, name, part) for name in (*deep, "NuClick")]
    rows = [PlannedRow(key, None if paper_part is None else PaperRow(table, key.name, paper_part)) for key in keys]
    return _against(keys[-1], *rows)


def _table_1() -> PlannedPart:
    reference = RowKey(1, "NuClick (3 blocks)")
    rows = [PlannedRow(RowKey(1, name), PaperRow(1, theirs)) for name, theirs in NETWORKS.items()]
    rows += [PlannedRow(RowKey(1, f"NuClick ({blocks})"), PaperRow(1, f"NuClick ({blocks})")) for blocks in BLOCKS]
    return PlannedPart("", "", ("aji", "dice", "pq", "hausdorff"), _against(reference, *rows), reference)


def _clicks(table: int, part: str, title: str, paper_part: str | None) -> PlannedPart:
    rows = _methods(table, part, classic=CLASSIC, deep=("iFCN", "Latent Diversity"), paper_part=paper_part)
    return PlannedPart(part, title, METHODS, rows, RowKey(table, "NuClick", part))


def _glands(part: str) -> PlannedPart:
    deep = ("Deep GrabCut", "DEXTR", "Mask R-CNN", "BIFSeg")
    rows = _methods(4, part, classic=("GrabCut",), deep=deep, paper_part=part)
    return PlannedPart(part, f"GlaS test {part}", GLANDS, rows, RowKey(4, "NuClick", part))


def _across_nuclei() -> PlannedPart:
    """Compare with a NuClick that learned from images of the set that is measured, where Table 2 has it."""
    at_home = RowKey(2, "NuClick")
    rows = (
        PlannedRow(RowKey(5, "MoNuSeg → TNBC", "nuclei"), PaperRow(5, "MoNuSeg → CPM", "nuclei")),
        PlannedRow(RowKey(5, "MoNuSeg → NuInsSeg", "nuclei"), PaperRow(5, "MoNuSeg → CPM", "nuclei")),
        PlannedRow(RowKey(5, "TNBC → MoNuSeg", "nuclei"), PaperRow(5, "CPM → MoNuSeg", "nuclei"), at_home),
    )
    return PlannedPart("nuclei", "nuclei", ("dice", "sq"), rows, is_ordered=False)


def _across_glands() -> PlannedPart:
    names = ("GlaS → CRAG", "CRAG → GlaS A", "CRAG → GlaS B")
    rows = [PlannedRow(RowKey(5, name, "glands"), PaperRow(5, name, "glands"), impossible=NO_CRAG) for name in names]
    return PlannedPart("glands", "glands", ("dice_obj", "hausdorff"), tuple(rows), is_ordered=False)


def _pap(part: str) -> PlannedPart:
    row = PlannedRow(RowKey(6, "NuClick", part), PaperRow(6, "NuClick"))
    return PlannedPart(part, part, PANOPTIC, (row,), row.key, is_ordered=False)


def _students(part: str, paper_part: str) -> PlannedPart:
    rows = []
    for name in ("U-Net", "SegNet", "FCN-8"):
        truth, masks = (RowKey(7, f"{name} from {teacher}", part) for teacher in ("truth", "masks"))
        rows += [PlannedRow(truth, PaperRow(7, truth.name, paper_part)), PlannedRow(masks, PaperRow(7, masks.name, paper_part), truth)]
    return PlannedPart(part, part, ("dice", "sq"), tuple(rows))


def _moved(part: str, sigmas: tuple[int, ...], centroid: PaperRow) -> PlannedPart:
    """Begin with the click on the centroid, which the paper has in another table."""
    reference = RowKey(8, "σ = 0", part)
    rows = [PlannedRow(RowKey(8, f"σ = {sigma}", part), PaperRow(8, f"σ = {sigma}", part)) for sigma in sigmas]
    return PlannedPart(part, part, JITTER, _against(reference, PlannedRow(reference, centroid), *rows), reference)


def _exclusion() -> PlannedPart:
    reference, without = (RowKey(9, f"{name} exclusion map") for name in ("with", "without"))
    rows = [PlannedRow(key, PaperRow(9, key.name)) for key in (reference, without)]
    return PlannedPart("", "", PANOPTIC, _against(reference, *rows), reference)


PLAN: Mapping[int, tuple[PlannedPart, ...]] = {
    1: (_table_1(),),
    2: (_clicks(2, "", "", ""),),
    3: (_clicks(3, "synthesised", "synthesised, touching", ""), _clicks(3, "real", "real", None)),
    4: (_glands("A"), _glands("B")),
    5: (_across_nuclei(), _across_glands()),
    6: (_pap("LBC"), _pap("ISBI 2015"), _pap("Herlev")),
    7: (_students("MoNuSeg", "MoNuSeg"), _students("TNBC", "CPM")),
    8: (_moved("nuclei", (1, 3, 5, 10), PaperRow(2, "NuClick")), _moved("cells", (1, 3, 5, 10, 20, 50), PaperRow(3, "NuClick"))),
    9: (_exclusion(),),
}


def planned_rows(tables: tuple[int, ...] = tuple(PLAN)) -> list[PlannedRow]:
    """Give all rows of some tables, in the order of the pages."""
    return [row for number in tables for part in PLAN[number] for row in part.rows]
