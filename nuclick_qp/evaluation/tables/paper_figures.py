"""Every figure of Tables 1 to 9 of the paper, by table, part, row and column.

References
----------
Koohbanani, Jahanifar, Tajadin, Rajpoot, NuClick: a deep learning framework for interactive segmentation of microscopic
images, Med. Image Anal. 65 (2020) 101771.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

TITLES = {  # of the figures of `evaluation.metrics.Scores`
    "aji": "AJI",
    "dice": "Dice",
    "sq": "SQ",
    "dq": "DQ",
    "pq": "PQ",
    "hausdorff": "Haus., px",
    "f1": "F1",
    "dice_obj": "Dice obj.",
    "hausdorff_obj": "Haus. obj., px",
}
IN_PX = frozenset({"hausdorff", "hausdorff_obj"})  # smaller is better; all others are shares of 1


@dataclass(frozen=True, slots=True)
class PaperRow:
    """Which row of the paper is meant."""

    table: int
    name: str
    part: str = ""


@dataclass(frozen=True, slots=True)
class PaperPart:
    """One block of columns of a table, or one block of rows with columns of its own.

    Attributes
    ----------
    metrics
        What its columns hold, by the names of `Scores`.
    rows
        Figures by name of the row, in the order of the columns.
    """

    metrics: tuple[str, ...]
    rows: Mapping[str, tuple[float, ...]]


@dataclass(frozen=True, slots=True)
class PaperTable:
    """One table of the paper.

    Attributes
    ----------
    title
        What it compares.
    data
        What the paper says it was measured on.
    leading
        The figure that methods are ordered by.
    parts
        Its blocks by name; one without a name where there is one.
    """

    title: str
    data: str
    leading: str
    parts: Mapping[str, PaperPart]


METHODS = ("aji", "dice", "sq", "pq", "hausdorff")  # columns of Tables 2 and 3
GLANDS = ("f1", "dice_obj", "hausdorff")
JITTER = ("aji", "dice", "pq")
PANOPTIC = ("aji", "dice", "sq", "dq", "pq")

PAPER_TABLES: Mapping[int, PaperTable] = {
    1: PaperTable(
        "Networks: multi-scale blocks, and other architectures",
        "MoNuSeg",
        "aji",
        {
            "": PaperPart(
                ("aji", "dice", "pq", "hausdorff"),
                {
                    "U-Net": (0.762, 0.821, 0.774, 8.73),
                    "FCN": (0.741, 0.798, 0.756, 9.5),
                    "SegNet": (0.785, 0.846, 0.794, 8.33),
                    "NuClick, 0 MS": (0.798, 0.860, 0.808, 6.11),
                    "NuClick, 1 MS": (0.817, 0.889, 0.820, 5.51),
                    "NuClick, 2 MS": (0.830, 0.905, 0.829, 4.93),
                    "NuClick, 3 MS": (0.834, 0.912, 0.838, 4.05),
                    "NuClick, 4 MS": (0.835, 0.914, 0.838, 4.05),
                },
            )
        },
    ),
    2: PaperTable(
        "Nuclei: interactive methods",
        "the validation set of MoNuSeg",
        "aji",
        {
            "": PaperPart(
                METHODS,
                {
                    "Watershed": (0.189, 0.402, 0.694, 0.280, 125),
                    "Region Growing": (0.162, 0.373, 0.659, 0.241, 95),
                    "Active Contour": (0.284, 0.581, 0.742, 0.394, 67),
                    "iFCN": (0.806, 0.878, 0.798, 0.782, 7.6),
                    "LD": (0.821, 0.898, 0.815, 0.807, 5.8),
                    "NuClick": (0.834, 0.912, 0.839, 0.838, 4.05),
                },
            )
        },
    ),
    3: PaperTable(
        "White blood cells: interactive methods",
        "the test set of 2,689 synthesised images of touching cells",
        "aji",
        {
            "": PaperPart(
                METHODS,
                {
                    "Watershed": (0.153, 0.351, 0.431, 0.148, 86),
                    "Region Growing": (0.145, 0.322, 0.414, 0.129, 71),
                    "Active Contour": (0.219, 0.491, 0.522, 0.198, 50),
                    "iFCN": (0.938, 0.971, 0.944, 0.944, 9.51),
                    "LD": (0.943, 0.978, 0.949, 0.949, 8.33),
                    "NuClick": (0.954, 0.983, 0.958, 0.958, 7.45),
                },
            )
        },
    ),
    4: PaperTable(
        "Glands: interactive methods",
        "the test sets A and B of GlaS, 80 images together",
        "dice_obj",
        {
            "A": PaperPart(
                GLANDS,
                {
                    "GrabCut": (0.462, 0.431, 290),
                    "Deep GrabCut": (0.886, 0.827, 51),
                    "DEXTR": (0.911, 0.841, 43),
                    "Mask R-CNN": (0.944, 0.875, 35),
                    "BIFSeg": (0.958, 0.889, 28),
                    "NuClick": (1.000, 0.956, 15),
                },
            ),
            "B": PaperPart(
                GLANDS,
                {
                    "GrabCut": (0.447, 0.412, 312),
                    "Deep GrabCut": (0.853, 0.810, 57),
                    "DEXTR": (0.904, 0.829, 49),
                    "Mask R-CNN": (0.919, 0.856, 41),
                    "BIFSeg": (0.921, 0.864, 38),
                    "NuClick": (1.000, 0.951, 21),
                },
            ),
        },
    ),
    5: PaperTable(
        "Trained on one data set, measured on another",
        "MoNuSeg and CPM for nuclei, GlaS and CRAG for glands",
        "dice",
        {
            "nuclei": PaperPart(("dice", "sq"), {"MoNuSeg -> CPM": (0.908, 0.821), "CPM -> MoNuSeg": (0.892, 0.811)}),
            "glands": PaperPart(
                ("dice_obj", "hausdorff"),
                {"GlaS -> CRAG": (0.932, 31), "CRAG -> GlaS A": (0.944, 28), "CRAG -> GlaS B": (0.938, 30)},
            ),
        },
    ),
    6: PaperTable(
        "Nuclei of an unseen domain: Pap smears",
        "42 fields of 10 Pap smears, 20x, own annotation; the network learned from MoNuSeg",
        "aji",
        {"": PaperPart(PANOPTIC, {"NuClick": (0.934, 0.965, 0.933, 0.997, 0.931)})},
    ),
    7: PaperTable(
        "Automatic networks that learn from the truth, and from NuClick's masks",
        "MoNuSeg and CPM; the masks were drawn by a NuClick that learned from the other of the two",
        "dice",
        {
            "MoNuSeg": PaperPart(
                ("dice", "sq"),
                {
                    "U-Net, truth": (0.825, 0.510),
                    "U-Net, NuClick of CPM": (0.824, 0.503),
                    "SegNet, truth": (0.849, 0.531),
                    "SegNet, NuClick of CPM": (0.842, 0.527),
                    "FCN-8, truth": (0.808, 0.453),
                    "FCN-8, NuClick of CPM": (0.818, 0.459),
                },
            ),
            "CPM": PaperPart(
                ("dice", "sq"),
                {
                    "U-Net, truth": (0.862, 0.596),
                    "U-Net, NuClick of MoNuSeg": (0.854, 0.584),
                    "SegNet, truth": (0.889, 0.644),
                    "SegNet, NuClick of MoNuSeg": (0.881, 0.632),
                    "FCN-8, truth": (0.848, 0.609),
                    "FCN-8, NuClick of MoNuSeg": (0.836, 0.603),
                },
            ),
        },
    ),
    8: PaperTable(
        "Clicks beside the centroid, by sigma px",
        "MoNuSeg for nuclei, the synthesised images of white blood cells for cells",
        "aji",
        {
            "nuclei": PaperPart(
                JITTER,
                {
                    "sigma 1": (0.834, 0.912, 0.838),
                    "sigma 3": (0.834, 0.911, 0.837),
                    "sigma 5": (0.832, 0.911, 0.835),
                    "sigma 10": (0.821, 0.903, 0.822),
                },
            ),
            "cells": PaperPart(
                JITTER,
                {
                    "sigma 1": (0.954, 0.983, 0.958),
                    "sigma 3": (0.954, 0.983, 0.958),
                    "sigma 5": (0.953, 0.983, 0.957),
                    "sigma 10": (0.953, 0.982, 0.957),
                    "sigma 20": (0.950, 0.979, 0.955),
                    "sigma 50": (0.935, 0.961, 0.943),
                },
            ),
        },
    ),
    9: PaperTable(
        "With and without the exclusion map",
        "the validation set of MoNuSeg",
        "aji",
        {
            "": PaperPart(
                PANOPTIC,
                {
                    "with exclusion map": (0.834, 0.912, 0.839, 0.999, 0.838),
                    "without exclusion map": (0.815, 0.894, 0.801, 0.972, 0.778),
                },
            )
        },
    ),
}


def paper_figure(row: PaperRow | None, metric: str) -> float | None:
    """Give a figure of the paper; None where it has none."""
    if row is None:
        return None
    part = PAPER_TABLES[row.table].parts[row.part]
    return part.rows[row.name][part.metrics.index(metric)] if metric in part.metrics else None


def all_figures() -> Iterator[tuple[PaperRow, str, float]]:
    """Give every figure with its row and metric, in the order of the paper."""
    for number, table in PAPER_TABLES.items():
        for name, part in table.parts.items():
            for row, values in part.rows.items():
                for metric, value in zip(part.metrics, values, strict=True):
                    yield PaperRow(number, row, name), metric, value
