"""`nuclick-qp doctor`: is everything there that a run needs."""

import sys

from nuclick_qp_cli.shared import JsonOption


def doctor(as_json: JsonOption = False) -> None:
    """Print versions, devices, whether a QuPath is found, and whether the weights are whole."""
    from nuclick_qp.health import examine

    health = examine()
    if as_json:
        print(health.model_dump_json(indent=2))
    else:
        for line in health.lines():
            print(line)
    sys.exit(0 if health.well else 1)
