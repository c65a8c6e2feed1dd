"""Where workers come from: this machine, a scheduler that runs, a queue."""

import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import dask
import pytest
from distributed import Client, LocalCluster

from nuclick_qp.cluster.batch_options import ClusterOptions, JobQueue
from nuclick_qp.cluster.clusters import open_cluster, settings_of
from nuclick_qp.errors import ClusterError, OptionError
from nuclick_qp.model.devices import usable_cores

SETTINGS = """
jobqueue:
  slurm:
    cores: 2
    memory: 4GB
    queue: normal
    walltime: "01:00:00"
"""
# What a queue does with a job: it starts its script, and tells a number.
SBATCH = """#!/bin/sh
cp "$1" {log}.script
setsid sh {log}.script >{log}.out 2>&1 &
echo $! >> {log}
echo "Submitted batch job $!"
"""
SCANCEL = """#!/bin/sh
kill -- "-$1"
"""


def test_local_workers_can_be_reached_by_nobody_else(monkeypatch: pytest.MonkeyPatch) -> None:
    """Scheduler, workers and dashboard listen on this machine alone; who has not the keys is refused, as tasks are code."""
    monkeypatch.setenv("OMP_NUM_THREADS", "6")

    with open_cluster(ClusterOptions(local=3)) as client:
        addresses = [client.scheduler_info()["address"], *client.nthreads()]
        assert all(address.startswith("tls://127.0.0.1:") for address in addresses)
        assert client.dashboard_link.startswith("http://127.0.0.1:")
        assert len(client.nthreads()) == 3
        assert set(client.run(usable_cores).values()) == {2}, "six cores are shared out among three workers"
        with pytest.raises(OSError, match=r"reset|Timed out|closed"):
            Client(addresses[0].replace("tls", "tcp"), timeout=2)


def test_scheduler_that_runs_is_used_and_left_alone() -> None:
    """It may be at work for others."""
    with LocalCluster(processes=False, n_workers=1, threads_per_worker=1, dashboard_address=None, protocol="tcp") as cluster:
        with open_cluster(ClusterOptions(scheduler=cluster.scheduler_address)) as client:
            assert len(client.nthreads()) == 1
        with Client(cluster) as again:
            assert len(again.nthreads()) == 1


@pytest.mark.parametrize("address", ["tcp://127.0.0.1:1", "nonsense://x", "127.0.0.1:1"])
def test_scheduler_that_does_not_answer_is_told_in_one_line(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """With what to do."""
    monkeypatch.setattr("nuclick_qp.cluster.clusters.ANSWERS_WITHIN_S", 1)

    with pytest.raises(ClusterError, match=f"no scheduler answers at {address}.*start one with `dask scheduler`") as told:
        open_cluster(ClusterOptions(scheduler=address)).__enter__()

    assert "\n" not in str(told.value)


@pytest.mark.parametrize("text", ["jobqueue: [", "jobqueue: {pbs: {cores: 1}}", "", "- 1", None])
def test_settings_that_are_none_are_refused(tmp_path: Path, text: str | None) -> None:
    """No YAML, nothing about this queue, or no file at all."""
    path = tmp_path / "cluster.yaml"
    if text is not None:
        path.write_text(text)

    with pytest.raises(OptionError, match=r"cluster\.yaml .*cluster\.md"):
        settings_of(JobQueue("slurm", path))


def test_queue_that_this_machine_does_not_know_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Jobs are submitted where its programs are."""
    (tmp_path / "cluster.yaml").write_text(SETTINGS)
    monkeypatch.setenv("PATH", "")

    with pytest.raises(ClusterError, match="there is no sbatch on this machine"):
        open_cluster(ClusterOptions(queue=JobQueue("slurm", tmp_path / "cluster.yaml"))).__enter__()


@pytest.fixture
def queue(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Put programs of a queue into the path that start jobs at once, and give the file where their numbers are kept."""
    log, place = tmp_path / "jobs", tmp_path / "bin"
    place.mkdir()
    for name, text in {"sbatch": SBATCH.format(log=log), "scancel": SCANCEL}.items():
        (place / name).write_text(text)
        (place / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{place}:{os.environ['PATH']}")
    monkeypatch.setenv("HOME", str(tmp_path))
    with dask.config.set({}):
        yield log


def wait_for_workers(client: Client, count: int) -> set[str]:
    """Wait until so many are there, and give their addresses."""
    until = time.monotonic() + 120
    while len(workers := set(client.nthreads())) != count and time.monotonic() < until:
        time.sleep(0.2)
    assert len(workers) == count
    return workers


@pytest.mark.skipif(sys.platform == "win32", reason="needs a POSIX shell")
def test_jobs_of_a_queue_are_workers_and_are_submitted_again_when_they_end(tmp_path: Path, queue: Path) -> None:
    """A job may be killed, or reach its time; keys let nobody else send work, and are gone when all is done."""
    (tmp_path / "cluster.yaml").write_text(SETTINGS)

    with open_cluster(ClusterOptions(queue=JobQueue("slurm", tmp_path / "cluster.yaml"))) as client:
        first = wait_for_workers(client, 1)
        (job,) = queue.read_text().split()
        os.killpg(int(job), 9)
        until = time.monotonic() + 120
        while len(queue.read_text().split()) < 2 and time.monotonic() < until:
            time.sleep(0.2)
        assert not wait_for_workers(client, 1) & first
        (keys,) = tmp_path.glob(".nuclick-qp-*")
        assert list(client.nthreads().values()) == [1]
        assert list(client.run(usable_cores).values()) == [2]
        assert keys.stat().st_mode & 0o077 == 0
        assert client.dashboard_link.startswith("http://127.0.0.1:")  # where it listens: not to the network

    script = queue.with_suffix(".script").read_text()
    assert "#SBATCH -p normal" in script
    assert "--protocol tls://" in script
    assert not keys.exists()
