"""`nuclick-qp doctor`: is everything there that a run needs."""

import sys

from nuclick_qp_cli.shared import JsonOption
from nuclick_qp_cli.terminal import say, say_json


def doctor(as_json: JsonOption = False) -> None:
    """Print versions, devices, whether a QuPath is found, and whether the weights are whole."""
    from nuclick_qp.stopping import STOPS
    from nuclick_qp_cli.__main__ import let_stops_end_at_once

    let_stops_end_at_once(STOPS)  # it changes nothing, and loads torch
    from nuclick_qp.health import examine

    health = examine()
    if as_json:
        say_json(health.model_dump_json(indent=2))
    else:
        for line in health.lines():
            say(line)
    sys.exit(0 if health.well else 1)
