"""Tests of `nuclick_qp.run.resume`: what a re-run does."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from shapely import Polygon, box
from shapely.affinity import translate

from fakes import make_card
from nuclick_qp.annotations.objects import EarlierResult, EntryContent, outline_digest
from nuclick_qp.model.cards import Card
from nuclick_qp.prompts import Prompt, Status, click_at
from nuclick_qp.run.resume import Plan, options_digest, plan_prompts
from nuclick_qp.run.run_options import RunOptions
from nuclick_qp.segmentation.segment_options import SegmentOptions

CARD = make_card()
OPTIONS = RunOptions()
TUMOR, STROMA, PLAIN = click_at(10, 10, class_name="Tumor"), click_at(30, 10, class_name="Stroma"), click_at(50, 10)
LINE = Prompt("line", (((1.0, 1.0), (9.0, 9.0)),))


SHAPE = box(0, 0, 20, 20)


def _done(prompt: Prompt, options: RunOptions = OPTIONS, **changes: Any) -> EarlierResult:
    """Give the result of a run, with what the user did to it since."""
    fields: dict[str, Any] = {
        "key": prompt.key,
        "model": CARD.short_id,
        "options": options_digest(options, card=CARD, stated_mpp=0.25),
        "centroid": (10.0, 10.0),
        "class_name": prompt.class_name,
        "outline": SHAPE,
        "written": outline_digest(SHAPE, prompt.class_name),
    }
    return EarlierResult(**(fields | changes))


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
    assert _plan(TUMOR, results=(_done(TUMOR),), options=replace(OPTIONS, overwrite="unedited")).todo == (TUMOR,)


@pytest.mark.parametrize(
    "changed",
    [
        {"card": make_card(sha256="1" * 64)},
        {"card": make_card(min_object_px=20)},
        {"card": make_card(patch_px=256)},
        {"options": RunOptions(segment=SegmentOptions(tta=True))},
        {"options": RunOptions(segment=SegmentOptions(use_exclusion=False))},
        {"stated_mpp": 0.5},
    ],
    ids=str,
)
def test_outlines_made_in_another_way_stay_and_are_counted(changed: dict[str, Any]) -> None:
    """Model, its way of post-processing, views, exclusion, resolution: only the user knows which is better."""
    plan = _plan(TUMOR, results=(_done(TUMOR),), **changed)

    assert (plan.todo, [outline.status for outline in plan.settled], plan.differing) == ((), [Status.UNCHANGED], 1)
    insisting = replace(changed.get("options", OPTIONS), overwrite="unedited")
    assert _plan(TUMOR, results=(_done(TUMOR),), **(changed | {"options": insisting})).todo == (TUMOR,)


def test_another_kind_turns_what_stands() -> None:
    """It needs no network; a run that names no kind leaves all kinds as they are, and an edited outline is left alone."""
    results = _done(TUMOR), _done(STROMA, outline=box(0, 0, 9, 9)), _done(PLAIN, kind="annotation")

    plan = _plan(TUMOR, STROMA, PLAIN, results=results, options=replace(OPTIONS, kind="annotation"))

    assert plan.turned == ((TUMOR, results[0]),)
    assert [outline.status for outline in plan.settled] == [Status.UNCHANGED, Status.EDITED, Status.UNCHANGED]
    assert _plan(TUMOR, STROMA, PLAIN, results=results).turned == ()


@pytest.mark.parametrize(
    "edit", [{"outline": box(0, 0, 20, 20.02)}, {"class_name": "Stroma"}, {"class_name": None}, {"outline": None}], ids=str
)
def test_edited_outlines_are_the_users(edit: dict[str, Any]) -> None:
    """Another shape, or a class that its prompt has not: kept by all but one way of overwriting."""
    results = (_done(TUMOR, **edit),)

    for options in (OPTIONS, replace(OPTIONS, overwrite="unedited"), RunOptions(segment=SegmentOptions(tta=True))):
        plan = _plan(TUMOR, results=results, options=options)
        assert (plan.todo, [outline.status for outline in plan.settled]) == ((), [Status.EDITED])
    assert _plan(TUMOR, results=results, options=replace(OPTIONS, overwrite="edited")).todo == (TUMOR,)


def test_saving_is_no_edit() -> None:
    """A ring begun elsewhere and turned round, numbers of 32 bits, and spaces around the colon of a class."""
    saved = Polygon([(np.float32(x + 100_000.01), np.float32(y)) for x, y in [(20, 20), (20, 0), (0, 0), (0, 20)]])
    written = outline_digest(translate(SHAPE, 100_000.01), "Tumor: Positive")
    prompt = replace(TUMOR, class_name="Tumor:Positive")

    plan = _plan(prompt, results=(_done(prompt, outline=saved, written=written, class_name="Tumor: Positive"),))

    assert [outline.status for outline in plan.settled] == [Status.UNCHANGED]


def test_outline_that_got_the_new_class_of_its_prompt_by_hand_is_no_edit() -> None:
    """It is as a run would make it."""
    prompt = replace(TUMOR, class_name="Stroma")
    results = (_done(TUMOR, class_name="Stroma"),)

    assert [outline.status for outline in _plan(prompt, results=results).settled] == [Status.UNCHANGED]
    assert _plan(prompt, results=results, options=replace(OPTIONS, overwrite="unedited")).todo == (prompt,)


def test_copy_of_an_outline_that_was_edited_saves_both() -> None:
    """What replaces one would replace the other."""
    results = _done(TUMOR), _done(TUMOR, outline=box(0, 0, 9, 9)), _done(TUMOR)

    plan = _plan(TUMOR, results=results, options=replace(OPTIONS, overwrite="unedited"))

    assert [outline.status for outline in plan.settled] == [Status.EDITED]


def test_outlines_from_before_there_were_digests_are_told_by_their_class() -> None:
    """Nobody knows what shape they had; a class that is not that of the prompt may be the user's."""
    same, other = _done(TUMOR, written=""), _done(TUMOR, written="", class_name="Stroma")

    assert [outline.status for outline in _plan(TUMOR, results=(same,)).settled] == [Status.UNCHANGED]
    assert [outline.status for outline in _plan(TUMOR, results=(other,)).settled] == [Status.EDITED]


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
    plan = _plan(TUMOR, results=(_done(TUMOR),), options=options)

    assert (plan.todo, plan.differing) == ((), 0)


def test_classes_choose_prompts() -> None:
    """Prompts of other classes are neither done nor counted; an empty name means unclassified."""
    assert _plan(TUMOR, STROMA, PLAIN, options=replace(OPTIONS, classes=("Tumor",))) == Plan((TUMOR,), ())
    assert _plan(TUMOR, STROMA, PLAIN, options=replace(OPTIONS, classes=("",))) == Plan((PLAIN,), ())


def test_clicks_on_the_background_ask_for_no_outline() -> None:
    """A point that became one leaves its outline behind, as a point that was deleted does."""
    ignored = replace(STROMA, class_name="Ignore*")

    assert _plan(TUMOR, ignored, results=(_done(STROMA),)) == Plan((TUMOR,), (), frozenset({STROMA.key}))


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
