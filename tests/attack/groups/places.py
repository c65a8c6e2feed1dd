"""Folders that may not be entered, names that no disk takes, and homes that are not there."""

from collections.abc import Callable, Iterator
from pathlib import Path

from attack.case import Case, Ended, Group
from attack.scenes import RUN, WIDTH, change_json, make_project, make_slide, name_slide

EXPORT = ("export", "project", "--format", "table", "-o")
SEARCH = (*RUN, "--image-root", "slides")


def _locked(folder: Path) -> str:
    """Make a folder that nobody may enter."""
    locked = folder / "locked"
    locked.mkdir()
    make_slide(locked)
    locked.chmod(0)
    return (locked / "slide.png").as_uri()


def _at(uri: Callable[[Path], str]) -> Callable[[Path], None]:
    """Let a project name a place for its slide, which lies in `slides`."""

    def make(folder: Path) -> None:
        make_project(folder)
        (folder / "slides").mkdir()
        (folder / "slide.png").rename(folder / "slides" / "slide.png")
        name_slide(folder, uri(folder))

    return make


def _locked_root(folder: Path) -> None:
    _at(lambda _: "file:///nowhere/slide.png")(folder)
    (folder / "slides").chmod(0)


def _locked_project(folder: Path) -> None:
    make_project(folder)
    (folder / "project").chmod(0)


def _locked_data(folder: Path) -> None:
    make_project(folder)
    (folder / "project" / "data").chmod(0)


def _locked_models(folder: Path) -> None:
    make_project(folder)
    (folder / "models").mkdir()
    (folder / "models").chmod(0)


def _found(folder: Path, runs: list[Ended]) -> str | None:
    """Insist that a slide below `--image-root` is found whatever the project names."""
    return None if runs[-1].code == 0 else f"the slide below --image-root was not found: {runs[-1].out[-200:]}"


def _fixed() -> Iterator[Case]:
    odd: dict[str, Callable[[Path], str]] = {
        "locked": _locked,
        "long": lambda _: "file:///x/" + "a" * 300 + "/slide.png",
        "deep": lambda _: "file:///" + "a/" * 3000 + "slide.png",
        "nul": lambda _: "file:///x%00/slide.png",
        "below a file": lambda folder: (folder / "slides" / "slide.png" / "slide.png").as_uri(),
        "home": lambda _: "file:///root/slide.png",
    }
    for name, uri in odd.items():
        yield Case(f"slide at a place that is {name}", _at(uri), (RUN,))
        yield Case(f"slide at a place that is {name}, searched for", _at(uri), (SEARCH,), check=_found, is_quick=name == "locked")
    yield Case("folder of slides that is locked", _locked_root, (SEARCH,))
    yield Case("slide with a name of 300 bytes", _at(lambda _: "file:///x/" + "a" * 300), (SEARCH,))
    yield Case("project in a locked folder", _locked_project, (RUN, ("run", "project/project.qpproj"), ("restore", "project")))
    yield Case("data in a locked folder", _locked_data, (RUN, ("restore", "project"), (*EXPORT, "out")))
    yield Case("models in a locked folder", _locked_models, (RUN, ("models", "list"), ("doctor",)))
    long = "n" * 300
    yield Case("long names as arguments", make_project, (
        ("run", long), ("run", "project", "--image-root", long), ("segment", long, "--prompts", long, "-o", long),
        ("segment", "slide.png", "--prompts", long, "-o", "out.geojson"), ("run", "project", "--points", long), ("restore", long),
        ("train", long, "--data", long, "--out", long), (*EXPORT, long), ("evaluate", long),
        ("models", "import", long), ("run", "project", "--geojson", long),
    ))  # fmt: skip
    yield Case("a size that is none", _with_width(-1), (RUN,))
    yield Case("a width beyond all numbers", _with_width(10**400), (RUN,))


def _with_width(width: int) -> Callable[[Path], None]:
    def make(folder: Path) -> None:
        def change(content: dict[str, list[dict[str, dict[str, dict[str, int]]]]]) -> None:
            content["images"][0]["serverBuilder"]["metadata"]["width"] = width

        change_json(make_project(folder), change)

    assert width != WIDTH
    return make


GROUP = Group("18 places", _fixed)
