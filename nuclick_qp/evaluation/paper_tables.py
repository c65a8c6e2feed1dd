"""The paper's tables on open data: every row planned, made and written."""

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from nuclick_qp.evaluation.tables.budgets import BUDGETS
from nuclick_qp.evaluation.tables.measuring import measure
from nuclick_qp.evaluation.tables.row_making import OnRow, RowTask, TablesMade, make_rows
from nuclick_qp.evaluation.tables.rows import Row, RowSettings
from nuclick_qp.evaluation.tables.table_options import TableOptions
from nuclick_qp.evaluation.tables.table_plan import PlannedRow, plan_rows
from nuclick_qp.evaluation.tables.workshop import RECIPES, SEED, Workshop, config_for
from nuclick_qp.model.devices import choose_device
from nuclick_qp.training.loop import TrainingProgress

OnTraining = Callable[[str, TrainingProgress], None]


def make_tables(
    data: Path, options: TableOptions, *, on_row: OnRow = lambda done: None, on_training: OnTraining = lambda name, progress: None
) -> TablesMade:
    """Make the rows of the tables that are not there yet, training what they ask for, and write the pages.

    A stop loses the row at hand, and of a training the minutes since its last checkpoint; the same command goes on.

    Parameters
    ----------
    data
        Folder of the data sets, as docs/paper.md lays them out.
    on_row
        Is told of each row.
    on_training
        Is told the name of a training, and of its steps.

    Raises
    ------
    DeviceError
        If the device is not there, before anything is read.
    LabelsError
        If a data set is missing or damaged; the message names the file.
    RowError, WriteRefusedError
        As `make_rows`.
    """
    device = str(choose_device(options.device))
    workshop = Workshop(data, options.out, BUDGETS[options.budget], device=device, threads=options.threads, on_step=on_training)
    return make_rows(list(_tasks(workshop, options)), options, planned=[row.key for row in plan_rows()], on_row=on_row)


def _tasks(workshop: Workshop, options: TableOptions) -> Iterator[RowTask]:
    for planned in plan_rows(options.only):
        settings = _settings(planned, workshop)
        yield RowTask(settings, partial(_make, planned, settings, workshop))


def _settings(planned: PlannedRow, workshop: Workshop) -> RowSettings:
    """Give all that decides what a row says."""
    measured, budget = workshop.test_set(planned.data), workshop.budget
    config = None if planned.training is None else config_for(planned.training, RECIPES[planned.training], budget)
    learned_from = planned.chosen_on if planned.training is None else RECIPES[planned.training].training
    sizes = f"{budget.training} {budget.test} {budget.settings} {budget.canvases}"
    more: dict[str, str | bool | int | float | None] = {"options": planned.options, "sizes": sizes}
    if config is not None:
        more["config"] = config.model_dump_json()
    return RowSettings(
        table=planned.table,
        name=planned.row,
        data=planned.data,
        variant=planned.settings,
        training=learned_from,
        images=measured.names,
        samples=0 if config is None else config.steps * config.batch_size,
        batch=0 if config is None else config.batch_size,
        width=None if config is None else config.width,
        mpp=measured.mpp,
        seed=SEED,
        budget=budget.name,
        more=more,
    )


def _make(planned: PlannedRow, settings: RowSettings, workshop: Workshop) -> Row:
    """Train what a row asks for, and measure it."""
    measured = workshop.test_set(planned.data)
    method = planned.make(workshop)
    if planned.training is None:
        return measure(method, settings, measured.pairs, device=workshop.device)
    trained = workshop.trained(planned.training)
    curve = None if trained.curve is None else trained.curve.relative_to(workshop.out).as_posix()
    return measure(method, settings, measured.pairs, device=workshop.device, train_seconds=trained.seconds, curve=curve)
