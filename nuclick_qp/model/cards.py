"""A model's facts: what it is for, at which resolution, where it comes from, how good it is."""

import importlib.resources
import logging
import os
from collections.abc import Sequence
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import numpy as np
import platformdirs
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from nuclick_qp.errors import ModelNotFoundError, OptionError, WeightsError
from nuclick_qp.model.network_settings import NetworkSettings
from nuclick_qp.plain_text import listed
from nuclick_qp.storage.atomic import write_atomically
from nuclick_qp.storage.plain_files import LARGEST_SMALL_FILE, is_file, is_folder, read_file

logger = logging.getLogger(__name__)

WEIGHTS_SUFFIX = ".safetensors"
FOLDER_VARIABLE = "NUCLICK_MODELS"  # environment variable: where the user's own models are


Share = Annotated[float, Field(ge=0, le=1)]


class Card(BaseModel):
    """Everything about a model but its tensors; stored as NAME.json beside NAME.safetensors.

    Attributes
    ----------
    prompt
        Kind of prompt that the model is for.
    mpp, patch_px
        Micrometres per pixel of its patches, and their side in pixels.
    click_radius_px
        Radius of the disc that a click is drawn as, in patch pixels; 0 is one pixel.
    threshold
        Probability from which on a pixel belongs to the object.
    min_object_px, max_hole_px
        Smaller parts are dropped beside a larger one and holes up to that size are filled, in patch pixels.
    object_px
        Median diameter of the objects that it was trained on, in patch pixels, where these are so alike that
        the object under a click tells the scale of an image without a pixel size; None where they are not.
    calibration
        Pairs of the overlap that the network's probabilities let expect and of the one that validation images
        have shown, both rising: see `expected_iou`. Empty where it was not measured.
    sha256
        Of the safetensors file.
    previous
        Name under which the model that this one has replaced is kept; it may have one before it, too.
    training, metrics
        Steps, seed, data and commit of the training; figures on test data, by data set.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    card_version: Literal[1] = 1
    name: str
    description: str
    prompt: Literal["point", "line"]
    mpp: float = Field(ge=0.01, le=100)
    patch_px: int = Field(gt=0, le=2048, multiple_of=32)
    click_radius_px: float = Field(default=0.0, ge=0, le=2048)
    threshold: float = Field(default=0.5, gt=0, lt=1)
    min_object_px: int = Field(default=50, ge=0)
    max_hole_px: int = Field(default=0, ge=0)
    object_px: float | None = Field(default=None, gt=0, le=2048)
    calibration: tuple[tuple[Share, Share], ...] = ()
    network: NetworkSettings
    licence: str
    sha256: str
    parameters: int
    previous: str | None = None
    training: dict[str, Any]
    metrics: dict[str, Any] = Field(default_factory=dict)

    @field_validator("network", mode="before")
    @classmethod
    def _states_every_setting(cls, network: object) -> object:
        """Take no default from a file: the tensors of two settings may have the same shapes."""
        missing = sorted(NetworkSettings.model_fields.keys() - network.keys()) if isinstance(network, dict) else []
        if missing:
            raise ValueError(f"it lacks {', '.join(missing)}")
        return network

    @model_validator(mode="after")
    def _tells_no_scale_of_squiggles(self) -> Self:
        if self.prompt == "line" and self.object_px is not None:
            raise ValueError("object_px is for points")
        return self

    @model_validator(mode="after")
    def _calibration_rises(self) -> Self:
        """Refuse a curve on which a more probable outline would be expected to fit worse."""
        pairs = self.calibration
        if any(one[0] >= other[0] or one[1] > other[1] for one, other in pairwise(pairs)) or len(pairs) == 1:
            raise ValueError("calibration must have two pairs or more, or none, and rise")
        return self

    def expected_iou(self, told: float) -> float:
        """Give the intersection over union that an outline is to be expected to have, where the network says so much.

        Between the pairs of the calibration it is interpolated, above the last it stays level, and below the first it falls
        in a straight line to 0: the few outlines of which the network says so little fit badly. Without a calibration
        it is what the network says.
        """
        if not self.calibration:
            return told
        said, measured = zip(*self.calibration, strict=True)
        return float(np.interp(told, (0.0, *said), (0.0, *measured)))

    @property
    def short_id(self) -> str:
        """Name and start of the checksum: which model made a result."""
        return f"{self.name} {self.sha256[:12]}"


def weights_folder() -> Path:
    """Give the folder of the models that come with the package."""
    return Path(str(importlib.resources.files("nuclick_qp.model"))) / "weights"


def user_models_folder() -> Path:
    """Give the folder of the user's own models, which need not exist.

    It is what the environment variable ``NUCLICK_MODELS`` says, else ``models`` in the place that the
    system has for the data of a program.

    Raises
    ------
    OptionError
        If it would be in the home folder of a user who has none.
    """
    named = os.environ.get(FOLDER_VARIABLE)
    try:
        return Path(named).expanduser() if named else platformdirs.user_data_path("nuclick-qp", appauthor=False) / "models"
    except RuntimeError as err:  # containers and services run as users that have none
        raise OptionError(f"this user has no home folder; name a folder for models with {FOLDER_VARIABLE}") from err


def list_card_paths(folder: Path | None = None) -> list[Path]:
    """Give the paths of all cards of a folder, by name (default: those of the package, then the user's)."""
    return [path for place in _folders(folder) for path in sorted(place.glob("*.json"))]


def list_cards(folder: Path | None = None) -> list[Card]:
    """Read all cards of a folder, by name (default: those of the package, then the user's); what is none is told and skipped."""
    cards = []
    for path in list_card_paths(folder):
        try:
            cards.append(read_card(path))
        except WeightsError as err:
            logger.warning("%s", err)
    return cards


def leave_out_replaced(cards: Sequence[Card]) -> list[Card]:
    """Give the models that no other of them has replaced: what a user chooses from. A replaced one is still found by its name."""
    replaced = {card.previous for card in cards}
    return [card for card in cards if card.name not in replaced]


def find_card(name: str, folder: Path | None = None) -> tuple[Card, Path]:
    """Give the card of a model and the path of its weights.

    Parameters
    ----------
    name
        Name of a model in the folder; or the path of its card (``runs/mine/NAME.json``), of the weights
        beside it (``NAME.safetensors``), or of a folder that holds one model.
    folder
        Where to look; by default in the package, and then in the user's folder.

    Raises
    ------
    ModelNotFoundError
        If no model has this name; the message lists those that there are.
    """
    folders = _folders(folder)
    named = [place / f"{name}.json" for place in folders] if Path(name).name == name else []
    path = next((place for place in named if is_file(place)), None) or card_at(Path(name))
    if path is None:
        known = listed([card.stem for card in list_card_paths(folder)]) if list_card_paths(folder) else "none"
        where = " or ".join(map(str, folders))
        remedy = "or give the path of a model: its card (NAME.json), its weights (NAME.safetensors) or its folder"
        raise ModelNotFoundError(f"there is no model {name!r} in {where}; choose one of: {known}, {remedy}")
    return read_card(path), path.with_suffix(WEIGHTS_SUFFIX)


def card_at(path: Path) -> Path | None:
    """Give the card of the model that a path means: a card, the weights beside one, or the folder of one; None where there is none.

    Raises
    ------
    ModelNotFoundError
        If the folder holds several models; the message lists them.
    """
    if is_folder(path):
        cards = [card for card in sorted(path.glob("*.json")) if is_file(card.with_suffix(WEIGHTS_SUFFIX))]
        if len(cards) > 1:
            raise ModelNotFoundError(f"{path} holds {len(cards)} models; name the card of one of them: {listed([c.name for c in cards])}")
        return cards[0] if cards else None
    card = path.with_suffix(".json") if path.suffix == WEIGHTS_SUFFIX else path
    return card if card.suffix == ".json" and is_file(card) else None


def write_card(path: Path, card: Card) -> None:
    """Write a card; at any moment the old one stands there whole, or the new one."""
    write_atomically(path, (card.model_dump_json(indent=2) + "\n").encode())


def read_card(path: Path) -> Card:
    """Read one card.

    Raises
    ------
    WeightsError
        If the file is not a card.
    """
    try:
        return Card.model_validate_json(read_file(path, most=LARGEST_SMALL_FILE))
    except (OSError, ValidationError) as err:
        reason = str(err).splitlines()[0]
        raise WeightsError(f"{path} is not a model card ({reason}); install nuclick-qp anew, or correct a file of your own") from err


def default_model(prompt: Literal["point", "line"]) -> str | None:
    """Give the name of the model that a kind of prompt gets when the user names none; the package has it."""
    names = [card.name for card in list_cards(weights_folder()) if card.prompt == prompt]
    preferred = {"point": "nuclei", "line": "glands"}[prompt]
    return preferred if preferred in names else None


def _folders(folder: Path | None) -> tuple[Path, ...]:
    """Give the folders to look in, first the one whose models go before the others."""
    if folder is not None:
        return (folder,)
    with suppress(OptionError):  # without a home there are no models of one's own
        return weights_folder(), user_models_folder()
    return (weights_folder(),)
