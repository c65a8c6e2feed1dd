"""Tests of `nuclick_qp.run.in_memory`, by the public names: arrays, slides and files to outlines."""

import json
import math
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import geojson
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn

import nuclick_qp
from drawn_projects import DISCS, MakeProject, points_at, run_on
from fakes import DarkIsObject, make_card
from nuclick_qp.errors import NoPixelSizeError, OptionError, PromptError, UnreadableSlideError
from nuclick_qp.geometry import Window
from nuclick_qp.model.predictor import Predictor
from nuclick_qp.prompts import Status
from nuclick_qp.run import in_memory

DrawDiscs = Callable[..., Path]
CENTRES = np.array([(x, y) for x, y, _ in DISCS])


class NeverRuns(nn.Module):
    """A network that no test should reach."""

    def forward(self, x: Tensor) -> Tensor:
        """Fail."""
        pytest.fail(f"the network was given {len(x)} patches")


@pytest.fixture
def image(draw_discs: DrawDiscs) -> NDArray[np.uint8]:
    """Give a picture of discs as an array."""
    return np.asarray(Image.open(draw_discs(DISCS)).convert("RGB"))


def test_an_array_and_points_give_outlines(image: NDArray[np.uint8], dark_predictor: Predictor) -> None:
    """One for each point, in their order, in pixels of the array."""
    outlines = nuclick_qp.segment(image, CENTRES, mpp=0.25, predictor=dark_predictor)

    assert [outline.status for outline in outlines] == ["ok"] * len(DISCS)
    for outline, (x, y, radius) in zip(outlines, DISCS, strict=True):
        assert outline.polygon is not None
        assert outline.prompt.anchor == (x, y)
        assert (outline.polygon.centroid.x, outline.polygon.centroid.y) == pytest.approx((x, y), abs=0.25)
        assert outline.polygon.area == pytest.approx(math.pi * radius**2, rel=0.04)
        assert outline.probability == pytest.approx(1, abs=0.01)


def test_array_file_and_slide_give_the_same(draw_discs: DrawDiscs, dark_predictor: Predictor) -> None:
    """However the pixels come."""
    path = draw_discs(DISCS)
    array = np.asarray(Image.open(path).convert("RGB"))
    with nuclick_qp.open_slide(path) as slide:
        found = [nuclick_qp.segment(given, CENTRES, mpp=0.25, predictor=dark_predictor) for given in (array, path, str(path), slide)]
        assert slide.read(Window(0, 0, 4, 4)).shape == (4, 4, 3)  # whose slide it is closes it

    assert found[0].outlines == found[1].outlines == found[2].outlines == found[3].outlines


def test_points_and_lines_go_to_their_models(image: NDArray[np.uint8], monkeypatch: pytest.MonkeyPatch) -> None:
    """By default the shipped one of each kind; points come first."""
    asked = []

    def load(name: str, *, device: str) -> Predictor:
        asked.append((name, device))
        return Predictor(make_card(prompt="line" if name == "glands" else "point"), DarkIsObject(), device=device, precision="float32")

    monkeypatch.setattr(Predictor, "load", load)
    x, y = CENTRES[0]
    stroke = [(x - 4, y), (x + 4, y)]

    outlines = nuclick_qp.segment(image, CENTRES[1:], lines=[stroke, [stroke, [(x, y - 3), (x, y + 3)]]], mpp=0.25, device="cpu")

    assert sorted(asked) == [("glands", "cpu"), ("nuclei", "cpu")]
    assert [outline.prompt.kind for outline in outlines] == ["point"] * (len(DISCS) - 1) + ["line"] * 2
    assert [len(outline.prompt.strokes) for outline in outlines[-2:]] == [1, 2]


def test_labels_are_the_pixels_of_the_outlines(image: NDArray[np.uint8], dark_predictor: Predictor) -> None:
    """Number i + 1 for outline i, also where a point beside all discs has none; a window shows a part."""
    outlines = nuclick_qp.segment(image, [CENTRES[0], (399, 1), CENTRES[1]], mpp=0.25, predictor=dark_predictor)

    labels = outlines.to_labels()

    assert (labels.shape, labels.dtype) == (image.shape[:2], np.dtype(np.int32))
    assert np.unique(labels).tolist() == [0, 1, 3]
    assert (image[labels > 0] < 128).all()
    assert np.count_nonzero(labels == 1) == pytest.approx(math.pi * DISCS[0][2] ** 2, rel=0.04)
    np.testing.assert_array_equal(outlines.to_labels(Window(40, 30, 50, 60)), labels[30:90, 40:90])


