"""How much a run of the tables learns and looks at."""

from dataclasses import dataclass

from nuclick_qp.evaluation.tables.labelled_sets import Size
from nuclick_qp.evaluation.tables.table_options import BudgetName


@dataclass(frozen=True, slots=True)
class Budget:
    """How much is learned, and what is looked at.

    Attributes
    ----------
    width
        Factor on the channel counts of every network; 1 is as published.
    patches, batch
        Samples that each training sees, and in each step. Trainings on glands, whose patches have four times the pixels, see a
        third of them; a quarter of them in each step, but 8 at least.
    training, test
        What is taken of each folder.
    canvases
        Synthesised images of touching cells, to train on and to test on.
    settings
        What fair settings of the classic methods are chosen on, of the training images.
    """

    name: BudgetName
    width: float
    patches: int
    batch: int
    training: Size
    test: Size
    canvases: tuple[int, int]
    settings: Size


BUDGETS: dict[BudgetName, Budget] = {
    "quick": Budget("quick", 0.125, 640, 16, Size(8, 384), Size(4, 224), (12, 4), Size(2, 160)),
    "full": Budget("full", 0.25, 12_800, 32, Size(), Size(), (200, 40), Size(5, 400)),
}
