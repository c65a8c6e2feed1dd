"""Build the QuPath extension: one class compiled by a JDK, and the Groovy source as it is; `make extension` runs this."""

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
    found = re.search(r'__version__ = "(.+)"', (PACKAGE / "__init__.py").read_text("utf-8"))
    assert found
    manifest = f"Manifest-Version: 1.0\nImplementation-Title: nuclick\nImplementation-Version: {found[1]}\n\n"
    sources = {f"nuclick/{file.name}": file.read_bytes() for file in sorted((HERE / "groovy").glob("*.groovy"))}
    entries = {"META-INF/MANIFEST.MF": manifest.encode(), SERVICE: b"nuclick.NuClickExtension\n", **classes, **sources}
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as jar:
        for name, content in entries.items():
            jar.writestr(zipfile.ZipInfo(name, DATE), content, zipfile.ZIP_DEFLATED)


if __name__ == "__main__":
    main()
