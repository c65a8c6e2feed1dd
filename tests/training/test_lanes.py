"""Tests of `nuclick_qp.training.lanes`: one batch on several cores."""

import functools

import pytest
import torch
from torch import nn

from nuclick_qp.model.network import NuClickNet
from nuclick_qp.model.network_settings import NetworkSettings
from nuclick_qp.training.lanes import Lanes, choose_lanes
from nuclick_qp.training.losses import hybrid_loss
from nuclick_qp.training.patches import Batch

CPU = torch.device("cpu")


def _net() -> NuClickNet:
    torch.manual_seed(0)
    return NuClickNet(NetworkSettings(width=0.07)).to(memory_format=torch.channels_last)  # type: ignore[call-overload,no-any-return]


def _batch(count: int) -> Batch:
    generator = torch.Generator().manual_seed(1)
    inputs = torch.rand(count, 5, 32, 32, generator=generator)
    wanted = inputs[:, :1] > 0.8
    return Batch(inputs, wanted.float(), (inputs[:, :1] < 0.1).float(), wanted.int())


def _mean_loss(net: nn.Module, part: Batch) -> torch.Tensor:
    return hybrid_loss(net(part.inputs), part.wanted, part.others)


def _mean(net: NuClickNet) -> torch.Tensor:
    """Give the running mean of the first batch norm."""
    return net.get_buffer("enc1.0.1.running_mean")


def _gradient(net: NuClickNet) -> torch.Tensor:
    return torch.cat([p.grad.flatten() for p in net.parameters() if p.grad is not None])


@pytest.mark.parametrize("count", [8, 5])
def test_lanes_leave_the_gradient_of_the_mean_over_all_patches(count: int) -> None:
    """What parts give by themselves, weighted by their patches; the running statistics are the mean of theirs."""
    batch, net, alone = _batch(count), _net(), _net()
    before = _mean(alone).clone()
    first = (count + 1) // 2
    statistics = []
    for part in (slice(first), slice(first, count)):
        _mean(alone).copy_(before)
        piece = Batch(batch.inputs[part], batch.wanted[part], batch.others[part], batch.labels[part])
        (_mean_loss(alone, piece) * len(piece.inputs) / count).backward()  # type: ignore[no-untyped-call]
        statistics.append(_mean(alone).clone())

    loss = Lanes(net, 2).backward(batch, _mean_loss)

    assert torch.allclose(_gradient(net), _gradient(alone), rtol=1e-4, atol=1e-6)
    assert torch.allclose(_mean(net), (statistics[0] + statistics[1]) / 2)
    assert float(loss) > 0


def test_lanes_see_the_weights_that_the_optimizer_has_moved() -> None:
    """They share them: after a step the second loss is that of the new weights, in all lanes."""
    batch, net = _batch(8), _net()
    lanes = Lanes(net, 2)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.05)
    losses = []
    for _ in range(3):
        losses.append(float(lanes.backward(batch, _mean_loss)))
        optimizer.step()

    assert losses[2] < losses[1] < losses[0]


def test_a_compiled_network_leaves_the_same_gradient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Through what torch.compile traces; without its code generator, which takes two minutes."""
    monkeypatch.setattr(torch, "compile", functools.partial(torch.compile, backend="eager"))
    batch, net, plain = _batch(8), _net(), _net()

    Lanes(net, 1, compiled=True).backward(batch, _mean_loss)
    Lanes(plain, 1).backward(batch, _mean_loss)

    assert torch.allclose(_gradient(net), _gradient(plain), rtol=1e-4, atol=1e-6)


def test_an_error_in_a_lane_ends_the_step() -> None:
    """It is not lost in a thread."""

    def broken(net: nn.Module, part: Batch) -> torch.Tensor:
        if len(part.inputs) == 2:  # that of the second lane
            raise MemoryError("no room")
        return _mean_loss(net, part)

    with pytest.raises(MemoryError, match="no room"):
        Lanes(_net(), 2).backward(_batch(5), broken)


@pytest.mark.parametrize(
    ("asked", "cores", "batch_size", "lanes"), [(None, "4", 32, 4), (None, "16", 32, 4), (None, "4", 4, 1), (3, "1", 32, 3), (9, "1", 4, 4)]
)
def test_lanes_follow_the_cores_and_the_batch(
    monkeypatch: pytest.MonkeyPatch, asked: int | None, cores: str, batch_size: int, lanes: int
) -> None:
    """OMP_NUM_THREADS says how many cores there are; a lane that is not asked for gets 8 patches at least."""
    monkeypatch.setenv("OMP_NUM_THREADS", cores)

    assert choose_lanes(asked, batch_size=batch_size, device=CPU) == lanes


def test_without_a_word_all_cores_train(monkeypatch: pytest.MonkeyPatch) -> None:
    """As many as this process may use; a GPU has one lane."""
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)

    assert choose_lanes(None, batch_size=8 * 4096, device=CPU) >= 1
    assert choose_lanes(None, batch_size=4096, device=torch.device("cuda")) == 1
