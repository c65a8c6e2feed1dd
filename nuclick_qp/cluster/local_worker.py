"""What Dask loads into each worker that is a process of this machine."""

from nuclick_qp.stopping import ignore_stops


def dask_setup(_worker: object) -> None:
    """Let the worker live on after a Ctrl-C, which goes to all of a terminal's processes: it gives back what it has finished."""
    ignore_stops(0)
