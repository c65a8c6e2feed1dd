"""The figure at the end of a tuning: held-out objects as the two models outline them."""

import importlib.util
import io
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from nuclick_qp.storage.atomic import write_atomically
from nuclick_qp.training.images import LabelledImage
from nuclick_qp.tuning.held_out import Measured

if TYPE_CHECKING:
    from matplotlib.axes import Axes

logger = logging.getLogger(__name__)

ROWS, COLUMNS = 2, 4
MARGIN = 0.6  # of the object's size, on each side
TRUTH, BEFORE, AFTER = "white", "#ff9d00", "#00d5ff"


def draw_picture(images: Sequence[LabelledImage], before: Measured, after: Measured, path: Path) -> Path | None:
    """Draw the IoU of all held-out objects, and some of them with their outlines, from the most to the least improved.

    Gives the path of the figure; None, with a warning, without matplotlib.
    """
    if importlib.util.find_spec("matplotlib") is None:
        logger.warning("%s is not drawn: matplotlib is missing; pip install 'nuclick-qp[train]' brings it", path)
        return None
    from matplotlib.figure import Figure  # noqa: PLC0415  # costs half a second that only training should pay

    figure = Figure(figsize=(13, 5.4), layout="constrained")
    halves = figure.subfigures(1, 2, width_ratios=(1, 1.6), squeeze=False)
    left, right = halves[0, 0], halves[0, 1]
    _draw_ious(left.subplots(), before, after)
    objects = [(number, index) for number, image in enumerate(images) for index in range(len(image.centroids))]
    gains = np.subtract(after.ious, before.ious)
    order = np.argsort(-gains, kind="stable")
    shown = order[np.linspace(0, len(order) - 1, min(len(order), ROWS * COLUMNS)).round().astype(int)]
    for axes, which in zip(right.subplots(ROWS, COLUMNS).flat, shown.tolist(), strict=False):
        number, index = objects[which]
        masks = [measured.found[number] == index + 1 for measured in (before, after)]
        _draw_object(axes, images[number], index, masks)
        axes.set_title(f"{before.ious[which]:.2f} to {after.ious[which]:.2f}", fontsize=10)
    for axes in right.axes:
        axes.set_axis_off()
    right.suptitle("Drawn by you: white. Before: orange. After: blue. From the most to the least improved", fontsize=10)
    png = io.BytesIO()
    figure.savefig(png, format="png", dpi=110)
    write_atomically(path, png.getvalue())
    return path


def _draw_ious(axes: "Axes", before: Measured, after: Measured) -> None:
    axes.plot([0, 1], [0, 1], color="0.7", linewidth=1)
    axes.scatter(before.ious, after.ious, s=18, alpha=0.7, color="tab:blue", clip_on=False)
    axes.set(xlim=(0, 1), ylim=(0, 1), xlabel=f"IoU before, {before.model}", ylabel=f"IoU after, {after.model}", aspect="equal")
    better = int(np.count_nonzero(np.subtract(after.ious, before.ious) > 0))
    axes.set_title(
        f"{len(before.ious)} held-out objects, {better} of them better\n"
        f"AJI {before.aji:.3f} to {after.aji:.3f}, mean IoU {before.iou:.3f} to {after.iou:.3f}\n"
        f"without an outline: {before.missed} to {after.missed}",
        fontsize=10,
    )
    axes.grid(alpha=0.3)


def _draw_object(axes: "Axes", image: LabelledImage, index: int, masks: Sequence[NDArray[np.bool_]]) -> None:
    """Show one object, with the outlines drawn by the user, and by the models before and after."""
    rows, cols = image.boxes[index]
    side = round((1 + 2 * MARGIN) * max(rows.stop - rows.start, cols.stop - cols.start))
    top, left = (max(0, (span.start + span.stop - side) // 2) for span in (rows, cols))
    box = slice(top, top + side), slice(left, left + side)
    axes.imshow(image.pixels[box])
    axes.set(xlim=(-0.5, side - 0.5), ylim=(side - 0.5, -0.5))  # a square at the edge of the image, too
    for mask, colour in zip((image.labels == image.centroids[index, 0], *masks), (TRUTH, BEFORE, AFTER), strict=True):
        if mask[box].any():
            axes.contour(mask[box].astype(float), levels=[0.5], colors=colour, linewidths=1.6)
