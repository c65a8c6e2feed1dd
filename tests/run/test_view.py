"""Images that QuPath crops, turns or mirrors out of a file: coordinates, pixels, and whole runs."""

from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from drawn_projects import DISCS, outlines_of, points_at, run_on
from nuclick_qp.errors import SlideError, SlideSizeMismatchError
from nuclick_qp.geometry import Window
from nuclick_qp.model.predictor import Predictors
from nuclick_qp.qupath.folder.create import NewImage, create_project
from nuclick_qp.qupath.folder.view_json import view_steps
from nuclick_qp.qupath.locate import SlidePlaces
from nuclick_qp.qupath.open_image import open_image
from nuclick_qp.qupath.open_project import open_project
from nuclick_qp.slides import open_slide
from nuclick_qp.slides.view import Crop, Mirror, Step, Turn, View
from wrapped_images import AGAIN, HEIGHT, ONES, PIXELS, PLAIN, WIDTH, cropped, rotated, wrap_image
from written_slides import write_generic, write_with_pillow

ROWS, COLUMNS = np.mgrid[:200, :240]
SMOOTH = np.stack([COLUMNS, ROWS, 128 + 90 * np.sin(COLUMNS / 15) * np.cos(ROWS / 11)], axis=-1).astype(np.uint8)
MakeProject = Callable[..., Path]
Array = NDArray[np.uint8]
Write = Callable[[Path, Array], None]
TURNS: list[Step] = [Turn(1), Turn(2), Turn(3), Mirror()]
SOME_STEPS = st.tuples(st.lists(st.sampled_from(TURNS), max_size=3), st.booleans(), st.lists(st.sampled_from(TURNS), max_size=3)).map(
    lambda drawn: (*drawn[0], *((Crop(11, 6, 40, 35),) if drawn[1] else ()), *drawn[2])
)


