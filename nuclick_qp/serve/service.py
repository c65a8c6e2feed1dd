"""The life of the service: one per user, found by who needs it, gone when nobody does."""

import ipaddress
import logging
import os
import secrets
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable

import filelock
import uvicorn

from nuclick_qp import __version__
from nuclick_qp.errors import OptionError, ServiceError
from nuclick_qp.serve.announcement import Announcement, announce, find_running, read_announcement, runtime_folder, withdraw
from nuclick_qp.serve.app import Activity, make_app
from nuclick_qp.serve.jobs import Jobs
from nuclick_qp.serve.serve_options import ServeOptions
from nuclick_qp.serve.session import Session
from nuclick_qp.stopping import STOPS

logger = logging.getLogger(__name__)

LEFT_ALONE_S = 60.0  # without its parent the service waits so long for other windows that use it
WAIT_FOR_OTHER_S = 30.0  # a service that has just been started loads torch before it announces itself
LOOK_EVERY_S = 0.5
SHORTEST_TOKEN = 16


def serve(options: ServeOptions, *, on_ready: Callable[[Announcement, bool], None]) -> None:
    """Run the service until nobody needs it; when one of this user runs already, only tell where.

    Parameters
    ----------
    on_ready
        Called with how the service is reached, and whether it was there already.

    Raises
    ------
    OptionError
        If the port is taken, or the service would be open to other machines without a token of its own.
    WriteRefusedError
        If there is no place to announce the service in.
    """
    token = _token(options)
    lock = filelock.FileLock(runtime_folder() / "serve.lock")
    try:
        lock.acquire(timeout=0)
    except filelock.Timeout:
        on_ready(_wait_for_other(), True)
        return
    with lock, _bound(options) as listener:
        host, port = listener.getsockname()[:2]
        announcement = Announcement(host=host, port=port, token=token, pid=os.getpid(), version=__version__)
        _run(options, listener, announcement, on_ready=lambda: on_ready(announcement, False))


def stop_running() -> bool:
    """Ask the service of this user to end; False when none runs."""
    running = find_running()
    if running is None:
        return False
    os.kill(running.pid, signal.SIGTERM)
    return True


class _Server(uvicorn.Server):
    """A server that says when it can be reached."""

    def __init__(self, config: uvicorn.Config, on_started: Callable[[], None]) -> None:
        super().__init__(config)
        self._on_started = on_started

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets=sockets)
        self._on_started()


def _run(options: ServeOptions, listener: socket.socket, announcement: Announcement, on_ready: Callable[[], None]) -> None:
    """Serve on a socket until a signal, the parent's end or idleness stops it."""
    activity = Activity()
    session = Session(device=options.device)
    jobs = Jobs(device=options.device)
    app = make_app(session, token=announcement.token, jobs=jobs, activity=activity, host_names=[options.host])

    def on_started() -> None:
        announce(announcement)
        on_ready()

    server = _Server(uvicorn.Config(app, log_level="warning", access_log=False, timeout_graceful_shutdown=5), on_started)
    session.warm_up("point")  # here, not beside the first click: a program that ends while a thread of it is in torch is aborted
    threading.Thread(target=_watch, args=(server, activity, jobs, options), daemon=True, name="watch").start()
    for number in STOPS:  # the server stops at either, and hands it on to whom it found here
        signal.signal(number, lambda *_: None)
    try:
        server.run(sockets=[listener])
    finally:
        withdraw(announcement.pid)


def _watch(server: uvicorn.Server, activity: Activity, jobs: Jobs, options: ServeOptions) -> None:
    """Stop a server that nobody has used for long enough."""
    parent = threading.Event()
    if options.follow_parent:
        threading.Thread(target=_wait_for_end_of_input, args=(parent,), daemon=True, name="parent").start()
    while not server.should_exit:
        time.sleep(LOOK_EVERY_S)
        limit = LEFT_ALONE_S if parent.is_set() else options.idle_minutes * 60
        if activity.idle_seconds > limit and not jobs.running:
            logger.info("nobody has asked for %.0f s; the service ends", limit)
            server.should_exit = True


def _wait_for_end_of_input(ended: threading.Event) -> None:
    while os.read(sys.stdin.fileno(), 1 << 16):  # not by `sys.stdin`, whose lock a thread may not hold when Python ends
        pass
    ended.set()


def _token(options: ServeOptions) -> str:
    """Give the token that clients have to show."""
    if options.token_file is None:
        if not _is_loopback(options.host):
            raise OptionError(f"--host {options.host} lets other machines in; pass --token-file with a token of your own")
        return secrets.token_urlsafe(32)
    try:
        token = options.token_file.read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError) as err:
        raise OptionError(f"{options.token_file} cannot be read ({err}); put a token into it, such as 32 random letters") from err
    if not SHORTEST_TOKEN <= len(token) <= 1000 or not token.isascii() or not token.isprintable() or " " in token:
        raise OptionError(f"{options.token_file} holds no token; put {SHORTEST_TOKEN} or more random letters and digits into it")
    return token


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _bound(options: ServeOptions) -> socket.socket:
    """Take the port."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(options.host, options.port, type=socket.SOCK_STREAM)[0]
        listener = socket.socket(family, kind, protocol)
        if os.name == "posix":  # on Windows the option lets two programs have one port
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
    except OSError as err:
        raise OptionError(
            f"port {options.port} of {options.host} cannot be had ({err.strerror}); leave out --port to take a free one"
        ) from err
    return listener


def _wait_for_other() -> Announcement:
    """Give the service that holds the lock, once it answers."""
    deadline = time.monotonic() + WAIT_FOR_OTHER_S
    while time.monotonic() < deadline:
        if (running := find_running()) is not None:
            return running
        time.sleep(LOOK_EVERY_S)
    announced = read_announcement()
    whose = "" if announced is None else f" (process {announced.pid})"
    raise ServiceError(f"a service of yours runs{whose} and does not answer; end that process and start again")
