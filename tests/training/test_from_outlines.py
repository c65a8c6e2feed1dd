"""Single outlines of a QuPath project become training images, and what is held out never shows in them."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from shapely import Point, Polygon, box

from drawn_projects import edit_outline, points_at
from nuclick_qp.annotations.objects import Changes, ResultObject, outline_digest
from nuclick_qp.errors import NoPixelSizeError, TrainingDataError
from nuclick_qp.prompts import Plane
from nuclick_qp.qupath.folder.create import NewImage, create_project
from nuclick_qp.qupath.open_project import open_project
from nuclick_qp.training.batches import BatchMaker
from nuclick_qp.training.config import TrainingConfig
from nuclick_qp.training.from_outlines import LEAST_OUTLINES, load_outlines
from nuclick_qp.training.images import LabelledImage

Shape = tuple[Polygon, str | None]
MakeProject = Callable[..., Path]
WIDTH, HEIGHT = 600, 300
ROW = [(40.0 + 26 * i, 60.0) for i in range(20)]  # discs in one line, near enough to be one place


@pytest.fixture
def make(tmp_path: Path) -> MakeProject:
    """Give a function that makes a project of noise with annotations, and gives its folder; no two pixels near each other are alike."""

    def make(*images: Sequence[Shape], mpp: float | None = 0.25, points: int = 0, ours: bool = False) -> Path:
        rng, new = np.random.default_rng(0), []
        for number, _ in enumerate(images):
            Image.fromarray(rng.integers(0, 250, (HEIGHT, WIDTH, 3), np.uint8)).save(tmp_path / f"slide {number}.png")
            annotations = (points_at(*ROW[:points]),) if points else ()
            new.append(NewImage(tmp_path / f"slide {number}.png", f"slide {number}", WIDTH, HEIGHT, mpp, annotations))
        path = create_project(tmp_path / "study", new)
        with open_project(path) as project:
            for entry, shapes in zip(project.images(), images, strict=True):
                add = tuple(result(number, *shape, ours=ours) for number, shape in enumerate(shapes))
                project.write(entry, Changes(add), fingerprint=project.read(entry).fingerprint)
        return tmp_path

    return make


def result(number: int, outline: Polygon, name: str | None, *, ours: bool = False) -> ResultObject:
    """Give an annotation: one that a run wrote, or one that differs from what a run wrote."""
    written = outline_digest(outline, name) if ours else outline_digest(box(0, 0, 1, 1), name)
    return ResultObject(outline, "annotation", name, Plane(), nested=False, anchor=(0, 0), key=f"{number}", written=written)


def discs(places: Sequence[tuple[float, float]] = ROW, radius: float = 9, name: str | None = "Tumor") -> list[Shape]:
    """Give the outlines of discs."""
    return [(Point(x, y).buffer(radius), name) for x, y in places]


def config(**changes: Any) -> TrainingConfig:
    """Give a configuration for patches of 64 px."""
    source = {"project": "study/project.qpproj", "hold_out": 0.25} | changes
    fields = {"name": "mine", "prompt": "point", "description": "", "licence": "", "patch_px": 64, "batch_size": 64}
    return TrainingConfig.model_validate({**fields, "sources": [source]})


def load(root: Path, **changes: Any) -> tuple[list[LabelledImage], list[LabelledImage]]:
    """Read the project of a folder."""
    settings = config(**changes)
    return load_outlines(settings.sources[0], root=root, config=settings)


def count(images: Sequence[LabelledImage]) -> int:
    """Count the objects of some images."""
    return sum(len(image.centroids) for image in images)


def test_no_pixel_of_a_held_out_object_is_in_a_training_patch(make: MakeProject) -> None:
    """Patches are cut from training images, and what lies beyond is white: held-out objects are green here, all else is grey."""
    root = make(discs(radius=14))
    path = root / "slide 0.png"
    pixels = np.asarray(Image.open(path).convert("L").convert("RGB")).copy()
    rows, cols = np.mgrid[:HEIGHT, :WIDTH] + 0.5
    for x, y in ROW[15:]:
        pixels[(cols - x) ** 2 + (rows - y) ** 2 <= 14**2] = (0, 255, 0)
    Image.fromarray(pixels).save(path)

    training, validation = load(root)

    assert (count(training), count(validation)) == (14, 5)  # one lies on the cut
    assert all((image.pixels[image.labels > 0] == (0, 255, 0)).all() for image in validation)
    maker = BatchMaker.of(training, config(), torch.device("cpu"), seed=0, augment=False)
    for number in range(4):
        red, green = maker[number].inputs[:, :2].unbind(1)
        assert float((green - red).max()) < 0.01


def test_only_what_lies_round_outlines_is_read(make: MakeProject) -> None:
    """A slide is never read as a whole, and each outline weighs the same."""
    near, far = ROW[:10], [(x, y + 200) for x, y in ROW[:10]]

    training, validation = load(make(discs(near), discs(far), discs(near), discs(near)))

    assert count(training) + count(validation) == 40
    assert len(validation) == 1
    assert all(image.pixels.shape[0] <= 18 + 2 * 64 + 1 for image in training)
    assert sum(image.weight for image in training) == pytest.approx(0.75)


def test_untouched_outlines_of_a_model_teach_nothing(make: MakeProject) -> None:
    """What a model drew would praise it; once corrected, an outline is the user's."""
    root = make(discs(), ours=True)

    with pytest.raises(TrainingDataError, match=r"has 0 outlines to learn from, besides 20 outlines of nuclick-qp that nobody corrected"):
        load(root)

    for x, y in ROW:  # each becomes the last
        edit_outline(root / "study" / "project.qpproj", 0, outline=Point(x, y).buffer(10), kind="annotation")
    training, validation = load(root)
    assert count(training) + count(validation) == 20


