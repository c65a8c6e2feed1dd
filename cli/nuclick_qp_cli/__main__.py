"""Where the command line begins: with little loaded, so that Ctrl-C and closed streams are answered from the start."""

import os
import signal
import sys
from collections.abc import Iterable
from types import FrameType

EXIT_STOPPED = 130


def main() -> None:
    """Load the command line, and run it."""
    _open_closed_streams()
    heeds_ctrl_c = bool(let_stops_end_at_once())
    from nuclick_qp_cli.main import main as run_command_line
    from nuclick_qp_cli.terminal import take_over_streams

    take_over_streams()

    if heeds_ctrl_c:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        run_command_line()
    except KeyboardInterrupt:  # before a command had begun, or when it had ended: commands answer it themselves
        sys.exit(EXIT_STOPPED)


def let_stops_end_at_once(numbers: Iterable[int] = (signal.SIGINT,)) -> list[int]:
    """Let Ctrl-C, or what else interrupts, end the program without raising anything, while nothing can be lost.

    An interrupt in the midst of an import becomes an error of any kind, and in that of torch an abort.

    Returns
    -------
    list of int
        The signals for which that is so now; those that are ignored, or do something else, are left alone.
    """
    heeded = [number for number in numbers if signal.getsignal(number) is signal.default_int_handler]
    for number in heeded:
        signal.signal(number, _stop_at_once)
    return heeded


def _stop_at_once(_number: int, _frame: FrameType | None) -> None:
    os.write(2, b"nuclick-qp: stopped before anything was done\n")
    os._exit(EXIT_STOPPED)


def _open_closed_streams() -> None:
    """Give closed streams (`>&-`) a place to go: a file opened later would take their number, and get what C libraries print."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # the lowest number that is free


if __name__ == "__main__":
    main()
