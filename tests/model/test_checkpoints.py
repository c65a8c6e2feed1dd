"""Tests of `nuclick_qp.model.checkpoints`: weights and their card, replaced together."""

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from fakes import make_card
from nuclick_qp.model.cards import Card, find_card
from nuclick_qp.model.checkpoints import load_network, store_model
from nuclick_qp.model.network import NuClickNet
from nuclick_qp.model.network_settings import NetworkSettings

SMALL = NetworkSettings(width=0.0625, ms_blocks=0, in_channels=5, ms3_dilation=3)
CALLS = ("open", "fsync", "chmod", "replace", "unlink")


def make_net(seed: int) -> NuClickNet:
    """Give a small network with weights of its own."""
    torch.manual_seed(seed)
    return NuClickNet(SMALL).eval()


def describe(checksum: str) -> Card:
    """Give the card of a small network."""
    return make_card(name="small", network=SMALL, sha256=checksum)


def kill_at(last: int) -> None:
    """Let the n-th call of the system that writes something kill this process instead."""
    calls = 0

    def counted(call: Callable[..., Any]) -> Callable[..., Any]:
        def step(*arguments: Any, **options: Any) -> Any:
            nonlocal calls
            calls += 1
            if calls == last:
                os.kill(os.getpid(), signal.SIGKILL)
            return call(*arguments, **options)

        return step

    for name in CALLS:
        setattr(os, name, counted(getattr(os, name)))


@pytest.mark.skipif(sys.platform == "win32", reason="needs fork")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_model_replaced_and_killed_anywhere_is_the_old_one_or_the_new_one(tmp_path: Path) -> None:
    """Whichever it is, card and weights fit, and the next try leaves two files."""
    old, new = make_net(1), make_net(2)
    found = []
    for point in range(1, 100):
        path = tmp_path / str(point) / "small.safetensors"
        path.parent.mkdir()
        first = store_model(old, path, describe)
        writer = os.fork()
        if writer == 0:
            kill_at(point)
            store_model(new, path, describe)
            os._exit(0)
        status = os.waitpid(writer, 0)[1]
        card, weights = find_card("small", path.parent)
        load_network(card, weights)
        found.append(card.sha256 == first.sha256)
        second = store_model(new, path, describe)
        assert {p.name for p in path.parent.iterdir() if p.suffix != ".tmp"} == {"small.json", path.name}
        assert find_card("small", path.parent)[0] == second
        load_network(second, path)
        if status == 0:
            break

    assert 10 < len(found) < 99
    assert found == sorted(found, reverse=True)  # the old one up to one moment, the new one from then on
    assert len(set(found)) == 2
