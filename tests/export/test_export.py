"""What is exported in each format, read again with what users read it with."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import skimage.io
import skimage.measure
from PIL import Image
from pycocotools.coco import COCO
from shapely import Polygon
from shapely.geometry import shape

from drawn_objects import BIG, CELL, DISC, LEFT, OBJECTS, RIGHT, RING, TWO, Drawn, export, ids_in, table
from nuclick_qp.formats.geojson.reading import read_prompts
from nuclick_qp.geometry import Window
from nuclick_qp.shapes.fill import paint_outlines
from nuclick_qp.storage.labels import find_pairs, read_pair

MakeProject = Callable[..., Path]
OLD_NUMPY = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # of pycocotools 2.0.11


def test_masks_tell_every_object_apart(make_drawn_project: MakeProject, tmp_path: Path) -> None:
    """One number per object in the label image; the table says what each is, and how many pixels it has."""
    project = make_drawn_project(OBJECTS)

    export(project, tmp_path / "out", format="masks")

    labels = skimage.io.imread(tmp_path / "out" / "slide 0-1_label.tif")
    rows = table(tmp_path / "out" / "labels.csv")
    assert (labels.dtype, labels.shape) == (np.uint16, (300, 400))
    assert {p.label: p.num_pixels for p in skimage.measure.regionprops(labels)} == {int(r["label"]): int(r["pixels"]) for r in rows}
    seen = {(x, y): rows[labels[y, x] - 1] for x, y in ((60, 60), (200, 150), (300, 175), (300, 200), (45, 45), (130, 230), (155, 230))}
    assert [(row["kind"], row["class"]) for row in seen.values()] == [
        ("detection", "Tumor"),
        ("cell", "Stroma"),
        ("annotation", "Gland"),
        ("detection", "Unclassified"),
        ("annotation", "Gland"),
        ("detection", "Tumor"),
        ("detection", "Tumor"),
    ]
    assert {row["object_id"] for row in rows} == set(ids_in(project))
    classes = {c["name"]: str(c["id"]) for c in json.loads((tmp_path / "out" / "classes.json").read_text("utf-8"))}
    assert classes == {"Gland": "1", "Stroma": "2", "Tumor": "3", "Unclassified": "4"}
    assert all(classes[row["class"]] == row["class_id"] for row in rows)


def test_what_smaller_objects_hide_is_told(make_drawn_project: MakeProject, tmp_path: Path) -> None:
    """The disc lies on the square around it, whichever was drawn first; two of one shape: one is unseen."""
    report = export(make_drawn_project([DISC, BIG, TWO, TWO]), tmp_path / "out", format="masks")

    square, *_ = table(tmp_path / "out" / "labels.csv")
    assert (square["class"], int(square["pixels"]) + int(square["covered_pixels"])) == ("Gland", 2500)
    assert int(square["covered_pixels"]) == pytest.approx(np.pi * 144, rel=0.02)
    (image,) = report.images
    assert (image.objects, image.covered, image.unseen) == (4, 1, 1)


def test_outlines_that_enclose_nothing_are_counted(make_drawn_project: MakeProject, tmp_path: Path) -> None:
    """A polygon folded flat is left out, and told."""
    flat: Drawn = (Polygon([(0, 0), (9, 9), (0, 0)]), "detection", None)

    report = export(make_drawn_project([DISC, flat]), tmp_path / "out", format="coco")

    assert (report.images[0].objects, report.images[0].broken) == (1, 1)


def test_exported_masks_can_be_trained_on(make_drawn_project: MakeProject, tmp_path: Path) -> None:
    """As they are: the labelled pairs of `train` and `evaluate`, with the pixels of the slide and their size."""
    export(make_drawn_project([*OBJECTS, LEFT, RIGHT]), tmp_path / "out", format="masks", regions="Region*")

    pairs = find_pairs(tmp_path / "out")
    (left, left_labels), (right, right_labels) = (read_pair(*pair) for pair in pairs)
    whole = skimage.io.imread(tmp_path / "slide 0.png")
    assert [image.name for image, _ in pairs] == ["slide 0-1_r1.png", "slide 0-1_r2.png"]
    assert np.array_equal(np.hstack([left, right]), whole)
    assert left_labels.max() == 4  # DISC, BIG, TWO, and half of CELL
    assert np.count_nonzero(right_labels == right_labels[150, 2]) == pytest.approx(np.pi * 72, rel=0.1)
    with Image.open(pairs[0][0]) as picture:
        assert picture.info["dpi"] == pytest.approx((101_600, 101_600), rel=1e-3)


@pytest.mark.parametrize(("mpp", "size"), [(0.5, (150, 200)), (0.2, (375, 500))])
def test_tiles_have_the_resolution_that_was_asked_for(
    make_drawn_project: MakeProject, tmp_path: Path, mpp: float, size: tuple[int, int]
) -> None:
    """Coarser or finer than the slide; pixels and labels stay together, and areas in um^2 the same."""
    report = export(make_drawn_project([DISC]), tmp_path / "out", format="masks", mpp=mpp)

    pixels, labels = read_pair(*find_pairs(tmp_path / "out")[0])
    assert labels.shape == size
    assert np.count_nonzero(labels) * mpp**2 == pytest.approx(np.pi * 9, rel=0.03)
    assert pixels[labels > 0].mean() < 60
    assert pixels[labels == 0].mean() > 220
    (tile,) = report.images[0].tiles
    assert (tile.downsample, tile.mpp) == (mpp / 0.25, mpp)


def test_many_objects_need_32_bits(make_drawn_project: MakeProject, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """uint16 as long as it holds the numbers; `train` reads both."""
    monkeypatch.setattr("nuclick_qp.export.masks.LARGEST_UINT16", 1)

    export(make_drawn_project([DISC, TWO]), tmp_path / "out", format="masks")

    assert skimage.io.imread(tmp_path / "out" / "slide 0-1_label.tif").dtype == np.uint32
    _, labels = read_pair(*find_pairs(tmp_path / "out")[0])
    assert labels.max() == 2


@OLD_NUMPY
def test_coco_masks_are_the_painted_ones(make_drawn_project: MakeProject, tmp_path: Path) -> None:
    """Pycocotools decodes each annotation to the pixels that we paint: to the bit with holes, else but for the border."""
    export(make_drawn_project([*OBJECTS, LEFT, RIGHT]), tmp_path / "out", format="coco", regions="Region*")

    coco = COCO(str(tmp_path / "out" / "annotations.json"))
    outlines = dict(zip(ids_in(tmp_path / "study"), (drawn[0] for drawn in OBJECTS), strict=False))
    assert len(coco.anns) == 7  # CELL is in both tiles
    for annotation in coco.anns.values():
        tile = coco.imgs[annotation["image_id"]]
        window = Window(tile["x"], tile["y"], tile["width"], tile["height"], tile["downsample"])
        painted = paint_outlines([outlines[annotation["object_id"]]], window).labels > 0
        decoded = coco.annToMask(annotation) > 0
        has_hole = isinstance(annotation["segmentation"], dict)
        assert np.count_nonzero(painted != decoded) <= (0 if has_hole else 0.06 * painted.sum())
        assert annotation["area"] == pytest.approx(painted.sum(), rel=0.03)
        rows, cols = np.nonzero(painted)
        left, top, width, height = annotation["bbox"]
        assert (left, top, left + width, top + height) == pytest.approx((cols.min(), rows.min(), cols.max() + 1, rows.max() + 1), abs=1)
    assert sum(isinstance(a["segmentation"], dict) for a in coco.anns.values()) == 1
    assert {len(a["segmentation"]) for a in coco.anns.values() if a["category_id"] == coco.getCatIds("Tumor")[0]} == {1, 2}
    assert skimage.io.imread(tmp_path / "out" / "images" / coco.imgs[1]["file_name"]).shape == (300, 200, 3)


def test_formats_without_pixels_need_no_slide(make_drawn_project: MakeProject, tmp_path: Path) -> None:
    """What the project knows is enough for GeoJSON, the table, and COCO without pictures."""
    project = make_drawn_project(OBJECTS)
    (tmp_path / "slide 0.png").unlink()

    reports = [export(project, tmp_path / name, format=name, pixels=False) for name in ("coco", "geojson", "csv")]

    assert [report.all_ok for report in reports] == [True, True, True]
    assert not (tmp_path / "coco" / "images").exists()
    assert len(COCO(str(tmp_path / "coco" / "annotations.json")).anns) == 6


def test_geojson_keeps_what_qupath_knows(make_drawn_project: MakeProject, tmp_path: Path) -> None:
    """Ids, kinds, classes, measurements, outlines in px of the image, objects whole; one file per image."""
    project = make_drawn_project([*OBJECTS, LEFT], [DISC])

    export(project, tmp_path / "out", format="geojson", regions="Region*", images="slide 0")

    (path,) = (tmp_path / "out").glob("*.geojson")
    features = json.loads(path.read_text("utf-8"))["features"]
    expected = [DISC, CELL, BIG, TWO]
    assert [f["id"] for f in features] == [ids_in(project)[OBJECTS.index(drawn)] for drawn in expected]
    about = [(f["properties"]["objectType"], f["properties"]["classification"]["name"]) for f in features]
    assert about == [drawn[1:] for drawn in expected]
    assert [shape(f["geometry"]).area for f in features] == pytest.approx([drawn[0].area for drawn in expected], rel=1e-4)
    assert features[0]["properties"]["measurements"]["Odd"] == 0.5
    assert len(read_prompts(path).neighbours) == 3


def test_table_has_a_line_for_each_object(make_drawn_project: MakeProject, tmp_path: Path) -> None:
    """Place and area in px and um, the regions that it reaches into, measurements as columns."""
    export(make_drawn_project([DISC, LEFT, RIGHT, CELL], [RING, LEFT, RIGHT]), tmp_path / "out", format="csv", regions="Region*")

    disc, cell, ring = table(tmp_path / "out" / "objects.csv")
    assert [row["regions"] for row in (disc, cell, ring)] == ["1", "1;2", "2"]
    assert (ring["image"], ring["image_id"], ring["kind"], ring["class"]) == ("slide 1", "2", "annotation", "Gland")
    assert [float(disc[key]) for key in ("centroid_x_px", "centroid_x_um")] == pytest.approx([60, 15], abs=0.01)
    assert float(disc["area_um2"]) == pytest.approx(float(disc["Area µm^2"]), rel=1e-4)


def test_table_without_pixel_size_leaves_um_empty(make_drawn_project: MakeProject, tmp_path: Path) -> None:
    """Never guessed; px are still there."""
    export(make_drawn_project([DISC], mpp=None), tmp_path / "out", format="csv")

    (disc,) = table(tmp_path / "out" / "objects.csv")
    assert (disc["centroid_x_um"], disc["area_um2"], disc["centroid_x_px"]) == ("", "", "60.0")


@pytest.mark.parametrize(
    ("options", "kept"),
    [
        ({"kinds": ("cell",)}, ["Stroma"]),
        ({"classes": ("Tumor", "")}, ["Tumor", "", "Tumor"]),
        ({"classes": ("Region*",)}, ["Region*"]),
        ({"kinds": ("annotation",)}, ["Gland", "Gland"]),
    ],
)
def test_kinds_and_classes_choose_the_objects(
    make_drawn_project: MakeProject, tmp_path: Path, options: dict[str, Any], kept: list[str]
) -> None:
    """Classes that QuPath ignores are left out unless they are named."""
    export(make_drawn_project([*OBJECTS, LEFT]), tmp_path / "out", format="csv", **options)

    assert [row["class"] for row in table(tmp_path / "out" / "objects.csv")] == kept


def test_region_without_objects_is_background(make_drawn_project: MakeProject, tmp_path: Path) -> None:
    """A rectangle around nothing says that nothing is there; an image without any rectangle is left out."""
    report = export(make_drawn_project([DISC, RIGHT], [DISC]), tmp_path / "out", format="masks", regions="Region*")

    assert [image.status for image in report.images] == ["ok", "nothing"]
    assert not skimage.io.imread(tmp_path / "out" / "slide 0-1_r1_label.tif").any()
