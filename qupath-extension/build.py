"""Build the QuPath extension: one class compiled by a JDK, and the Groovy source as it is; `make extension` runs this.

`build.py --catalog OWNER/NAME` prints the catalog.json that QuPath's extension manager (0.6 and later) takes from a
repository on GitHub, whose releases have to hold the jar.
"""

import json
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

HERE = Path(__file__).parent
PACKAGE = HERE.parent / "nuclick_qp"
JAR = PACKAGE / "qupath" / "jar" / "nuclick-qp-extension.jar"
RELEASE = "17"  # of Java, which QuPath 0.5 runs on
SERVICE = "META-INF/services/qupath.lib.gui.extensions.QuPathExtension"
DATE = (2026, 1, 1, 0, 0, 0)  # the same source gives the same bytes


def main() -> None:
    """Compile and pack; end with a line that says what is missing where there is no JDK."""
    if len(sys.argv) == 3 and sys.argv[1] == "--catalog":
        sys.stdout.write(json.dumps(catalog(sys.argv[2]), indent=2) + "\n")
        return
    javac = shutil.which("javac")
    if javac is None:
        sys.exit("make extension needs a JDK (javac); no other target does")
    with tempfile.TemporaryDirectory() as name:
        sources = [str(path) for path in sorted(HERE.glob("*/**/*.java"))]
        subprocess.run([javac, "--release", RELEASE, "-proc:none", "-Xlint:-options", "-d", name, *sources], check=True)
        classes = {f"nuclick/{path.name}": path.read_bytes() for path in sorted(Path(name, "nuclick").glob("*.class"))}
    jar = Path(sys.argv[1]) if len(sys.argv) > 1 else JAR
    write_jar(jar, classes)
    sys.stdout.write(f"{jar}\n")


def write_jar(path: Path, classes: dict[str, bytes]) -> None:
    """Pack classes, source and what tells QuPath of them."""
    manifest = f"Manifest-Version: 1.0\nImplementation-Title: nuclick\nImplementation-Version: {version()}\n\n"
    sources = {f"nuclick/{file.name}": file.read_bytes() for file in sorted((HERE / "groovy").glob("*.groovy"))}
    entries = {"META-INF/MANIFEST.MF": manifest.encode(), SERVICE: b"nuclick.NuClickExtension\n", **classes, **sources}
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as jar:
        for name, content in entries.items():
            jar.writestr(zipfile.ZipInfo(name, DATE), content, zipfile.ZIP_DEFLATED)


def catalog(repository: str) -> dict[str, object]:
    """Give what the extension manager has to know; fields as in qupath/extension-catalog-model."""
    home = f"https://github.com/{repository}"
    release = {
        "name": f"v{version()}",
        "main_url": f"{home}/releases/download/v{version()}/{JAR.name}",
        "version_range": {"min": "v0.6.0"},  # 0.5 has no manager
    }
    extension = {
        "name": "NuClick",
        "description": "One click, one nucleus; one squiggle, one gland. Needs the Python package nuclick-qp.",
        "author": "The nuclick-qp developers",
        "homepage": home,
        "starred": False,
        "releases": [release],
    }
    return {"name": "nuclick-qp", "description": "The extension of nuclick-qp", "extensions": [extension]}


def version() -> str:
    """Give the version of the package, which the jar has to have."""
    found = re.search(r'__version__ = "(.+)"', (PACKAGE / "__init__.py").read_text("utf-8"))
    assert found
    return found[1]


if __name__ == "__main__":
    main()
