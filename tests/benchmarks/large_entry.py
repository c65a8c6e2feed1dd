"""Read 5,000 prompts beside 50,000 detections, and write 5,000 outlines: `python tests/benchmarks/large_entry.py [ENGINE]`.

The detections are as QuPath's cell detection leaves them: outlines of 24 vertices with ten measurements,
of two classes. Prints seconds, and peak memory as a multiple of the size of the data file. Each engine
runs in a process of its own; `qupath` only where one is installed.
"""

import multiprocessing
import resource
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image
from shapely import Polygon

from edited_files import edited
from nuclick_qp.annotations.objects import PROMPT_KEY, Changes, ResultObject
from nuclick_qp.prompts import Plane, Prompt
from nuclick_qp.qupath.folder.create import NewImage, create_project
from nuclick_qp.qupath.javastream.emit import emit
from nuclick_qp.qupath.javastream.nodes import JavaObject
from nuclick_qp.qupath.javastream.parse import parse
from nuclick_qp.qupath.javastream.values import list_items
from nuclick_qp.qupath.jvm.engine import find_qupath
from nuclick_qp.qupath.open_project import Engine, open_project
from nuclick_qp.qupath.qpdata.building import Builder
from nuclick_qp.qupath.qpdata.data_file import parse_data_file
from nuclick_qp.qupath.qpdata.new_objects import NewAnnotation

DETECTIONS, PROMPTS, VERTICES = 50_000, 5_000, 24
SIDE = 10_000  # px; the slide of the project
NOT_OURS = PROMPT_KEY.encode().replace(b"nuclick", b"another")  # as long, so that the stream stays whole


def outline_at(x: float, y: float, rng: np.random.Generator) -> Polygon:
    """Draw a round outline."""
    angles = np.linspace(0, 2 * np.pi, VERTICES, endpoint=False)
    return Polygon(np.round(np.column_stack([np.cos(angles), np.sin(angles)]) * rng.uniform(9, 12, (VERTICES, 1)) + (x, y), 2))


def detections(rng: np.random.Generator) -> Iterator[ResultObject]:
    """Make detections all over the slide."""
    for i, (x, y) in enumerate(rng.uniform(20, SIDE - 20, (DETECTIONS, 2)).tolist()):
        values = tuple(zip((f"Nucleus: measurement {k}" for k in range(10)), rng.random(10).tolist(), strict=True))
        class_name = "Tumor: Positive" if i % 3 == 0 else "Tumor: Negative"
        yield ResultObject(outline_at(x, y, rng), "detection", class_name, Plane(), False, (x, y), f"spot {i}", shape=values)


def make_large_project(folder: Path) -> Path:
    """Make a project of one image whose data file holds all prompts and detections."""
    rng = np.random.default_rng(0)
    slide = folder / "slide.png"
    Image.MAX_IMAGE_PIXELS = None
    Image.new("RGB", (SIDE, SIDE), "white").save(slide)
    points = tuple((x, y) for x, y in rng.uniform(20, SIDE - 20, (PROMPTS, 2)).tolist())
    annotations = (NewAnnotation("Points", points, class_name="Tumor"),)
    project = create_project(folder / "project", [NewImage(slide, slide.name, SIDE, SIDE, 0.25, annotations)])
    path = project.parent / "data/1/data.qpdata"
    full = edited(parse_data_file(path.read_bytes(), source=path), add=tuple(detections(rng)))
    path.write_bytes(with_shared_names(full).replace(PROMPT_KEY.encode(), NOT_OURS))
    return project


def with_shared_names(data: bytes) -> bytes:
    """Close the lists of measurements as QuPath does: all of them share one list of names and one map of their places."""
    graph = parse(data)
    lists = [node for node in graph.nodes if isinstance(node, JavaObject) and node.desc.name.endswith("$FloatList")]
    builder = Builder(graph.nodes)
    names = lists[0].data[2]
    places = builder.hash_map((name, builder.integer(i)) for i, name in enumerate(list_items(names)))
    for node in lists:
        node.data[:3] = [b"\1", places, names]
    return emit(graph.contents)


def result_of(prompt: Prompt, rng: np.random.Generator) -> ResultObject:
    """Make the result that a run would write."""
    x, y = prompt.anchor
    outline, shape = outline_at(x, y, rng), (("Area um^2", 25.0),)
    return ResultObject(outline, "detection", prompt.class_name, Plane(), False, (x, y), prompt.key, model="benchmark", shape=shape)


def peak_bytes() -> int:
    """Give the most memory that this process has held; macOS counts in bytes, Linux in KiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def measure(project: Path, engine: Engine) -> None:
    """Read and write once, and print the row of an engine."""
    size = (project.parent / "data/1/data.qpdata").stat().st_size
    with open_project(project, engine=engine) as opened:
        (entry,) = opened.images()
        before = peak_bytes()  # what Python, its packages and Java hold already
        marks = [time.perf_counter()]
        content = opened.read(entry)
        marks.append(time.perf_counter())
        assert (len(content.prompts), len(content.neighbours)) == (PROMPTS, DETECTIONS)
        rng = np.random.default_rng(1)
        changes = Changes(tuple(result_of(prompt, rng) for prompt in content.prompts))
        marks.append(time.perf_counter())
        opened.write(entry, changes, fingerprint=content.fingerprint)
        marks.append(time.perf_counter())
        memory = peak_bytes() - before
        assert len(opened.read(entry).results) == PROMPTS
    print(
        f"{engine}: file of {size / 1e6:.1f} MB; read {marks[1] - marks[0]:.2f} s, write {marks[3] - marks[2]:.2f} s, "
        f"{memory / 1e6:.0f} MB more at the peak, {memory / size:.1f} times the file"
    )


def main() -> None:
    """Measure the engines that are asked for, or that are there."""
    found: list[Engine] = ["files", "qupath"] if find_qupath() else ["files"]
    engines = [engine for engine in found if engine in sys.argv[1:] or not sys.argv[1:]]
    spawn = multiprocessing.get_context("spawn")
    for engine in engines:
        with tempfile.TemporaryDirectory() as folder:
            maker = spawn.Process(target=make_large_project, args=(Path(folder),))  # its memory is not measured
            maker.start()
            maker.join()
            worker = spawn.Process(target=measure, args=(Path(folder, "project", "project.qpproj"), engine))
            worker.start()
            worker.join()
            if maker.exitcode or worker.exitcode:
                sys.exit(f"{engine} failed")


if __name__ == "__main__":
    main()
