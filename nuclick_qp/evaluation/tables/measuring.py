"""A method measured on images: what a row says."""

import time
from collections.abc import Sequence
from datetime import UTC, datetime

from nuclick_qp.evaluation.baselines.fair import Chosen
from nuclick_qp.evaluation.baselines.method import Method, Pair
from nuclick_qp.evaluation.metrics import score
from nuclick_qp.evaluation.tables.rows import Row, RowSettings
from nuclick_qp.training.finish import git_commit


def measure(
    method: Method,
    settings: RowSettings,
    pairs: Sequence[Pair],
    *,
    device: str = "cpu",
    train_seconds: float = 0.0,
    curve: str | None = None,
) -> Row:
    """Segment the images of a row, and score them by the code of `evaluate`.

    Parameters
    ----------
    method
        Fitted.
    pairs
        Image and truth for each name in `RowSettings.images`, in their order.
    device, train_seconds, curve
        As of `Row`.

    Raises
    ------
    ValueError
        If there are not as many pairs as names.
    """
    since = time.monotonic()
    found = [method.segment(*pair) for pair in pairs]
    seconds = time.monotonic() - since
    scores = {name: score(truth, labels) for name, (_, truth), labels in zip(settings.images, pairs, found, strict=True)}
    return Row(
        settings=settings,
        scores=scores,
        device=device,
        train_seconds=train_seconds,
        segment_seconds=seconds,
        commit=git_commit(),
        made_at=datetime.now(UTC),
        curve=curve,
        chosen=str(method.best) if isinstance(method, Chosen) else "",
    )
