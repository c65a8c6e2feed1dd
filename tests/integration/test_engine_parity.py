"""Both engines on the same projects: the same prompts, the same results, each reads what the other wrote."""

import json
import math
import shutil
from pathlib import Path

import numpy as np
import pytest
from shapely import Polygon, box
from shapely.geometry.base import BaseGeometry

from nuclick_qp.projects.protocol import (
    MODEL_KEY,
    OPTIONS_KEY,
    PROMPT_KEY,
    Changes,
    EntryContent,
    ImageEntry,
    ObjectKind,
    Project,
    ResultObject,
)
from nuclick_qp.projects.qupath_files.data_file import DataFile, parse_data_file
from nuclick_qp.projects.qupath_files.engine import open_files_project
from nuclick_qp.projects.qupath_files.rois import Roi
from nuclick_qp.projects.qupath_jvm import find_qupath, open_jvm_project
from nuclick_qp.prompts import XY, Prompt

DATA = Path(__file__).parents[1] / "data" / "qupath"
VERSIONS = ("0.3.2", "0.4.4", "0.6.0", "0.8")
KINDS: tuple[ObjectKind, ...] = ("detection", "annotation", "cell")

pytestmark = pytest.mark.jvm


class Pair:
    """One project twice, for an engine each."""

    def __init__(self, version: str, folder: Path) -> None:
        self.folders = {name: Path(shutil.copytree(DATA / version / "ihc", folder / name)) for name in ("files", "qupath")}
        self.files: Project = open_files_project(self.folders["files"])
        self.qupath: Project = open_jvm_project(self.folders["qupath"])
        self.swapped = open_files_project(self.folders["qupath"]), open_jvm_project(self.folders["files"])

    @property
    def entries(self) -> list[ImageEntry]:
        """The images, the same in both."""
        return list(self.files.images())

    def data(self, name: str, entry: ImageEntry) -> DataFile:
        """Parse the data file of an image."""
        path = self.folders[name] / "data" / entry.entry_id / "data.qpdata"
        return parse_data_file(path.read_bytes(), source=path)

    def write(self, entry: ImageEntry, changes: Changes) -> None:
        """Write the same into both."""
        for project in (self.files, self.qupath):
            project.write(entry, changes, fingerprint=project.read(entry).fingerprint)


@pytest.fixture(params=VERSIONS)
def pair(request: pytest.FixtureRequest, tmp_path: Path) -> Pair:
    """Give the project of each QuPath version."""
    if find_qupath() is None:
        pytest.skip("no QuPath found; set PAQUO_QUPATH_DIR")
    return Pair(request.param, tmp_path)


def results_for(prompts: tuple[Prompt, ...]) -> tuple[ResultObject, ...]:
    """Give a result of each prompt; all kinds, some with holes, some of a new class."""
    made = []
    for i, prompt in enumerate(prompts):
        x, y = prompt.anchor
        outline = box(x - 3.3, y - 2, x + 4, y + 5.7)
        if i % 3 == 1:
            outline = Polygon(box(x - 9.12, y - 9, x + 9, y + 9).exterior, [box(x - 2, y - 2, x + 2, y + 2).exterior])
        name = prompt.class_name if i % 5 else "Neu: Größe"
        metadata = ((PROMPT_KEY, prompt.key), (MODEL_KEY, "m"), (OPTIONS_KEY, "o"))
        measurements = (("NuClick: probability", 0.9), ("Area µm^2", math.nan))
        made.append(ResultObject(outline, KINDS[i % 3], name, prompt.plane, prompt.nested, prompt.anchor, measurements, metadata))
    return tuple(made)


def assert_same(one: EntryContent, other: EntryContent, *, within: float) -> None:
    """Compare all but fingerprints; centroids with a tolerance in px."""
    assert one.prompts == other.prompts
    assert [p.key for p in one.prompts] == [p.key for p in other.prompts]
    assert one.bad_prompts == other.bad_prompts
    assert [(r.prompt_key, r.model, r.options) for r in one.results] == [(r.prompt_key, r.model, r.options) for r in other.results]
    assert [plane for _, plane in one.neighbours] == [plane for _, plane in other.neighbours]
    assert_close([r.centroid for r in one.results], [r.centroid for r in other.results], within=within)
    assert_close([xy for xy, _ in one.neighbours], [xy for xy, _ in other.neighbours], within=1e-3)


def assert_close(one: list[XY], other: list[XY], *, within: float) -> None:
    """Compare points."""
    np.testing.assert_allclose(np.reshape(one, (-1, 2)), np.reshape(other, (-1, 2)), rtol=0, atol=within)


def assert_same_outline(one: BaseGeometry, other: BaseGeometry) -> None:
    """Compare areas: QuPath rounds to 0.01 px, and the corners that stand for an ellipse are others, to a thousandth of its area."""
    assert one.symmetric_difference(other).area <= 1e-3 * other.area + 0.01 * other.length


def users_objects(data: DataFile) -> list[tuple[object, ...]]:
    """Describe what is not ours; without the ids and the second name of TMA cores that QuPath adds to old files."""
    return [
        (
            (o.kind, o.name, o.class_name, o.locked, o.missing, parent.name),
            repr(o.measurements),
            [pair for pair in o.metadata if pair[0] != "Case ID"],
            region(o.roi),
            region(o.nucleus),
        )
        for o, parent in data.root.walk()
        if PROMPT_KEY not in dict(o.metadata)
    ]


