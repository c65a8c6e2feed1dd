"""Tests of `nuclick_qp.evaluation.baselines.mask_rcnn`."""

import pickle

import pytest
import torch
from torch import Tensor

from disc_batches import SIDE, batch_of, disc_batch, one_of, teach, without_values
from disc_training import disc_config
from nuclick_qp.evaluation.baselines.mask_rcnn import (
    Boxes,
    InteractiveMaskRcnn,
    area,
    boxes_of,
    canvas,
    covered,
    paste,
    regions,
    roi_align,
)
from nuclick_qp.training.patches import Batch

LESSON = InteractiveMaskRcnn(most=4)
WHOLE = [0.0, 0.0, 1.0, 1.0]


class Told(torch.nn.Module):
    """A network whose (N, K, R, R) logits are given."""

    def __init__(self, logits: Tensor) -> None:
        super().__init__()
        self.logits = logits

    def forward(self, x: Tensor, edges: Tensor) -> Tensor:
        """Give them, whatever is seen."""
        return self.logits


def generator() -> torch.Generator:
    """Give a seeded generator."""
    return torch.Generator().manual_seed(0)


def labelled(*objects: tuple[int, int, int, int, int], wanted: int, side: int = 32) -> Batch:
    """Give a batch of one patch with rectangles of (label, left, top, right, bottom), later ones on top; one is wanted."""
    labels = torch.zeros(1, side, side)
    for number, left, top, right, bottom in objects:
        labels[0, top:bottom, left:right] = number
    return batch_of(torch.rand((1, 5, side, side), generator=generator()), labels, labels == wanted)


def edges_px(boxes: Boxes, side: int = 32) -> list[list[float]]:
    """Give the boxes of the first patch that are there, in pixels."""
    return (boxes.edges[0][boxes.there[0]] * side).tolist()


def test_the_wanted_box_comes_first_and_the_others_by_nearness() -> None:
    """Whatever their labels are; boxes are from edge to edge."""
    batch = labelled((900, 0, 0, 3, 5), (5, 10, 12, 20, 16), (2, 25, 12, 30, 20), (7, 10, 18, 12, 32), wanted=5)

    boxes = boxes_of(batch, 6)

    assert boxes.number.tolist() == [[5, 7, 2, 900, 0, 0]]  # gaps of 2, 5, and 7 + 7 px
    assert boxes.there.tolist() == [[True] * 4 + [False] * 2]
    assert edges_px(boxes) == [[10, 12, 20, 16], [10, 18, 12, 32], [25, 12, 30, 20], [0, 0, 3, 5]]
    assert boxes.edges[0, 4:].tolist() == [WHOLE, WHOLE]
    assert boxes_of(batch, 2).number.tolist() == [[5, 7]]


@pytest.mark.parametrize(("large", "small"), [(1, 3), (3, 1)])
def test_of_boxes_that_touch_the_wanted_one_those_with_nearer_middles_come_first(large: int, small: int) -> None:
    """Both gaps are 0; the larger neighbour reaches further away, whichever label it has."""
    batch = labelled((large, 0, 0, 10, 30), (2, 10, 10, 20, 20), (small, 20, 12, 24, 18), wanted=2)

    assert boxes_of(batch, 3).number.tolist() == [[2, small, large]]


def test_a_patch_that_wants_nothing_has_no_wanted_box() -> None:
    """The first place stays empty, whether there is background or not, and the others keep theirs."""
    for objects in (((3, 4, 4, 8, 8),), ((3, 0, 0, 16, 32), (4, 16, 0, 32, 32))):
        boxes = boxes_of(labelled(*objects, wanted=-1), 3)

        assert not boxes.there[0, 0]
        assert sorted(boxes.number[0, boxes.there[0]].tolist()) == [number for number, *_ in objects]


def test_a_box_covers_the_pixels_between_its_edges() -> None:
    """All of those and no others; its area is their share of the patch."""
    batch = labelled((1, 3, 5, 9, 20), (2, 9, 0, 32, 32), wanted=1)

    boxes = boxes_of(batch, 3)
    inside = covered(boxes, 32)

    assert torch.equal(inside[:, :2], torch.cat([batch.wanted, batch.others], dim=1) > 0)
    assert not inside[:, 2].any()  # there is no third object
    assert torch.allclose(area(boxes)[0, :2] * 32**2, torch.tensor([6.0 * 15, 23.0 * 32]))


def test_roi_align_of_the_whole_patch_is_the_patch() -> None:
    """Cut out at its own size; at half of it, the means of 2 x 2."""
    features = torch.rand((2, 3, 8, 8), generator=generator())
    edges = torch.tensor([WHOLE]).expand(2, 1, 4)

    assert torch.allclose(roi_align(features, edges, 8), features, atol=1e-6)
    assert torch.allclose(roi_align(features, edges, 4), torch.nn.functional.avg_pool2d(features, 2), atol=1e-6)