@pytest.mark.parametrize(
    ("shapes", "options", "message"),
    [
        (discs(ROW[:19]), {}, f"has 19 outlines to learn from; outline {LEAST_OUTLINES} objects or more"),
        ([], {"points": 7}, "has 0 outlines to learn from, besides 7 points without an outline"),
        ([(box(0, 0, 500, 200), None)], {}, "has 0 outlines to learn from, besides 1 areas larger than an object"),
        (discs(radius=1.2), {}, "has 0 outlines to learn from, besides 20 areas of less than 10 px"),
        ([*discs(), (box(500, 200, 590, 290), "Training")], {}, "besides 20 outlines outside the rectangles"),
    ],
)
def test_what_cannot_be_learned_from_is_counted(make: MakeProject, shapes: Sequence[Shape], options: dict[str, Any], message: str) -> None:
    """One line that says what there is instead, and what to do."""
    with pytest.raises(TrainingDataError, match=message):
        load(make(shapes, **options))


def test_a_region_of_tissue_is_no_object(make: MakeProject) -> None:
    """Nobody has to delete it, and it hides no nucleus."""
    training, validation = load(make([(box(0, 0, 590, 290), "Tumor"), *discs()]))

    assert count(training) + count(validation) == 20


def test_classes_choose_the_outlines(make: MakeProject) -> None:
    """As in a configuration for whole images."""
    root = make([*discs(), *discs([(x, y + 40) for x, y in ROW], name="Stroma")])

    training, validation = load(root, classes=["Stroma"])

    assert count(training) + count(validation) in (19, 20)


def test_rectangles_of_class_validation_say_what_is_held_out(make: MakeProject) -> None:
    """Exactly what lies within them; nothing is chosen beside it."""
    training, validation = load(make([*discs([*ROW, (60, 20)]), (box(0, 0, 400, 120), "Training"), (box(400, 0, 600, 120), "Validation")]))

    assert (count(training), count(validation)) == (15, 5)  # one crosses the border between them
    assert (training[0].pixels.shape, validation[0].pixels.shape) == ((120, 400, 3), (120, 200, 3))


def test_images_without_a_pixel_size_are_told_what_to_do(make: MakeProject) -> None:
    """Or take that of the option."""
    root = make(discs(), mpp=None)

    with pytest.raises(NoPixelSizeError, match=r"has no pixel size; pass --mpp \(`mpp` of the source"):
        load(root)

    assert count(load(root, mpp=0.25)[0]) == 15


def test_more_than_fits_into_memory_is_refused_before_it_is_read(make: MakeProject, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rectangles choose a part."""
    monkeypatch.setattr("nuclick_qp.training.from_outlines.LARGEST_REGION_PX", 10_000)

    with pytest.raises(TrainingDataError, match=r"more than 10,000; draw rectangles of class Training"):
        load(make(discs()))
