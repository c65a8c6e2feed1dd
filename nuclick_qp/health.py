"""What `nuclick-qp doctor` looks at: versions, devices, QuPath, weights."""

import importlib.metadata
import platform
from pathlib import Path

import torch
from pydantic import BaseModel, ConfigDict

from nuclick_qp import __version__
from nuclick_qp.errors import ModelError
from nuclick_qp.model.cards import list_card_paths, read_card, weights_folder
from nuclick_qp.model.checkpoints import load_network
from nuclick_qp.model.devices import choose_device, choose_precision
from nuclick_qp.qupath.jvm.engine import find_qupath

PACKAGES = ("torch", "numpy", "scikit-image", "shapely", "openslide-python", "openslide-bin", "tifffile", "paquo")


class ModelHealth(BaseModel):
    """One model: whether its weights match its card; `problem` says what is wrong."""

    model_config = ConfigDict(frozen=True)

    name: str
    prompt: str
    sha256: str
    problem: str | None


class Health(BaseModel):
    """The findings.

    Attributes
    ----------
    packages
        Version by name; None for a package that is missing.
    devices
        Names for ``--device``, best first.
    qupath
        Folder of the QuPath that the `qupath` engine would use; None when none is found.
    """

    model_config = ConfigDict(frozen=True)

    version: str
    python: str
    system: str
    packages: dict[str, str | None]
    devices: tuple[str, ...]
    precision: str
    qupath: str | None
    models: tuple[ModelHealth, ...]

    @property
    def well(self) -> bool:
        """Tell whether points can be segmented here; a missing QuPath is no illness."""
        whole = all(model.problem is None for model in self.models)
        return whole and any(model.prompt == "point" for model in self.models) and None not in self.packages.values()

    def lines(self) -> list[str]:
        """Give the findings as lines to read."""
        packages = ", ".join(f"{name} {version or 'MISSING'}" for name, version in self.packages.items())
        models = [f"model {m.name} ({m.prompt}s): {m.problem or f'weights whole, sha256 {m.sha256[:12]}'}" for m in self.models]
        return [
            f"nuclick-qp {self.version}, Python {self.python}, {self.system}",
            f"packages: {packages}",
            f"devices: {', '.join(self.devices)}; {self.precision} on {self.devices[0]}",
            f"QuPath: {self.qupath or 'not found; the files engine needs none (set PAQUO_QUPATH_DIR to use --engine qupath)'}",
            *(models or [f"models: none in {weights_folder()}; install nuclick-qp anew"]),
        ]


def examine() -> Health:
    """Look at this installation; loads every model and compares its checksum."""
    qupath = find_qupath()
    devices = [f"cuda:{i}" for i in range(torch.cuda.device_count())]
    devices += ["mps"] if torch.backends.mps.is_available() else []
    return Health(
        version=__version__,
        python=platform.python_version(),
        system=platform.platform(),
        packages={name: _version(name) for name in PACKAGES},
        devices=(*devices, "cpu"),
        precision=choose_precision(choose_device("auto")),
        qupath=None if qupath is None else str(qupath.folder),
        models=_examine_models(),
    )


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _examine_models() -> tuple[ModelHealth, ...]:
    return tuple(_examine_model(path) for path in list_card_paths())


def _examine_model(path: Path) -> ModelHealth:
    """Load a model by its card; a broken card hides no other finding."""
    prompt, sha256 = "unknown", ""
    try:
        card = read_card(path)
        prompt, sha256 = card.prompt, card.sha256
        load_network(card, path.with_suffix(".safetensors"))
    except ModelError as err:
        return ModelHealth(name=path.stem, prompt=prompt, sha256=sha256, problem=str(err))
    return ModelHealth(name=path.stem, prompt=prompt, sha256=sha256, problem=None)
