"""Batches: with workers as processes of their own where one of them dies, else with one inside this process."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from distributed import Client, LocalCluster

from deadly_images import DEADLY, die_of_image_1
from drawn_projects import ours_of
from fixture_projects import snapshot
from ihc_studies import copy_studies, make_studies, unstamped
from nuclick_qp.cluster import image_flow
from nuclick_qp.cluster.batch import segment_batch
from nuclick_qp.cluster.batch_course import BatchProgress, Course
from nuclick_qp.cluster.batch_options import ClusterOptions
from nuclick_qp.cluster.batch_report import BatchReport
from nuclick_qp.cluster.clusters import open_cluster
from nuclick_qp.cluster.image_task import ImageAnswer, ImageTask, is_stopped, work_on_image
from nuclick_qp.errors import ClusterError, DeviceError
from nuclick_qp.qupath.open_project import open_project
from nuclick_qp.run.models import ModelNames, name_models
from nuclick_qp.run.project import segment_project
from nuclick_qp.run.run_options import RunOptions


@pytest.fixture(scope="module")
def processes() -> Iterator[Client]:
    """Give two workers that are processes, as `--local 2` starts them."""
    with open_cluster(ClusterOptions(local=2, retries=1)) as client:
        yield client


def run_alone(projects: list[Path], **options: Any) -> None:
    """Run over each project, as `run` does."""
    models = name_models()
    for path in projects:
        with open_project(path) as project:
            segment_project(project, models, options=RunOptions(**options))


def kill_one(client: Client, *, after: int) -> tuple[BatchProgress, list[int]]:
    """Give a progress that kills a busy worker, with signal 9, as soon as so many images are done; and the process ids of those killed."""
    pids, killed = client.run(os.getpid), list[int]()

    def show(course: Course) -> None:
        if course.images_done >= after and not killed:
            busy = next((address for address, keys in client.processing().items() if keys), None)
            if busy is not None:
                killed.append(pids[busy])
                os.kill(pids[busy], signal.SIGKILL)

    return BatchProgress(show), killed


@pytest.mark.skipif(sys.platform == "win32", reason="needs signal 9")
def test_worker_that_is_killed_loses_nothing(processes: Client, tmp_path: Path) -> None:
    """Its images are worked on again, and every file is, to the byte, what a run makes of it, but for times."""
    projects = make_studies(tmp_path / "studies", 3, images=2)
    alone = copy_studies(projects, tmp_path / "alone")
    run_alone(alone)
    progress, killed = kill_one(processes, after=1)

    report = segment_batch(projects, processes, progress=progress)

    assert len(killed) == report.lost_workers == 1
    assert report.repeated >= 1
    assert [unstamped(path) for path in projects] == [unstamped(path) for path in alone]
    assert sum(project.run is not None and len(project.run.images) for project in report.projects) == 6


@pytest.mark.skipif(sys.platform == "win32", reason="needs signal 9")
def test_image_that_kills_its_workers_fails_alone(processes: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many workers die of it, all other images are done, those that waited behind it too; and a line says what happened."""
    (project,) = make_studies(tmp_path / "studies", 1, images=4)
    monkeypatch.setattr(image_flow, "work_on_image", die_of_image_1)

    report = segment_batch([project], processes)

    assert report.projects[0].run is not None
    told = {image.image: image.error for image in report.projects[0].run.images}
    assert [name for name, error in told.items() if error is not None] == [DEADLY]
    assert "died of it" in str(told[DEADLY])
    assert [len(ours_of(project, str(number))) > 0 for number in (1, 2, 3, 4)] == [True, False, True, True]


@pytest.fixture(scope="module")
def client() -> Iterator[Client]:
    """Give a worker that is a thread of this process."""
    with (
        LocalCluster(processes=False, n_workers=1, threads_per_worker=1, dashboard_address=None) as cluster,
        Client(cluster) as connected,
    ):
        yield connected


def statuses_of(report: BatchReport) -> list[dict[str, int]]:
    """Give the statuses of all images."""
    return [image.statuses for project in report.projects for image in (project.run.images if project.run else ())]


