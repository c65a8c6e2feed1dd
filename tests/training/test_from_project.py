"""A QuPath project becomes training images: closed annotations, and rectangles that limit the area."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from shapely import Point, Polygon, box

from nuclick_qp.annotations.objects import Changes, ClosedObject, ResultObject
from nuclick_qp.errors import NoPixelSizeError, ProjectError, SlideNotFoundError, TrainingDataError
from nuclick_qp.geometry import Window
from nuclick_qp.prompts import Plane
from nuclick_qp.qupath.files_engine import open_files_project
from nuclick_qp.qupath.folder.create import NewImage, create_project
from nuclick_qp.training import from_project
from nuclick_qp.training.config import Source, TrainingConfig
from nuclick_qp.training.from_project import load_project, paint_annotations
from nuclick_qp.training.images import LabelledImage
from nuclick_qp.training.loop import train
from nuclick_qp.training.sources import load_images
from nuclick_qp.training.training_run import TrainingRun

Shapes = Sequence[tuple[Polygon, str | None]]
MakeProject = Callable[..., Path]
PLACES = [(x, y) for x in (60, 140, 260, 340) for y in (60, 200)]
LEFT, RIGHT = box(0, 0, 200, 300), box(200, 0, 400, 300)


def disc(x: float, y: float, radius: float = 12) -> Polygon:
    """Give the outline of a disc."""
    return Point(x, y).buffer(radius)


@pytest.fixture
def make_project(tmp_path: Path, draw_discs: Callable[..., Path]) -> MakeProject:
    """Give a function that makes a project of images of 400 x 300 px with annotations, and gives its folder."""

    def make(*images: Shapes, mpp: float | None = 0.25) -> Path:
        slides = [draw_discs([(x, y, 12) for x, y in PLACES], name=f"slide {i}.png") for i in range(len(images))]
        path = create_project(tmp_path / "study", [NewImage(slide, slide.stem, 400, 300, mpp) for slide in slides])
        project = open_files_project(path)
        for entry, shapes in zip(project.images(), images, strict=True):
            add = tuple(
                ResultObject(outline, "annotation", name, Plane(), nested=False, anchor=(0, 0), key=f"{i}")
                for i, (outline, name) in enumerate(shapes)
            )
            project.write(entry, Changes(add), fingerprint=project.read(entry).fingerprint)
        return tmp_path

    return make


def load(root: Path, *, seen_at: float = 0.25, **changes: Any) -> tuple[list[LabelledImage], list[LabelledImage]]:
    """Read the project of a folder."""
    return load_project(Source.model_validate({"project": "study/project.qpproj"} | changes), root=root, mpp=seen_at)


def test_whole_images_are_used_without_rectangles(make_project: MakeProject) -> None:
    """Every closed annotation is an object at its place; images without any are left out."""
    root = make_project([(disc(60, 60), "Tumor"), (disc(340, 200), None)], [])

    (image,), held_out = load(root)

    assert held_out == []
    assert image.labels.shape == (300, 400)
    assert (image.labels > 0).sum() == pytest.approx(2 * np.pi * 144, rel=0.02)
    assert image.labels[60, 60] != image.labels[200, 340] != 0
    assert image.pixels[60, 60].tolist() == [40, 40, 40]


def test_rectangles_limit_what_is_used(make_project: MakeProject) -> None:
    """What lies outside is neither object nor background; an image without rectangles is left out then."""
    shapes = [(disc(60, 60), "Tumor"), (disc(260, 60), "Tumor"), (disc(340, 200), "Tumor"), (LEFT, "Training"), (RIGHT, "Validation")]
    root = make_project(shapes, [(disc(60, 60), "Tumor")])

    (left,), (right,) = load(root)

    assert left.labels.shape == right.labels.shape == (300, 200)
    assert (len(left.centroids), len(right.centroids)) == (1, 2)
    assert right.labels[60, 60] > 0  # 260 in the slide
    assert left.weight == right.weight == 0.5


def test_validation_globs_keep_images_out(make_project: MakeProject) -> None:
    """By the name that the project shows, whatever its rectangles say."""
    root = make_project([(disc(60, 60), None)], [(disc(60, 60), None), (LEFT, "Training")])

    training, validation = load(root, validation=["slide 1"])

    assert (len(training), len(validation)) == (0, 1)


@pytest.mark.parametrize(("classes", "kept"), [([], {"Tumor", None}), (["Tumor"], {"Tumor"}), ([""], {None}), (["Ignore*"], {"Ignore*"})])
def test_classes_choose_the_objects(make_project: MakeProject, classes: list[str], kept: set[str | None]) -> None:
    """Classes that QuPath ignores are no objects, unless asked for."""
    places: list[tuple[Polygon, str | None]] = [(disc(60, 60), "Tumor"), (disc(140, 60), None), (disc(260, 60), "Ignore*")]

    (image,), _ = load(make_project(places), classes=classes)

    assert {name for outline, name in places if image.labels[60, int(outline.centroid.x)]} == kept


@pytest.mark.parametrize(("mpp", "shape", "zoom"), [(0.5, (150, 200), 1.0), (0.125, (300, 400), 2.0)])
def test_regions_are_read_at_the_resolution_of_the_network(
    make_project: MakeProject, mpp: float, shape: tuple[int, int], zoom: float
) -> None:
    """A finer slide is shrunk in reading; a coarser one is enlarged in sampling."""
    (image,), _ = load(make_project([(disc(60, 60), None)]), seen_at=mpp)

    assert (image.labels.shape, image.zoom) == (shape, zoom)
    assert (image.labels > 0).sum() == pytest.approx(np.pi * 144 * (shape[0] / 300) ** 2, rel=0.05)


def test_smaller_annotations_lie_on_top() -> None:
    """A nucleus inside its cell stays an object of its own, whichever was drawn first."""
    cell, nucleus = (ClosedObject(square, "annotation", "id") for square in (box(0, 0, 10, 10), box(4, 4, 6, 6)))

    labels = paint_annotations((nucleus, cell), Window(0, 0, 10, 10))

    assert (labels[5, 5], labels[1, 1]) == (2, 1)
    assert np.bincount(labels.ravel()).tolist() == [0, 96, 4]


def test_project_without_pixel_size_takes_that_of_the_source(make_project: MakeProject) -> None:
    """And without one in either, the message says where to put it."""
    root = make_project([(disc(60, 60), None)], mpp=None)

    with pytest.raises(NoPixelSizeError, match=r"slide 0\.png has no pixel size; pass `mpp` of the source"):
        load(root)

    (image,), _ = load(root, mpp=0.5)

    assert image.zoom == 2


@pytest.mark.parametrize(
    ("shapes", "changes", "message"),
    [
        ([(disc(60, 60), None)], {"pattern": "other*"}, r"project\.qpproj has no image that matches 'other\*'"),
        ([], {}, "holds no closed annotation; outline every object"),
        ([(LEFT, "Training")], {}, "holds no closed annotation; outline every object"),
        ([(disc(60, 60), "Stroma")], {"classes": ["Tumor"]}, "holds no closed annotation of the classes Tumor"),
        ([(disc(60, 60), None), (RIGHT, "Training")], {}, "image 'slide 0', the Training rectangle at 200, 0, holds no object of 10 px"),
        ([(disc(60, 60), None), (box(900, 900, 950, 950), "Training")], {}, "rectangle at 900, 900, lies outside the image"),
    ],
)
def test_what_cannot_be_learned_from_is_named(make_project: MakeProject, shapes: Shapes, changes: dict[str, Any], message: str) -> None:
    """One line that says which image, and what to do."""
    root = make_project(shapes)

    with pytest.raises(TrainingDataError, match=message):
        load(root, **changes)


def test_region_that_is_no_rectangle_is_named(make_project: MakeProject) -> None:
    """A fault of the project, as for exports."""
    root = make_project([(disc(60, 60), None), (disc(60, 60, 50), "Validation")])

    with pytest.raises(ProjectError, match="image 'slide 0' has an annotation of class Validation that is no upright"):
        load(root)


def test_region_too_large_for_the_memory_is_refused(make_project: MakeProject, monkeypatch: pytest.MonkeyPatch) -> None:
    """A whole slide is refused before a pixel of it is read."""
    root = make_project([(disc(60, 60), None)])
    monkeypatch.setattr(from_project, "LARGEST_REGION_PX", 100_000)

    with pytest.raises(TrainingDataError, match="has 400 x 300 px at the resolution of the network, more than 100,000"):
        load(root)


def test_slides_that_moved_are_found_below_the_data_folder(make_project: MakeProject) -> None:
    """As a run finds them below --image-root; a missing one is named."""
    root = make_project([(disc(60, 60), None)])
    (root / "elsewhere").mkdir()
    (root / "slide 0.png").rename(root / "elsewhere" / "slide 0.png")

    (image,), _ = load(root)
    assert image.labels[60, 60] > 0

    (root / "elsewhere" / "slide 0.png").unlink()
    with pytest.raises(SlideNotFoundError, match=r"'slide 0'.* is not below --data"):
        load(root)


def test_network_is_trained_from_a_project(make_project: MakeProject, tmp_path: Path) -> None:
    """From annotations drawn in QuPath to weights; without a region to validate on the run says what to draw."""
    shapes = [(disc(x, y), "Tumor") for x, y in PLACES]
    root = make_project([*shapes, (LEFT, "Training"), (RIGHT, "Validation")], shapes)
    fields = {"name": "mine", "prompt": "point", "description": "", "licence": "", "patch_px": 32, "width": 0.07, "steps": 2}
    source = {"project": "study/project.qpproj", "classes": ["Tumor"]}
    config = TrainingConfig.model_validate({**fields, "batch_size": 2, "sources": [source]})

    card = train(config, TrainingRun(root, tmp_path / "run", workers=0))

    assert (tmp_path / "run" / "mine.safetensors").exists()
    assert card.name == "mine"
    only_second = config.model_copy(update={"sources": (config.sources[0].model_copy(update={"pattern": "slide 1"}),)})
    with pytest.raises(TrainingDataError, match=r"1 images to train on and 0 to validate on; .* draw rectangles"):
        load_images(only_second, root)
