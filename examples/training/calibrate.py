"""Measure how well the outlines of a model fit by what it says of them, and write the curve into its card.

    python examples/training/calibrate.py NAME DATA [--config PART] [--picture FILE] [--dry-run]

NAME is a model of the package. Its validation images are those of the configuration in its card; --config names another one
of this folder, whose validation images it has not seen either. The table and the picture show what is told and what is
measured, before and after: to be fair, each half of the images is judged by the curve that was fitted on the other.
"""

import argparse
import os
from itertools import pairwise
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from nuclick_qp.model.cards import Card, weights_folder, write_card
from nuclick_qp.model.predictor import Predictor
from nuclick_qp.training.calibration import Fits, fit_curve, measure_fits
from nuclick_qp.training.config import TrainingConfig, read_config
from nuclick_qp.training.sources import load_images

CONFIGS = Path(__file__).parent
CLICKS = 2000
SEED = 7
EDGES = (0.0, 0.3, 0.4, 0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95, 1.0001)


def main() -> None:
    """Measure, fit, show, write."""
    parser = argparse.ArgumentParser(description="Fit what a model says of its outlines to what they are worth.")
    shared = os.environ.get("NUCLICK_SHARED")
    default = Path(shared) / "data" if shared else None
    parser.add_argument("name", help="model of the package")
    parser.add_argument("data", type=Path, nargs="?", default=default, help="default: the folder data of NUCLICK_SHARED")
    parser.add_argument("--config", help="configuration with the validation images (default: the one in the card)")
    parser.add_argument("--picture", type=Path, help="file for the reliability plot")
    parser.add_argument("--dry-run", action="store_true", help="do not write the curve into the card")
    arguments = parser.parse_args()
    if arguments.data is None:
        parser.error("name the folder that holds the data, or set NUCLICK_SHARED")
    predictor = Predictor.load(arguments.name, precision="float32")
    card = predictor.card
    predictor.card = card.model_copy(update={"calibration": ()})
    own = TrainingConfig.model_validate(card.training["config"])
    _, images = load_images(read_config(CONFIGS / f"{arguments.config}.toml") if arguments.config else own, arguments.data)
    fits = measure_fits(images, predictor, seed=SEED, most=CLICKS)
    after = held_out(fits, card)
    print(f"{card.short_id}: {len(fits.told)} outlines in {len(images)} images, {fits.missed} prompts without one")
    print("\n".join([*table("before", fits.told, fits.measured), *table("after", after, fits.measured)]))
    if arguments.picture:
        draw(arguments.picture, {"before": fits.told, "after": after}, fits.measured, title=card.name)
    if not arguments.dry_run:
        new = card.model_copy(update={"calibration": fit_curve(fits.told, fits.measured)})
        write_card(weights_folder() / f"{card.name}.json", new)


def held_out(fits: Fits, card: Card) -> NDArray[np.float64]:
    """Give the calibrated value of each outline, by the curve of the images of the other half."""
    half = fits.image % 2 == 0
    after = np.empty_like(fits.told)
    for mine in (half, ~half):
        curve = fit_curve(fits.told[~mine], fits.measured[~mine])
        other = card.model_copy(update={"calibration": curve})
        after[mine] = [other.expected_iou(told) for told in fits.told[mine].tolist()]
    return after


def table(name: str, told: NDArray[np.float64], measured: NDArray[np.float64]) -> list[str]:
    """Give what is told and what is measured by classes of the former, and the mean distance of the two."""
    lines = [f"{name}: told, n, mean told, mean IoU"]
    for low, high, n, said, found in bins(told, measured):
        lines.append(f"  {low:.2f} to {min(high, 1):.2f}  {n:5d}  {said:.3f}  {found:.3f}")
    error = sum(n * abs(said - found) for _, _, n, said, found in bins(told, measured)) / len(told)
    return [*lines, f"  expected calibration error {error:.3f}, correlation {np.corrcoef(told, measured)[0, 1]:.2f}"]


def bins(told: NDArray[np.float64], measured: NDArray[np.float64]) -> list[tuple[float, float, int, float, float]]:
    """List the classes that hold an outline: from, to, how many, mean told, mean measured."""
    rows = []
    for low, high in pairwise(EDGES):
        inside = (told >= low) & (told < high)
        if inside.any():
            rows.append((low, high, int(inside.sum()), float(told[inside].mean()), float(measured[inside].mean())))
    return rows


def draw(path: Path, values: dict[str, NDArray[np.float64]], measured: NDArray[np.float64], *, title: str) -> None:
    """Draw the reliability plot: measured over told, with how many outlines there are below."""
    figure = Figure(figsize=(8, 4.6), layout="constrained")
    axes = figure.subplots(2, len(values), sharex=True, sharey="row", height_ratios=(3, 1))
    for (name, told), top, below in zip(values.items(), axes[0], axes[1], strict=True):
        rows = bins(told, measured)
        top.plot([0, 1], [0, 1], color="0.7", linewidth=1)
        top.plot([row[3] for row in rows], [row[4] for row in rows], "o-", color="C0", markersize=4)
        for _, _, n, said, found in rows:
            top.annotate(str(n), (said, found), textcoords="offset points", xytext=(5, -9), fontsize=7, color="0.35")
        top.set(title=f"{title}, {name} calibration", xlim=(0, 1), ylim=(0, 1), box_aspect=1)
        below.hist(told, bins=40, range=(0, 1), color="C0")
        below.set(xlabel="NuClick: probability", box_aspect=1 / 3)  # as wide as what stands above it
    axes[0][0].set(ylabel="mean IoU with the label")
    axes[1][0].set(ylabel="outlines")
    figure.savefig(path, dpi=110)


if __name__ == "__main__":
    main()
