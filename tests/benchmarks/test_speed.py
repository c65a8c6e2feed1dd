"""Benchmarks of single parts, run by `make bench-parts`: read the ratios within one run, not the seconds.

Each group compares ways to do one thing; pytest-benchmark prints, beside each figure, its ratio to
the best of its group.
"""

import contextlib
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from shapely import Point
from torch import nn

from edited_files import edited
from nuclick_qp.annotations.objects import ResultObject
from nuclick_qp.guidance.signals import MarkedPatches
from nuclick_qp.model.devices import usable_cores
from nuclick_qp.model.network import NuClickNet
from nuclick_qp.model.network_settings import NetworkSettings
from nuclick_qp.model.predictor import Predictor
from nuclick_qp.prompts import Plane
from nuclick_qp.qupath.open_project import open_project
from nuclick_qp.qupath.qpdata.data_file import parse_data_file
from nuclick_qp.qupath.qpdata.new_file import new_data_file
from nuclick_qp.run.project import segment_project
from nuclick_qp.run.run_options import RunOptions
from nuclick_qp.training.lanes import Lanes, get_ready
from nuclick_qp.training.losses import hybrid_loss
from nuclick_qp.training.patches import Batch

Benchmark = Callable[..., Any]
EXAMPLES = Path(__file__).parents[2] / "examples"
CLICKS = 64
OBJECTS = 5000


@pytest.fixture(scope="module")
def patches() -> MarkedPatches:
    """Give patches of noise; the network takes the same time for anything."""
    return MarkedPatches.without_marks(np.random.default_rng(0).integers(0, 256, (CLICKS, 128, 128, 3), np.uint8))


@pytest.mark.benchmark(group=f"network: {CLICKS} clicks")
@pytest.mark.parametrize("precision", ["float32", "auto"])
@pytest.mark.parametrize("batch_size", [1, 8, 32, 64])
def test_network(benchmark: Benchmark, patches: MarkedPatches, precision: Any, batch_size: int) -> None:
    """What batches and the precision of the device bring."""
    predictor = Predictor.load("nuclei", precision=precision)

    assert benchmark(predictor.predict, patches, batch_size=batch_size).shape == (CLICKS, 128, 128)


@pytest.fixture(params=["quiet", "busy"])
def other_program(request: pytest.FixtureRequest) -> Iterator[None]:
    """Keep one core busy, or none, as a browser does beside QuPath."""
    with contextlib.ExitStack() as stack:
        if request.param == "busy":
            process = stack.enter_context(subprocess.Popen([sys.executable, "-c", "while True: pass"]))
            stack.callback(process.kill)
        yield


@pytest.mark.benchmark(group="network with another program beside it")
@pytest.mark.parametrize("clicks", [1, 64])
@pytest.mark.parametrize("way", ["shared out", "openmp"])
@pytest.mark.usefixtures("other_program")
def test_network_beside_another_program(benchmark: Benchmark, patches: MarkedPatches, clicks: int, way: str) -> None:
    """What a busy core costs where cores share out patches, and where each convolution is split among them, as torch does by itself."""
    predictor, patches = Predictor.load("nuclei"), patches.part(0, clicks)
    before = torch.get_num_threads()
    torch.set_num_threads(usable_cores())
    try:
        found = benchmark(predictor.predict if way == "shared out" else predictor._there.run, patches)
    finally:
        torch.set_num_threads(before)

    assert found.shape == (clicks, 128, 128)


@pytest.mark.benchmark(group="forward and backward of 32 training patches")
@pytest.mark.parametrize("count", [1, 2, 4])
def test_lanes(benchmark: Benchmark, count: int) -> None:
    """What each core more brings, where there is one and nothing else runs on it."""
    get_ready(torch.device("cpu"))
    net = NuClickNet(NetworkSettings(width=0.25)).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    inputs = torch.rand(32, 5, 128, 128).contiguous(memory_format=torch.channels_last)
    wanted = inputs[:, :1] > 0.8
    batch = Batch(inputs, wanted.float(), (inputs[:, :1] < 0.1).float(), wanted.int())

    def mean_loss(lane: nn.Module, part: Batch) -> torch.Tensor:
        return hybrid_loss(lane(part.inputs), part.wanted, part.others)

    assert benchmark(Lanes(net, count).backward, batch, mean_loss) > 0


@pytest.mark.benchmark(group="a click from project to outline, against the network alone")
@pytest.mark.parametrize("part", ["network alone", "whole run"])
def test_run(benchmark: Benchmark, tmp_path: Path, part: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The example project, 211 points: what reading, post-processing and outlines add."""
    monkeypatch.syspath_prepend(EXAMPLES)
    sys.modules.pop("ihc_project", None)
    from ihc_project import make_ihc_project  # noqa: PLC0415  # lies beside the package, not in it

    predictor = Predictor.load("nuclei")
    patches = MarkedPatches.without_marks(np.zeros((211, 128, 128, 3), np.uint8))
    project = make_ihc_project(tmp_path / "project")

    def run() -> int:
        if part == "network alone":
            return len(predictor.predict(patches))
        with open_project(project) as opened:
            return segment_project(opened, {"point": predictor}, options=RunOptions(dry_run=True)).ok

    assert benchmark(run) > 190


def _results() -> list[ResultObject]:
    rng = np.random.default_rng(0)
    places = rng.uniform(0, 50_000, (OBJECTS, 2)).tolist()
    return [
        ResultObject(Point(x, y).buffer(12), "detection", "Tumor", Plane(), False, (x, y), str(number), 0.5)
        for number, (x, y) in enumerate(places)
    ]


@pytest.mark.benchmark(group=f"data.qpdata: {OBJECTS} outlines")
@pytest.mark.parametrize("step", ["read", "add"])
def test_data_file(benchmark: Benchmark, step: str) -> None:
    """Reading a file of outlines, and writing them into an empty one with all its checks."""
    empty = new_data_file(
        server_json="{}", annotations=(), image_type="BRIGHTFIELD_H_E", qupath_version="0.5.1", project_entry="project.qpproj::1"
    )
    source = Path("data.qpdata")
    results = _results()
    full = edited(parse_data_file(empty, source=source), add=results)

    if step == "read":
        assert len(benchmark(parse_data_file, full, source=source).objects) == OBJECTS
    else:
        assert benchmark(lambda: edited(parse_data_file(empty, source=source), add=results)) == full