def our_objects(data: DataFile) -> list[tuple[object, ...]]:
    """Describe what is ours, with ids and parents; outlines with holes without their coordinates."""
    return [
        (
            (o.kind, o.name, o.class_name, o.object_id, o.locked),
            (parent.name, region(parent.roi)),
            repr(o.measurements),
            sorted(o.metadata),
            o.roi.kind if o.roi and o.roi.shape else region(o.roi),
        )
        for o, parent in data.root.walk()
        if PROMPT_KEY in dict(o.metadata)
    ]


def vertices(data: DataFile) -> list[XY]:
    """List the vertices of our outlines with holes."""
    shapes = [o.roi for o, _ in data.root.walk() if PROMPT_KEY in dict(o.metadata) and o.roi and o.roi.shape]
    return [(x, y) for roi in shapes for x, y in roi.points.tolist()]


def region(roi: Roi | None) -> object:
    """Describe a region to the last bit."""
    return None if roi is None else (roi.kind, roi.c, roi.plane, roi.points.tolist(), roi.shape and roi.shape.wkb)


def test_engines_read_the_same(pair: Pair) -> None:
    """Every image of the project; neighbours to a thousandth of a pixel."""
    assert pair.files.images() == pair.qupath.images()

    for entry in pair.entries:
        one, other = pair.files.read(entry), pair.qupath.read(entry)
        assert_same(one, other, within=1e-3)
        assert one.fingerprint == other.fingerprint


def test_engines_read_the_same_closed_annotations(pair: Pair) -> None:
    """In the same order, with the same names and classes."""
    for entry in pair.entries:
        one, other = pair.files.read_closed_annotations(entry), pair.qupath.read_closed_annotations(entry)
        assert [(a.class_name, a.name) for a in one] == [(a.class_name, a.name) for a in other]
        for a, b in zip(one, other, strict=True):
            assert_same_outline(a.outline, b.outline)


def test_engines_read_the_same_closed_objects(pair: Pair) -> None:
    """Ids, nuclei and measurements of detections, cells and annotations; half of those of the first image are results of ours."""
    prompts = pair.files.read(pair.entries[0]).prompts
    for project in (pair.files, pair.swapped[0]):
        project.write(pair.entries[0], Changes(results_for(prompts)), fingerprint=project.read(pair.entries[0]).fingerprint)

    for entry in pair.entries:
        one, other = pair.files.read_closed_objects(entry), pair.qupath.read_closed_objects(entry)
        assert [a.object_id for a in one] == [a.object_id for a in other]
        assert [(a.kind, a.class_name, a.name, a.plane) for a in one] == [(a.kind, a.class_name, a.name, a.plane) for a in other]
        for a, b in zip(one, other, strict=True):
            assert_same_outline(a.outline, b.outline)
            assert dict(a.measurements) == pytest.approx(dict(b.measurements), nan_ok=True)
            assert (a.nucleus is None) == (b.nucleus is None)


def test_each_reads_what_the_other_wrote(pair: Pair) -> None:
    """Results to 0.01 px, to which QuPath rounds outlines with holes."""
    written = 0
    for entry in pair.entries:
        add = results_for(pair.files.read(entry).prompts)
        written += len(add)

        pair.write(entry, Changes(add))

        contents = [project.read(entry) for project in (pair.files, pair.qupath, *pair.swapped)]
        for content in contents[1:]:
            assert_same(contents[0], content, within=0.01)
        assert sorted(r.prompt_key for r in contents[0].results) == sorted(dict(r.metadata)[PROMPT_KEY] for r in add)
    assert written > 60


def test_engines_write_the_same_objects(pair: Pair) -> None:
    """Ids, parents, classes, measurements, metadata of ours; the users' objects to the last bit; the files beside them."""
    for entry in pair.entries:
        prompts = pair.files.read(entry).prompts
        if not prompts:
            continue
        before = users_objects(pair.data("files", entry))

        pair.write(entry, Changes(results_for(prompts)))

        files, qupath = pair.data("files", entry), pair.data("qupath", entry)
        assert our_objects(files) == our_objects(qupath)
        assert_close(vertices(files), vertices(qupath), within=0.0051)
        assert users_objects(files) == users_objects(qupath) == before
        assert (files.version, files.image_type, files.properties) == (qupath.version, qupath.image_type, qupath.properties)
    assert_same_side_files(pair)


def test_engines_replace_and_remove_the_same(pair: Pair) -> None:
    """A second run over the results of the other engine."""
    entry = pair.entries[0]
    add = results_for(pair.files.read(entry).prompts)
    pair.write(entry, Changes(add))
    keys = frozenset(dict(r.metadata)[PROMPT_KEY] for r in add[:7])

    for project in pair.swapped:
        project.write(entry, Changes(add[:4], keys), fingerprint=project.read(entry).fingerprint)

    files, qupath = pair.files.read(entry), pair.qupath.read(entry)
    assert_same(files, qupath, within=0.01)
    assert len(files.results) == len(add) - 3
    assert our_objects(pair.data("files", entry)) == our_objects(pair.data("qupath", entry))


def assert_same_side_files(pair: Pair) -> None:
    """Compare the list of classes and the counts, but not when they were made."""
    for path in sorted(pair.folders["files"].rglob("*.json")):
        contents = [json.loads((folder / path.relative_to(pair.folders["files"])).read_text("utf-8")) for folder in pair.folders.values()]
        for content in contents:
            content.pop("timestamp", None)
        assert contents[0] == contents[1], path.name
