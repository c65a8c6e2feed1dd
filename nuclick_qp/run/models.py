"""The models of a run, by name: one for each kind of prompt."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from nuclick_qp.errors import OptionError
from nuclick_qp.kinds import PromptKind
from nuclick_qp.model.cards import Card, default_model, find_card

if TYPE_CHECKING:  # importing it loads torch, which takes longer than a run with nothing to do
    from nuclick_qp.model.predictor import Predictor, Predictors


@dataclass
class Models:
    """The models of a run: their cards at once, their networks when the first prompt needs one.

    Attributes
    ----------
    cards
        By kind of prompt; a kind for which no model was named and none is shipped is not in it.
    make_predictors
        Loads the networks.
    loaded
        What it gave; None until then.
    device, precision
        Where and how they work, ``none`` until they are loaded; workers elsewhere tell theirs.
    """

    cards: Mapping[PromptKind, Card]
    make_predictors: "Callable[[], Predictors]"
    loaded: "Predictors | None" = None
    device: str = "none"
    precision: str = "none"

    @classmethod
    def of(cls, predictors: "Predictors") -> "Models":
        """Give models that are loaded already."""
        models = cls({kind: predictor.card for kind, predictor in predictors.items()}, lambda: predictors)
        models.load()
        return models

    def load(self) -> "Predictors":
        """Give the networks, loaded at the first call.

        Raises
        ------
        ModelNotFoundError, WeightsError, DeviceError
            As `Predictor.load` does.
        """
        if self.loaded is None:
            self.loaded = self.make_predictors()
            for predictor in self.loaded.values():
                self.device, self.precision = str(predictor.device), predictor.precision
        return self.loaded


@dataclass(frozen=True, slots=True)
class ModelNames:
    """Which models a run is to use, as plain data: `name_models` says what each means."""

    points: str | None = None
    lines: str | None = None
    device: str = "auto"
    left_out: frozenset[PromptKind] = frozenset()

    def find(self) -> Models:
        """Find them.

        Raises
        ------
        OptionError, ModelNotFoundError, WeightsError
            As `name_models` does.
        """
        return name_models(points=self.points, lines=self.lines, device=self.device, left_out=self.left_out)


def models_of(given: "Models | Predictors | None", *, left_out: Collection[PromptKind]) -> Models:
    """Give the models that a caller hands over; those that are shipped, where none are."""
    if given is None:
        return name_models(left_out=left_out)
    return given if isinstance(given, Models) else Models.of(given)


def name_models(
    *, points: str | None = None, lines: str | None = None, device: str = "auto", left_out: Collection[PromptKind] = ()
) -> Models:
    """Find the models for points and for lines.

    Parameters
    ----------
    points, lines
        Names of models, or paths of their cards, weights or folders; None is the shipped one.
    device
        ``auto``, ``cpu``, ``cuda``, ``cuda:1`` or ``mps``.
    left_out
        Kinds for which none is wanted.

    Raises
    ------
    OptionError
        If a model is named for a kind of prompt that it is not for.
    ModelNotFoundError, WeightsError
        If there is no such model, or its card cannot be read.
    """
    wanted: dict[PromptKind, str | None] = {"point": points, "line": lines}
    names = {kind: name for kind in wanted if kind not in left_out and (name := wanted[kind] or default_model(kind)) is not None}
    cards = {kind: _card_for(kind, name) for kind, name in names.items()}
    return Models(cards, lambda: {kind: load_predictor(kind, name, device=device) for kind, name in names.items()})


def load_predictor(kind: PromptKind, name: str, *, device: str = "auto") -> "Predictor":
    """Load one model, and refuse it when it is for the other kind of prompt."""
    from nuclick_qp.model.predictor import Predictor  # noqa: PLC0415  # loads torch

    predictor = Predictor.load(name, device=device)
    check_kind(predictor.card, kind)
    return predictor


def check_kind(card: Card, kind: PromptKind) -> None:
    """Refuse a model for prompts of a kind that it was not trained on.

    Raises
    ------
    OptionError
        If it is for the other one.
    """
    if card.prompt != kind:
        raise OptionError(f"model {card.name!r} is for {card.prompt}s, not for {kind}s; see `nuclick-qp models list`")


def _card_for(kind: PromptKind, name: str) -> Card:
    card, _ = find_card(name)
    check_kind(card, kind)
    return card