def test_roi_align_interpolates_at_the_middle_of_each_part_of_a_box() -> None:
    """A box from 1 to 3 px across and 0.5 to 3.5 px down, in 2 x 2 parts, by hand: on a slope, values are those of the places."""
    rows, cols = torch.meshgrid(torch.arange(4.0) + 0.5, torch.arange(4.0) + 0.5, indexing="ij")
    features = torch.stack([cols, rows])[None]  # each feature says where it is
    edges = torch.tensor([[[1.0, 0.5, 3.0, 3.5], [0.0, 0.0, 2.0, 1.0]]]) / 4

    first, second = roi_align(features, edges, 2)

    assert torch.allclose(first[0], torch.tensor([[1.5, 2.5], [1.5, 2.5]]))
    assert torch.allclose(first[1], torch.tensor([[1.25, 1.25], [2.75, 2.75]]))
    assert torch.allclose(second[0], torch.tensor([[0.5, 1.5], [0.5, 1.5]]))
    assert torch.allclose(second[1], torch.tensor([[0.5, 0.5], [0.75, 0.75]]))  # a quarter of a pixel down is above the first middle


def test_roi_align_takes_each_box_from_its_own_patch() -> None:
    """Boxes of several patches at once are those of one after the other."""
    features = torch.rand((3, 2, 8, 8), generator=generator())
    low = torch.rand((3, 4, 2), generator=generator()) / 2
    edges = torch.cat([low, low + 0.4], dim=-1)

    together = roi_align(features, edges, 5).view(3, 4, 2, 5, 5)

    for n in range(3):
        for k in range(4):
            assert torch.allclose(together[n, k], roi_align(features[n : n + 1], edges[n : n + 1, k : k + 1], 5)[0], atol=1e-6)


def test_masks_are_pasted_into_their_boxes() -> None:
    """One of 4 x 4 into a box of 4 x 4 px lands there to the pixel; into one of 8 x 8, it is enlarged."""
    masks = torch.rand((1, 2, 4, 4), generator=generator())
    edges = torch.tensor([[[3, 5, 7, 9], [0, 0, 8, 8]]]) / 16

    pasted = paste(masks, edges, 16)

    assert torch.allclose(pasted[0, 0, 5:9, 3:7], masks[0, 0], atol=1e-6)
    larger = torch.nn.functional.interpolate(masks[:, 1:], scale_factor=2, mode="bilinear", align_corners=False)
    assert torch.allclose(pasted[:, 1:, :8, :8], larger, atol=1e-6)


def test_regions_and_background_compete_for_each_pixel() -> None:
    """Their probabilities sum to 1; a region has none outside its box, and where there is no box all is background."""
    batch, net = disc_batch(3), LESSON.network(disc_config()).eval()
    prepared, boxes = LESSON.prepare(batch, generator()), boxes_of(batch, LESSON.most)

    with torch.no_grad():
        shares = torch.softmax(canvas(net, prepared, boxes), dim=1)

    inside = covered(boxes, SIDE)
    assert shares.shape == (3, 5, SIDE, SIDE)
    assert torch.allclose(shares.sum(dim=1), torch.ones(3, SIDE, SIDE), atol=1e-6)
    assert (shares[:, 1:][~inside] == 0).all()
    assert (shares[:, 1:][inside] > 0).all()
    assert (shares[:, 0][~inside.any(dim=1)] == 1).all()


def test_the_wanted_region_claims_what_it_has_the_greatest_share_of() -> None:
    """Of three shares the greatest may be below a half; the probability is 0.5 or more there all the same, and nowhere else."""
    batch = labelled((2, 4, 0, 32, 24), (1, 0, 4, 24, 32), wanted=1)
    boxes = boxes_of(batch, LESSON.most)
    net = Told(torch.randn(1, 4, 28, 28, generator=generator()) / 4)

    with torch.no_grad():
        shares = torch.softmax(canvas(net, batch, boxes), dim=1)
        claimed = LESSON.probability(net, batch)[:, 0] >= 0.5

    assert torch.equal(claimed, shares.argmax(dim=1) == 1)
    assert (claimed & (shares[:, 1] < 0.5)).any()


def test_a_rival_box_takes_probability_away() -> None:
    """Where the box of another object overlaps that of the wanted one, and only there."""
    alone, both = labelled((1, 8, 8, 20, 20), wanted=1), labelled((2, 14, 0, 30, 16), (1, 8, 8, 20, 20), wanted=1)
    net = Told(torch.ones(1, 4, 28, 28))

    with torch.no_grad():
        before, after = (LESSON.probability(net, LESSON.prepare(batch, generator()))[0, 0] for batch in (alone, both))

    disputed = torch.zeros(32, 32, dtype=torch.bool)
    disputed[8:16, 14:20] = True
    assert (after[disputed] < before[disputed]).all()
    assert torch.allclose(after[~disputed], before[~disputed], atol=1e-6)


