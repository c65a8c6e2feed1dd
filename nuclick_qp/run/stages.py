"""Three steps of work on many things: the next is read and the last is written while one is worked on."""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import Context, copy_context
from typing import TypeVar

from nuclick_qp.stopping import never

Job = TypeVar("Job")
Read = TypeVar("Read")
Worked = TypeVar("Worked")
Written = TypeVar("Written")


def in_stages(
    jobs: Iterable[Job],
    *,
    read: Callable[[Job], Read],
    work: Callable[[Read], Worked],
    write: Callable[[Worked], Written],
    stopped: Callable[[], bool] = never,
) -> Iterator[Written]:
    """Give what becomes of each job, in their order.

    One job is read ahead and one is being written at a time, so memory holds three. All steps of a job see the
    same context variables: a lock that one step takes belongs to the job, whatever thread gives it back.

    Parameters
    ----------
    read, write
        Called in a thread each.
    work
        Called in the thread of the caller, with one job after the other. An error of it ends all, once what
        was worked on before is written.
    stopped
        Asked before the work on each job whether to leave off; what is worked on by then is written.
    """
    left = iter(jobs)
    with ThreadPoolExecutor(1, "read") as reader, ThreadPoolExecutor(1, "write") as writer:

        def begin() -> tuple[Context, Future[Read]] | None:
            for job in left:
                context = copy_context()
                return context, reader.submit(context.run, read, job)
            return None

        writing: Future[Written] | None = None
        ahead = begin()
        while ahead is not None and not stopped():
            (context, reading), ahead = ahead, begin()
            worked = context.run(work, reading.result())
            before, writing = writing, writer.submit(context.run, write, worked)
            if before is not None:
                yield before.result()
        if writing is not None:
            yield writing.result()
