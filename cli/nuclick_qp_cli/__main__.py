"""Where the command line begins: with little loaded, so that Ctrl-C and closed streams are answered from the start."""

import os
import signal
from types import FrameType

EXIT_STOPPED = 130


def main() -> None:
    """Load the command line, and run it."""
    _open_closed_streams()
    heeds_ctrl_c = let_ctrl_c_end_at_once()
    from nuclick_qp_cli.main import main as run_command_line
    from nuclick_qp_cli.terminal import take_over_streams

    take_over_streams()

    if heeds_ctrl_c:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    run_command_line()


def let_ctrl_c_end_at_once() -> bool:
    """Let Ctrl-C end the program without raising anything, while nothing can be lost; False where it is ignored.

    An interrupt in the midst of an import becomes an error of any kind, and in that of torch an abort.
    """
    heeds_ctrl_c = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if heeds_ctrl_c:
        signal.signal(signal.SIGINT, _stop_at_once)
    return heeds_ctrl_c


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
