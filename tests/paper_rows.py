"""Rows of the paper's tables as tests make them: of drawn figures, for no method at all."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from nuclick_qp.evaluation.metrics import Scores
from nuclick_qp.evaluation.tables.rows import Row, RowKey, RowSettings

NUCLICK = RowKey(2, "NuClick", "MoNuSeg")


def scores_of(value: float) -> Scores:
    """Give scores whose shares are all the same, and whose distances are ten times what is missing to 1."""
    shares = dict.fromkeys(("aji", "dice", "sq", "dq", "pq", "f1", "dice_obj"), value)
    return Scores(**shares, hausdorff=10 * (1 - value), hausdorff_obj=10 * (1 - value))


def settings_of(key: RowKey = NUCLICK, images: Sequence[str] = ("a", "b", "c"), **more: Any) -> RowSettings:
    """Give settings for a key; all else is the same for all unless it is named."""
    given = {"training": "drawn", "seed": 0, "budget": "quick", "samples": 6400, "batch": 64, "width": 0.25, "mpp": 0.25}
    which = {"table": key.table, "name": key.name, "data": key.data, "variant": key.variant, "images": tuple(images)}
    return RowSettings.model_validate(given | which | more)


def row_of(
    key: RowKey = NUCLICK, values: Sequence[float] = (0.8, 0.7, 0.9), *, curve: str | None = None, hour: int = 0, **more: Any
) -> Row:
    """Give a row whose images, called a, b, c and so on, have these figures."""
    images = [chr(ord("a") + number) for number in range(len(values))]
    scores = {image: scores_of(value) for image, value in zip(images, values, strict=True)}
    commit = "0123456789abcdef0123456789abcdef01234567"
    settings = settings_of(key, images, **more)
    took: dict[str, Any] = {"device": "cpu", "train_seconds": 60, "segment_seconds": 1.5, "commit": commit, "curve": curve}
    return Row(settings=settings, scores=scores, made_at=datetime(2026, 11, 27, hour, tzinfo=UTC), **took)
