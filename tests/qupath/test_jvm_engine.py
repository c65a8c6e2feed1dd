"""The engine that lets an installed QuPath read and write projects."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from compared_objects import assert_same_results, data_of, our_objects, users_objects
from fixture_projects import DATA, NO_QUPATH, VERSIONS, drawn_in, entry_of, open_with_qupath, prompts_in, snapshot
from nuclick_qp.errors import EngineUnavailableError, ProjectNotFoundError, UnreadableDataError
from nuclick_qp.qupath.jvm.engine import JvmProject, find_qupath, open_jvm_project


@pytest.fixture
def project(study: Path) -> JvmProject:
    """Open that project with QuPath."""
    return open_with_qupath(study)


def run_python(code: str, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a program in a process of its own, with warnings as errors."""
    command = [sys.executable, "-W", "error", "-c", code, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=120, env={**os.environ, **environment})


# Without QuPath


def test_importing_the_engine_starts_nothing() -> None:
    """Neither paquo nor JPype is loaded: `--help` must be fast, and no QuPath need be there."""
    code = "import sys, nuclick_qp.qupath.jvm.engine; print({'paquo', 'jpype', 'dynaconf'} & set(sys.modules))"

    assert run_python(code).stdout.strip() == "set()"


def test_finding_qupath_starts_no_java(tmp_path: Path) -> None:
    """`doctor` asks for it."""
    code = "from nuclick_qp.qupath.jvm.engine import find_qupath; print(find_qupath()); import jpype; print(jpype.isJVMStarted())"

    assert run_python(code, PAQUO_QUPATH_DIR=str(tmp_path)).stdout.split() == ["None", "False"]


@pytest.mark.skipif(sys.platform != "linux", reason="the folders of a QuPath differ by system")
def test_qupath_is_found_where_the_environment_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the version that its jar file tells."""
    for file in ("lib/runtime/lib/server/libjvm.so", "lib/app/qupath-core-0.6.0.jar", "lib/app/qupath-core-processing-0.5.9.jar"):
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / file).touch()
    monkeypatch.setenv("PAQUO_QUPATH_DIR", str(tmp_path))

    found = find_qupath()

    assert found is not None
    assert (found.folder, found.version) == (tmp_path, "0.6.0")


def test_folder_without_qupath_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The folder that was named counts, no other is searched."""
    monkeypatch.setenv("PAQUO_QUPATH_DIR", str(tmp_path / "nowhere"))

    assert find_qupath() is None


def test_opening_without_qupath_tells_the_ways_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One line: install it, say where it is, or do without."""
    monkeypatch.setenv("PAQUO_QUPATH_DIR", str(tmp_path))

    with pytest.raises(EngineUnavailableError, match=r"install QuPath.*PAQUO_QUPATH_DIR.*--engine files"):
        open_jvm_project(DATA / "0.6.0" / "ihc")


def test_missing_project_is_told_before_qupath_is_looked_for(tmp_path: Path) -> None:
    """With the path."""
    with pytest.raises(ProjectNotFoundError, match="nowhere"):
        open_jvm_project(tmp_path / "nowhere")


# Reading


@pytest.mark.jvm
@pytest.mark.parametrize("version", VERSIONS)
def test_prompts_are_the_points_and_lines_that_were_drawn(version: str) -> None:
    """In the user's order, that of the points of one annotation included, though no slide is there."""
    project = open_with_qupath(DATA / version / "ihc")
    expected = drawn_in(version)

    found = prompts_in(project, expected)

    assert found == expected
    assert len(found["1"]) > 60


@pytest.mark.jvm
def test_reading_changes_nothing(project: JvmProject, study: Path) -> None:
    """Not a byte of any file."""
    before = snapshot(study)

    for entry in project.images():
        project.read(entry)

    assert snapshot(study) == before


@pytest.mark.jvm
@pytest.mark.parametrize("lost", [1, 5, 6, 900, 9000])
def test_truncated_data_are_refused(project: JvmProject, study: Path, lost: int) -> None:
    """QuPath itself would take the first three for whole, and wait for ever on the last."""
    path = study / "data" / "1" / "data.qpdata"
    path.write_bytes(path.read_bytes()[:-lost])

    with pytest.raises(UnreadableDataError, match=r"data\.qpdata cannot be read by QuPath .*restore the file"):
        project.read(entry_of(project))


@pytest.mark.jvm
@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (b"\xac\xed\x00\x05", b"PK\x03\x04", "cannot be read by QuPath"),
        (b"Data file version 3", b"Data file version 9", "starts with 'Data file version 9'"),
        (b"qupath.lib.plugins.workflow.Workflow", b"qupath.lib.plugins.workflow.Walkflow", "cannot be read by QuPath"),
    ],
)
def test_foreign_data_are_refused(project: JvmProject, study: Path, old: bytes, new: bytes, message: str) -> None:
    """Another kind of file, a version to come, a class that is not QuPath's."""
    path = study / "data" / "1" / "data.qpdata"
    path.write_bytes(path.read_bytes().replace(old, new, 1))

    with pytest.raises(UnreadableDataError, match=message):
        project.read(entry_of(project))


