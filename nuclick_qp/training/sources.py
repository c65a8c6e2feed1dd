"""The sources of a configuration to labelled images, checked before the first step."""

from pathlib import Path

import numpy as np

from nuclick_qp.errors import TrainingDataError
from nuclick_qp.training.config import TrainingConfig
from nuclick_qp.training.from_outlines import load_outlines
from nuclick_qp.training.from_project import load_project
from nuclick_qp.training.images import LabelledImage, load_folder
from nuclick_qp.training.touching import touching_cells

TOUCHING_STREAM = 7  # keeps the random numbers of the canvases apart from those of the batches


def load_images(config: TrainingConfig, root: Path) -> tuple[list[LabelledImage], list[LabelledImage]]:
    """Read all images of a run, and make those that it synthesises.

    Parameters
    ----------
    root
        Folder that the sources are relative to.

    Returns
    -------
    training, validation

    Raises
    ------
    LabelsError, ProjectError
        If labels cannot be read, or a rectangle of a project is none; the message names the file.
    TrainingDataError
        If an image cannot be learned from, or nothing is left to train on or to validate on; the
        message names the file.
    """
    training: list[LabelledImage] = []
    validation: list[LabelledImage] = []
    for number, source in enumerate(config.sources):
        if source.hold_out is not None:
            train_part, validation_part = load_outlines(source, root=root, config=config)
        else:
            load = load_folder if source.project is None else load_project
            train_part, validation_part = load(source, root=root, mpp=config.mpp)
        training += train_part
        validation += validation_part
        if config.touching is not None and train_part:
            share = source.weight / sum(s.weight for s in config.sources)
            rng = np.random.default_rng([config.seed, TOUCHING_STREAM, number])
            training += touching_cells(train_part, config.touching, share=share, rng=rng)
    if not training or not validation:
        raise TrainingDataError(
            f"{len(training)} images to train on and {len(validation)} to validate on; correct `validation`, "
            "or draw rectangles of class Training and Validation in the project"
        )
    return training, validation