def test_second_batch_does_only_what_is_left(client: Client, tmp_path: Path) -> None:
    """Prompts that have an outline are settled without the network; the files stay as they are."""
    projects = make_studies(tmp_path / "studies", 2, images=1, prompts=4)
    segment_batch(projects[:1], client)
    before = unstamped(projects[0])

    report = segment_batch(projects, client)

    first, second = statuses_of(report)
    assert first["unchanged"] == len(ours_of(projects[0]))
    assert "unchanged" not in second
    assert unstamped(projects[0]) == before


def test_broken_project_stops_no_other(client: Client, tmp_path: Path) -> None:
    """Each is reported with the line that `run` would end with, in the order in which they were named."""
    (project,) = make_studies(tmp_path / "studies", 1, images=1, prompts=2)
    broken = tmp_path / "broken.qpproj"
    broken.write_text("{")

    report = segment_batch([tmp_path / "none", broken, project], client)

    assert [one.status for one in report.projects][:2] == ["failed", "failed"]
    assert "does not exist" in str(report.projects[0].error)
    assert str(broken) in str(report.projects[1].error)
    assert len(ours_of(project)) > 0
    assert not report.all_ok


def test_project_without_prompts_fails_as_in_a_run(client: Client, tmp_path: Path) -> None:
    """Somebody named it by mistake, or forgot to save."""
    (project,) = make_studies(tmp_path / "studies", 1, images=1, prompts=0)

    report = segment_batch([project], client)

    assert "has no points or lines" in str(report.projects[0].error)


def test_image_without_its_slide_fails_alone(client: Client, tmp_path: Path) -> None:
    """Its project is partial, with the error of the worker; the next is done."""
    projects = make_studies(tmp_path / "studies", 2, images=1, prompts=2)
    projects[0].write_text(projects[0].read_text().replace("ihc-colon.png", "gone.png"))

    report = segment_batch(projects, client)

    assert report.projects[0].run is not None
    assert (report.projects[0].status, report.projects[0].run.images[0].status) == ("partial", "failed")
    assert "gone.png" in str(report.projects[0].run.images[0].error)
    assert len(ours_of(projects[1])) > 0


def draw_meanwhile(task: ImageTask) -> ImageAnswer:
    """Work on an image while another run writes into it, once for each entry of `TIMES`."""
    answer = work_on_image(task)
    if TIMES:
        run_alone([task.project], classes=(TIMES.pop(),))
    return answer


TIMES: list[str] = []  # classes; the worker is a thread of this process


