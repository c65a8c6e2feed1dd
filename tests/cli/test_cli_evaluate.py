"""Tests of `nuclick-qp evaluate`: what it prints, and what it refuses; the network is a stand-in."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from torch import Tensor, nn

from fakes import DarkIsObject, make_card
from nuclick_qp.model.predictor import Predictor

DrawPair = Callable[..., Path]
CommandLine = Callable[..., int]
Capture = pytest.CaptureFixture[str]
DISCS = [(60.0, 60.0, 9.0), (100.0, 70.0, 7.0), (300.0, 200.0, 10.0), (203.0, 150.0, 8.0)]
NEAR = [(60.0, 60.0, 9.0), (85.0, 65.0, 9.0)]
FIGURES = ["aji", "dice", "sq", "dq", "pq", "hausdorff", "f1", "dice_obj", "hausdorff_obj"]
PERFECT = dict.fromkeys(FIGURES, 1) | {"hausdorff": 0, "hausdorff_obj": 0}


class _Recorder(nn.Module):
    """The network for dark objects; keeps the signals that it was shown."""

    def __init__(self) -> None:
        super().__init__()
        self.signals: list[Tensor] = []

    def forward(self, x: Tensor) -> Tensor:
        self.signals += x[:, 3:].clone()
        return DarkIsObject()(x)  # type: ignore[no-any-return]  # modules are untyped when called


@pytest.fixture(autouse=True)
def net(monkeypatch: pytest.MonkeyPatch) -> _Recorder:
    """Put a network that everybody can predict where models come from: `dark` and `telling` for points, `lines` for lines."""
    net = _Recorder()

    def load(name: str, *, device: str = "auto") -> Predictor:
        assert device == "cpu"
        size = {"object_px": 24.0} if name == "telling" else {}
        card = make_card(name=name, prompt="line" if name == "lines" else "point", **size)
        return Predictor(card, net, device=device, precision="float32")

    monkeypatch.setattr(Predictor, "load", load)
    return net


@pytest.fixture
def evaluate(command_line: CommandLine) -> CommandLine:
    """Give a function that evaluates a model on folders, on the CPU."""
    return lambda *arguments, model="dark": command_line("evaluate", "--model", model, *arguments, "--device", "cpu")


@pytest.mark.parametrize("model", ["dark", "lines"])
def test_json_has_every_figure_per_image_and_overall(evaluate: CommandLine, draw_pair: DrawPair, capsys: Capture, model: str) -> None:
    """The contract, for points and for lines: 2 images, 6 objects of which one is not to be seen."""
    folder = draw_pair("a/first", DISCS)
    draw_pair("a/second", DISCS[:1], unseen=(DISCS[2],))

    assert evaluate(folder, "--json", model=model) == 0

    summary = json.loads(capsys.readouterr().out)
    first, second = summary["images"]
    assert summary.keys() == {"model", "images", "overall"}
    assert summary["model"].startswith(f"{model} ")
    assert first == {"image": "first.png", "n_objects": 4, "n_missed": 0, "n_uncertain": 0, "estimated_mpp": None} | PERFECT
    assert (second["image"], second["n_objects"], second["n_missed"], second["sq"]) == ("second.png", 2, 1, 1)
    assert second.keys() == first.keys()
    assert summary["overall"].keys() == {"n_images", "n_objects", "n_missed", "n_uncertain", *FIGURES}
    assert (summary["overall"]["n_images"], summary["overall"]["n_objects"], summary["overall"]["n_missed"]) == (2, 6, 1)
    for name in FIGURES:
        assert summary["overall"][name] == pytest.approx((first[name] + second[name]) / 2, abs=1e-4)  # printed with 4 digits


def test_table_has_a_line_per_image_and_one_for_all(evaluate: CommandLine, draw_pair: DrawPair, capsys: Capture) -> None:
    """What people read without `--json`."""
    assert evaluate(draw_pair("a/first", DISCS)) == 0

    model, head, first, mean = capsys.readouterr().out.splitlines()
    assert model.startswith("dark ")
    assert head.split() == ["image", "objects", "missed", "uncertain", "AJI", "Dice", "SQ", "DQ", "PQ", "Haus.", "F1", "Dice/o", "Haus/o"]
    assert first.split()[:5] == ["first.png", "4", "0", "0", "1.000"]
    assert mean.split()[:3] == ["mean", "of", "all"]


def test_several_folders_are_evaluated_together(evaluate: CommandLine, draw_pair: DrawPair, capsys: Capture) -> None:
    """Images of one name stay apart by their folders; `--pattern` holds for every folder."""
    folders = [draw_pair("a/discs", DISCS), draw_pair("b/discs", DISCS[:1])]
    draw_pair("b/more", DISCS)

    assert evaluate(*folders, "--pattern", "disc*", "--json") == 0

    summary = json.loads(capsys.readouterr().out)
    assert [image["image"] for image in summary["images"]] == [f"{folder.as_posix()}/discs.png" for folder in folders]
    assert (summary["overall"]["n_images"], summary["overall"]["n_objects"]) == (2, 5)


def test_options_reach_the_network(evaluate: CommandLine, draw_pair: DrawPair, net: _Recorder) -> None:
    """Two discs in reach of each other: neighbours unless `--no-exclusion`, five views with `--tta`."""
    folder = draw_pair("a/discs", NEAR)

    shown = []
    for arguments in ([], ["--no-exclusion"], ["--tta"], ["--tta", "--no-exclusion"]):
        net.signals.clear()
        assert evaluate(folder, *arguments) == 0
        shown.append((len(net.signals), sum(int(signal[1].sum()) for signal in net.signals)))

    assert shown == [(2, 2), (2, 0), (10, 10), (10, 0)]


def test_jitter_moves_the_clicks(evaluate: CommandLine, draw_pair: DrawPair, net: _Recorder) -> None:
    """Seen from one click the other lies elsewhere than without, and in the same place when done again."""
    folder = draw_pair("a/discs", NEAR)

    places = []
    for arguments in ([], ["--jitter", "3"], ["--jitter", "3"]):
        net.signals.clear()
        assert evaluate(folder, *arguments) == 0
        places.append([np.argwhere(signal[1].numpy()).tolist() for signal in net.signals])

    assert places[0] != places[1] == places[2]


def _no_pairs(folder: Path) -> None:
    for path in folder.iterdir():
        path.unlink()


def _no_labels(folder: Path) -> None:
    (folder / "discs_label.png").unlink()


def _other_size(folder: Path) -> None:
    Image.fromarray(np.ones((300, 401), np.uint8)).save(folder / "discs_label.png")


def _nothing_labelled(folder: Path) -> None:
    Image.fromarray(np.zeros((300, 400), np.uint8)).save(folder / "discs_label.png")


def _no_image(folder: Path) -> None:
    (folder / "discs.png").write_bytes(b"not an image")


def _no_folder(folder: Path) -> None:
    folder.rename(folder.with_name("elsewhere"))


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (_no_pairs, "holds no images that match '*'"),
        (_no_labels, "discs.png has no discs_label.png or discs_label.tif beside it"),
        (_other_size, "discs_label.png is (300, 401) but discs.png is (300, 400)"),
        (_nothing_labelled, "discs_label.png holds no object"),
        (_no_image, "discs.png cannot be read as an image"),
        (_no_folder, "does not exist; give a folder of images with their labels"),
    ],
)
def test_folders_that_cannot_be_used_exit_with_3(
    evaluate: CommandLine, draw_pair: DrawPair, capsys: Capture, spoil: Callable[[Path], None], said: str
) -> None:
    """One line on stderr that names the file, and nothing on stdout, though the first folder is sound."""
    sound, spoilt = draw_pair("a/discs", DISCS), draw_pair("b/discs", DISCS)
    spoil(spoilt)

    assert evaluate(sound, spoilt, "--json") == 3

    captured = capsys.readouterr()
    (line,) = captured.err.splitlines()
    assert line.startswith(f"nuclick-qp: {spoilt}")
    assert said in line
    assert captured.out == ""


@pytest.mark.parametrize("arguments", [[], ["FOLDER", "FOLDER"], ["FOLDER", "--jitter", "-1"]], ids=["none", "twice", "negative jitter"])
def test_wrong_usage_exits_with_2(evaluate: CommandLine, draw_pair: DrawPair, capsys: Capture, arguments: list[str]) -> None:
    """No folder, the same one twice, a spread below zero."""
    folder = draw_pair("a/discs", DISCS)

    assert evaluate(*(folder if word == "FOLDER" else word for word in arguments)) == 2
    assert capsys.readouterr().out == ""


def test_objects_tell_the_scale_of_each_image(evaluate: CommandLine, draw_pair: DrawPair, capsys: Capture) -> None:
    """Whatever the resolution of the model: two images of discs, one of discs that are twice as large."""
    draw_pair("a/small", [(60.0, 60.0, 8.0), (300.0, 200.0, 8.0)])
    folder = draw_pair("a/twice", [(90.0, 90.0, 16.0), (300.0, 200.0, 16.0)])

    assert evaluate(folder, "--scale", "auto", "--json", model="telling") == 0

    report = json.loads(capsys.readouterr().out)
    told = [image["estimated_mpp"] for image in report["images"]]
    assert told == pytest.approx([0.25 * 24 / 16, 0.25 * 24 / 32], rel=0.06)
    assert report["overall"]["n_missed"] == 0
    assert evaluate(folder, "--json", model="telling") == 0
    assert [image["estimated_mpp"] for image in json.loads(capsys.readouterr().out)["images"]] == [None, None]


def test_an_image_whose_objects_tell_no_scale_has_no_outlines(evaluate: CommandLine, draw_pair: DrawPair, capsys: Capture) -> None:
    """A run would refuse it, and the measure is that of a run."""
    folder = draw_pair("a/empty", [], unseen=((60.0, 60.0, 8.0),))

    assert evaluate(folder, "--scale", "auto", "--json", model="telling") == 0

    [image] = json.loads(capsys.readouterr().out)["images"]
    assert (image["n_objects"], image["n_missed"], image["estimated_mpp"], image["aji"]) == (1, 1, None, 0)


@pytest.mark.parametrize(
    ("model", "more", "said"),
    [("dark", (), "differ too much in size to tell a scale"), ("telling", ("--mpp", "0.25"), "leave one of them out")],
)
def test_a_scale_that_cannot_be_found_is_refused(
    evaluate: CommandLine, draw_pair: DrawPair, capsys: Capture, model: str, more: tuple[str, ...], said: str
) -> None:
    """In one line: the model states no size, or the scale is stated already."""
    folder = draw_pair("a/discs", DISCS)

    assert evaluate(folder, "--scale", "auto", *more, model=model) == 2

    assert said in capsys.readouterr().err
