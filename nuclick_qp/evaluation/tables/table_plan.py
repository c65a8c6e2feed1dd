"""The rows of the paper's tables: which method stands in each, on which data, and how it comes there."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Literal

from nuclick_qp.evaluation.baselines.fair import ACTIVE_CONTOURS, GRAB_CUTS, GRAB_CUTS_BY_SQUIGGLE, REGION_GROWINGS, WATERSHEDS
from nuclick_qp.evaluation.baselines.method import Method
from nuclick_qp.evaluation.baselines.nuclick_method import NuClick
from nuclick_qp.evaluation.evaluation_options import EvaluationOptions
from nuclick_qp.evaluation.tables.rows import MASKS_BY, RowKey
from nuclick_qp.evaluation.tables.workshop import BACKBONES, CANVASES, NUCLICK, SEED, Workshop
from nuclick_qp.segmentation.segment_options import SegmentOptions

Settings = Literal["paper", "fair", "squiggle"]
CELL_SETS = (CANVASES, "BCCD and set 1", "SegPC")
GLAND_SETS = ("GlaS A", "GlaS B")
NUCLEI_MOVES, CELL_MOVES = (1, 3, 5, 10), (1, 3, 5, 10, 20, 50)


@dataclass(frozen=True, slots=True)
class PlannedRow:
    """One row before it is made.

    Attributes
    ----------
    table, row
        Number of the table, and name of the row in it.
    settings
        Of a classic method: those of the paper, the best on training images, or the best with a squiggle as a second prompt.
    data
        Set that it is measured on.
    training
        Key of its training in `RECIPES`; None where nothing is trained.
    make
        Gives the method, ready.
    chosen_on
        Set whose training images the settings were chosen on; empty where they were not.
    options
        How the method is set up and prompted, in words that change where it is set up in another way.
    """

    table: int
    row: str
    data: str
    make: Callable[[Workshop], Method]
    training: str | None = None
    settings: Settings | None = None
    chosen_on: str = ""
    options: str = ""

    @property
    def key(self) -> RowKey:
        """Name it as rows are named."""
        return RowKey(self.table, self.row, self.data, self.settings)


def plan_rows(only: Sequence[int] = ()) -> list[PlannedRow]:
    """List the rows of some tables, of all where none are named, in the order of the paper."""
    tables = (_architectures, _nuclei, _cells, _glands, _other_data, _pap, _students, _moves, _exclusion)
    return [row for number, table in enumerate(tables, 1) if not only or number in only for row in table()]


def _trained(key: str, workshop: Workshop) -> Method:
    return workshop.trained(key).method


def _asked(key: str, options: EvaluationOptions, workshop: Workshop) -> Method:
    """Give NuClick, prompted in another way."""
    method = workshop.trained(key).method
    assert isinstance(method, NuClick)
    return method.prompted(options)


def _chosen(candidates: Sequence[Method], data: str, workshop: Workshop) -> Method:
    return workshop.chosen(candidates, data)


def _of_training(table: int, row: str, data: str, key: str) -> PlannedRow:
    return PlannedRow(table, row, data, partial(_trained, key), key)


def _prompted(table: int, row: str, data: str, key: str, options: EvaluationOptions) -> PlannedRow:
    return PlannedRow(table, row, data, partial(_asked, key, options), key, options=str(options))


def _classic(table: int, row: str, data: str, candidates: Sequence[Method], chosen_on: str) -> list[PlannedRow]:
    """Give both rows of a classic method; the settings of the paper come first among the candidates."""
    return [
        PlannedRow(table, row, data, lambda _: candidates[0], settings="paper", options=str(candidates[0])),
        _fair(table, row, data, candidates, chosen_on),
    ]


def _fair(table: int, row: str, data: str, candidates: Sequence[Method], chosen_on: str) -> PlannedRow:
    make, options = partial(_chosen, candidates, chosen_on), str(list(candidates))
    return PlannedRow(table, row, data, make, settings="fair", chosen_on=chosen_on, options=options)


def _architectures() -> list[PlannedRow]:
    others = [_of_training(1, name, "MoNuSeg", f"nuclei/{name}") for name in BACKBONES]
    keys = {0: "nuclei/NuClick, 0 MS", 1: "nuclei/NuClick, 1 MS", 2: "nuclei/NuClick, 2 MS", 3: "nuclei/NuClick", 4: "nuclei/NuClick, 4 MS"}
    return others + [_of_training(1, f"NuClick, {blocks} MS", "MoNuSeg", key) for blocks, key in keys.items()]


def _by_clicks(table: int, kind: str, sets: Sequence[str], chosen_on: str) -> list[PlannedRow]:
    """Give the rows of Tables 2 and 3."""
    rows = []
    for data in sets:
        rows += _classic(table, "Watershed", data, WATERSHEDS, chosen_on)
        rows += _classic(table, "Region Growing", data, REGION_GROWINGS, chosen_on)
        rows += _classic(table, "Active Contour", data, ACTIVE_CONTOURS, chosen_on)
        rows += [_of_training(table, name, data, f"{kind}/{name}") for name in ("iFCN", "LD", NUCLICK)]
    return rows


def _nuclei() -> list[PlannedRow]:
    return _by_clicks(2, "nuclei", ["MoNuSeg"], "MoNuSeg")


def _cells() -> list[PlannedRow]:
    return _by_clicks(3, "cells", CELL_SETS, CANVASES)


def _glands() -> list[PlannedRow]:
    rows = []
    for data in GLAND_SETS:
        rows += _classic(4, "GrabCut", data, GRAB_CUTS, "GlaS")
        rows.append(replace(_fair(4, "GrabCut", data, GRAB_CUTS_BY_SQUIGGLE, "GlaS"), settings="squiggle"))
        rows += [_of_training(4, name, data, f"glands/{name}") for name in ("Deep GrabCut", "DEXTR", "Mask R-CNN", "BIFSeg", NUCLICK)]
    return rows


def _other_data() -> list[PlannedRow]:
    return [
        _of_training(5, "MoNuSeg -> TNBC", "TNBC", "nuclei/NuClick"),
        _of_training(5, "MoNuSeg -> NuInsSeg", "NuInsSeg", "nuclei/NuClick"),
        _of_training(5, "TNBC -> MoNuSeg", "MoNuSeg", "nuclei/NuClick of TNBC"),
    ]


def _pap() -> list[PlannedRow]:
    options = EvaluationOptions(mpp=0.5)
    return [_prompted(6, NUCLICK, "LBC", "nuclei/NuClick", options)]


def _students() -> list[PlannedRow]:
    rows = []
    for data, other in (("MoNuSeg", "TNBC"), ("TNBC", "MoNuSeg")):
        for name in BACKBONES:
            for masks, training in (("truth", data), (f"NuClick of {other}", f"{data}{MASKS_BY}{other})")):
                rows.append(_of_training(7, f"{name}, {masks}", data, f"students/{name}, {training}"))
    return rows


def _moves() -> list[PlannedRow]:
    rows = []
    for data, key, moves in (("MoNuSeg", "nuclei/NuClick", NUCLEI_MOVES), (CANVASES, "cells/NuClick", CELL_MOVES)):
        for pixels in moves:
            options = EvaluationOptions(mpp=0.25, jitter_px=pixels, seed=SEED)
            rows.append(_prompted(8, f"sigma {pixels}", data, key, options))
    return rows


def _exclusion() -> list[PlannedRow]:
    unseen = EvaluationOptions(mpp=0.25, segment=SegmentOptions(use_exclusion=False))
    return [
        _of_training(9, "with exclusion map", "MoNuSeg", "nuclei/NuClick"),
        _of_training(9, "trained without exclusion map", "MoNuSeg", "nuclei/NuClick, 4 channels"),
        _prompted(9, "exclusion map left empty", "MoNuSeg", "nuclei/NuClick", unseen),
    ]
