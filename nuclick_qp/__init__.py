"""NuClick for QuPath: outlines of nuclei, cells and glands from one click or squiggle each.

>>> import nuclick_qp, numpy
>>> image = numpy.full((200, 200, 3), 240, numpy.uint8)
>>> outlines = nuclick_qp.segment(image, [(60, 60), (140, 140)], mpp=0.25, device="cpu")
>>> len(outlines), outlines.to_labels().shape
(2, (200, 200))
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nuclick_qp.model.predictor import Predictor
    from nuclick_qp.prompts import Outline, Prompt
    from nuclick_qp.qupath.open_project import open_project
    from nuclick_qp.run.clearing import clear
    from nuclick_qp.run.file import segment_file
    from nuclick_qp.run.in_memory import Outlines, segment
    from nuclick_qp.run.project import segment_project
    from nuclick_qp.run.run_options import RunOptions
    from nuclick_qp.segmentation.segment_options import SegmentOptions
    from nuclick_qp.slides import open_slide

__version__ = "0.1.0"

# Loaded when first asked for (PEP 562): importing the package, as every command does, must not load torch.
_HOMES = {
    "Outline": "nuclick_qp.prompts",
    "Outlines": "nuclick_qp.run.in_memory",
    "Predictor": "nuclick_qp.model.predictor",
    "Prompt": "nuclick_qp.prompts",
    "RunOptions": "nuclick_qp.run.run_options",
    "SegmentOptions": "nuclick_qp.segmentation.segment_options",
    "clear": "nuclick_qp.run.clearing",
    "open_project": "nuclick_qp.qupath.open_project",
    "open_slide": "nuclick_qp.slides",
    "segment": "nuclick_qp.run.in_memory",
    "segment_file": "nuclick_qp.run.file",
    "segment_project": "nuclick_qp.run.project",
}

__all__ = [
    "Outline",
    "Outlines",
    "Predictor",
    "Prompt",
    "RunOptions",
    "SegmentOptions",
    "clear",
    "open_project",
    "open_slide",
    "segment",
    "segment_file",
    "segment_project",
]


if not TYPE_CHECKING:  # a type checker would take every misspelt name for one of ours

    def __getattr__(name: str) -> object:
        if name not in _HOMES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
