"""Both engines on the same projects: the same prompts, the same results, each reads what the other wrote."""

import json
import math
import shutil
from pathlib import Path

import pytest
from shapely import MultiPolygon, Polygon, box

from compared_objects import assert_same, assert_same_outline, assert_same_results, data_of, our_objects, users_objects
from fixture_projects import DATA, VERSIONS, entry_of, open_with_qupath
from nuclick_qp.annotations.objects import Changes, ResultObject
from nuclick_qp.kinds import ObjectKind
from nuclick_qp.prompts import Plane, Prompt
from nuclick_qp.qupath.files_engine import open_files_project
from nuclick_qp.qupath.protocol import ImageEntry, Project
from nuclick_qp.qupath.qpdata.data_file import DataFile

KINDS: tuple[ObjectKind, ...] = ("detection", "annotation", "cell")

pytestmark = pytest.mark.jvm


class Pair:
    """One project twice, for an engine each."""

    def __init__(self, version: str, folder: Path) -> None:
        self.folders = {name: Path(shutil.copytree(DATA / version / "ihc", folder / name)) for name in ("files", "qupath")}
        self.files: Project = open_files_project(self.folders["files"])
        self.qupath: Project = open_with_qupath(self.folders["qupath"])
        self.swapped = open_files_project(self.folders["qupath"]), open_with_qupath(self.folders["files"])

    @property
    def entries(self) -> list[ImageEntry]:
        """The images, the same in both."""
        return list(self.files.images())

    def data(self, name: str, entry: ImageEntry) -> DataFile:
        """Parse the data file of an image."""
        return data_of(self.folders[name], entry.entry_id)

    def write(self, entry: ImageEntry, changes: Changes) -> None:
        """Write the same into both."""
        for project in (self.files, self.qupath):
            project.write(entry, changes, fingerprint=project.read(entry).fingerprint)


@pytest.fixture(params=("0.2.3", *VERSIONS))
def pair(request: pytest.FixtureRequest, tmp_path: Path) -> Pair:
    """Give the project of each QuPath version."""
    return Pair(request.param, tmp_path)


def results_for(prompts: tuple[Prompt, ...]) -> tuple[ResultObject, ...]:
    """Give a result of each prompt; all kinds, some with holes or two parts, some of a new class."""
    made = []
    for i, prompt in enumerate(prompts):
        x, y = prompt.anchor
        part = box(x - 3.3, y - 2, x + 4, y + 5.7)
        if i % 3 == 1:
            part = Polygon(box(x - 9.12, y - 9, x + 9, y + 9).exterior, [box(x - 2, y - 2, x + 2, y + 2).exterior])
        outline = MultiPolygon([part, box(x + 20, y, x + 22.25, y + 1.5)]) if i % 7 == 2 else part
        name = prompt.class_name if i % 5 else "Neu: Größe"
        shape = (("Area µm^2", math.nan),)
        made.append(
            ResultObject(outline, KINDS[i % 3], name, prompt.plane, prompt.nested, prompt.anchor, prompt.key, 0.9, "m", "o", shape)
        )
    return tuple(made)


def test_engines_read_the_same(pair: Pair) -> None:
    """Every image of the project."""
    assert pair.files.images() == pair.qupath.images()

    for entry in pair.entries:
        one, other = pair.files.read(entry), pair.qupath.read(entry)
        assert_same(one, other, within=1e-3)
        assert one.fingerprint == other.fingerprint


def test_engines_read_the_same_closed_annotations(pair: Pair) -> None:
    """In the same order, with the same names and classes."""
    for entry in pair.entries:
        one, other = (project.read_closed_objects(entry, kinds=["annotation"]) for project in (pair.files, pair.qupath))
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
            if a.nucleus is not None and b.nucleus is not None:
                assert_same_outline(a.nucleus, b.nucleus)


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
        assert sorted(r.key for r in contents[0].results) == sorted(r.key for r in add)
    assert written > 30


def test_engines_write_the_same_objects(pair: Pair) -> None:
    """Ids, parents, classes, measurements, metadata of ours; the users' objects to the last bit; the files beside them."""
    for entry in pair.entries:
        prompts = pair.files.read(entry).prompts
        if not prompts:
            continue
        before = users_objects(pair.data("files", entry))

        pair.write(entry, Changes(results_for(prompts)))

        files, qupath = pair.data("files", entry), pair.data("qupath", entry)
        assert_same_results(files, qupath)
        assert users_objects(files) == users_objects(qupath) == before
        assert (files.version, files.image_type, files.properties) == (qupath.version, qupath.image_type, qupath.properties)
    assert_same_side_files(pair)


def test_engines_replace_and_remove_the_same(pair: Pair) -> None:
    """A second run over the results of the other engine."""
    entry = pair.entries[0]
    add = results_for(pair.files.read(entry).prompts)
    pair.write(entry, Changes(add))
    keys = frozenset(r.key for r in add[:7])

    for project in pair.swapped:
        project.write(entry, Changes(add[:4], keys), fingerprint=project.read(entry).fingerprint)

    files, qupath = pair.files.read(entry), pair.qupath.read(entry)
    assert_same(files, qupath, within=0.01)
    assert len(files.results) == len(add) - 3
    assert our_objects(pair.data("files", entry)) == our_objects(pair.data("qupath", entry))


@pytest.mark.parametrize("version", VERSIONS)
def test_engines_write_the_same_into_an_image_without_data(version: str, tmp_path: Path) -> None:
    """One that QuPath never saved; each engine reads what the other made."""
    pair = Pair(version, tmp_path)
    entry = entry_of(pair.files, "6")
    prompts = tuple(Prompt("point", (((x, 70.0),),), name, None, Plane(), nested=False) for x, name in ((30.0, "Tumor"), (90.5, None)))

    pair.write(entry, Changes(results_for(prompts)))

    files, qupath = pair.data("files", entry), pair.data("qupath", entry)
    assert_same_results(files, qupath)
    assert len(our_objects(files)) == 2
    assert (files.version, files.image_type) == (qupath.version, qupath.image_type)
    contents = [project.read(entry) for project in (pair.files, pair.qupath, *pair.swapped)]
    for content in contents[1:]:
        assert_same(contents[0], content, within=0.01)
    assert_same_side_files(pair)


@pytest.mark.parametrize("version", VERSIONS)
def test_project_without_images_has_none_in_both(version: str) -> None:
    """It opens, and there is nothing in it."""
    folder = DATA / version / "empty"

    assert list(open_with_qupath(folder).images()) == list(open_files_project(folder).images()) == []


def assert_same_side_files(pair: Pair) -> None:
    """Compare the list of classes and the counts, but not when they were made."""
    for path in sorted(pair.folders["files"].rglob("*.json")):
        contents = [json.loads((folder / path.relative_to(pair.folders["files"])).read_text("utf-8")) for folder in pair.folders.values()]
        for content in contents:
            content.pop("timestamp", None)
        assert contents[0] == contents[1], path.name
