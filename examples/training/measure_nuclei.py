"""Measure a shipped model for nuclei on test images and write the figures into its card.

    python examples/training/measure_nuclei.py DATA [--model nuclei] [--dry-run]

DATA holds nuclei/test with tnbc_* and monuseg_* (40x, 0.25 um/px). Nothing here was trained on, and
nothing is chosen by these figures.
"""

import argparse
import os
from pathlib import Path

from nuclick_qp.evaluation.protocol import Protocol, evaluate_folders
from nuclick_qp.evaluation.tables import OverallFigures, summarise
from nuclick_qp.files import write_atomically
from nuclick_qp.model.cards import find_card
from nuclick_qp.segment.predictor import Precision, Predictor

DATA_SETS = {"tnbc_test": "tnbc_*", "monuseg_test": "monuseg_*"}
MPP = 0.25  # both are 40x scans
PRECISION: Precision = "float32"  # the same figures on every machine


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description="Measure a shipped model for nuclei and write the figures into its card.")
    shared = os.environ.get("NUCLICK_SHARED")
    default = Path(shared) / "data" if shared else None
    parser.add_argument("data", type=Path, nargs="?", default=default, help="default: the folder data of NUCLICK_SHARED")
    parser.add_argument("--model", default="nuclei", help="name of the model")
    parser.add_argument("--dry-run", action="store_true", help="only print")
    arguments = parser.parse_args()
    if arguments.data is None:
        parser.error("name the folder that holds nuclei/test, or set NUCLICK_SHARED")
    predictor = Predictor.load(arguments.model, precision=PRECISION)
    metrics = {name: measure(predictor, arguments.data / "nuclei" / "test", pattern) for name, pattern in DATA_SETS.items()}
    if not arguments.dry_run:
        card, weights = find_card(arguments.model)
        figures = {name: {"clicks": "centroids", "precision": PRECISION, **figure.model_dump()} for name, figure in metrics.items()}
        text = card.model_copy(update={"metrics": figures}).model_dump_json(indent=2)
        write_atomically(weights.with_suffix(".json"), (text + "\n").encode())


def measure(predictor: Predictor, folder: Path, pattern: str) -> OverallFigures:
    """Print the table of one data set, and give its means."""
    scores = evaluate_folders([folder], predictor=predictor, pattern=pattern, protocol=Protocol(mpp=MPP))
    summary = summarise(predictor.card.short_id, scores)
    print(summary.table())
    return summary.overall


if __name__ == "__main__":
    main()
