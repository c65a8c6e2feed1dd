"""A model's facts: what it is for, at which resolution, where it comes from, how good it is."""

import importlib.resources
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from nuclick_qp.errors import ModelNotFoundError, WeightsError


class NetworkFacts(BaseModel):
    """The settings of the network whose tensors the weights hold (see `NetworkSettings`)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    width: float
    ms_blocks: Literal[0, 1, 2, 3, 4]
    in_channels: Literal[4, 5]
    ms3_dilation: Literal[2, 3]


class Card(BaseModel):
    """Everything about a model but its tensors; stored as NAME.json beside NAME.safetensors.

    Attributes
    ----------
    prompt
        Kind of prompt that the model is for.
    mpp, patch_px
        Micrometres per pixel of its patches, and their side in pixels.
    threshold
        Probability from which on a pixel belongs to the object.
    min_object_px, max_hole_px
        Smaller objects are dropped and holes up to that size are filled, in patch pixels.
    sha256
        Of the safetensors file.
    training, metrics
        Steps, seed, data and commit of the training; figures on test data, by data set.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    card_version: Literal[1] = 1
    name: str
    description: str
    prompt: Literal["point", "line"]
    mpp: float = Field(gt=0)
    patch_px: int = Field(gt=0, multiple_of=32)
    threshold: float = Field(default=0.5, gt=0, lt=1)
    min_object_px: int = Field(default=50, ge=0)
    max_hole_px: int = Field(default=0, ge=0)
    network: NetworkFacts
    licence: str
    sha256: str
    parameters: int
    training: dict[str, Any]
    metrics: dict[str, Any] = Field(default_factory=dict)

    @property
    def short_id(self) -> str:
        """Name and start of the checksum: which model made a result."""
        return f"{self.name} {self.sha256[:12]}"


def weights_folder() -> Path:
    """Give the folder of the models that come with the package."""
    return Path(str(importlib.resources.files("nuclick_qp.model"))) / "weights"


def list_cards(folder: Path | None = None) -> list[Card]:
    """Read all cards of a folder (default: the package's own), by name."""
    return [read_card(path) for path in sorted((folder or weights_folder()).glob("*.json"))]


def find_card(name: str, folder: Path | None = None) -> tuple[Card, Path]:
    """Give the card of a model and the path of its weights.

    Parameters
    ----------
    name
        Name of a model in the folder, or the path of a card (``runs/mine/NAME.json``) that has its
        weights beside it.

    Raises
    ------
    ModelNotFoundError
        If no model has this name; the message lists those that there are.
    """
    folder = folder or weights_folder()
    path = Path(name) if name.endswith(".json") else folder / f"{Path(name).name}.json"
    if not path.is_file():
        known = ", ".join(p.stem for p in sorted(folder.glob("*.json"))) or "none"
        raise ModelNotFoundError(f"there is no model {name!r} in {folder}; choose one of: {known}, or give the path of a card (NAME.json)")
    return read_card(path), path.with_suffix(".safetensors")


def read_card(path: Path) -> Card:
    """Read one card.

    Raises
    ------
    WeightsError
        If the file is not a card.
    """
    try:
        return Card.model_validate_json(path.read_bytes())
    except (OSError, ValidationError) as err:
        reason = str(err).splitlines()[0]
        raise WeightsError(f"{path} is not a model card ({reason}); install nuclick-qp anew or correct the file") from err


def default_model(prompt: Literal["point", "line"]) -> str | None:
    """Give the name of the model that a kind of prompt gets when the user names none."""
    names = [card.name for card in list_cards() if card.prompt == prompt]
    preferred = {"point": "nuclei", "line": "glands"}[prompt]
    return preferred if preferred in names else None
