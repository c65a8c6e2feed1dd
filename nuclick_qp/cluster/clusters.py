"""Where workers come from: this machine, a scheduler that runs, or the queue of a cluster."""

import logging
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import dask
import dask.config
from distributed import Client, LocalCluster
from distributed.deploy.spec import SpecCluster
from distributed.security import Security
from distributed.utils import silence_logging_cmgr

from nuclick_qp.cluster.batch_options import ClusterOptions, JobQueue, QueueSystem
from nuclick_qp.errors import ClusterError, OptionError
from nuclick_qp.model.devices import usable_cores

HERE = "127.0.0.1"
ANY_PORT = f"{HERE}:0"  # of the dashboard; Dask's own default listens to the whole network
ANSWERS_WITHIN_S = 30
SUBMIT: dict[QueueSystem, str] = {"slurm": "sbatch", "pbs": "qsub", "sge": "qsub"}
HOME = "~"  # where keys for jobs are put if the settings name no folder: all nodes see it, and nobody else reads them


@contextmanager
def open_cluster(options: ClusterOptions) -> Iterator[Client]:
    """Give the client of a scheduler; workers that were started for it end with the block.

    Workers of this machine and of a queue talk TLS with keys of their own, made for this once: whoever reaches
    a scheduler can let its workers execute anything.

    Raises
    ------
    ClusterError
        If no scheduler answers, or the queue cannot be used.
    OptionError
        If the settings of a queue cannot be read.
    """
    is_told = logging.getLogger("nuclick_qp").isEnabledFor(logging.INFO)
    level = logging.INFO if is_told else logging.CRITICAL
    with dask.config.set({"distributed.scheduler.allowed-failures": options.retries}), _quiet_unless(is_told):
        if options.scheduler is not None:
            with _connect(options.scheduler) as client:
                yield client
            return
        with (
            _local_cluster(options.local, level) if options.queue is None else _job_cluster(options.queue) as cluster,
            Client(cluster) as client,
        ):
            yield client


@contextmanager
def _quiet_unless(is_told: bool) -> Iterator[None]:
    """Let Dask tell of its inner life only to those who ask: what matters, such as the death of a worker, we say ourselves."""
    dask_logger, nowhere = logging.getLogger("distributed"), logging.NullHandler()
    before = dask_logger.propagate
    dask_logger.propagate = is_told
    dask_logger.addHandler(nowhere)  # without any, Python prints warnings all the same
    try:
        with silence_logging_cmgr(logging.CRITICAL):  # of its own handlers
            yield
    finally:
        dask_logger.removeHandler(nowhere)
        dask_logger.propagate = before


def _connect(address: str) -> Client:
    try:
        return Client(address, timeout=ANSWERS_WITHIN_S)
    except (OSError, ValueError) as err:
        raise ClusterError(f"no scheduler answers at {address} ({err}); start one with `dask scheduler`, and name its address") from err


def _local_cluster(workers: int, level: int) -> LocalCluster:
    return LocalCluster(
        n_workers=workers,
        threads_per_worker=1,
        processes=True,
        host=HERE,
        dashboard_address=ANY_PORT,
        security=True,
        # The network shares its patches out among so many cores; Dask would keep it to one
        env={"OMP_NUM_THREADS": str(max(1, usable_cores() // workers))},
        memory_limit=0,  # at its limit Dask pauses a worker until memory is free again; torch alone could reach it, and never give it back
        preload=["nuclick_qp.cluster.local_worker"],
        silence_logs=level,
    )


@contextmanager
def _job_cluster(queue: JobQueue) -> Iterator[SpecCluster]:
    from dask_jobqueue.pbs import PBSCluster  # noqa: PLC0415  # needed by queues alone
    from dask_jobqueue.sge import SGECluster  # noqa: PLC0415
    from dask_jobqueue.slurm import SLURMCluster  # noqa: PLC0415

    if shutil.which(SUBMIT[queue.system]) is None:
        raise ClusterError(f"there is no {SUBMIT[queue.system]} on this machine; start the batch where you submit jobs")
    made = {"slurm": SLURMCluster, "pbs": PBSCluster, "sge": SGECluster}[queue.system]
    section = dask.config.merge(dask.config.get("jobqueue", {}), settings_of(queue)["jobqueue"])[queue.system]
    processes = section.get("processes") or 1
    cores = max(1, int(section.get("cores") or 1) // processes)
    given = section.get("scheduler-options") or {}
    links = {} if "dashboard_address" in given else {"distributed.dashboard.link": f"{{scheme}}://{HERE}:{{port}}/status"}
    with (
        dask.config.set({f"jobqueue.{queue.system}": section, **links}),
        _keys_in(Path(section.get("shared-temp-directory") or HOME).expanduser()) as keys,
        made(
            processes=processes,
            # An image has the cores of a process to itself: threads of Dask would work on several, and wait for Python's lock
            worker_extra_args=["--nthreads", "1", *(section.get("worker-extra-args") or ())],
            job_script_prologue=[f"export OMP_NUM_THREADS={cores}", *(section.get("job-script-prologue") or ())],
            security=keys,
            scheduler_options={"dashboard_address": ANY_PORT} | given,
        ) as cluster,
    ):
        cluster.adapt(minimum_jobs=queue.jobs, maximum_jobs=queue.jobs)  # unlike `scale`, it starts jobs again that the queue has ended
        yield cluster


@contextmanager
def _keys_in(shared: Path) -> Iterator[Security]:
    """Make keys for scheduler and workers, as files that jobs can read as long as the block lasts, and nobody else.

    Raises
    ------
    ClusterError
        If nothing can be written there.
    """
    made = Security.temporary().get_tls_config_for_role("worker")
    try:
        folder = TemporaryDirectory(prefix=".nuclick-qp-", dir=shared)  # of this user alone
    except OSError as err:
        remedy = "name another folder that all nodes see as shared-temp-directory"
        raise ClusterError(f"keys for jobs cannot be put into {shared} ({err.strerror}); {remedy}") from err
    with folder as place:
        files = {name: Path(place, f"{name}.pem") for name in ("ca_file", "cert", "key")}
        for name, path in files.items():
            path.write_text(made[name])
        of_roles = {f"tls_{role}_{name}": str(files[name]) for role in ("scheduler", "worker", "client") for name in ("cert", "key")}
        yield Security(require_encryption=True, tls_ca_file=str(files["ca_file"]), **of_roles)


def settings_of(queue: JobQueue) -> dict[str, Any]:
    """Read the settings of a queue, as dask-jobqueue has them.

    Raises
    ------
    OptionError
        If the file is no YAML, or says nothing of the queue.
    """
    path: Path = queue.settings
    try:
        (found,) = dask.config.collect_yaml([str(path)]) if path.is_file() else (None,)
    except (OSError, ValueError) as err:
        raise OptionError(f"{path} cannot be read as YAML ({str(err).splitlines()[0]}); see docs/cluster.md for an example") from err
    section = found.get("jobqueue") if isinstance(found, dict) else None
    if found is None or not isinstance(section, dict) or not isinstance(section.get(queue.system), dict):
        raise OptionError(f"{path} has no section jobqueue: {queue.system}:, which dask-jobqueue reads; see docs/cluster.md for an example")
    return found
