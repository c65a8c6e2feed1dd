"""Tests of `nuclick_qp.evaluation.baselines.clicks`."""

import math
import pickle
from dataclasses import replace

import pytest
import torch

from disc_batches import SIDE, batch_of, disc_batch, one_of, teach, without_values
from disc_training import disc_config
from nuclick_qp.evaluation.baselines.clicks import (
    DiverseNet,
    Ifcn,
    LatentDiversity,
    hindsight,
    missed_clicks,
    relaxed_jaccard,
    with_distances,
)
from nuclick_qp.training.lesson import Lesson
from nuclick_qp.training.patches import Batch

LESSONS: list[Lesson] = [Ifcn(), LatentDiversity()]


def generator(seed: int = 0) -> torch.Generator:
    """Give a seeded generator."""
    return torch.Generator().manual_seed(seed)


def clicked(row: int, col: int, wanted: torch.Tensor) -> Batch:
    """Give a batch of one black patch with a click."""
    inputs = torch.zeros(1, 5, *wanted.shape)
    inputs[0, 3, row, col] = 1
    return batch_of(inputs, wanted[None].int(), wanted[None])


def test_a_click_becomes_the_euclidean_distance_from_it() -> None:
    """In parts of 255 px: 0 on the click, 5 px at three rows down and four columns on."""
    wanted = torch.ones(16, 16, dtype=torch.bool)
    wanted[15, 15] = False  # the only place for the click outside

    shown = with_distances(clicked(2, 1, wanted), generator()).inputs

    assert shown.shape == (1, 5, 16, 16)
    inside, outside = 255 * shown[0, 3], 255 * shown[0, 4]
    assert float(inside[2, 1]) == float(outside[15, 15]) == 0
    assert float(inside[5, 5]) == pytest.approx(5)
    assert float(outside[2, 1]) == pytest.approx(math.hypot(13, 14), rel=1e-6)


def test_distances_end_at_255() -> None:
    """As a byte does; a corner of a patch of 256 px is 360 px from the other."""
    wanted = torch.ones(256, 256, dtype=torch.bool)
    wanted[255, 255] = False

    inside = with_distances(clicked(0, 0, wanted), generator()).inputs[0, 3]

    assert float(inside.max()) == float(inside[255, 255]) == 1
    assert float(inside[0, 254]) == pytest.approx(254 / 255)


def test_the_click_outside_may_be_any_pixel_that_is_not_wanted() -> None:
    """Other objects and the background alike, but never the wanted object."""
    wanted = torch.zeros(4, 4, dtype=torch.bool)
    wanted[1:3, 1:3] = True
    many = clicked(1, 1, wanted)
    many = Batch(*(tensor.repeat(400, 1, 1, 1) for tensor in (many.inputs, many.wanted, many.others, many.labels)))

    hit = with_distances(many, generator()).inputs[:, 4] == 0

    assert (hit.sum(dim=(1, 2)) == 1).all()
    assert torch.equal(hit.any(dim=0), ~wanted)


def test_an_object_that_fills_its_patch_has_no_click_outside() -> None:
    """All is as far away as can be; a click on the object would say that it is not wanted."""
    shown = with_distances(clicked(3, 3, torch.ones(16, 16, dtype=torch.bool)), generator()).inputs

    assert (shown[0, 4] == 1).all()


@pytest.mark.parametrize("lesson", LESSONS, ids=str)
def test_prepared_patches_show_the_image_and_two_clicks_and_nothing_else_of_the_mask(lesson: Lesson) -> None:
    """A batch whose masks are other ones but for the pixels clicked on is shown alike."""
    batch = disc_batch(4)
    prepared = lesson.prepare(batch, generator())

    clicks = prepared.inputs[:, 3:] == 0
    assert torch.equal(prepared.inputs[:, :3], batch.inputs[:, :3])
    assert (clicks.sum(dim=(2, 3)) == 1).all()
    assert torch.equal(clicks[:, 0], batch.inputs[:, 3] > 0)
    only_there = torch.where(clicks[:, 1:], 0.0, 1.0)  # an object of any other shape, with the same place to click outside of it
    assert torch.equal(lesson.prepare(replace(batch, wanted=only_there), generator()).inputs, prepared.inputs)


@pytest.mark.parametrize("lesson", LESSONS, ids=str)
def test_an_answer_does_not_look_at_the_truth(lesson: Lesson) -> None:
    """With masks that say the contrary it is the same."""
    net = lesson.network(disc_config()).eval()
    prepared = lesson.prepare(disc_batch(2), generator())
    lying = batch_of(prepared.inputs, torch.ones(2, SIDE, SIDE).int(), prepared.wanted[:, 0] == 0)

    with torch.no_grad():
        assert torch.equal(lesson.probability(net, prepared), lesson.probability(net, lying))


@pytest.mark.parametrize("lesson", LESSONS, ids=str)
def test_a_batch_is_answered_as_its_patches_one_by_one(lesson: Lesson) -> None:
    """Prompts drawn in order are the same, and so are probabilities, to the rounding of sums in another order."""
    net = lesson.network(disc_config()).eval()
    batch, one_after_the_other = disc_batch(3), generator()

    together = lesson.prepare(batch, generator())
    alone = [lesson.prepare(one_of(batch, row), one_after_the_other) for row in range(3)]

    assert torch.equal(together.inputs, torch.cat([one.inputs for one in alone]))
    with torch.no_grad():
        found = lesson.probability(net, together)
        assert torch.allclose(found, torch.cat([lesson.probability(net, one) for one in alone]), atol=1e-5)
    assert found.shape == (3, 1, SIDE, SIDE)
    assert found.dtype == torch.float32


