"""Stopping long work in good order: between two steps, never within one."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

# Ctrl-C; what a cluster sends before it kills; a terminal that is closed, and Ctrl-Break: systems have one of the two.
STOPS = tuple(number for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK") if (number := getattr(signal, name, None)) is not None)


class Stopped(Exception):  # noqa: N818  # nothing is wrong
    """Work was left off because a stop was asked for; whoever asked keeps what is done."""


def never() -> bool:
    """Tell that no stop was asked for."""
    return False


def raise_on_all_stops() -> None:
    """Let every signal that asks for a stop raise KeyboardInterrupt, as Ctrl-C does; those that are ignored (nohup) stay so."""
    for number in STOPS:
        if signal.getsignal(number) is signal.SIG_DFL:
            signal.signal(number, signal.default_int_handler)


@contextmanager
def hold_back_stops() -> Iterator[Callable[[], bool]]:
    """Hold back the signals that raise KeyboardInterrupt, and give a function that tells whether one came.

    An interrupt can be raised anywhere: between two parts of the network that the optimizer moves, or in the import of a
    C extension, which makes another error of it. The second signal acts at once, for a step that never ends. Signals
    that do something else, and threads, which get none, are left alone.
    """
    in_main_thread = threading.current_thread() is threading.main_thread()
    held = [number for number in STOPS if in_main_thread and signal.getsignal(number) is signal.default_int_handler]
    came: list[int] = []

    def release() -> None:
        for number in held:
            signal.signal(number, signal.default_int_handler)

    def note(number: int, _frame: FrameType | None) -> None:
        came.append(number)
        release()

    for number in held:
        signal.signal(number, note)
    try:
        yield lambda: bool(came)
    finally:
        release()


def ignore_stops(_worker: int) -> None:
    """Let a process that makes batches live on after a Ctrl-C, which goes to all of a terminal's processes; the training ends it."""
    for number in STOPS:
        signal.signal(number, signal.SIG_IGN)
