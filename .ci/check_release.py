"""Compare the tag of a release with every place that states the version: `python .ci/check_release.py v0.1.0`."""

import re
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]


def main() -> None:
    """End with exit code 1 and one line for each place that disagrees."""
    if len(sys.argv) != 2 or not sys.argv[1].startswith("v"):
        sys.exit("usage: python .ci/check_release.py vVERSION")
    wanted = sys.argv[1].removeprefix("v")
    wrong = [f"{place} says {found}, the tag says {wanted}" for place, found in stated_versions().items() if found != wanted]
    if not re.search(rf"^## \[{re.escape(wanted)}\] - \d{{4}}-\d\d-\d\d$", read("CHANGELOG.md"), re.MULTILINE):
        wrong.append(f"CHANGELOG.md has no heading '## [{wanted}] - YYYY-MM-DD'")
    if wrong:
        sys.exit("\n".join(wrong))


def stated_versions() -> dict[str, str | None]:
    """Give the version that each file states."""
    return {
        "pyproject.toml": tomllib.loads(read("pyproject.toml"))["project"]["version"],
        "nuclick_qp/__init__.py": _found(r'^__version__ = "(.+)"$', "nuclick_qp/__init__.py"),
        "CITATION.cff": _found(r"^version: (.+)$", "CITATION.cff"),
    }


def read(name: str) -> str:
    """Read a file of the repository."""
    return (ROOT / name).read_text(encoding="utf-8")


def _found(pattern: str, name: str) -> str | None:
    found = re.search(pattern, read(name), re.MULTILINE)
    return found[1] if found else None


if __name__ == "__main__":
    main()
