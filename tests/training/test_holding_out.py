"""Some outlines are held out of a training, and no patch of it shows any of them."""

from collections.abc import Sequence

import pytest
import shapely
from shapely import MultiPolygon, Point, Polygon, box

from nuclick_qp.training.holding_out import Place, hold_out

REACH = 64.0


def place(image: str, *xs: float, y: float = 50, left: float = 0, right: float = 1000) -> Place:
    """Give a place with discs at some x."""
    return Place(image, "Training", box(left, 0, right, 100), tuple(Point(x, y).buffer(8) for x in xs), REACH)


def outlines(places: Sequence[Place], part: str) -> list[Polygon | MultiPolygon]:
    """Give the outlines of a part."""
    return [outline for one in places if one.part == part for outline in one.outlines]


def test_what_the_user_holds_out_is_held_out() -> None:
    """Rectangles of class Validation leave nothing to choose."""
    places = [place("1", 50, 100), Place("2", "Validation", box(0, 0, 9, 9), (box(1, 1, 5, 5),), REACH)]

    assert hold_out(places, share=0.25) == places


def test_whole_images_are_held_out_where_some_have_the_share() -> None:
    """Nothing of them is trained on, and none of the others changes."""
    places = [place(str(number), 50, 100, 150) for number in range(4)]

    held = hold_out(places, share=0.25)

    assert [one.part for one in held].count("Validation") == 1
    assert [one.outlines for one in held] == [one.outlines for one in places]


def test_the_choice_of_images_stays_as_outlines_are_added() -> None:
    """Else the next tuning would be measured on what this one learned from."""
    fewer = hold_out([place(str(number), 50, 100, 150) for number in range(5)], share=0.25)
    more = hold_out([place(str(number), 50, 100, 150, 200) for number in range(5)], share=0.25)

    assert [one.part for one in fewer] == [one.part for one in more]


def test_whole_places_are_held_out_in_a_single_image() -> None:
    """Those that touch another go with it: an outline may lie near the border between them."""
    apart = [place("1", 50, 70, left=0, right=100), place("1", 250, 270, left=200, right=300), place("1", 450, 470, left=400, right=500)]
    touching = place("1", 320, 340, left=300, right=360)

    held = hold_out([*apart, touching], share=0.25)

    assert {one.part for one in held[:1]} | {one.part for one in held[2:3]} == {"Training", "Validation"}
    assert held[1].part == held[3].part == "Training"


@pytest.mark.parametrize("turned", [False, True])
def test_one_place_is_cut_so_that_no_held_out_object_shows_in_the_training(turned: bool) -> None:
    """The cut runs where it costs least; what lies on it belongs to neither part."""
    crowd = place("1", *range(40, 960, 12))  # discs of 16 px every 12 px: any line across hits some
    if turned:
        crowd = Place("1", "Training", _turn(crowd.box), tuple(map(_turn, crowd.outlines)), REACH)

    held = hold_out([crowd], share=0.25)

    training, validation = outlines(held, "Training"), outlines(held, "Validation")
    shown = shapely.union_all([one.box for one in held if one.part == "Training"])
    assert len(validation) == round(0.25 * len(crowd.outlines))
    assert 0 < len(crowd.outlines) - len(training) - len(validation) <= 3
    assert not any(shown.intersects(outline) for outline in validation)
    assert all(shown.contains(outline) for outline in training)
    seen = next(one.box for one in held if one.part == "Validation")
    assert all(seen.contains(outline) for outline in validation)
    assert crowd.box.covers(seen)


def test_only_the_fullest_place_is_cut() -> None:
    """The others are learned from as they are."""
    large, small = place("1", *range(50, 900, 30)), place("2", 50)

    held = hold_out([large, small], share=0.25)

    assert small in held
    assert len(outlines(held, "Validation")) == 8  # a quarter of 30


def _turn(shape: Polygon | MultiPolygon) -> Polygon:
    """Swap x and y."""
    return Polygon(shapely.get_coordinates(shape)[:, ::-1])
