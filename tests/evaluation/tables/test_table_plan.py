"""Tests of `nuclick_qp.evaluation.tables.table_plan` and of the trainings that its rows ask for."""

from collections import Counter
from dataclasses import replace

import pytest

from nuclick_qp.evaluation.baselines.boxes import Dextr
from nuclick_qp.evaluation.tables.budgets import BUDGETS
from nuclick_qp.evaluation.tables.table_options import BudgetName
from nuclick_qp.evaluation.tables.table_plan import plan_rows
from nuclick_qp.evaluation.tables.workshop import RECIPES, TEACHERS, config_for


def test_every_table_has_its_rows_and_no_row_stands_twice() -> None:
    """As many as the paper has, once for each data set and column of settings."""
    rows = plan_rows()

    names = [(row.table, row.row, row.data, row.settings) for row in rows]
    assert len(set(names)) == len(names)
    assert Counter(row.table for row in rows) == {1: 8, 2: 9, 3: 27, 4: 16, 5: 3, 6: 1, 7: 12, 8: 10, 9: 3}


def test_only_the_tables_that_are_asked_for_are_planned() -> None:
    """In the order of the paper."""
    assert [row.table for row in plan_rows([6, 5])] == [5, 5, 5, 6]


def test_every_training_is_asked_for_by_a_row_or_by_a_student() -> None:
    """Nothing is trained in vain, and nothing is asked for that is no recipe."""
    asked = {row.training for row in plan_rows()} - {None}

    assert asked | set(TEACHERS.values()) == set(RECIPES)


@pytest.mark.parametrize("budget", BUDGETS)
def test_all_methods_of_a_kind_are_trained_alike(budget: BudgetName) -> None:
    """Same samples, width, patches and augmentation; only the name, the blocks and the scale of the prompt differ."""
    alike: dict[tuple[str, str], set[str]] = {}
    for key, recipe in RECIPES.items():
        config = config_for(key, recipe, BUDGETS[budget])
        free = {"name", "description", "sources", "ms_blocks"} | ({"mpp", "augmentation"} if config.prompt == "line" else set())
        alike.setdefault((config.prompt, "cells" if "cells" in key else ""), set()).add(config.model_dump_json(exclude=free))
        assert config.width == BUDGETS[budget].width
        seen = config.steps * config.batch_size
        assert seen == BUDGETS[budget].patches if config.prompt == "point" else abs(3 * seen - BUDGETS[budget].patches) < 24

    assert {kind: len(configs) for kind, configs in alike.items()} == {("point", ""): 1, ("point", "cells"): 1, ("line", ""): 1}


def test_the_settings_of_a_rival_decide_its_configuration() -> None:
    """So that neither a training nor a row made with others is taken for this one."""
    recipe = RECIPES["glands/DEXTR"]
    wider = replace(recipe, lesson=Dextr(spot_px=20))

    assert config_for("glands/DEXTR", recipe, BUDGETS["quick"]) != config_for("glands/DEXTR", wider, BUDGETS["quick"])


def test_how_a_teacher_was_made_decides_the_configuration_of_its_students(monkeypatch: pytest.MonkeyPatch) -> None:
    """A student of the truth has none."""
    keys = ("students/U-Net, MoNuSeg", "students/U-Net, MoNuSeg, masks by NuClick (TNBC)")
    before = [config_for(key, RECIPES[key], BUDGETS["quick"]) for key in keys]

    monkeypatch.setitem(RECIPES, "nuclei/NuClick of TNBC", replace(RECIPES["nuclei/NuClick of TNBC"], ms_blocks=2))

    assert [config_for(key, RECIPES[key], BUDGETS["quick"]) == one for key, one in zip(keys, before, strict=True)] == [True, False]
