"""What lies around the folder of a case, and must stay as it is."""

import hashlib
import os
import shutil
from pathlib import Path

Snapshot = dict[str, tuple[int, int, str]]


def make_surroundings(base: Path) -> None:
    """Make the folders that cases may aim at: `outside`, with files in it, and `home`."""
    outside = base / "outside"
    (outside / "folder").mkdir(parents=True)
    (outside / "file.txt").write_text("Nobody may change this.\n")
    (outside / "data.qpdata").write_bytes(b"\xac\xed\0\5 nobody may change this")
    (outside / "folder" / "results.json").write_text("{}")
    (base / "home").mkdir()


def snapshot(base: Path) -> Snapshot:
    """Give kind, time and content of all that lies in a folder, links as what they are."""
    found: Snapshot = {}
    for folder, folders, names in os.walk(base):
        for name in (*folders, *names):
            path = Path(folder, name)
            state = path.lstat()
            content = hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() and not path.is_symlink() else ""
            found[str(path.relative_to(base))] = (state.st_mode, state.st_mtime_ns if content else 0, content)
    return found


def differences(before: Snapshot, after: Snapshot) -> list[str]:
    """Name what came, went or changed."""
    return sorted(name for name in before.keys() | after.keys() if before.get(name) != after.get(name))


def empty(folder: Path) -> None:
    """Remove a folder, whatever modes its parts have."""
    for place, folders, _ in os.walk(folder):
        for name in folders:
            path = Path(place, name)
            if not path.is_symlink():
                path.chmod(0o700)
    shutil.rmtree(folder)