def test_the_loss_asks_for_the_region_of_each_pixel_and_counts_each_box_the_same() -> None:
    """Two boxes, of 4 and of 64 px, without logits: two ways out inside them, weighed by area; background outside costs nothing."""
    batch = labelled((1, 0, 0, 2, 2), (2, 8, 8, 16, 16), wanted=1)
    boxes = boxes_of(batch, LESSON.most)
    assert torch.equal(regions(boxes, batch.labels)[0], torch.where(batch.labels[0, 0] == 1, 1, torch.where(batch.labels[0, 0] == 2, 2, 0)))

    logits = torch.zeros(1, 4, 28, 28)
    logits[:, 0] = torch.tensor(3.0).log()  # the wanted one has 3 / 4 of its box, the other one half

    loss = float(LESSON.loss(Told(logits), batch))

    assert loss == pytest.approx(float((torch.tensor(4 / 3).log() + torch.tensor(2.0).log()) / 2))


def test_a_pixel_of_an_object_beyond_the_cap_is_background() -> None:
    """So it is not the wanted one, and costs its box nothing."""
    batch = labelled((1, 0, 0, 8, 8), (2, 9, 0, 12, 8), (3, 20, 0, 32, 32), wanted=1)

    found = regions(boxes_of(batch, 2), batch.labels)[0]

    assert (found[batch.labels[0, 0] == 3] == 0).all()
    assert set(found.flatten().tolist()) == {0, 1, 2}


def test_nothing_but_boxes_is_taken_from_the_truth() -> None:
    """Full rectangles in the place of discs have the same boxes, and get the same answer."""
    batch, net = disc_batch(4), LESSON.network(disc_config()).eval()
    labels = torch.zeros(4, SIDE, SIDE)
    for n in range(4):
        for number in (3, 7):  # 7 is wanted, and lies on top
            rows, cols = torch.nonzero(batch.labels[n, 0] == number).T
            labels[n, rows.min() : rows.max() + 1, cols.min() : cols.max() + 1] = number
    full = batch_of(batch.inputs, labels, labels == 7)
    assert not torch.equal(full.wanted, batch.wanted)

    with torch.no_grad():
        discs, rectangles = (LESSON.probability(net, LESSON.prepare(one, generator())) for one in (batch, full))

    assert torch.equal(discs, rectangles)


def test_inputs_are_the_image_alone() -> None:
    """Neither the click nor what is excluded is seen."""
    batch = disc_batch(2)

    assert torch.equal(LESSON.prepare(batch, generator()).inputs, batch.inputs[:, :3])


def test_a_batch_is_answered_as_its_patches_one_by_one() -> None:
    """Up to the rounding of sums in another order."""
    net, batch = LESSON.network(disc_config()).eval(), LESSON.prepare(disc_batch(3), generator())

    with torch.no_grad():
        together = LESSON.probability(net, batch)
        alone = [LESSON.probability(net, one_of(batch, row)) for row in range(3)]

    assert torch.allclose(together, torch.cat(alone), atol=1e-5)
    assert together.shape == (3, 1, SIDE, SIDE)
    assert together.dtype == torch.float32


def test_how_many_boxes_there_may_be_changes_no_answer() -> None:
    """Places of the batch that stay empty are left out of the competition."""
    net, batch = LESSON.network(disc_config()).eval(), LESSON.prepare(disc_batch(2), generator())

    with torch.no_grad():
        few, many = (InteractiveMaskRcnn(most=most).probability(net, batch) for most in (2, 16))

    assert torch.allclose(few, many, atol=1e-6)


def test_no_value_is_asked_for() -> None:
    """However many boxes there are: a GPU would have to be waited for."""
    net, batch = LESSON.network(disc_config()).to("meta"), LESSON.prepare(without_values(disc_batch(2)), generator())

    assert LESSON.loss(net, batch).shape == ()
    assert LESSON.probability(net, batch).shape == (2, 1, SIDE, SIDE)


def test_a_patch_that_wants_nothing_is_answered_with_nothing() -> None:
    """And its loss is a number."""
    net, batch = LESSON.network(disc_config()).eval(), LESSON.prepare(labelled(wanted=1), generator())

    with torch.no_grad():
        assert not LESSON.probability(net, batch).any()
        assert float(LESSON.loss(net, batch)) == 0


def test_a_tiny_network_learns_to_outline_the_boxed_disc() -> None:
    """In a few steps on one batch its Dice is high; the whole box would have 0.88."""
    torch.manual_seed(0)
    lesson = InteractiveMaskRcnn(most=2)  # that is all there are
    net, batch = lesson.network(disc_config()), lesson.prepare(disc_batch(8), generator())

    before, after = teach(lesson, net, batch, steps=90, rate=1e-2)

    assert before < 0.9
    assert after > 0.95


def test_lessons_travel_to_other_processes() -> None:
    """They are pickled, and equal afterwards."""
    assert pickle.loads(pickle.dumps(LESSON)) == LESSON
