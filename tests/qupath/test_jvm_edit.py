"""Results written into a project by an installed QuPath."""

import hashlib
import json
import shutil
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from shapely import Polygon, box

from fixture_projects import DATA, entry_of, open_with_qupath, snapshot
from nuclick_qp.annotations.objects import MODEL_KEY, PROMPT_KEY, Changes, ResultObject
from nuclick_qp.errors import WriteRefusedError
from nuclick_qp.prompts import Plane
from nuclick_qp.qupath.javastream.nodes import JavaObject
from nuclick_qp.qupath.javastream.values import boxed, field
from nuclick_qp.qupath.jvm.data import HIERARCHY, Java, read_data, write_data
from nuclick_qp.qupath.jvm.edit import edited
from nuclick_qp.qupath.jvm.engine import JvmProject
from nuclick_qp.qupath.protocol import Project
from nuclick_qp.qupath.qpdata.data_file import parse_data_file
from nuclick_qp.qupath.qpdata.new_file import new_data_file
from nuclick_qp.qupath.qpdata.new_objects import NewAnnotation
from nuclick_qp.qupath.qpdata.path_objects import PathObject

pytestmark = pytest.mark.jvm


@pytest.fixture
def project(study: Path) -> JvmProject:
    """Open that project with QuPath."""
    return open_with_qupath(study)


def result(key: str, x: float = 100, y: float = 100, **changes: Any) -> ResultObject:
    """Give a result as a run makes them: a square around its prompt."""
    square = box(x - 5, y - 5, x + 5, y + 5)
    made = ResultObject(square, "detection", "Tumor", Plane(), False, (x, y), key, 0.5, "m")
    return replace(made, **changes)


def write(project: Project, add: tuple[ResultObject, ...], remove: tuple[str, ...] = (), entry_id: str = "1") -> None:
    """Read an image and write into it."""
    entry = entry_of(project, entry_id)
    project.write(entry, Changes(add, frozenset(remove)), fingerprint=project.read(entry).fingerprint)


def results_in(path: Path) -> dict[str, PathObject]:
    """Give the objects of ours in a data file by their prompt key."""
    objects = [item for item, _ in parse_data_file(path.read_bytes(), source=path).root.walk()]
    return {dict(item.metadata)[PROMPT_KEY]: item for item in objects if PROMPT_KEY in dict(item.metadata)}


def test_result_reads_back_as_it_was_meant(project: JvmProject, study: Path) -> None:
    """Kind, class, plane, outline, measurements, metadata; each with an id of its own."""
    write(project, (result("a"), result("b", kind="cell", class_name="Tumor: Positive", plane=Plane(2, 1)), result("c", kind="annotation")))

    found = results_in(study / "data" / "1" / "data.qpdata")
    assert {k: (o.kind, o.class_name, o.roi and o.roi.plane) for k, o in found.items()} == {
        "a": ("detection", "Tumor", Plane()),
        "b": ("cell", "Tumor: Positive", Plane(2, 1)),
        "c": ("annotation", "Tumor", Plane()),
    }
    assert all(o.measurements == (("NuClick: probability", 0.5),) and dict(o.metadata)[MODEL_KEY] == "m" for o in found.values())
    assert all(o.roi is not None and o.roi.bounds == (95, 95, 105, 105) and not o.locked for o in found.values())
    assert len({o.object_id for o in found.values()}) == 3


def test_outline_with_a_hole_keeps_it(project: JvmProject, study: Path) -> None:
    """It becomes a geometry, exact to 0.01 px."""
    ring = Polygon(box(10, 10, 30, 30).exterior, [box(15.25, 15, 20, 20.5).exterior])

    write(project, (result("a", outline=ring),))

    roi = results_in(study / "data" / "1" / "data.qpdata")["a"].roi
    assert roi is not None
    assert roi.shape is not None
    assert roi.shape.equals(ring)


def test_result_replaces_the_one_of_its_key(project: JvmProject) -> None:
    """Others stay."""
    write(project, (result("a"), result("b", 50, 50)))

    write(project, (result("a", 120, 120),), remove=("a",))

    found = {r.key: r.centroid for r in project.read(entry_of(project)).results}
    assert found == {"b": pytest.approx((50, 50)), "a": pytest.approx((120, 120))}


def test_what_a_user_drew_inside_a_result_takes_its_place(project: JvmProject, study: Path) -> None:
    """Removing a result of ours never removes an annotation of the user."""
    write(project, (result("a", kind="annotation"),))
    path = study / "data" / "1" / "data.qpdata"
    data = read_data(project.java, path.read_bytes(), source=path)
    children = list(data.root.getChildObjectsAsArray())
    users, ours = children[0], children[-1]
    ours.addChildObject(users)
    path.write_bytes(write_data(project.java, data))
    before = len(project.read(entry_of(project)).prompts)

    write(project, (), remove=("a",))

    content = project.read(entry_of(project))
    assert (content.results, len(content.prompts)) == ((), before)
    kept = read_data(project.java, path.read_bytes(), source=path)
    assert str(list(kept.root.getChildObjectsAsArray())[-1].getID()) == str(users.getID())


def test_backup_keeps_the_first_content(project: JvmProject, study: Path) -> None:
    """Of before our first touch, however often we write."""
    path = study / "data" / "1" / "data.qpdata"
    first = path.read_bytes()

    write(project, (result("a"),))
    write(project, (result("b"),))

    assert path.with_name("data.qpdata.nuclick-backup").read_bytes() == first


