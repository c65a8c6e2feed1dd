"""Tests of `nuclick_qp.run.resume`: what a re-run does."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from fakes import make_card
from nuclick_qp.annotations.objects import EarlierResult, EntryContent
from nuclick_qp.model.cards import Card
from nuclick_qp.prompts import Prompt, Status, click_at
from nuclick_qp.run.resume import Plan, options_digest, plan_prompts
from nuclick_qp.run.run_options import RunOptions
from nuclick_qp.segmentation.segment_options import SegmentOptions

CARD = make_card()
OPTIONS = RunOptions()
TUMOR, STROMA, PLAIN = click_at(10, 10, class_name="Tumor"), click_at(30, 10, class_name="Stroma"), click_at(50, 10)
LINE = Prompt("line", (((1.0, 1.0), (9.0, 9.0)),))


def _done(prompt: Prompt, options: RunOptions = OPTIONS) -> EarlierResult:
    return EarlierResult(prompt.key, CARD.short_id, options_digest(prompt, options, card=CARD, stated_mpp=0.25), (0.0, 0.0))


def _plan(
    *prompts: Prompt,
    results: tuple[EarlierResult, ...] = (),
    options: RunOptions = OPTIONS,
    card: Card = CARD,
    stated_mpp: float | None = 0.25,
) -> Plan:
    return plan_prompts(EntryContent(prompts, results=results), options, cards={"point": card}, stated_mpp=stated_mpp)


def test_new_prompts_are_to_be_done() -> None:
    """A project that was never run has everything to do."""
    assert _plan(TUMOR, STROMA) == Plan((TUMOR, STROMA), ())


def test_prompts_done_in_the_same_way_are_left() -> None:
    """Key, model and options unchanged: the result still holds. This is resume."""
    plan = _plan(TUMOR, STROMA, results=(_done(TUMOR),))

    assert plan.todo == (STROMA,)
    assert [outline.status for outline in plan.settled] == [Status.UNCHANGED]


def test_overwrite_does_everything_again() -> None:
    """The user may insist."""
    assert _plan(TUMOR, results=(_done(TUMOR),), options=replace(OPTIONS, overwrite=True)).todo == (TUMOR,)


@pytest.mark.parametrize(
    "changed",
    [
        {"card": make_card(sha256="1" * 64)},
        {"card": make_card(min_object_px=20)},
        {"card": make_card(patch_px=256)},
        {"options": RunOptions(kind="annotation")},
        {"options": RunOptions(segment=SegmentOptions(tta=True))},
        {"options": RunOptions(segment=SegmentOptions(use_exclusion=False))},
        {"stated_mpp": 0.5},
    ],
    ids=str,
)
def test_whatever_changes_a_result_makes_it_stale(changed: dict[str, Any]) -> None:
    """Model, its way of post-processing, kind of object, views, exclusion, resolution."""
    assert _plan(TUMOR, results=(_done(TUMOR),), **changed).todo == (TUMOR,)


def test_another_class_is_done_again() -> None:
    """The object would have the old class."""
    reclassified = replace(TUMOR, class_name="Stroma")

    assert _plan(reclassified, results=(_done(TUMOR),)).todo == (reclassified,)


@pytest.mark.parametrize(
    "options",
    [
        RunOptions(segment=SegmentOptions(batch_size=1, tile_px=64)),
        RunOptions(prune=True, dry_run=True, classes=("Tumor",), geojson=Path("out"), image_root=Path("slides")),
    ],
)
def test_what_changes_no_result_leaves_it(options: RunOptions) -> None:
    """How long a run takes, and where else it writes, is no reason to do a prompt again."""
    assert _plan(TUMOR, results=(_done(TUMOR),), options=options).todo == ()


def test_results_with_augmentation_hold_as_long_as_it_is_asked_for() -> None:
    """A run without it is another run, and does the prompt again."""
    augmented = RunOptions(segment=SegmentOptions(tta=True))
    results = (_done(TUMOR, augmented),)

    assert _plan(TUMOR, results=results, options=augmented).todo == ()
    assert _plan(TUMOR, results=results).todo == (TUMOR,)


def test_classes_choose_prompts() -> None:
    """Prompts of other classes are neither done nor counted; an empty name means unclassified."""
    assert _plan(TUMOR, STROMA, PLAIN, options=replace(OPTIONS, classes=("Tumor",))) == Plan((TUMOR,), ())
    assert _plan(TUMOR, STROMA, PLAIN, options=replace(OPTIONS, classes=("",))) == Plan((PLAIN,), ())


def test_lines_without_a_model_are_reported_unless_left_out() -> None:
    """Nothing is dropped silently: only `none` makes a kind of prompt disappear."""
    plan = _plan(TUMOR, LINE)

    assert [(o.prompt, o.status) for o in plan.settled] == [(LINE, Status.NO_MODEL)]
    assert _plan(TUMOR, LINE, options=replace(OPTIONS, left_out=frozenset({"line"}))) == Plan((TUMOR,), ())


def test_second_prompt_at_the_same_place_is_a_duplicate() -> None:
    """One place, one object: the first prompt counts, whatever the class of the second."""
    plan = _plan(TUMOR, replace(TUMOR, class_name="Stroma"))

    assert plan.todo == (TUMOR,)
    assert [outline.status for outline in plan.settled] == [Status.DUPLICATE]
