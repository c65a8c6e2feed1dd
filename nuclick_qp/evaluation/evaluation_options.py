"""How a model is measured."""

from dataclasses import dataclass, field

from nuclick_qp.segmentation.segment_options import SegmentOptions


@dataclass(frozen=True, slots=True)
class EvaluationOptions:
    """How a model is measured.

    Attributes
    ----------
    pattern
        Glob of image names; some of each folder have to match.
    mpp
        Micrometres per pixel of the images; None is the resolution of the model.
    jitter_px
        Standard deviation by which prompts are moved in x and y (Table 8 of the paper).
    seed
        Of those moves; each image starts anew with it.
    segment
        What a run is told as well: exclusion, test-time augmentation, batches.
    """

    pattern: str = "*"
    mpp: float | None = None
    jitter_px: float = 0.0
    seed: int = 0
    segment: SegmentOptions = field(default_factory=SegmentOptions)