@pytest.fixture(scope="module")
def slide_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write a picture of noise."""
    path = tmp_path_factory.mktemp("view") / "noise.png"
    Image.fromarray(PIXELS).save(path)
    return path


@pytest.mark.parametrize("pair", list(product(range(len(ONES)), repeat=2)), ids=str)
def test_two_servers_give_the_pixels_that_qupath_shows(slide_path: Path, pair: tuple[int, int]) -> None:
    """Any server inside any other: every pixel is where their names say."""
    (wrap, change), (wrap_again, change_again) = ONES[pair[0]], AGAIN[pair[1]]
    expected = change_again(change(PIXELS))

    steps, wrapped = view_steps(wrap_again(wrap(PLAIN)))

    assert wrapped is None
    with open_slide(slide_path, steps=steps) as slide:
        assert (slide.height, slide.width) == expected.shape[:2]
        assert slide.file_size == (WIDTH, HEIGHT)
        np.testing.assert_array_equal(slide.read(Window(0, 0, slide.width, slide.height)), expected)


@settings(max_examples=200, deadline=None, derandomize=True)
@given(data=st.data())
def test_windows_of_a_view_are_parts_of_it(slide_path: Path, data: st.DataObject) -> None:
    """Also across its borders, where all is white, whatever the file has there."""
    steps = data.draw(SOME_STEPS)
    x, y = data.draw(st.integers(-20, 100)), data.draw(st.integers(-20, 100))
    with open_slide(slide_path, steps=steps) as slide:
        whole = np.pad(slide.read(Window(0, 0, slide.width, slide.height)), ((40, 160), (40, 160), (0, 0)), constant_values=255)

        part = slide.read(Window(x, y, 33, 21))

    np.testing.assert_array_equal(part, whole[40 + y : 61 + y, 40 + x : 73 + x])


@pytest.mark.parametrize("write", [write_with_pillow, write_generic])
@pytest.mark.parametrize("is_cropped", [False, True])
@pytest.mark.parametrize("pair", list(product((0, 1, 4), range(7))), ids=str)
def test_view_reads_like_a_file_of_the_turned_pixels(tmp_path: Path, pair: tuple[int, int], is_cropped: bool, write: Write) -> None:
    """At any scale, on and off the grid of pixels, across borders, and from each level of a pyramid."""
    (wrap, change), (wrap_again, change_again) = ONES[pair[0]], ONES[pair[1]]
    builder, pixels = wrap(PLAIN), change(SMOOTH)
    if is_cropped:
        builder, pixels = cropped(builder, 16, 8, 120, 140), pixels[8:148, 16:136]
    write(tmp_path / "file.tif", SMOOTH)
    write(tmp_path / "turned.tif", np.ascontiguousarray(change_again(pixels)))
    steps, _ = view_steps(wrap_again(builder))

    with open_slide(tmp_path / "file.tif", steps=steps) as slide, open_slide(tmp_path / "turned.tif") as turned:
        assert (slide.width, slide.height, slide.levels) == (turned.width, turned.height, turned.levels)
        for (x, y), scale in product([(12, 8), (11.25, 5.6), (-7.3, 70.5)], [0.7, 1, 1.9, 2, 4]):
            window = Window(x, y, 23, 15, scale)
            off = slide.read(window).astype(int) - turned.read(window)
            # Each of the two reads rounds twice; in the mean that is little, where a shift by half a pixel is half a grey level.
            assert np.abs(off).max() <= 2, window
            assert np.abs(off.mean(axis=(0, 1))).max() < 0.2, window


@given(steps=SOME_STEPS, col=st.integers(0, 19), row=st.integers(0, 19))
def test_coordinates_follow_their_pixels(steps: tuple[Step, ...], col: int, row: int) -> None:
    """The centre of a pixel of the view is the centre of that pixel in the file."""
    view = View.of(steps, width=WIDTH, height=HEIGHT, source=Path("a.png"))
    left, top, right, bottom = view.box
    part = PIXELS[top:bottom, left:right]

    x, y = view.to_box((col + 0.5, row + 0.5))

    np.testing.assert_array_equal(view.arranged(part)[row, col], part[int(y), int(x)])
    assert (x % 1, y % 1) == (0.5, 0.5)


@pytest.mark.parametrize(
    ("builder", "kind"),
    [
        ({"builderType": "affine", "builder": PLAIN, "transform": {}}, "affine"),
        ({"builderType": "swapRedBlue", "builder": PLAIN}, "swapRedBlue"),
        (rotated({"builderType": "color", "builder": PLAIN}, "ROTATE_90"), "color"),
        (rotated(PLAIN, "ROTATE_45"), "rotated"),
        ({"builderType": "cropped", "builder": PLAIN, "region": {"x": 1, "y": 2, "width": 3}}, "cropped"),
        ({"builderType": "rotated", "rotation": "ROTATE_90"}, "rotated"),
        ({"builderType": "z_concatenated", "builders": [PLAIN]}, "z_concatenated"),
    ],
)
def test_what_is_no_crop_turn_or_mirror_is_told(builder: dict[str, Any], kind: str) -> None:
    """Other pixels, other coordinates, or a server that is not understood: no steps, but its kind."""
    assert view_steps(builder) == ((), kind)


def test_crop_beyond_the_file_is_refused(slide_path: Path) -> None:
    """It was cut out of another file."""
    with pytest.raises(SlideSizeMismatchError, match=r"noise\.png has 90 x 70 pixels, but .* part of 50 x 60 at \(41, 3\)"):
        open_slide(slide_path, steps=(Crop(41, 3, 50, 60),))


@pytest.mark.parametrize("mpp", [0.25, 0.125, 0.35])
def test_run_on_a_turned_crop_puts_outlines_where_qupath_shows_the_discs(
    tmp_path: Path, draw_discs: Callable[..., Path], predictors: Predictors, mpp: float
) -> None:
    """A part, turned by 90 degrees: x, y of the file are at height - (y - top), x - left, also where patches are resampled to 0.25 um."""
    zoom = 0.25 / mpp
    size = round(400 * zoom), round(300 * zoom)
    left, top, width, height = (round(edge * zoom) for edge in (40, 50, 300, 200))
    discs = [(x * zoom, y * zoom, radius * zoom) for x, y, radius in DISCS]
    places = [(height - (y - top), x - left) for x, y, _ in discs]
    image = NewImage(draw_discs(discs, size=size), "discs.png", *size, mpp, (points_at(*places),))
    project = create_project(tmp_path / "project", [image])
    wrap_image(project, lambda inner: rotated(cropped(inner, left, top, width, height), "ROTATE_90"), width=height, height=width)

    report = run_on(project, predictors)

    assert (report.ok, report.failed) == (len(DISCS), 0)
    for (x, y), (*_, radius), outline in zip(places, discs, outlines_of(project), strict=True):
        centre = outline.centroid
        assert abs(centre.x - x) < 1
        assert abs(centre.y - y) < 1
        assert outline.area == pytest.approx(np.pi * radius**2, rel=0.15)


@pytest.mark.parametrize(
    ("wrap", "size", "reason"),
    [
        (lambda b: rotated(b, "ROTATE_90"), (400, 300), r"should have 400 x 300 pixels, but .* gives 300 x 400"),
        (lambda b: rotated(b | {"metadata": {"width": 401, "height": 300}}, "ROTATE_180"), (401, 300), r"has 400 x 300 .* has 401 x 300"),
        (lambda b: {"builderType": "affine", "builder": b}, (400, 300), r"is made by QuPath from its file \(affine\)"),
    ],
)
def test_view_that_does_not_fit_its_file_is_refused(make_project: MakeProject, wrap: Any, size: tuple[int, int], reason: str) -> None:
    """Sizes are compared before and after turning; never is anything shifted."""
    project = make_project(points_at((60, 60)))
    wrap_image(project, wrap, width=size[0], height=size[1])

    with open_project(project) as opened, pytest.raises(SlideError, match=reason):
        open_image(opened.images()[0], SlidePlaces(project))
