"""How a model is measured."""

from dataclasses import dataclass, field

from nuclick_qp.errors import OptionError
from nuclick_qp.kinds import Scale
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
    scale
        ``auto`` lets the objects under the clicks tell the scale of each image, whatever the files say: how good
        a model is where nobody states it. Not together with `mpp`.
    jitter_px
        Standard deviation by which prompts are moved in x and y (Table 8 of the paper).
    seed
        Of those moves; each image starts anew with it.
    segment
        What a run is told as well: exclusion, test-time augmentation, batches.
    """

    pattern: str = "*"
    mpp: float | None = None
    scale: Scale = "given"
    jitter_px: float = 0.0
    seed: int = 0
    segment: SegmentOptions = field(default_factory=SegmentOptions)

    def __post_init__(self) -> None:
        if self.scale == "auto" and self.mpp is not None:
            raise OptionError("--scale auto finds the pixel size that --mpp states; leave one of them out")
