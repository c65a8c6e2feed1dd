"""One run over a project in a process of its own, which is how its memory is measured: `python -m benchmarks.one_run REQUEST`.

The request is the JSON of `Request`; the answer, on stdout, that of `RunFigures`.
"""

import sys
import time
from pathlib import Path

from pydantic import BaseModel


class Request(BaseModel):
    """What is to be run.

    Attributes
    ----------
    project
        Its `project.qpproj`.
    network
        Name or card of a model, or discs, see `drawn_answers`.
    began
        `time.time` when the process was started.
    """

    project: Path
    network: str
    device: str
    batch_size: int
    began: float


class RunFigures(BaseModel):
    """What a run took.

    Attributes
    ----------
    seconds
        From the project on disk to its written `data.qpdata`; Python and the model were loaded before.
    start_seconds
        From the start of the process until the model was loaded.
    first_outline_seconds
        From the start of the process to the first outline.
    peak_mb, start_mb
        Most memory of the process, and that before the run.
    stages
        Processor time of each stage, in seconds.
    processor_seconds
        That of the whole process during the run.
    network_busy
        Share of the wall time in which the network computed.
    network_per_second
        Clicks that the network alone does in a second at that batch size, right before and right after the run.
    """

    clicks: int
    outlines: int
    seconds: float
    start_seconds: float
    first_outline_seconds: float | None
    peak_mb: float
    start_mb: float
    stages: dict[str, float]
    processor_seconds: float
    network_busy: float
    network_per_second: float | None = None
    device: str
    precision: str


def run(request: Request) -> RunFigures:
    """Run over the project, and open it again to count what is in it."""
    # torch is part of what the start costs
    from benchmarks.drawn_answers import load_any  # noqa: PLC0415
    from benchmarks.network_alone import per_second  # noqa: PLC0415
    from benchmarks.stage_clocks import NETWORK, STAGES, clocks_on  # noqa: PLC0415
    from nuclick_qp.qupath.open_project import open_project  # noqa: PLC0415
    from nuclick_qp.run.project import segment_project  # noqa: PLC0415
    from nuclick_qp.run.run_options import RunOptions  # noqa: PLC0415
    from nuclick_qp.segmentation.segment_options import SegmentOptions  # noqa: PLC0415

    predictor, answering = load_any(request.network, device=request.device)
    options = RunOptions(segment=SegmentOptions(batch_size=request.batch_size))
    start_seconds, start_mb = time.time() - request.began, peak_mb()
    rates = [per_second(predictor, batch_size=request.batch_size)]
    with clocks_on(answering) as clocks:
        since, processor_since = time.perf_counter(), time.process_time()
        with open_project(request.project) as project:
            report = segment_project(project, {"point": predictor}, options=options)
        seconds, processor_seconds = time.perf_counter() - since, time.process_time() - processor_since
    most_mb = peak_mb()
    rates.append(per_second(predictor, batch_size=request.batch_size))
    with open_project(request.project) as project:
        outlines = sum(len(project.read(entry).results) for entry in project.images())
    assert outlines == report.new_outlines, f"{outlines} outlines are in the project, and the run tells of {report.new_outlines}"
    first = clocks.first_end("outlines")
    return RunFigures(
        clicks=report.prompts,
        outlines=outlines,
        seconds=seconds,
        start_seconds=start_seconds,
        first_outline_seconds=None if first is None else start_seconds + first - since,
        peak_mb=most_mb,
        start_mb=start_mb,
        stages={stage: clocks.seconds(stage) for stage in (*STAGES, NETWORK)},
        processor_seconds=processor_seconds,
        network_busy=(clocks.device_ms / 1000 or clocks.busy_seconds(NETWORK)) / seconds,
        network_per_second=len(rates) / sum(1 / rate for rate in rates),
        device=str(predictor.device),
        precision=predictor.precision,
    )


def peak_mb() -> float:
    """Give the most memory that this process has held, in MB."""
    status = Path("/proc/self/status")
    if status.exists():  # getrusage would count what the parent held when it started this process
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) * 1024 / 1e6
    import resource  # noqa: PLC0415  # Windows has none

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024) / 1e6


if __name__ == "__main__":
    print(run(Request.model_validate_json(sys.argv[1])).model_dump_json())
