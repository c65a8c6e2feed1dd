"""Tests of what `make bench` and `make bench-gpu` run, at sizes that take seconds."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import openslide
import pytest
import torch

from benchmarks.bench import NETWORK, Bench, Plan, Series, write_pages
from benchmarks.drawn_answers import DISCS
from benchmarks.figures import ROOT, Figures
from benchmarks.in_own_process import answer_of
from benchmarks.one_run import Request, RunFigures
from benchmarks.synthetic_slide import DENSE_PER_MM2, MPP, PERIOD, click_on_nuclei, make_project, write_slide
from nuclick_qp.geometry import Window
from nuclick_qp.model.devices import choose_precision
from nuclick_qp.slides import open_slide

SIDE = 2 * PERIOD
IN_FLOAT32 = choose_precision(torch.device("cpu")) == "float32"  # as what the benchmark compares with


@pytest.fixture(autouse=True)
def modules_for_children(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the processes that benchmarks start find what this one finds."""
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(map(str, (ROOT, ROOT / "cli", ROOT / "tests"))))


def test_the_slide_is_a_pyramid_with_its_pixel_size(tmp_path: Path) -> None:
    """OpenSlide opens it as any other, and the tissue repeats without a seam."""
    write_slide(tmp_path / "whole.tif", side=SIDE)

    with openslide.OpenSlide(tmp_path / "whole.tif") as handle:
        assert handle.level_downsamples == (1.0, 2.0, 4.0)
    with open_slide(tmp_path / "whole.tif") as slide:
        assert (slide.width, slide.height, slide.mpp) == (SIDE, SIDE, MPP)
        here, again = (slide.read(Window(x, 500, 300, 300)) for x in (1000, 1000 + PERIOD))
        left, right = (slide.read(Window(x, 0, 256, 256)).astype(float) for x in (PERIOD // 2 - 256, PERIOD // 2))
    assert np.array_equal(here, again)
    assert np.abs(left - right[:, ::-1]).mean() < 1  # mirrored, but for what JPEG makes of it


def test_dense_clicks_are_as_dense_as_it_says() -> None:
    """2,000 per mm^2, no two of them in one place, and no click lies outside the square that so many need."""
    clicks = click_on_nuclei(1000, "dense").xy

    square_mm2 = 1000 / DENSE_PER_MM2
    assert len(np.unique(clicks, axis=0)) == 1000
    assert (np.ptp(clicks, axis=0) * MPP / 1000 <= square_mm2**0.5).all()


def test_no_slide_has_more_nuclei_than_fit() -> None:
    """The benchmark would measure fewer clicks than it says."""
    with pytest.raises(ValueError, match="1000000 clicks"):
        click_on_nuclei(1_000_000, "dense")


def test_every_stage_of_a_run_has_a_clock(tmp_path: Path) -> None:
    """A stage that takes no time has moved, and its clock with it has not."""
    write_slide(tmp_path / "whole.tif", side=SIDE)
    project = make_project(tmp_path / "project", tmp_path / "whole.tif", click_on_nuclei(40, "dense", side=SIDE), side=SIDE)

    found = answer_of(
        "benchmarks.one_run", Request(project=project, network=DISCS, device="cpu", batch_size=8, began=0.0), RunFigures
    )

    assert (found.clicks, found.outlines) == (40, 40)
    assert {stage: seconds for stage, seconds in found.stages.items() if seconds <= 0} == {}
    assert 0 < found.network_busy < 1
    assert found.network_per_second is not None
    assert found.peak_mb > found.start_mb > 0


def test_the_benchmark_writes_its_page_and_goes_on_with_figures_of_the_same_commit(tmp_path: Path) -> None:
    """All comparisons once, and one more run added to them; outlines of the peers' way are ours, to a hundredth."""
    comparing = Plan(
        (Series("dense", NETWORK, {6: 1}, busy=True), Series("dense", NETWORK, {6: 1})),
        side=SIDE, batch_size=4, network_batches=(4,), patches=4, warm_clicks=2, training_steps=1, training_batch=2, training_width=0.07,
        peers_batches=(8,), peers_clicks=32,
    )  # fmt: skip
    larger = Plan((Series("sparse", DISCS, {12: 1}),), side=SIDE)
    docs = tmp_path / "docs"
    docs.mkdir()
    for number, plan in enumerate((comparing, larger)):
        folder = tmp_path / str(number)
        folder.mkdir()
        Bench(plan, folder, docs).run()

    figures = Figures.model_validate_json((docs / "benchmarks.json").read_text("utf-8"))
    write_pages(figures.model_copy(update={"remark": "Measured beside a choir."}), docs)

    kinds = [("dense", NETWORK, False), ("dense", NETWORK, True), ("sparse", DISCS, False)]
    assert [(runs.kind, runs.median.clicks) for (runs,) in figures.kinds()] == list(zip(kinds, (6, 6, 12), strict=True))
    assert figures.peers is not None
    assert figures.peers.iou_median > 0.99
    assert figures.network_alone[4].now > 0
    text = (docs / "benchmarks.md").read_text("utf-8")
    assert figures.source.commit in text
    assert "| sparse, without the network | 12 | 12 |" in text
    assert "\n\nMeasured beside a choir.\n\n" in text
    assert (docs / "images" / "benchmarks.svg").exists()


def test_the_gpu_benchmark_runs_all_of_its_parts_without_a_gpu(tmp_path: Path) -> None:
    """With tiny sizes, from the script that a lent machine runs; every part says what it found."""
    environment = {**os.environ, "PYTHON": sys.executable}
    script = ROOT / "examples" / "training" / "gpu.sh"

    subprocess.run([script, "bench", tmp_path / "gpu.json", "--device", "cpu", "--size", "tiny"], check=True, env=environment)

    done = json.loads((tmp_path / "gpu.json").read_text("utf-8"))
    assert {name: part for name, part in done.items() if "error" in part or not part["found"]} == {}
    found = done["equal to the CPU"]["found"]["IoU"]
    assert found["median"] > 0.99
    if IN_FLOAT32:
        assert found["least"] == 1
    assert any(name.startswith("training at width") for name in done)
