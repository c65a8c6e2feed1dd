"""Slides that state the bounds of what was scanned: true MRXS files, read by OpenSlide, in both frames."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import openslide
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from shapely import Point, Polygon
from shapely.geometry import shape
from shapely.geometry.base import BaseGeometry
from skimage.draw import disk

from asap_files import annotation, asap_file
from drawn_projects import outlines_of, points_at, run_on
from fixture_projects import snapshot
from mrxs_files import GLASS, Scan, write_mrxs
from nuclick_qp.errors import UnreadableSlideError
from nuclick_qp.formats.asap.document import parse
from nuclick_qp.geometry import Window
from nuclick_qp.model.predictor import Predictors
from nuclick_qp.qupath.folder.create import NewImage, create_project
from nuclick_qp.slides import open_slide
from wrapped_images import OPENSLIDE, serve_with

X, Y = 503, 301  # odd, so that the origin falls between the pixels of the deeper level
WIDTH, HEIGHT = 600, 400  # of the scanned part
CANVAS = (1600, 1200)
DISCS = [(80.0, 70.0, 11.0), (420.0, 300.0, 11.0), (585.0, 385.0, 11.0)]
MakeProject = Callable[..., Path]


def picture() -> NDArray[np.uint8]:
    """Draw dark discs on light grey."""
    pixels = np.full((HEIGHT, WIDTH, 3), 230, np.uint8)
    for x, y, radius in DISCS:
        pixels[disk((y - 0.5, x - 0.5), radius, shape=pixels.shape[:2])] = 40
    return pixels


@pytest.fixture(scope="module")
def slide_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Scan the picture onto a slide; one photo is missing."""
    return write_mrxs(tmp_path_factory.mktemp("scan") / "slide.mrxs", Scan(picture(), X, Y, missing=frozenset({(2, 1)})))


def test_openslide_itself_states_the_bounds(slide_path: Path) -> None:
    """The file is what it shall be: MRXS, two levels, scanned in part."""
    with openslide.OpenSlide(str(slide_path)) as handle:
        bounds = [handle.properties[f"openslide.bounds-{name}"] for name in ("x", "y", "width", "height")]

        assert handle.detect_format(str(slide_path)) == "mirax"
        assert (handle.dimensions, handle.level_count) == (CANVAS, 2)
        assert bounds == [str(n) for n in (X, Y, WIDTH, HEIGHT)]


def test_slide_begins_at_the_corner_of_its_bounds(slide_path: Path) -> None:
    """Size, origin and pixels are those of the scanned part, as in QuPath; what was not scanned is glass."""
    expected = picture()
    expected[100:200, 200:300] = GLASS

    with open_slide(slide_path) as slide:
        pixels = slide.read(Window(-5, 0, WIDTH + 10, HEIGHT))

        assert (slide.width, slide.height, slide.bounds_origin, slide.mpp) == (WIDTH, HEIGHT, (X, Y), 0.25)
    np.testing.assert_array_equal(pixels[:, 5:-5], expected)
    assert (pixels[:, :5] == 255).all()
    assert (pixels[:, -5:] == 255).all()


def test_whole_slide_begins_at_the_corner_of_the_glass(slide_path: Path) -> None:
    """As QuPath shows it with `--no-crop`."""
    with open_slide(slide_path, is_cropped=False) as slide:
        assert (slide.width, slide.height, slide.bounds_origin) == (*CANVAS, (0, 0))
        whole = slide.read(Window(X - 20, Y - 20, 150, 100))
    with open_slide(slide_path) as slide:
        np.testing.assert_array_equal(slide.read(Window(0, 0, 130, 80)), whole[20:, 20:])
    assert (whole[:20] == GLASS).all()


@pytest.mark.parametrize("scale", [0.7, 1.0, 1.6, 2.0, 3.5])
@pytest.mark.parametrize("origin", [(500, 300), (503, 301), (402, 205)])
def test_pixel_centres_lie_where_the_window_says(tmp_path: Path, origin: tuple[int, int], scale: float) -> None:
    """On a ramp with value = x of the pixel's left edge, column c reads x + (c + 0.5) * scale - 0.5."""
    ramp = np.broadcast_to(np.minimum(np.arange(WIDTH), 255).astype(np.uint8)[None, :, None], (HEIGHT, WIDTH, 3))
    path = write_mrxs(tmp_path / "ramp.mrxs", Scan(np.ascontiguousarray(ramp), *origin))
    window = Window(41.3, 120, 50, 5, scale)

    with open_slide(path) as slide:
        pixels = slide.read(window).astype(float)

    expected = window.x + (np.arange(50) + 0.5) * scale - 0.5
    # Half a grey level each for the rounding of the level, of OpenSlide's half pixels, and of the two passes.
    np.testing.assert_allclose(pixels[..., 0], np.broadcast_to(expected, (5, 50)), atol=2.1)
    assert abs(float((pixels[..., 0] - expected).mean())) < 0.8


