"""Tests of the extension's jar: built by a JDK against our own stubs, put where QuPath looks."""

import json
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from nuclick_qp import __version__
from nuclick_qp.errors import OptionError, ServiceError, WriteRefusedError
from nuclick_qp.qupath.extension import PROGRAM_ENTRY, extensions_folder, install_extension, user_folders

EXTENSION = Path(__file__).parents[2] / "qupath-extension"
SERVICE = "META-INF/services/qupath.lib.gui.extensions.QuPathExtension"
JAVA_17 = 61  # class file version


@pytest.fixture
def jar(tmp_path: Path) -> Path:
    """Give something that stands for the jar."""
    path = tmp_path / "nuclick-qp-extension.jar"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("nuclick/NuClick.groovy", "")
    return path


def test_the_jar_holds_one_class_and_the_source(tmp_path: Path) -> None:
    """The class runs on the Java of QuPath 0.5; stubs stay outside; the version is that of the package."""
    if shutil.which("javac") is None:
        pytest.skip("no JDK here (javac): the extension cannot be built")
    path = tmp_path / "x.jar"

    subprocess.run([sys.executable, EXTENSION / "build.py", path], check=True, stdout=subprocess.DEVNULL)

    with zipfile.ZipFile(path) as archive:
        names = archive.namelist()
        assert archive.read(SERVICE) == b"nuclick.NuClickExtension\n"
        assert f"Implementation-Version: {__version__}\n" in archive.read("META-INF/MANIFEST.MF").decode()
        code = archive.read("nuclick/NuClickExtension.class")
    assert int.from_bytes(code[6:8], "big") == JAVA_17
    assert [name for name in names if name.endswith(".class")] == ["nuclick/NuClickExtension.class"]
    assert {name for name in names if name.endswith(".groovy")} == {f"nuclick/{file.name}" for file in EXTENSION.glob("groovy/*.groovy")}


def test_the_extension_manager_gets_a_catalog() -> None:
    """With the address of the jar in a release of a repository, and the oldest QuPath that has a manager."""
    told = subprocess.run([sys.executable, EXTENSION / "build.py", "--catalog", "owner/name"], check=True, capture_output=True).stdout

    (found,) = json.loads(told)["extensions"]
    (release,) = found["releases"]
    assert release["main_url"] == f"https://github.com/owner/name/releases/download/v{__version__}/nuclick-qp-extension.jar"
    assert release["version_range"] == {"min": "v0.6.0"}
    assert found["homepage"] == "https://github.com/owner/name"


def test_the_class_compiles_every_source_file() -> None:
    """One that is not listed would be missing in QuPath only."""
    listed = re.search(r"SOURCES = \{(.*?)\}", (EXTENSION / "java/nuclick/NuClickExtension.java").read_text("utf-8"), re.DOTALL)

    assert listed
    assert sorted(re.findall(r'"(\w+)"', listed[1])) == sorted(file.stem for file in EXTENSION.glob("groovy/*.groovy"))


def test_no_key_of_a_map_is_read_as_a_property_of_java() -> None:
    """Groovy 5 (QuPath 0.7) takes `feature.properties` and `feature['properties']` for all properties of the Java object."""
    read_so = re.compile(r"""(?<!System)\.properties\b|\[['"]properties['"]\]""")
    code = {file.name: re.sub(r"//.*", "", file.read_text("utf-8")) for file in EXTENSION.glob("groovy/*.groovy")}

    assert {name: read_so.findall(text) for name, text in code.items() if read_so.search(text)} == {}


def test_the_jar_lies_where_each_qupath_looks(tmp_path: Path, jar: Path) -> None:
    """0.5 has one folder; later versions keep those of users apart. It names the program, and a second time replaces the first."""
    homes = [tmp_path / "QuPath" / name for name in ("v0.5", "v0.6")]
    for home in homes:
        home.mkdir(parents=True)

    install_extension(homes, program=Path("/old/nuclick-qp"), jar=jar)
    places = install_extension(user_folders(tmp_path), program=Path("/bin/nuclick-qp"), jar=jar)

    assert places == [homes[0] / "extensions" / jar.name, homes[1] / "extensions" / "manually-installed" / jar.name]
    for place in places:
        assert list(place.parent.iterdir()) == [place]
        with zipfile.ZipFile(place) as archive:
            assert archive.read(PROGRAM_ENTRY) == f"{Path('/bin/nuclick-qp')}\n".encode()
            assert "nuclick/NuClick.groovy" in archive.namelist()


@pytest.mark.parametrize(("name", "managed", "place"), [("mine", False, "extensions"), ("mine", True, "extensions/manually-installed")])
def test_a_folder_of_another_name_is_looked_into(tmp_path: Path, name: str, managed: bool, place: str) -> None:
    """The extension manager has made its folders, or there is none."""
    (tmp_path / name / ("extensions/manually-installed" if managed else "")).mkdir(parents=True)

    assert extensions_folder(tmp_path / name) == tmp_path / name / place


def test_what_cannot_be_installed_is_told(tmp_path: Path, jar: Path) -> None:
    """No QuPath, one that is too old, a folder that is not there, an installation without the jar."""
    (tmp_path / "QuPath" / "v0.4").mkdir(parents=True)

    with pytest.raises(OptionError, match="pass --qupath-dir"):
        user_folders(tmp_path)
    with pytest.raises(OptionError, match=r"QuPath 0\.4; the extension needs 0\.5"):
        install_extension([tmp_path / "QuPath" / "v0.4"], program=Path("x"), jar=jar)
    with pytest.raises(OptionError, match="is no folder"):
        install_extension([tmp_path / "nowhere"], program=Path("x"), jar=jar)
    with pytest.raises(ServiceError, match="`make extension` builds it"):
        install_extension([tmp_path], program=Path("x"), jar=tmp_path / "no.jar")


@pytest.mark.usefixtures("modes_hold")
@pytest.mark.parametrize("locked", ["QuPath", "QuPath/mine"])
def test_locked_folders_are_told_in_one_line(tmp_path: Path, jar: Path, locked: str) -> None:
    """Those of another user's QuPath, or of one that an administrator has installed."""
    for name in ("mine", "v0.6"):
        (tmp_path / "QuPath" / name).mkdir(parents=True)
    (tmp_path / locked).chmod(0o600)
    try:
        with pytest.raises((OptionError, WriteRefusedError), match=r"may not enter|cannot be written"):
            install_extension([tmp_path / "QuPath" / "mine"], program=Path("x"), jar=jar)
        if locked == "QuPath":
            with pytest.raises(OptionError, match="pass --qupath-dir"):
                user_folders(tmp_path)
    finally:
        (tmp_path / locked).chmod(0o700)
