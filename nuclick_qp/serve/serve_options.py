"""What a service is asked to be; loads nothing."""

from dataclasses import dataclass
from pathlib import Path

LOOPBACK = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class ServeOptions:
    """How the service is reached, and how long it lives.

    Attributes
    ----------
    host
        Address to listen at; one other than loopback needs a token file.
    port
        0 takes a free one.
    token_file
        File that holds the token; None makes a new token at each start.
    device
        ``auto``, ``cpu``, ``cuda``, ``cuda:1`` or ``mps``.
    idle_minutes
        The service ends after so long without a request.
    follow_parent
        End, too, when standard input is closed, as it is when the program that started the service ends.
    """

    host: str = LOOPBACK
    port: int = 0
    token_file: Path | None = None
    device: str = "auto"
    idle_minutes: float = 30.0
    follow_parent: bool = False
