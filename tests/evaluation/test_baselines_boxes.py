"""Tests of `nuclick_qp.evaluation.baselines.boxes`, on masks made by hand and on drawn discs."""

import pickle
from dataclasses import fields, replace

import pytest
import torch
from scipy import ndimage
from torch import Tensor, nn

from disc_training import disc_config
from nuclick_qp.evaluation.baselines.boxes import BifSeg, DeepGrabCut, Dextr, bounding_boxes, extreme_points
from nuclick_qp.training.config import TrainingConfig
from nuclick_qp.training.lesson import Lesson
from nuclick_qp.training.patches import Batch

SIDE = 64
CONFIG: TrainingConfig = disc_config(prompt="line", patch_px=SIDE, width=0.1)
LESSONS: list[Lesson] = [DeepGrabCut(), Dextr(bottlenecks=(1, 1, 1, 1)), BifSeg()]
of_each = pytest.mark.parametrize("lesson", LESSONS, ids=lambda lesson: type(lesson).__name__)


def test_a_box_ends_with_its_mask() -> None:
    """Its rows and columns are the first and the last that hold a pixel, however the pixels lie; without any it is the patch."""
    masks = torch.zeros(3, 1, 9, 9)
    masks[0, 0, 2, 5] = masks[0, 0, 6, 3] = 1
    masks[1, 0, 8, 0] = 1

    assert bounding_boxes(masks).tolist() == [[2, 6, 3, 5], [8, 8, 0, 0], [0, 8, 0, 8]]


def test_an_extreme_point_is_the_middle_pixel_of_the_mask_on_its_side() -> None:
    """Of those that touch a side of the box: of two the first, and never one of a gap between them."""
    masks = torch.zeros(1, 1, 12, 12)
    masks[0, 0, 3:9, 4:8] = 1
    masks[0, 0, 2, [2, 5, 9]] = 1  # above: with gaps
    masks[0, 0, 9, 4:9] = 1  # below: five
    masks[0, 0, 4:6, 2] = 1  # left, with the first of those above: three
    masks[0, 0, 6, 9] = 1  # right, with the last of those above: two

    assert extreme_points(masks)[0].tolist() == [[2, 5], [9, 6], [4, 2], [2, 9]]


def test_the_distance_map_is_that_to_the_nearest_pixel_of_the_box() -> None:
    """128 on the rectangle, less inside and more outside by the Euclidean distance, over 255."""
    batch = one_object(rows=slice(9, 31), cols=slice(20, 50))
    rectangle = torch.zeros(SIDE, SIDE, dtype=torch.bool)
    rectangle[9:31, 20:50] = True
    edge = rectangle.clone()
    edge[10:30, 21:49] = False
    distance = torch.from_numpy(ndimage.distance_transform_edt(~edge.numpy()))

    shown = prepared(DeepGrabCut(), batch).inputs[0, 3]

    assert torch.allclose(255 * shown, (128 + torch.where(rectangle, -distance, distance)).float(), rtol=0, atol=1e-4)


def test_the_distance_map_is_cut_off_at_0_and_255() -> None:
    """Further from the box than that, in a patch that is large enough, all pixels look alike."""
    batch = one_object(rows=slice(0, 300), cols=slice(0, 300), side=480)

    shown = prepared(DeepGrabCut(), batch).inputs[0, 3]

    assert shown[150, 150] == 0
    assert shown[299, 299 + 126] < 1
    assert (shown[299, 299 + 127 :] == 1).all()


def test_the_heat_map_is_greatest_on_the_extreme_points() -> None:
    """1 there and nowhere else, and half of it at half the width of a spot."""
    batch = one_object(rows=slice(9, 40), cols=slice(20, 51))
    places = extreme_points(batch.wanted)[0]

    heat = prepared(Dextr(), batch).inputs[0, 3]

    assert {tuple(place) for place in places.tolist()} == {tuple(place) for place in (heat == 1).nonzero().tolist()}
    assert heat[9 - 5, 35] == pytest.approx(0.5, abs=1e-4)  # 5 px above the upper one, the others being far
    assert heat.max() == 1


def test_outside_of_box_and_margin_the_crop_is_black() -> None:
    """Within, the image is as it was, in a margin of the width that a box of the right size leaves free in the patch."""
    batch = one_object(rows=slice(20, 40), cols=slice(10, 50))
    expected = torch.zeros(3, SIDE, SIDE)
    expected[:, 20 - 6 : 40 + 6, 10 - 6 : 50 + 6] = batch.inputs[0, :3, 20 - 6 : 40 + 6, 10 - 6 : 50 + 6]

    shown = prepared(BifSeg(fill=0.8), batch).inputs[0]  # a tenth of 64 px on each side

    assert torch.equal(shown, expected)


@of_each
def test_masks_alike_in_their_prompt_are_shown_alike(lesson: Lesson) -> None:
    """A diamond and a cross of equal box and extreme points: nothing else of the mask is told."""
    diamond = one_object(rows=slice(20, 41), cols=slice(20, 41))
    rows, cols = torch.arange(SIDE)[:, None], torch.arange(SIDE)
    diamond = replace(diamond, wanted=((rows - 30).abs() + (cols - 30).abs() <= 10).float()[None, None])
    cross = replace(diamond, wanted=diamond.wanted * ((rows == 30) | (cols == 30)))

    shown, other = (prepared(lesson, batch).inputs for batch in (diamond, cross))

    assert diamond.wanted.sum() > 4 * cross.wanted.sum()
    assert torch.equal(shown, other)


