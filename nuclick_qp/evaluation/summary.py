"""Scores of many images as one object and as a table to read."""

from collections.abc import Sequence

from pydantic import BaseModel, ConfigDict

from nuclick_qp.evaluation.metrics import Scores, mean_scores
from nuclick_qp.evaluation.prompting import ImageScores
from nuclick_qp.plain_text import printable

SHOWN = {
    "aji": "AJI",
    "dice": "Dice",
    "sq": "SQ",
    "dq": "DQ",
    "pq": "PQ",
    "hausdorff": "Haus.",
    "f1": "F1",
    "dice_obj": "Dice/o",
    "hausdorff_obj": "Haus/o",
}


class MeanScores(Scores):
    """Means over images, every image with the same weight; objects are added up."""

    n_images: int
    n_objects: int
    n_missed: int
    n_uncertain: int


class Summary(BaseModel):
    """The JSON object of ``evaluate --json``."""

    model_config = ConfigDict(frozen=True)

    model: str
    images: tuple[ImageScores, ...]
    overall: MeanScores

    def lines(self) -> list[str]:
        """Give a table to read: one line per image and one for all."""
        rows: list[tuple[str, ImageScores | MeanScores]] = [(printable(scores.image, longest=200), scores) for scores in self.images]
        name_width = max(len("mean of all"), *(len(name) for name, _ in rows))
        head = f"{'image':<{name_width}}  objects  missed  uncertain  " + "  ".join(f"{title:>6}" for title in SHOWN.values())
        lines = [_line(name, scores, name_width) for name, scores in (*rows, ("mean of all", self.overall))]
        return [self.model, head, *lines]


def summarise(model: str, images: Sequence[ImageScores]) -> Summary:
    """Put the scores of images together, to four decimals.

    Parameters
    ----------
    model
        Which model was measured, for the record.
    """
    return Summary(
        model=model,
        images=tuple(image.model_copy(update=_rounded(image)) for image in images),
        overall=MeanScores(
            **_rounded(mean_scores(images)),
            n_images=len(images),
            n_objects=sum(image.n_objects for image in images),
            n_missed=sum(image.n_missed for image in images),
            n_uncertain=sum(image.n_uncertain for image in images),
        ),
    )


def _rounded(scores: Scores) -> dict[str, float]:
    return {name: round(getattr(scores, name), 4) for name in SHOWN}


def _line(name: str, scores: ImageScores | MeanScores, name_width: int) -> str:
    values = "  ".join(f"{getattr(scores, key):6.3f}" for key in SHOWN)
    return f"{name:<{name_width}}  {scores.n_objects:7d}  {scores.n_missed:6d}  {scores.n_uncertain:9d}  {values}"
