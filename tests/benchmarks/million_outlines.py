"""Write very many outlines to .geojson.gz, and print time and peak memory: `python tests/benchmarks/million_outlines.py [NUMBER]`.

Read the ratio, not the seconds: it compares the writing of 20,000 outlines with `json.dumps` of the
same features, one at a time, without packing. Merging one outline into the large file comes last.
"""

import json
import resource
import sys
import tempfile
import time
from collections import deque
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from shapely import Polygon
from shapely.geometry import mapping

from nuclick_qp.annotations.objects import ResultObject
from nuclick_qp.formats.geojson.writing import write_objects
from nuclick_qp.prompts import Plane

SAMPLE = 20_000
VERTICES = 32


def outlines(number: int) -> Iterator[ResultObject]:
    """Make outlines as a run gives them: 32 vertices on the grid of 0.01 px, ten measurements."""
    rng = np.random.default_rng(0)
    angles = np.linspace(0, 2 * np.pi, VERTICES, endpoint=False)
    unit = np.column_stack([np.cos(angles), np.sin(angles)])
    for i in range(number):
        x, y = rng.uniform(20, 100_000, 2).tolist()
        xy = np.round(unit * rng.uniform(10, 12, (VERTICES, 1)) + (x, y), 2)
        measurements = tuple(zip((f"measurement {k} um" for k in range(10)), rng.random(10).tolist(), strict=True))
        yield ResultObject(Polygon(xy), "detection", "Tumor", Plane(), False, (x, y), str(i), shape=measurements)


def dump(number: int) -> None:
    """Turn the same features into text, and drop it."""
    for result in outlines(number):
        properties = {"objectType": "detection", "classification": {"name": "Tumor"}, "measurements": dict(result.measurements)}
        json.dumps({"type": "Feature", "id": "0" * 36, "geometry": mapping(result.outline), "properties": properties})


def peak_mb() -> float:
    """Give the most memory that this process has held, in MB; macOS counts in bytes, Linux in KiB."""
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6


def main() -> None:
    """Measure the sample, then write all, then merge."""
    number = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "outlines.geojson.gz"
        marks = [time.perf_counter()]
        for step in (lambda: deque(outlines(SAMPLE), 0), lambda: dump(SAMPLE), lambda: write_objects(path, outlines(SAMPLE))):
            step()
            marks.append(time.perf_counter())
        made, dumped, written = np.diff(marks)
        print(
            f"writing {SAMPLE} outlines to .geojson.gz takes {(written - made) / (dumped - made):.2f} times as long as json.dumps of them"
        )
        print(f"peak memory: {peak_mb():.0f} MB for {SAMPLE}", flush=True)
        write_objects(path, outlines(number))
        print(f"peak memory: {peak_mb():.0f} MB for {number}, {path.stat().st_size / 1e6:.0f} MB on disk", flush=True)
        write_objects(path, [next(outlines(1))], merge=True)
        print(f"peak memory: {peak_mb():.0f} MB with one merged into these; {time.perf_counter() - marks[0]:.0f} s in all")


if __name__ == "__main__":
    main()