@pytest.mark.jvm
def test_interrupted_save_of_qupath_is_told(project: JvmProject, study: Path) -> None:
    """As with the other engine: only QuPath should put back what it moved away."""
    path = study / "data" / "1" / "data.qpdata"
    path.rename(path.with_name("data.qpdata.bkp"))

    with pytest.raises(UnreadableDataError, match="QuPath stopped while saving"):
        project.read(entry_of(project))


# The process

WRITE_AND_REMOVE = """
import sys
from pathlib import Path
from shapely import Point
from nuclick_qp.annotations.objects import PROMPT_KEY, Changes, ResultObject
from nuclick_qp.qupath.files_engine import open_files_project
from nuclick_qp.qupath.jvm.engine import open_jvm_project
from nuclick_qp.prompts import Plane
for folder, open_project in zip(sys.argv[1:], (open_jvm_project, open_files_project)):
    with open_project(Path(folder)) as project:
        entry = project.images()[0]
        disc, ring = Point(90.125, 80.5).buffer(4), Point(120.25, 80).buffer(9).difference(Point(120.25, 80).buffer(2.5))
        add = [
            ResultObject(o, "detection", "Tumor", Plane(1, 0), True, (90.125, 80.5), key, shape=(("Area µm^2", 0.25),))
            for key, o in {"a": disc, "b": ring, "c": disc}.items()
        ]
        project.write(entry, Changes(tuple(add)), fingerprint=project.read(entry).fingerprint)
        project.write(entry, Changes((), frozenset("c")), fingerprint=project.read(entry).fingerprint)
"""


@pytest.mark.jvm
def test_java_prints_nothing_to_stdout(study: Path) -> None:
    """It belongs to the results of the command; in the fixture QuPath has something to warn of."""
    if find_qupath() is None:
        pytest.skip(NO_QUPATH)
    code = """
import sys
from pathlib import Path
from nuclick_qp.annotations.objects import Changes
from nuclick_qp.qupath.jvm.engine import open_jvm_project
with open_jvm_project(Path(sys.argv[1])) as project:
    for entry in project.images():
        content = project.read(entry)
    project.java.load("org.slf4j.LoggerFactory").getLogger("test").error("an error")
    project.java.load("java.lang.System").out.println("a line")
"""

    done = run_python(code, str(study))

    assert done.stdout == ""
    assert "an error" in done.stderr
    assert "a line" in done.stderr


@pytest.mark.jvm
def test_java_prints_nothing_to_stdout_while_it_starts(study: Path, tmp_path: Path) -> None:
    """QuPath tells of its first classes already, if it was asked to tell all."""
    if find_qupath() is None:
        pytest.skip(NO_QUPATH)
    config = tmp_path / "logback.xml"
    config.write_text(
        '<configuration><appender name="OUT" class="ch.qos.logback.core.ConsoleAppender"><encoder><pattern>%msg%n</pattern></encoder>'
        '</appender><root level="debug"><appender-ref ref="OUT"/></root></configuration>'
    )
    code = "import sys; from pathlib import Path; import nuclick_qp.qupath.jvm.engine as q; q.open_jvm_project(Path(sys.argv[1]))"

    done = run_python(code, str(study), PAQUO_JAVA_OPTS=f"-Dlogback.configurationFile={config.as_uri()}")

    assert done.stdout == ""
    assert "PathClass" in done.stderr


@pytest.mark.jvm
def test_nothing_that_we_call_is_warned_of(study: Path) -> None:
    """QuPath warns of what its next version does without, and Java of calls into C."""
    if find_qupath() is None:
        pytest.skip(NO_QUPATH)

    done = run_python(WRITE_AND_REMOVE, str(study))

    assert not [line for line in done.stderr.splitlines() if "replaced by" in line or "deprecated" in line or line.startswith("WARNING")]


@pytest.mark.jvm
def test_language_of_the_machine_makes_no_difference(study: Path) -> None:
    """Where a comma parts the decimals, too."""
    if find_qupath() is None:
        pytest.skip(NO_QUPATH)
    other = Path(shutil.copytree(study, study.with_name("other")))

    run_python(WRITE_AND_REMOVE, str(study), str(other), PAQUO_JAVA_OPTS="-Duser.language=de -Duser.country=DE")

    german, files = data_of(study), data_of(other)
    assert_same_results(german, files)
    assert len(our_objects(german)) == 2
    assert users_objects(german) == users_objects(files)


@pytest.mark.jvm
def test_process_ends_when_java_started_in_a_thread(study: Path) -> None:
    """Java waits for the thread that started it; the one here is never told to leave."""
    if find_qupath() is None:
        pytest.skip(NO_QUPATH)
    code = """
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from nuclick_qp.qupath.jvm.engine import open_jvm_project

def count(_):
    with open_jvm_project(Path(sys.argv[1])) as project:
        return [len(project.read(entry).prompts) for entry in project.images()]

with ThreadPoolExecutor(4) as pool:
    print(len(set(map(tuple, pool.map(count, range(8))))))
"""

    assert run_python(code, str(study)).stdout.strip() == "1"
