"""The routes of the service; what they do lies in `session` and `jobs`."""

import logging
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from contextlib import asynccontextmanager
from threading import Lock
from typing import Any

from fastapi import FastAPI, HTTPException, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, StreamingResponse

from nuclick_qp import __version__
from nuclick_qp.errors import NuClickError
from nuclick_qp.model.devices import DEVICE_IS_FULL, free_memory
from nuclick_qp.serve.jobs import Job, Jobs
from nuclick_qp.serve.schema import JobRequest, JobState, ModelMessage, SegmentAnswer, SegmentRequest, ServiceHealth
from nuclick_qp.serve.security import Guard
from nuclick_qp.serve.session import Session

logger = logging.getLogger(__name__)

MOST_FAULTS = 5  # of one request that are told
REFUSALS: dict[int | str, dict[str, Any]] = {
    400: {"description": "a body that is no text"},
    401: {"description": "no token, or a wrong one"},
    403: {"description": "a foreign Host or Origin header"},
    413: {"description": "too large"},
    422: {"description": "a request that cannot be met, with the reason"},
    429: {"description": "too many requests at once"},
    503: {"description": "out of memory"},
}
NO_JOB: dict[int | str, dict[str, Any]] = {404: {"description": "no such job"}}


class Activity:
    """How many requests are under way, and since when there was none; any thread may ask."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._busy = 0
        self.last = time.monotonic()  # end of the last request

    @property
    def busy(self) -> int:
        """Requests under way."""
        return self._busy

    @property
    def idle_seconds(self) -> float:
        """Seconds without any request."""
        with self._lock:
            return 0.0 if self._busy else time.monotonic() - self.last

    def __enter__(self) -> None:
        with self._lock:
            self._busy += 1

    def __exit__(self, *error: object) -> None:
        with self._lock:
            self._busy -= 1
            self.last = time.monotonic()


def make_app(
    session: Session, *, token: str, jobs: Jobs | None = None, activity: Activity | None = None, host_names: Collection[str] = ()
) -> FastAPI:
    """Put the service together.

    Parameters
    ----------
    jobs
        Runs of whole projects; None makes a place for them.
    token
        What clients have to show for all but ``/health``.
    activity
        Gets to know of every request; None when nobody asks.
    host_names
        Names that clients know this machine by, beside ``localhost``.
    """
    activity = activity or Activity()
    jobs = jobs or Jobs(device=str(session.device))

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        yield
        await run_in_threadpool(jobs.close)
        session.close()

    app = FastAPI(title="nuclick-qp", version=__version__, description="Prompts and pixels in, outlines out.", lifespan=lifespan)
    _add_routes(app, session, jobs=jobs, activity=activity)
    _add_job_routes(app, jobs)
    app.add_exception_handler(RequestValidationError, _tell_faults)
    app.add_exception_handler(NuClickError, _tell_error)
    for kind in DEVICE_IS_FULL:
        app.add_exception_handler(kind, _tell_memory)
    app.add_middleware(Guard, token=token, host_names=host_names)
    return app


def _add_routes(app: FastAPI, session: Session, *, jobs: Jobs, activity: Activity) -> None:

    @app.middleware("http")
    async def note_activity(request: Request, call_next: Callable[[Request], Awaitable[Response]]) -> Response:
        if request.url.path == "/health":  # a window that only looks keeps no service awake
            return await call_next(request)
        with activity:
            return await call_next(request)

    @app.get("/health")
    def health() -> ServiceHealth:
        """Tell who answers; needs no token."""
        return ServiceHealth(
            version=__version__,
            pid=os.getpid(),
            device=str(session.device),
            models=list(session.cards),
            busy=activity.busy,
            jobs=jobs.running,
        )

    @app.get("/models", responses=REFUSALS)
    def models() -> list[ModelMessage]:
        """List the models that a request can name."""
        return session.models()

    @app.post("/segment", responses=REFUSALS)
    def segment(request: SegmentRequest) -> SegmentAnswer:
        """Segment prompts with the pixels that come along, or answer which pixels that takes."""
        return session.segment(request)


def _add_job_routes(app: FastAPI, jobs: Jobs) -> None:
    def found(job_id: str) -> Job:
        job = jobs.find(job_id)
        if job is None:
            raise HTTPException(404, "there is no such job")
        return job

    @app.post("/jobs", responses=REFUSALS, status_code=201)
    def start_job(request: JobRequest) -> JobState:
        """Run a whole project, as `nuclick-qp run` does."""
        return jobs.start(request).state

    @app.get("/jobs/{job_id}", responses={**REFUSALS, **NO_JOB})
    def job_state(job_id: str) -> JobState:
        """Tell how far a job is."""
        return found(job_id).state

    @app.get("/jobs/{job_id}/events", responses={**REFUSALS, **NO_JOB}, response_class=StreamingResponse)
    def job_events(job_id: str) -> StreamingResponse:
        """Tell each change of a job's state, as server-sent events, until it has ended."""
        texts = (": still there\n\n" if state is None else f"data: {state.model_dump_json()}\n\n" for state in found(job_id).states())
        return StreamingResponse(texts, media_type="text/event-stream", headers={"Cache-Control": "no-store"})

    @app.delete("/jobs/{job_id}", responses={**REFUSALS, **NO_JOB})
    def cancel_job(job_id: str) -> JobState:
        """Ask a job to stop; what is finished is written and kept."""
        job = found(job_id)
        job.cancel()
        return job.state


async def _tell_faults(request: Request, error: Exception) -> JSONResponse:
    """Say what is wrong with a request, without sending it back."""
    assert isinstance(error, RequestValidationError)
    faults = [f"{'.'.join(map(str, fault['loc'][1:]))}: {fault['msg']}" for fault in error.errors()]
    more = f"; and {len(faults) - MOST_FAULTS} more" if len(faults) > MOST_FAULTS else ""
    return JSONResponse({"detail": "; ".join(faults[:MOST_FAULTS]) + more}, 422)


async def _tell_error(request: Request, error: Exception) -> JSONResponse:
    return JSONResponse({"detail": " ".join(str(error).split())}, 422)


async def _tell_memory(request: Request, error: Exception) -> JSONResponse:
    logger.warning("out of memory: %s", error)
    free_memory()
    return JSONResponse({"detail": "out of memory; ask for fewer prompts at once, or again in a moment"}, 503)