def test_only_the_data_and_what_lists_them_change(project: JvmProject, study: Path) -> None:
    """The project file is not rewritten, nor are other images."""
    before = snapshot(study)

    write(project, (result("a"),))

    after = snapshot(study)
    changed = {name for name in after if after[name] != before.get(name)}
    assert changed == {f"data/1/{name}" for name in ("data.qpdata", "data.qpdata.nuclick-backup", "summary.json")}
    counts = [json.loads(files["data/1/summary.json"])["hierarchy"]["nObjects"] for files in (before, after)]
    assert counts[1] == counts[0] + 1


def test_writing_again_adds_no_steps_to_the_workflow(project: JvmProject, study: Path) -> None:
    """`PathIO` would add some each time that it reads."""
    path = study / "data" / "1" / "data.qpdata"
    write(project, (result("a"),))
    first = path.read_bytes()

    write(project, (result("b"),))
    write(project, (), remove=("b",))

    assert len(path.read_bytes()) == len(first)


def test_image_without_data_gets_some(project: JvmProject) -> None:
    """That of an image that QuPath never saved."""
    entry = entry_of(project, "6")

    write(project, (result("a"),), entry_id="6")

    assert [r.key for r in project.read(entry).results] == ["a"]


@pytest.mark.parametrize("threads", [1, 4])
def test_each_file_keeps_its_own_colours(tmp_path: Path, threads: int) -> None:
    """QuPath has one class of a name in a process, and writes its colour into every file; from several threads at once, too."""
    colours = {"red": -65536, "green": -16711936, "blue": -16776961, "white": -1}
    projects = []
    for name, colour in colours.items():
        folder = Path(shutil.copytree(DATA / "0.6.0" / "ihc", tmp_path / name))
        click = NewAnnotation("Points", ((1.0, 2.0),), class_name="Odd")
        new = new_data_file(server_json="{}", annotations=[click], qupath_version="0.6.0", project_entry="p::1", colours={"Odd": colour})
        (folder / "data" / "1" / "data.qpdata").write_bytes(new)
        projects.append(open_with_qupath(folder))

    def fill(project: JvmProject) -> None:
        for number in range(10):
            write(project, (result(f"{number}", class_name="Odd"),))

    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(fill, projects))

    for name, colour in colours.items():
        path = tmp_path / name / "data" / "1" / "data.qpdata"
        nodes = parse_data_file(path.read_bytes(), source=path).graph.nodes
        classes = [n for n in nodes if isinstance(n, JavaObject) and n.desc.name == "qupath.lib.objects.classes.PathClass"]
        assert [boxed(field(n, "colorRGB"), "java.lang.Integer") for n in classes] == [colour]
        assert len(results_in(path)) == 10


# Refusals: every byte as before


def test_file_that_changed_since_it_was_read_is_refused(project: JvmProject, study: Path) -> None:
    """Someone saved it in QuPath meanwhile."""
    entry = entry_of(project)
    fingerprint = project.read(entry).fingerprint
    write(project, (result("a"),))
    before = snapshot(study)

    with pytest.raises(WriteRefusedError, match="changed since it was read"):
        project.write(entry, Changes((result("b"),)), fingerprint=fingerprint)

    assert snapshot(study) == before


def test_what_qupath_does_not_take_is_refused(project: JvmProject, study: Path) -> None:
    """Java's message is told; here a name that no class can have."""
    before = snapshot(study)

    with pytest.raises(WriteRefusedError, match=r"data\.qpdata was left as it is: QuPath .* cannot write it"):
        write(project, (result("a", class_name="two\nlines"),))

    assert snapshot(study) == before


def test_broken_data_are_not_written(project: JvmProject, study: Path) -> None:
    """They are refused as in reading."""
    path = study / "data" / "1" / "data.qpdata"
    entry = entry_of(project)
    path.write_bytes(path.read_bytes()[:-1])
    fingerprint = hashlib.sha256(path.read_bytes()).hexdigest()
    before = snapshot(study)

    with pytest.raises(WriteRefusedError, match=r"nothing was written.*data\.qpdata cannot be read"):
        project.write(entry, Changes((result("a"),)), fingerprint=fingerprint)

    assert snapshot(study) == before


def test_object_that_gets_lost_in_writing_is_noticed(project: JvmProject, study: Path) -> None:
    """The bytes are read again before they go to disk."""
    path = study / "data" / "1" / "data.qpdata"
    java = project.java

    class Lossy:
        """A Java stream that forgets one object of the hierarchy."""

        def __init__(self, buffer: Any) -> None:
            self.stream = java.load("java.io.ObjectOutputStream")(buffer)
            self.writeUTF, self.close = self.stream.writeUTF, self.stream.close

        def writeObject(self, item: Any) -> None:  # noqa: N802  # Java's name
            forgotten = list(item.getRootObject().getChildObjectsAsArray())[-1:] if isinstance(item, java.load(HIERARCHY)) else []
            for child in forgotten:
                item.getRootObject().removeChildObject(child)
            self.stream.writeObject(item)
            for child in forgotten:
                item.getRootObject().addChildObject(child)

    lossy = Java(
        java.qupath,
        lambda name: Lossy if name == "java.io.ObjectOutputStream" else java.load(name),
        java.bytes_of,
        java.doubles_of,
        java.below_java,
    )

    with pytest.raises(WriteRefusedError, match="does not read back"):
        edited(lossy, path.read_bytes(), Changes((result("a"),)), source=path, colours={})
