"""Tests of `nuclick_qp.serve.jobs`: whole projects, run as the command line."""

import json
import time
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from pydantic import ValidationError

from drawn_projects import MakeProject, points_at
from nuclick_qp.errors import OptionError
from nuclick_qp.model.predictor import Predictor
from nuclick_qp.qupath.files_engine import open_files_project
from nuclick_qp.run.run_options import RunOptions
from nuclick_qp.serve import jobs as jobs_module
from nuclick_qp.serve.app import make_app
from nuclick_qp.serve.jobs import Job, Jobs, command_of
from nuclick_qp.serve.schema import JobRequest, JobState
from nuclick_qp.serve.session import Session
from nuclick_qp_cli.shared import split_names


@pytest.fixture
def jobs() -> Iterator[Jobs]:
    """Give a place for jobs; all have ended when the test has."""
    jobs = Jobs(device="cpu")
    yield jobs
    jobs.close()


def last_state(job: Job) -> JobState:
    """Wait for the end of a job."""
    *_, last = [state for state in job.states() if state is not None]
    return last


def test_a_job_does_what_run_does(jobs: Jobs, make_project: MakeProject) -> None:
    """Its report is that of the run, and the outlines stand in the project."""
    path = make_project(points_at((60, 60)))

    state = last_state(jobs.start(JobRequest(project=path, points="nuclei", lines="none")))

    assert state.state == "done", state.detail
    assert state.report is not None
    assert state.report["prompts"] == 1
    assert state.exit_code == (0 if state.report["ok"] else 1)
    assert state.progress is not None
    assert (state.progress["number"], state.progress["images"], state.progress["prompts"]) == (1, 1, 1)
    with open_files_project(path) as project:
        content = project.read(project.images()[0])
    assert len(content.results) == state.report["ok"]


def test_a_job_that_cannot_begin_says_why(jobs: Jobs, tmp_path: Path) -> None:
    """With the line that the command line prints."""
    state = last_state(jobs.start(JobRequest(project=tmp_path / "none.qpproj")))

    assert (state.state, state.exit_code, state.report) == ("failed", 3, None)
    assert "none.qpproj" in state.detail


def test_a_cancelled_job_ends_and_says_so(jobs: Jobs, make_project: MakeProject) -> None:
    """Whenever it is cancelled: here before it has begun."""
    job = jobs.start(JobRequest(project=make_project(points_at((60, 60)))))
    job.cancel()

    assert last_state(job).state == "cancelled"
    assert jobs.running == 0


def test_cancelling_again_does_not_hurry_a_job(jobs: Jobs, make_project: MakeProject) -> None:
    """A second signal would end it at once, without its report, and whatever it had not yet written would be lost."""
    places = [(x, y) for x in range(30, 480, 15) for y in range(30, 480, 15)]
    job = jobs.start(JobRequest(project=make_project(points_at(*places)), points="nuclei"))
    next(state for state in job.states() if state is not None and state.progress is not None)
    job.cancel()
    time.sleep(0.1)  # signals of the same moment are one
    job.cancel()

    last = last_state(job)

    assert (last.state, last.exit_code) == ("cancelled", 130), last
    assert last.report is not None
    assert last.report["stopped"]