@pytest.mark.parametrize("lesson", LESSONS, ids=str)
def test_no_value_is_asked_for(lesson: Lesson) -> None:
    """Neither for prompts, nor for the loss, nor for the answer has a GPU to be waited for."""
    net = lesson.network(disc_config()).to("meta")

    prepared = lesson.prepare(without_values(disc_batch(2)), generator())

    assert lesson.loss(net, prepared).shape == ()
    assert lesson.probability(net, prepared).shape == (2, 1, SIDE, SIDE)


def test_the_hindsight_loss_is_that_of_the_best_hypothesis() -> None:
    """0.2 and 0.4, on average 0.3; of all there is a part that halves from one to the next."""
    costs = torch.tensor([[0.9, 0.2, 0.5], [0.4, 0.8, 0.6]], requires_grad=True)

    loss = hindsight(costs)
    loss.backward()  # type: ignore[no-untyped-call]  # torch has no annotation here

    parts = 0.08 * (0.9 + 0.4) / 2 + 0.04 * (0.2 + 0.8) / 2 + 0.02 * (0.5 + 0.6) / 2
    assert float(loss.detach()) == pytest.approx(0.3 + parts)
    assert costs.grad is not None
    assert torch.allclose(costs.grad, torch.tensor([[0.04, 0.52, 0.01], [0.54, 0.02, 0.01]]))  # each learns, the best one most


def test_relaxed_jaccard_is_one_less_the_intersection_over_the_union_of_masks() -> None:
    """2 px of 6 in common, with one pixel more in both; a perfect mask costs nothing, and so does nothing where nothing is wanted."""
    wanted = torch.zeros(1, 1, 4, 4)
    wanted[..., 0, :] = 1
    drawn = torch.zeros(1, 3, 4, 4)
    drawn[0, 0, :2, :2] = 1
    drawn[0, 1, 0, :] = 1

    assert relaxed_jaccard(drawn, wanted)[0].tolist() == pytest.approx([1 - 3 / 7, 0, 1 - 1 / 5])
    assert relaxed_jaccard(drawn[:, 2:], torch.zeros(1, 1, 4, 4)).tolist() == [[0]]


def test_a_hypothesis_pays_for_what_it_says_at_the_clicks_only() -> None:
    """It is right at both, wrong at both, or undecided; what it says elsewhere costs nothing."""
    shown = with_distances(clicked(0, 0, torch.tensor([[True, True], [True, False]])), generator()).inputs
    right = torch.tensor([[1.0, 0.3], [0.6, 0.0]])

    for drawn, cost in ((right, 0.0), (1 - right, 1.0), (torch.full((2, 2), 0.5), 0.5)):
        assert float(missed_clicks(drawn.view(1, 1, 2, 2), shown)) == pytest.approx(cost)


def test_the_selection_teaches_the_second_network_and_not_the_first() -> None:
    """No gradient of the votes reaches a weight of the first network, and every weight of the second gets one."""
    net = DiverseNet(4, 6)

    net(torch.rand(2, 5, SIDE, SIDE, generator=generator()))[1].square().sum().backward()

    assert all(weight.grad is None for weight in net.drawing.parameters())
    assert all(weight.grad is not None for weight in net.selecting.parameters())


class Voting(torch.nn.Module):
    """Answers two patches with given hypotheses and votes."""

    def __init__(self, logits: torch.Tensor, votes: torch.Tensor) -> None:
        super().__init__()
        self.logits, self.votes = logits, votes

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return self.logits, self.votes


def test_the_hypothesis_with_most_votes_is_the_answer() -> None:
    """Whichever it is in each patch."""
    logits = torch.randn(2, 6, SIDE, SIDE, generator=generator())
    votes = torch.tensor([[0, 3, 1, 0, 2, 0], [9, 3, 1, 0, 2, 8.0]])

    found = LatentDiversity().probability(Voting(logits, votes), disc_batch(2))

    assert torch.equal(found, torch.sigmoid(torch.stack([logits[0, 1:2], logits[1, :1]])))


def test_votes_cost_nothing_where_they_go_to_the_best_hypothesis() -> None:
    """It is the third in both patches, with the mask itself; hypotheses that are all alike but for it cost the same either way."""
    lesson, batch = LatentDiversity(), LatentDiversity().prepare(disc_batch(2), generator())
    logits = torch.full((2, 6, SIDE, SIDE), -50.0)
    logits[:, 2] = 100 * batch.wanted[:, 0] - 50
    right, wrong = (50 * torch.nn.functional.one_hot(torch.tensor([best, best]), 6).float() for best in (2, 4))

    costs = [float(lesson.loss(Voting(logits, votes), batch)) for votes in (right, wrong)]

    assert costs[1] - costs[0] == pytest.approx(50, rel=1e-4)


@pytest.mark.parametrize(("lesson", "steps"), [(Ifcn(), 30), (LatentDiversity(), 80)], ids=str)
def test_a_tiny_network_learns_to_outline_the_clicked_disc(lesson: Lesson, steps: int) -> None:
    """In a few steps on one batch the Dice of the clicked discs, beside others of the same look, is high."""
    torch.manual_seed(0)
    net = lesson.network(disc_config())
    batch = lesson.prepare(disc_batch(8), generator())

    before, after = teach(lesson, net, batch, steps=steps, rate=1e-2)

    assert before < 0.5
    assert after > 0.8


@pytest.mark.parametrize("lesson", LESSONS, ids=str)
def test_lessons_travel_to_other_processes(lesson: Lesson) -> None:
    """They are pickled, and equal afterwards."""
    assert pickle.loads(pickle.dumps(lesson)) == lesson
