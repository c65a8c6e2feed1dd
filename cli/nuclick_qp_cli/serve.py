"""`nuclick-qp serve`: the warm service behind QuPath's live clicks."""

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nuclick_qp.serve.serve_options import ServeOptions
from nuclick_qp_cli.shared import DeviceOption
from nuclick_qp_cli.terminal import say, say_json

if TYPE_CHECKING:  # loads the web server
    from nuclick_qp.serve.announcement import Announcement

DEFAULTS = ServeOptions()


def serve(
    host: Annotated[str, typer.Option(help="Address to listen at; other than this machine's own needs --token-file.")] = DEFAULTS.host,
    port: Annotated[int, typer.Option(help="Port; 0 takes a free one.", min=0, max=65535)] = DEFAULTS.port,
    token_file: Annotated[Path | None, typer.Option(help="File with the token; else a new one is made.")] = DEFAULTS.token_file,
    device: DeviceOption = DEFAULTS.device,
    idle_minutes: Annotated[float, typer.Option(help="End after so long without a request.", min=0.01)] = DEFAULTS.idle_minutes,
    follow_parent: Annotated[bool, typer.Option("--follow-parent", help="End when standard input is closed.")] = DEFAULTS.follow_parent,
    stop: Annotated[bool, typer.Option("--stop", help="End the service that runs.")] = False,
) -> None:
    """Keep models warm for QuPath's live clicks; prints one line of JSON that says where the service is reached."""
    from nuclick_qp.stopping import STOPS
    from nuclick_qp_cli.__main__ import let_stops_end_at_once

    let_stops_end_at_once(STOPS)  # until the server listens, which has its own way to end
    from nuclick_qp.serve import service

    if stop:
        say("stopped" if service.stop_running() else "no service runs")
        return
    options = ServeOptions(host, port, token_file, device, idle_minutes, follow_parent)
    service.serve(options, on_ready=_tell)


def _tell(announcement: "Announcement", was_there: bool) -> None:
    from nuclick_qp.serve.announcement import announcement_path

    told = {**announcement.model_dump(exclude={"token"}), "was_there": was_there, "announced_in": str(announcement_path())}
    say_json(json.dumps(told))
    sys.stdout.flush()
