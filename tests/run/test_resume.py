"""Tests of `nuclick_qp.run.resume`: what a re-run does."""

from dataclasses import replace

from fakes import make_card
from nuclick_qp.annotations.objects import EarlierResult, EntryContent
from nuclick_qp.prompts import Prompt, Status, click_at
from nuclick_qp.run.resume import Plan, Wishes, options_digest, plan_prompts

CARD = make_card()
WISHES = Wishes({"point": CARD}, mpp=0.25)
TUMOR, STROMA, PLAIN = click_at(10, 10, class_name="Tumor"), click_at(30, 10, class_name="Stroma"), click_at(50, 10)
LINE = Prompt("line", (((1.0, 1.0), (9.0, 9.0)),))


def _done(prompt: Prompt, wishes: Wishes = WISHES) -> EarlierResult:
    return EarlierResult(prompt.key, wishes.cards["point"].short_id, options_digest(prompt, wishes), (0.0, 0.0))


def _plan(*prompts: Prompt, results: tuple[EarlierResult, ...] = (), wishes: Wishes = WISHES) -> Plan:
    return plan_prompts(EntryContent(prompts, results=results), wishes)


def test_new_prompts_are_to_be_done() -> None:
    """A project that was never run has everything to do."""
    assert _plan(TUMOR, STROMA) == Plan((TUMOR, STROMA), ())


def test_prompts_done_in_the_same_way_are_left() -> None:
    """Key, model and options unchanged: the result still holds. This is resume."""
    plan = _plan(TUMOR, STROMA, results=(_done(TUMOR),))

    assert plan.todo == (STROMA,)
    assert [outcome.status for outcome in plan.settled] == [Status.UNCHANGED]


def test_overwrite_does_everything_again() -> None:
    """The user may insist."""
    assert _plan(TUMOR, results=(_done(TUMOR),), wishes=replace(WISHES, overwrite=True)).todo == (TUMOR,)


def test_another_model_resolution_class_or_kind_is_done_again() -> None:
    """Whatever the result depends on makes it stale."""
    stale = [
        replace(WISHES, cards={"point": make_card(sha256="1" * 64)}),
        replace(WISHES, cards={"point": make_card(min_object_px=20)}),
        replace(WISHES, kind="annotation"),
        replace(WISHES, mpp=0.5),
        replace(WISHES, tta=True),
    ]

    assert all(_plan(TUMOR, results=(_done(TUMOR),), wishes=wishes).todo == (TUMOR,) for wishes in stale)
    reclassified = replace(TUMOR, class_name="Stroma")
    assert _plan(reclassified, results=(_done(TUMOR),)).todo == (reclassified,)


def test_results_with_augmentation_hold_as_long_as_it_is_asked_for() -> None:
    """A run without it is another run, and does the prompt again."""
    augmented = replace(WISHES, tta=True)
    results = (_done(TUMOR, augmented),)

    assert _plan(TUMOR, results=results, wishes=augmented).todo == ()
    assert _plan(TUMOR, results=results).todo == (TUMOR,)


def test_classes_choose_prompts() -> None:
    """Prompts of other classes are neither done nor counted; an empty name means unclassified."""
    assert _plan(TUMOR, STROMA, PLAIN, wishes=replace(WISHES, classes=("Tumor",))) == Plan((TUMOR,), ())
    assert _plan(TUMOR, STROMA, PLAIN, wishes=replace(WISHES, classes=("",))) == Plan((PLAIN,), ())


def test_lines_without_a_model_are_reported_unless_left_out() -> None:
    """Nothing is dropped silently: only `none` makes a kind of prompt disappear."""
    plan = _plan(TUMOR, LINE)

    assert [(o.prompt, o.status) for o in plan.settled] == [(LINE, Status.NO_MODEL)]
    assert _plan(TUMOR, LINE, wishes=replace(WISHES, left_out={"line"})) == Plan((TUMOR,), ())


def test_second_prompt_at_the_same_place_is_a_duplicate() -> None:
    """One place, one object: the first prompt counts, whatever the class of the second."""
    plan = _plan(TUMOR, replace(TUMOR, class_name="Stroma"))

    assert plan.todo == (TUMOR,)
    assert [outcome.status for outcome in plan.settled] == [Status.DUPLICATE]