def test_labels_of_a_whole_slide_are_refused(image: NDArray[np.uint8], dark_predictor: Predictor, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before the memory is taken; the message says what to do."""
    outlines = nuclick_qp.segment(image, CENTRES, mpp=0.25, predictor=dark_predictor)
    monkeypatch.setattr(in_memory, "LARGEST_LABELS_PX", 1000)

    with pytest.raises(OptionError, match="pass a Window of the part"):
        outlines.to_labels()


def test_geojson_has_what_a_run_would_write(
    make_project: MakeProject, draw_discs: DrawDiscs, dark_predictor: Predictor, tmp_path: Path
) -> None:
    """The same ids, shapes and measurements as in the file of `run --geojson`."""
    project = make_project(points_at(*CENTRES.tolist(), class_name=None))
    run_on(project, {"point": dark_predictor}, geojson=tmp_path / "geojson")
    (file,) = (tmp_path / "geojson").iterdir()
    written = {feature["id"]: feature for feature in json.loads(file.read_text())["features"]}

    ours = nuclick_qp.segment(draw_discs(DISCS), CENTRES, mpp=0.25, predictor=dark_predictor).to_geojson()

    assert isinstance(ours, geojson.FeatureCollection)
    assert ours.is_valid
    assert len(written) == len(DISCS)
    assert {feature["id"]: json.loads(geojson.dumps(feature)) for feature in ours["features"]} == written


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"points": None}, OptionError, "there is no prompt"),
        ({"points": []}, OptionError, "there is no prompt"),
        ({"points": [(1, 2, 3)]}, OptionError, r"points have the shape \(1, 3\); give \(N, 2\)"),
        ({"points": [("a", "b")]}, OptionError, "points cannot be read as numbers"),
        ({"points": [(math.nan, 3)]}, PromptError, "NaN or infinite"),
        ({"points": None, "lines": [(1, 2)]}, OptionError, r"a line has the shape \(2,\)"),
        ({"points": None, "lines": [[(1, 2), (3, 4)]]}, OptionError, "model 'dark' is for points, not for lines"),
        ({"model": "nuclei"}, OptionError, "give one of the two"),
        ({"mpp": None}, NoPixelSizeError, "the array has no pixel size; give mpp"),
        ({"mpp": -1}, OptionError, "give the micrometres per pixel"),
        ({"image": np.zeros((30, 30), np.uint8)}, UnreadableSlideError, r"type uint8 and shape \(30, 30\); give \(H, W, 3\) of uint8"),
        ({"image": np.zeros((30, 30, 3))}, UnreadableSlideError, "type float64"),
        ({"image": np.zeros((0, 30, 3), np.uint8)}, UnreadableSlideError, "shape"),
    ],
)
def test_bad_arguments_are_told(
    image: NDArray[np.uint8], arguments: dict[str, Any], error: type[Exception], message: str
) -> None:
    """Before the network runs; one line that says what to give."""
    given: dict[str, Any] = {"image": image, "points": CENTRES, "mpp": 0.25} | arguments
    unused = Predictor(make_card(), NeverRuns(), device="cpu", precision="float32")

    with pytest.raises(error, match=message):
        nuclick_qp.segment(given.pop("image"), given.pop("points"), predictor=unused, **given)


def test_same_point_twice_has_one_outline(image: NDArray[np.uint8], dark_predictor: Predictor) -> None:
    """As in a project: the second is a duplicate."""
    outlines = nuclick_qp.segment(image, [CENTRES[0], CENTRES[0]], mpp=0.25, predictor=dark_predictor)

    assert [outline.status for outline in outlines] == [Status.OK, Status.DUPLICATE]


def test_public_names_are_there_and_cost_nothing() -> None:
    """Importing the package loads none of what the names need; every name of `__all__` can be asked for."""
    code = "import sys, nuclick_qp\nprint(sorted({'torch', 'numpy', 'shapely', 'paquo'} & set(sys.modules)))\n"
    code += "[getattr(nuclick_qp, name) for name in nuclick_qp.__all__]\nprint(callable(nuclick_qp.segment))"

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.split("\n")[:2] == ["[]", "True"]
    with pytest.raises(AttributeError, match="no attribute 'segmnt'"):
        nuclick_qp.segmnt  # type: ignore[attr-defined]  # noqa: B018  # misspelt on purpose