def test_scanner_format_has_one_image_only(slide_path: Path) -> None:
    """Label and overview, which Bio-Formats counts as further series, are no images to segment."""
    with open_slide(slide_path, series=0) as slide:
        assert slide.width == WIDTH
    with pytest.raises(UnreadableSlideError, match=r"slide\.mrxs is read as one image, there is no series 1"):
        open_slide(slide_path, series=1)


@settings(max_examples=30, deadline=None, derandomize=True)
@given(data=st.data())
def test_window_equals_its_part_of_a_larger_window(slide_path: Path, data: st.DataObject) -> None:
    """At edges of the bounds and at missing photos, too."""
    scale = data.draw(st.sampled_from([0.5, 1, 1.7, 2, 2.4, 4]))
    large = Window(data.draw(st.integers(-100, 500)), data.draw(st.integers(-100, 300)), 200, 150, scale)
    col, row = data.draw(st.integers(0, 150)), data.draw(st.integers(0, 100))

    with open_slide(slide_path) as slide:
        cut = slide.read(large)[row : row + 50, col : col + 50]
        alone = slide.read(large.part(col, row, 50, 50))

    np.testing.assert_array_equal(alone, cut)


@pytest.mark.parametrize(("form", "options"), [("geojson", ()), ("geojson", ("--no-crop",)), ("xml", ()), ("xml", ("--no-crop",))])
def test_command_puts_outlines_on_the_discs_in_both_frames(
    slide_path: Path, tmp_path: Path, command_line: Callable[..., int], form: str, options: tuple[str, ...]
) -> None:
    """GeoJSON counts from the corner of the bounds unless told not to, ASAP from the corner of the glass; the model is the real one."""
    dx, dy = (X, Y) if form == "xml" or options else (0, 0)
    places = [(x + dx, y + dy) for x, y, _ in DISCS]
    prompts, output = tmp_path / f"clicks.{form}", tmp_path / f"out.{form}"
    if form == "xml":
        asap_file(prompts, *(annotation("Dot", place) for place in places))
    else:
        points = [{"type": "Feature", "geometry": {"type": "Point", "coordinates": place}, "properties": {}} for place in places]
        prompts.write_text(json.dumps(points))

    assert command_line("segment", slide_path, "--prompts", prompts, "-o", output, "--device", "cpu", *options) == 0

    for outline, place, (*_, radius) in zip(outlines_in(output), places, DISCS, strict=True):
        drawn = Point(place).buffer(radius)
        assert outline.intersection(drawn).area > 0.7 * outline.union(drawn).area


def outlines_in(path: Path) -> list[BaseGeometry]:
    """Read the outlines of a file as they stand there."""
    if path.suffix == ".geojson":
        return [shape(feature["geometry"]) for feature in json.loads(path.read_text())["features"]]
    return [Polygon(a.xy) for a in parse(path.read_bytes(), source=path).annotations if a.kind == "Polygon"]


@pytest.fixture
def make_study(tmp_path: Path, slide_path: Path) -> MakeProject:
    """Give a function that makes a project of the slide with a point on each disc, of a stated size and with arguments."""

    def make(*args: str, size: tuple[int, int], origin: tuple[int, int] = (0, 0)) -> Path:
        points = points_at(*((x + origin[0], y + origin[1]) for x, y, _ in DISCS))
        project = create_project(tmp_path / "study", [NewImage(slide_path, "slide.mrxs", *size, 0.25, (points,))])
        serve_with(project, OPENSLIDE, *args)
        return project

    return make


@pytest.mark.parametrize(("args", "size", "origin"), [((), (WIDTH, HEIGHT), (0, 0)), (("--no-crop",), CANVAS, (X, Y))])
def test_run_puts_outlines_on_the_discs(
    make_study: MakeProject, predictors: Predictors, args: tuple[str, ...], size: tuple[int, int], origin: tuple[int, int]
) -> None:
    """In the frame that QuPath shows: that of the bounds, or of the whole slide where the image was added with `--no-crop`."""
    project = make_study(*args, size=size, origin=origin)

    report = run_on(project, predictors)

    assert (report.ok, report.failed) == (len(DISCS), 0)
    centres = sorted((outline.centroid.x - origin[0], outline.centroid.y - origin[1]) for outline in outlines_of(project))
    np.testing.assert_allclose(centres, [disc[:2] for disc in DISCS], atol=0.5)


@pytest.mark.parametrize(
    ("args", "size", "has"),
    [
        ((), CANVAS, "600 x 400"),
        ((), (WIDTH, HEIGHT + 1), "600 x 400"),
        (("--no-crop",), (WIDTH, HEIGHT), "1600 x 1200"),
    ],
)
def test_size_of_another_frame_is_refused(
    make_study: MakeProject, predictors: Predictors, args: tuple[str, ...], size: tuple[int, int], has: str
) -> None:
    """One line with both sizes, and nothing is written: outlines would lie beside the nuclei."""
    project = make_study(*args, size=size)
    before = snapshot(project.parent)

    report = run_on(project, predictors)

    assert (report.ok, report.images[0].status) == (0, "failed")
    assert f"has {has} pixels but image slide.mrxs of the project has {size[0]} x {size[1]};" in str(report.images[0].error)
    assert "\n" not in str(report.images[0].error)
    assert snapshot(project.parent) == before