def test_too_many_jobs_at_once_are_refused(jobs: Jobs, make_project: MakeProject, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each loads a network."""
    monkeypatch.setattr(jobs_module, "MOST_JOBS", 0)

    with pytest.raises(OptionError, match="0 jobs run already"):
        jobs.start(JobRequest(project=make_project(points_at((60, 60)))))


def test_the_command_line_of_a_job_takes_values_as_values(tmp_path: Path) -> None:
    """A name that looks like an option is a name."""
    request = JobRequest(
        project=tmp_path, images="--dry-run", classes=["-v", "Tumor"], kind="cell", mpp=0.5, tta=True, prune=True, overwrite="edited",
        skip=["1", "12"], min_probability=0.8, mark_failed="Look here", mark_uncertain="Check", force=True, scale="given",
    )  # fmt: skip

    command = command_of(request, device="cpu")

    assert command[1:4] == ["-m", "nuclick_qp_cli", "run"]  # where a cancel is answered from the start on
    assert command[5:] == [
        *("--json", "--events", "--device", "cpu"),
        *("--images=--dry-run", "--as=cell", "--mpp=0.5", "--scale=given", "--min-probability=0.8", "--mark-failed=Look here"),
        *("--mark-uncertain=Check", "--classes=-v,Tumor"),
        *("--skip=1,12", "--tta", "--prune", "--force", "--overwrite=edited"),
    ]


def test_a_job_for_prompts_without_a_class_is_not_for_all(tmp_path: Path) -> None:
    """An empty option would mean every class."""
    (option,) = (part for part in command_of(JobRequest(project=tmp_path, classes=[""]), device="cpu") if part.startswith("--classes"))

    assert set(split_names(option.removeprefix("--classes="))) == {""}


@pytest.mark.parametrize(("field", "value"), [("classes", ["Tumor, large"]), ("points", "a\0b"), ("classes", ["a\0b"])])
def test_names_that_no_command_line_can_hold_are_refused(tmp_path: Path, field: str, value: object) -> None:
    """Else the job would do something else, or the service would fail."""
    with pytest.raises(ValidationError, match=r"no comma|NUL"):
        JobRequest.model_validate({"project": str(tmp_path), field: value})


def test_jobs_may_begin_while_others_are_counted(jobs: Jobs, monkeypatch: pytest.MonkeyPatch) -> None:
    """What looks whether the service is still needed is another thread."""

    class Beginning:
        @property
        def state(self) -> JobState:
            jobs._jobs["other"] = jobs._jobs["one"]  # as a request would
            return JobState(job_id="one", state="done")

    monkeypatch.setattr(jobs, "_jobs", {"one": Beginning()})

    assert jobs.running == 0


def test_a_job_has_the_options_of_a_run_that_name_no_file() -> None:
    """Whoever adds one to `run` adds it here, or says why not."""
    of_jobs = set(JobRequest.model_fields) | {"left_out"}  # lines: none, points: none
    of_files = {"image_root", "geojson", "overlay"}

    assert {field.name for field in fields(RunOptions)} - of_files - {"segment"} <= of_jobs


@pytest.mark.parametrize("project", ["project.qpproj", "--help", "", "/a\0b"])
def test_a_project_is_named_by_its_absolute_path(project: str) -> None:
    """The service has no folder that a name could be relative to."""
    with pytest.raises(ValidationError, match="absolute path"):
        JobRequest.model_validate({"project": project})


def test_the_service_tells_how_far_a_job_is(dark_predictor: Predictor, make_project: MakeProject) -> None:
    """As server-sent events, the last of which has the report; a job that is not there is a 404."""
    path = make_project(points_at((60, 60)))
    app = make_app(Session(device="cpu", ready={"point": dark_predictor}), token="t" * 20)
    with TestClient(app, base_url="http://localhost", headers={"Authorization": f"Bearer {'t' * 20}"}) as client:
        job_id = client.post("/jobs", json={"project": str(path)}).json()["job_id"]
        assert client.get("/health").json()["jobs"] == 1
        with client.stream("GET", f"/jobs/{job_id}/events") as answer:
            states = [json.loads(line.removeprefix("data: ")) for line in answer.iter_lines() if line.startswith("data: ")]

        assert (states[0]["state"], states[-1]["state"]) == ("running", "done")
        assert states[-1]["report"]["prompts"] == 1
        assert client.get(f"/jobs/{job_id}").json() == states[-1]
        assert client.delete(f"/jobs/{job_id}").json()["state"] == "done"
        for method, tail in (("GET", ""), ("GET", "/events"), ("DELETE", "")):
            assert client.request(method, f"/jobs/nothing{tail}").status_code == 404