@of_each
def test_a_patch_is_prepared_by_itself(lesson: Lesson) -> None:
    """What else is in the batch changes nothing, and only the inputs are new."""
    batch = discs(4)
    parts = [Batch(*(getattr(batch, field.name)[index : index + 1] for field in fields(Batch))) for index in range(4)]

    together, alone = prepared(lesson, batch), [prepared(lesson, part) for part in parts]

    assert torch.equal(together.inputs, torch.cat([part.inputs for part in alone]))
    assert all(getattr(together, field.name) is getattr(batch, field.name) for field in fields(Batch) if field.name != "inputs")
    assert together.inputs.min() >= 0
    assert together.inputs.max() <= 1


@of_each
def test_the_answer_takes_nothing_from_the_truth(lesson: Lesson) -> None:
    """Once a batch is prepared, its masks can be wrong; the answer is one probability per pixel."""
    net, batch = made(lesson).eval(), prepared(lesson, discs(2))
    blind = replace(batch, wanted=1 - batch.wanted, others=1 - batch.others, labels=batch.labels + 1)

    with torch.inference_mode():
        answer, other = (lesson.probability(net, one) for one in (batch, blind))

    assert torch.equal(answer, other)
    assert (answer.shape, answer.dtype) == ((2, 1, SIDE, SIDE), torch.float32)
    assert 0 <= answer.min() <= answer.max() <= 1


def test_object_and_ground_have_one_weight_in_the_loss_of_dextr() -> None:
    """Where every pixel is as probable as not, the pull of the few of the object is as strong as that of all others."""
    answer = torch.zeros(2, 1, SIDE, SIDE, requires_grad=True)
    batch = discs(2)

    Dextr().loss(Fixed(answer), batch).backward()  # type: ignore[no-untyped-call]  # torch has no annotation here

    assert answer.grad is not None
    pull = [answer.grad[batch.wanted == value].sum().item() for value in (0, 1)]
    assert batch.wanted.mean() < 0.2
    assert pull[0] == pytest.approx(-pull[1], rel=1e-4)
    assert pull[0] > 0


@of_each
def test_a_network_learns_which_disc_is_meant(lesson: Lesson) -> None:
    """Of two discs of one colour in each patch; after a few steps others that were never seen are outlined."""
    torch.manual_seed(0)
    net, unseen = made(lesson), prepared(lesson, discs(16, seed=1_000, side=32))
    before = dice(lesson, net, unseen)
    optimizer = torch.optim.AdamW(net.parameters(), lr=0.01)

    for step in range(60):
        optimizer.zero_grad()
        lesson.loss(net.train(), prepared(lesson, discs(8, seed=step, side=32))).backward()  # type: ignore[no-untyped-call]  # torch has no annotation here
        optimizer.step()

    assert before < 0.5
    assert dice(lesson, net, unseen) > 0.8


@of_each
def test_a_lesson_travels_to_other_processes(lesson: Lesson) -> None:
    """Those that make batches."""
    assert pickle.loads(pickle.dumps(lesson)) == lesson


class Fixed(nn.Module):
    """A network that always gives the same logits."""

    def __init__(self, logits: Tensor) -> None:
        super().__init__()
        self.logits = logits

    def forward(self, _: Tensor) -> Tensor:
        return self.logits


def made(lesson: Lesson) -> nn.Module:
    """Make the small network of a lesson."""
    torch.manual_seed(0)
    return lesson.network(CONFIG)


def prepared(lesson: Lesson, batch: Batch) -> Batch:
    """Show a lesson a batch."""
    return lesson.prepare(batch, torch.Generator().manual_seed(0))


@torch.inference_mode()
def dice(lesson: Lesson, net: nn.Module, batch: Batch) -> float:
    """Compare what a network finds in a batch with what is wanted."""
    found = lesson.probability(net.eval(), batch) >= 0.5
    return float(2 * (found * batch.wanted).sum() / (found.sum() + batch.wanted.sum()))


def one_object(*, rows: slice, cols: slice, side: int = SIDE) -> Batch:
    """Give a patch of noise with one rectangle in it that is wanted."""
    wanted = torch.zeros(1, 1, side, side)
    wanted[0, 0, rows, cols] = 1
    noise = torch.rand(1, 5, side, side, generator=torch.Generator().manual_seed(0))
    return Batch(noise, wanted, torch.zeros_like(wanted), wanted.int())


def discs(count: int, *, seed: int = 0, side: int = SIDE) -> Batch:
    """Draw patches with a disc near the middle that is wanted, and beside it another of the same colour."""
    generator = torch.Generator().manual_seed(seed)
    along = (torch.arange(side) + 0.5) / side

    def disc(row: Tensor, col: Tensor, radius: Tensor) -> Tensor:
        return (along[:, None] - row.view(-1, 1, 1)) ** 2 + (along - col.view(-1, 1, 1)) ** 2 <= radius.view(-1, 1, 1) ** 2

    drawn = torch.rand(5, count, generator=generator)
    row, col, radius, other = 0.45 + 0.1 * drawn[0], 0.45 + 0.1 * drawn[1], 0.15 + 0.1 * drawn[2], 0.12 + 0.06 * drawn[3]
    apart, turn = radius + other + 0.04, 2 * torch.pi * drawn[4]
    wanted, beside = disc(row, col, radius), disc(row + apart * turn.sin(), col + apart * turn.cos(), other)
    light = torch.where(wanted | beside, 0.3, 0.8)[:, None] + 0.1 * torch.rand(count, 3, side, side, generator=generator)
    maps = torch.zeros(count, 2, side, side)
    labels = (wanted.int() + 2 * beside.int())[:, None]
    return Batch(torch.cat([light, maps], dim=1), wanted[:, None].float(), beside[:, None].float(), labels)
