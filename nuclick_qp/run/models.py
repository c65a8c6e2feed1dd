"""The models of a run, by name: one for each kind of prompt."""

from collections.abc import Collection

from nuclick_qp.errors import OptionError
from nuclick_qp.kinds import PromptKind
from nuclick_qp.model.cards import default_model
from nuclick_qp.model.predictor import Predictor, Predictors


def load_predictors(
    *, points: str | None = None, lines: str | None = None, device: str = "auto", left_out: Collection[PromptKind] = ()
) -> Predictors:
    """Load the models for points and for lines.

    Parameters
    ----------
    points, lines
        Names of models, or paths of cards; None is the shipped one.
    device
        ``auto``, ``cpu``, ``cuda``, ``cuda:1`` or ``mps``.
    left_out
        Kinds for which none is loaded.

    Returns
    -------
    mapping of kind of prompt to Predictor
        A kind for which no model was named and none is shipped is not in it.

    Raises
    ------
    OptionError
        If a model is named for a kind of prompt that it is not for.
    ModelNotFoundError, WeightsError, DeviceError
        As `Predictor.load` does.
    """
    named: dict[PromptKind, str | None] = {"point": points, "line": lines}
    models = {kind: name or default_model(kind) for kind, name in named.items() if kind not in left_out}
    return {kind: load_predictor(kind, name, device=device) for kind, name in models.items() if name is not None}


def load_predictor(kind: PromptKind, name: str, *, device: str = "auto") -> Predictor:
    """Load one model, and refuse it when it is for the other kind of prompt."""
    predictor = Predictor.load(name, device=device)
    check_kind(predictor, kind)
    return predictor


def check_kind(predictor: Predictor, kind: PromptKind) -> None:
    """Refuse a model for prompts of a kind that it was not trained on.

    Raises
    ------
    OptionError
        If it is for the other one.
    """
    card = predictor.card
    if card.prompt != kind:
        raise OptionError(f"model {card.name!r} is for {card.prompt}s, not for {kind}s; see `nuclick-qp models list`")
