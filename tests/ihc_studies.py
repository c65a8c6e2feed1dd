"""Projects of a real image with some of its prompts each: what a batch is about."""

import random
import shutil
from pathlib import Path

import skimage.data
from PIL import Image

from fixture_projects import snapshot
from ihc_project import MPP, PROMPTS, read_annotations
from nuclick_qp.qupath.folder.create import NewImage, create_project

STAMPED = ("project.qpproj", "summary.json")  # say when a run was; all else is the same whenever it was


def make_studies(folder: Path, projects: int, *, images: int = 2, prompts: int = 8) -> list[Path]:
    """Make projects of the IHC image of scikit-image, each image with prompts of its own, and give their `.qpproj` files."""
    rng, drawn = random.Random(0), read_annotations(PROMPTS)
    folder.mkdir(parents=True)
    slide = folder / "ihc-colon.png"
    Image.fromarray(skimage.data.immunohistochemistry()).save(slide)
    made = []
    for number in range(projects):
        new = [NewImage(slide, f"image {n}", 512, 512, MPP, tuple(rng.sample(drawn, prompts))) for n in range(images)]
        made.append(create_project(folder / f"study-{number}", new))
    return made


def copy_studies(projects: list[Path], folder: Path) -> list[Path]:
    """Copy projects; their image stays where it is."""
    folder.mkdir()
    return [shutil.copytree(path.parent, folder / path.parent.name) / path.name for path in projects]


def unstamped(project: Path) -> dict[str, bytes]:
    """Give the files of a project that say nothing of the time of a run, with their bytes."""
    files = snapshot(project.parent)
    return {name: data for name, data in files.items() if Path(name).name not in STAMPED and not name.startswith("nuclick")}
