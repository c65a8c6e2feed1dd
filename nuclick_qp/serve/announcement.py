"""Where a running service says how it is reached: one file per user, readable by the user alone."""

import os
import tempfile
import urllib.request
from pathlib import Path

import platformdirs
from pydantic import BaseModel, ConfigDict, ValidationError

from nuclick_qp.errors import WriteRefusedError

LARGEST_FILE = 10_000  # bytes


class Announcement(BaseModel):
    """How a service is reached."""

    model_config = ConfigDict(frozen=True)

    host: str
    port: int
    token: str
    pid: int
    version: str

    @property
    def address(self) -> str:
        """URL without a path."""
        return f"http://[{self.host}]:{self.port}" if ":" in self.host else f"http://{self.host}:{self.port}"


def runtime_folder() -> Path:
    """Give the folder for files that live as long as the user is logged in; made, for the user alone.

    ``$XDG_RUNTIME_DIR/nuclick-qp``, or where the system keeps such files.

    Raises
    ------
    WriteRefusedError
        If it cannot be made, or belongs to somebody else.
    """
    stated = os.environ.get("XDG_RUNTIME_DIR")
    folder = Path(stated) / "nuclick-qp" if stated else Path(platformdirs.user_runtime_dir("nuclick-qp", appauthor=False))
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        state = folder.stat()
    except OSError as err:
        raise WriteRefusedError(f"{folder} cannot be made ({err.strerror}); set XDG_RUNTIME_DIR to a folder of yours") from err
    if os.name == "posix" and (state.st_uid != os.getuid() or state.st_mode & 0o077):
        raise WriteRefusedError(f"{folder} is open to other users; set XDG_RUNTIME_DIR to a folder that is yours alone")
    return folder


def announcement_path() -> Path:
    """Give the file that the service of this user announces itself in."""
    return runtime_folder() / "serve.json"


def announce(announcement: Announcement) -> None:
    """Write the file of a service; nobody sees a part of it."""
    path = announcement_path()
    with tempfile.NamedTemporaryFile("w", dir=path.parent, prefix=".serve.", delete=False, encoding="utf-8") as file:  # mode 0600
        file.write(announcement.model_dump_json(indent=2) + "\n")
    Path(file.name).replace(path)


def withdraw(pid: int) -> None:
    """Remove the file of a service that ends, unless another has announced itself meanwhile."""
    announced = read_announcement()
    if announced is not None and announced.pid == pid:
        announcement_path().unlink(missing_ok=True)


def read_announcement() -> Announcement | None:
    """Give what the last service of this user announced; it may be gone. None when there is nothing to be read."""
    try:
        with announcement_path().open("rb") as file:
            return Announcement.model_validate_json(file.read(LARGEST_FILE))
    except (OSError, ValidationError):
        return None


def find_running(*, timeout_s: float = 2.0) -> Announcement | None:
    """Give the service of this user that answers now; None when none does."""
    announced = read_announcement()
    if announced is None:
        return None
    request = urllib.request.Request(f"{announced.address}/models", headers={"Authorization": f"Bearer {announced.token}"})
    try:
        with _no_proxy().open(request, timeout=timeout_s):
            return announced
    except (OSError, ValueError):  # nobody there, or another program has the port
        return None


def _no_proxy() -> urllib.request.OpenerDirector:
    """Give what opens addresses of this machine whatever proxy the user has set for the web."""
    return urllib.request.build_opener(urllib.request.ProxyHandler({}))
