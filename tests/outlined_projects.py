"""Projects in which discs are outlined by hand, and a small model to tune to them."""

from collections.abc import Sequence
from pathlib import Path

import torch
from shapely import Point

from fakes import make_card
from nuclick_qp.annotations.objects import Changes, ResultObject
from nuclick_qp.model.checkpoints import store_model
from nuclick_qp.model.network import NuClickNet
from nuclick_qp.model.network_settings import NetworkSettings
from nuclick_qp.prompts import Plane
from nuclick_qp.qupath.folder.create import NewImage, create_project
from nuclick_qp.qupath.open_project import open_project

PLACES = [(40.0 + 40 * i, 40.0 + 40 * j) for i in range(9) for j in range(6)]
RADIUS = 10
BY_HAND = "drawn by hand"  # no digest of an outline: it is not as a run wrote it


def outlined_project(folder: Path, slide: Path) -> Path:
    """Make a project of one image of 400 x 300 px with an outline at each of `PLACES`."""
    path = create_project(folder, [NewImage(slide, "discs", 400, 300, 0.25)])
    draw_outlines(path, PLACES)
    return path


def draw_outlines(project: Path, places: Sequence[tuple[float, float]], *, name: str = "first") -> None:
    """Outline discs of the first image as a user does."""
    with open_project(project) as opened:
        (entry,) = opened.images()
        add = tuple(_outline(xy, f"{name} {xy}") for xy in places)
        opened.write(entry, Changes(add), fingerprint=opened.read(entry).fingerprint)


def _outline(xy: tuple[float, float], key: str) -> ResultObject:
    return ResultObject(Point(xy).buffer(RADIUS), "annotation", None, Plane(), nested=False, anchor=xy, key=key, written=BY_HAND)


def small_model(folder: Path) -> Path:
    """Store an untrained network of patches of 32 px, and give its card."""
    torch.manual_seed(1)
    net = NuClickNet(NetworkSettings(width=0.07))
    card = make_card(name="start", network=net.settings, patch_px=32, min_object_px=10)
    folder.mkdir()
    store_model(net, folder / "start.safetensors", lambda sha256: card.model_copy(update={"sha256": sha256}))
    return folder / "start.json"
