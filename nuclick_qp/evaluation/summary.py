"""Scores of many images as one object and as a table to read."""

from collections.abc import Sequence
from dataclasses import asdict

from pydantic import BaseModel, ConfigDict

from nuclick_qp.evaluation.metrics import mean_scores
from nuclick_qp.evaluation.prompting import ImageScores

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


class Figures(BaseModel):
    """Scores of one image, or their means over all; lengths in pixels of the images."""

    model_config = ConfigDict(frozen=True)

    n_objects: int
    n_missed: int
    aji: float
    dice: float
    sq: float
    dq: float
    pq: float
    hausdorff: float
    f1: float
    dice_obj: float
    hausdorff_obj: float


class ImageFigures(Figures):
    """Scores of one image."""

    image: str


class OverallFigures(Figures):
    """Means over images, every image with the same weight; objects are added up."""

    n_images: int


class Summary(BaseModel):
    """The JSON object of ``evaluate --json``."""

    model_config = ConfigDict(frozen=True)

    model: str
    images: tuple[ImageFigures, ...]
    overall: OverallFigures

    def table(self) -> str:
        """Give one line per image and one for all."""
        rows = [(figures.image, figures) for figures in self.images]
        name_width = max(len("mean of all"), *(len(name) for name, _ in rows))
        head = f"{'image':<{name_width}}  objects  missed  " + "  ".join(f"{title:>6}" for title in SHOWN.values())
        lines = [_line(name, figures, name_width) for name, figures in (*rows, ("mean of all", self.overall))]
        return "\n".join([self.model, head, *lines])


def summarise(model: str, images: Sequence[ImageScores]) -> Summary:
    """Put the scores of images together.

    Parameters
    ----------
    model
        Which model was measured, for the record.
    """
    mean = mean_scores([image.scores for image in images])
    return Summary(
        model=model,
        images=tuple(ImageFigures(image=i.image, n_objects=i.objects, n_missed=i.missed, **_renamed(asdict(i.scores))) for i in images),
        overall=OverallFigures(
            n_images=len(images),
            n_objects=sum(i.objects for i in images),
            n_missed=sum(i.missed for i in images),
            **_renamed(asdict(mean)),
        ),
    )


def _renamed(scores: dict[str, float]) -> dict[str, float]:
    """Give the figures the names that the field's tables use."""
    names = {"object_f1": "f1", "object_dice": "dice_obj", "object_hausdorff": "hausdorff_obj"}
    return {names.get(name, name): round(value, 4) for name, value in scores.items()}


def _line(name: str, figures: Figures, name_width: int) -> str:
    values = "  ".join(f"{getattr(figures, key):6.3f}" for key in SHOWN)
    return f"{name:<{name_width}}  {figures.n_objects:7d}  {figures.n_missed:6d}  {values}"
