"""Tests of `nuclick_qp.model.predictor`."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from fakes import DarkIsObject, make_card
from nuclick_qp.errors import DeviceError
from nuclick_qp.guidance.signals import MarkedPatches
from nuclick_qp.model.devices import choose_device, choose_precision
from nuclick_qp.model.inputs import draw_inputs
from nuclick_qp.model.network import NuClickNet
from nuclick_qp.model.network_settings import NetworkSettings
from nuclick_qp.model.predictor import Predictor

PATCHES = MarkedPatches.without_marks(np.random.default_rng(0).integers(0, 256, (7, 32, 32, 3), np.uint8))


@pytest.mark.parametrize("batch_size", [1, 2, 7, 64])
def test_batch_size_does_not_change_probabilities(batch_size: int) -> None:
    """A batch of 1 equals a batch of 64: only float32 rounding of differently shaped products may differ."""
    torch.manual_seed(0)
    predictor = Predictor(make_card(), NuClickNet(NetworkSettings(width=0.1)), device="cpu", precision="float32")

    whole = predictor.predict(PATCHES, batch_size=7)

    assert whole.shape == (7, 32, 32)
    assert whole.dtype == np.float32
    assert np.allclose(predictor.predict(PATCHES, batch_size=batch_size), whole, atol=1e-5)


@pytest.mark.parametrize("cores", ["1", "2", "5"])
def test_cores_share_out_a_batch(monkeypatch: pytest.MonkeyPatch, cores: str) -> None:
    """In parts of four patches at most, each on one thread of torch; the order stays, whatever their number."""
    threads: list[int] = []

    class Watched(DarkIsObject):
        def forward(self, x: Tensor) -> Tensor:
            threads.append(torch.get_num_threads())
            assert len(x) <= 4
            return super().forward(x)

    monkeypatch.setenv("OMP_NUM_THREADS", cores)
    plain = DarkIsObject().eval()(draw_inputs(PATCHES, channels=5, device=torch.device("cpu")))

    found = Predictor(make_card(), Watched(), device="cpu", precision="float32").predict(PATCHES, batch_size=6)

    assert np.allclose(found, torch.sigmoid(plain[:, 0]).numpy())
    assert threads == [1, 1, 1]


def test_no_patches_give_no_probabilities() -> None:
    """An empty batch never reaches the network."""
    predictor = Predictor(make_card(), DarkIsObject(), device="cpu", precision="float32")

    assert predictor.predict(PATCHES.part(0, 0)).shape == (0, 32, 32)


def test_network_without_exclusion_sees_four_channels() -> None:
    """A card with 4 input channels gets the first four."""

    class CountsChannels(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return torch.full((len(x), 1, *x.shape[2:]), float(x.shape[1] == 4) * 100 - 50)

    network = make_card().network.model_copy(update={"in_channels": 4})
    predictor = Predictor(make_card(network=network), CountsChannels(), device="cpu", precision="float32")

    assert predictor.predict(PATCHES).min() > 0.99


class _RunsOutOfMemory(nn.Module):
    """A network on a device with room for two patches."""

    def __init__(self) -> None:
        super().__init__()
        self.batches: list[int] = []

    def forward(self, x: Tensor) -> Tensor:
        if len(x) > 2:
            raise torch.OutOfMemoryError("no room\non this device")
        self.batches.append(len(x))
        return DarkIsObject()(x)  # type: ignore[no-any-return]  # modules are untyped when called


def test_batch_is_halved_when_memory_runs_out(caplog: pytest.LogCaptureFixture) -> None:
    """The run goes on with smaller batches and says so; the result is the same."""
    net = _RunsOutOfMemory()
    predictor = Predictor(make_card(), net, device="cpu", precision="float32")
    expected = Predictor(make_card(), DarkIsObject(), device="cpu", precision="float32").predict(PATCHES)

    found = predictor.predict(PATCHES, batch_size=7)

    assert np.array_equal(found, expected)
    assert net.batches == [1] * 7
    assert "out of memory at 7 patches" in caplog.text


def test_memory_that_is_too_small_for_one_patch_is_an_error() -> None:
    """On the CPU there is nothing left to fall back on."""

    class Greedy(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            raise torch.OutOfMemoryError("no room")

    with pytest.raises(torch.OutOfMemoryError):
        Predictor(make_card(), Greedy(), device="cpu", precision="float32").predict(PATCHES)


class _OnSmallDevice:
    """A network on a device that has room for no patch until it is told otherwise; the CPU has room for all."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.has_room = False
        self.predictor = Predictor(make_card(), DarkIsObject(), device="cpu", precision="float32")
        there, run = replace(self.predictor._there), type(self.predictor._there).run
        monkeypatch.setattr(self.predictor, "_there", there)

        def run_where_there_is_room(place: object, patches: MarkedPatches, stopped: Callable[[], bool]) -> NDArray[np.float32]:
            if place is there and not self.has_room:
                raise torch.OutOfMemoryError("no room")
            return run(self.predictor._here, patches, stopped)

        monkeypatch.setattr(type(there), "run", run_where_there_is_room)


def test_the_cpu_takes_over_for_one_call(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    """The next one asks the device again, with as many patches at once as it has had room for."""
    small = _OnSmallDevice(monkeypatch)
    expected = Predictor(make_card(), DarkIsObject(), device="cpu", precision="float32").predict(PATCHES)

    for moves in (1, 2):
        assert np.array_equal(small.predictor.predict(PATCHES), expected)
        assert caplog.text.count("the CPU does the rest") == moves
    small.has_room = True
    small.predictor.predict(PATCHES)

    assert caplog.text.count("the CPU does the rest") == 2
    assert caplog.text.count("at 7 patches") == 0  # 32 are asked for, then 16, 8, 4, 2, 1
    assert caplog.text.count("at 32 patches") == 1


def test_a_network_that_may_not_move_stays_on_its_device(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a service: when there is room again it works there as before."""
    small = _OnSmallDevice(monkeypatch)
    small.predictor.may_move = False

    with pytest.raises(torch.OutOfMemoryError):
        small.predictor.predict(PATCHES)

    small.has_room = True
    assert small.predictor.predict(PATCHES).shape == (7, 32, 32)


@pytest.mark.parametrize("name", ["gpu", "cuda:99", "meta", "", "tpu"])
def test_devices_that_are_not_there_are_named(name: str) -> None:
    """The error says what to use instead."""
    with pytest.raises(DeviceError, match=r"auto|cpu"):
        choose_device(name)


def test_every_device_has_a_precision() -> None:
    """On the CPU it is bfloat16 or float32, never float16."""
    assert choose_precision(torch.device("cpu")) in ("bfloat16", "float32")


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device on this machine")
def test_cuda_agrees_with_the_cpu() -> None:
    """The same network in float32 on both, to rounding."""
    torch.manual_seed(0)
    net = NuClickNet(NetworkSettings(width=0.1))
    on_cpu = Predictor(make_card(), net, device="cpu", precision="float32").predict(PATCHES)

    on_gpu = Predictor(make_card(), net, device="cuda", precision="float32").predict(PATCHES)

    assert np.allclose(on_gpu, on_cpu, atol=1e-3)