def test_image_that_changed_meanwhile_is_worked_on_again(client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What somebody else wrote stays, and nothing is written twice or over it."""
    (project,) = make_studies(tmp_path / "studies", 1, images=1, prompts=8)
    (alone,) = copy_studies([project], tmp_path / "alone")
    run_alone([alone], classes=("Stroma",))
    run_alone([alone])
    monkeypatch.setattr(image_flow, "work_on_image", draw_meanwhile)
    TIMES[:] = ["Stroma"]

    report = segment_batch([project], client)

    assert TIMES == []
    assert report.repeated == 1
    assert statuses_of(report)[0]["unchanged"] > 0
    assert unstamped(project) == unstamped(alone)


def test_image_that_changes_again_and_again_is_given_up(client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After the retries it fails, and what stands in it is left alone."""
    (project,) = make_studies(tmp_path / "studies", 1, images=1, prompts=8)
    monkeypatch.setattr(image_flow, "work_on_image", draw_meanwhile)
    TIMES[:] = ["Epithelium", "Stroma"]

    report = segment_batch([project], client, retries=1)

    assert report.projects[0].run is not None
    assert "was changed 2 times meanwhile" in str(report.projects[0].run.images[0].error)
    assert len(ours_of(project)) > 0


def test_stop_writes_what_is_finished_and_says_what_is_not_begun(client: Client, tmp_path: Path) -> None:
    """A later batch goes on from there."""
    projects = make_studies(tmp_path / "studies", 4, images=1, prompts=2)
    done: list[int] = []

    def show(course: Course) -> None:
        done.append(course.images_done)

    report = segment_batch(projects, client, progress=BatchProgress(show, stopped=lambda: bool(done) and done[-1] > 0))

    assert report.stopped
    assert report.projects[0].status in ("ok", "partial")
    assert len(ours_of(projects[0])) > 0
    assert report.projects[3].status == "stopped"
    assert ours_of(projects[3]) == []
    assert not segment_batch(projects, client).stopped


def wait_for_the_stop(task: ImageTask) -> ImageAnswer:
    """Work on an image once its batch was stopped, or after a long time."""
    until = time.monotonic() + 30
    while not is_stopped(task.batch) and time.monotonic() < until:
        time.sleep(0.01)
    return work_on_image(task)


def test_stop_reaches_the_workers(client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """They leave off within an image, as a run does, and what they give back is reported."""
    projects = make_studies(tmp_path / "studies", 1, images=1, prompts=2)
    monkeypatch.setattr(image_flow, "work_on_image", wait_for_the_stop)
    asked = iter([False])

    report = segment_batch(projects, client, progress=BatchProgress(stopped=lambda: next(asked, True)))

    assert report.stopped
    assert statuses_of(report)[0]["stopped"] > 0
    assert ours_of(projects[0]) == []


def test_dry_run_writes_nothing(client: Client, tmp_path: Path) -> None:
    """Neither outlines nor locks, records or times."""
    projects = make_studies(tmp_path / "studies", 1, images=1, prompts=2)
    before = snapshot(tmp_path)

    report = segment_batch(projects, client, options=RunOptions(dry_run=True))

    assert report.new_outlines > 0
    assert snapshot(tmp_path) == before


def test_worker_with_another_version_is_refused(client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its outlines would be written as those of this version."""
    projects = make_studies(tmp_path / "studies", 1, images=1, prompts=2)
    monkeypatch.setattr("nuclick_qp.cluster.batch.__version__", "99.0")

    with pytest.raises(ClusterError, match=r"has nuclick-qp .*, and this is 99\.0; install the same everywhere"):
        segment_batch(projects, client)

    assert ours_of(projects[0]) == []


def test_worker_with_other_weights_is_refused(client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Models of one name need not be one model on two machines."""
    projects = make_studies(tmp_path / "studies", 1, images=1, prompts=2)
    monkeypatch.setattr("nuclick_qp.cluster.batch.checksums_of", lambda models: (("point", "0" * 64),))

    with pytest.raises(ClusterError, match="other weights for glands, nuclei than this machine"):
        segment_batch(projects, client)


def test_model_that_no_worker_can_load_ends_the_batch(client: Client, tmp_path: Path) -> None:
    """All images would fail for it; the projects are closed, and stay as they were."""
    projects = make_studies(tmp_path / "studies", 1, images=1, prompts=2)

    with pytest.raises(DeviceError, match=r"the worker on .*: this machine has no device 'cuda:99'"):
        segment_batch(projects, client, names=ModelNames(device="cuda:99"))

    assert ours_of(projects[0]) == []


def test_warnings_of_workers_reach_the_user(client: Client, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """They are told beside the project that they are about."""
    (project,) = make_studies(tmp_path / "studies", 1, images=1, prompts=4)
    text = project.read_text()
    project.write_text(text.replace('"value": 0.5,', '"value": 4.0,'))

    segment_batch([project], client)

    assert any(record.message.startswith("study-0: ") for record in caplog.records)


@pytest.mark.skipif(sys.platform == "win32", reason="needs signal 9")
def test_scheduler_that_goes_away_ends_the_batch_in_one_line(tmp_path: Path) -> None:
    """What is written by then stays, and the projects are closed: the same batch goes on from there."""
    projects = make_studies(tmp_path / "studies", 6, images=1, prompts=2)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"tcp://127.0.0.1:{free.getsockname()[1]}"
    dask = [sys.executable, "-m", "distributed.cli.dask_scheduler", "--host", address, "--no-dashboard"]
    with subprocess.Popen(dask, stderr=subprocess.DEVNULL) as scheduler:
        work = [sys.executable, "-m", "distributed.cli.dask_worker", address, "--nthreads", "1", "--no-dashboard", "--death-timeout", "60"]
        with subprocess.Popen(work, stderr=subprocess.DEVNULL) as worker, open_cluster(ClusterOptions(scheduler=address)) as connected:
            show = BatchProgress(lambda course: scheduler.kill() if course.images_done else None)

            with pytest.raises(ClusterError, match="the scheduler is gone; what is finished is written"):
                segment_batch(projects, connected, progress=show)
            worker.kill()

    assert len(ours_of(projects[0])) > 0
    assert ours_of(projects[5]) == []
