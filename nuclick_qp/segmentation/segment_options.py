"""How prompts are segmented."""

from dataclasses import dataclass

TILE_PX = 512  # side of the grid cells that patches are gathered by, in patch pixels
CHANGES_RESULTS = ("use_exclusion", "tta")  # all other options only change how long it takes


@dataclass(frozen=True, slots=True)
class SegmentOptions:
    """How prompts are segmented; only the options in `CHANGES_RESULTS` change what comes out.

    Attributes
    ----------
    batch_size
        Patches that go through the network at once.
    tile_px
        See `plan_tiles`.
    use_exclusion
        Show the network the neighbours of each prompt.
    tta
        Average over several views of each patch, see `predict_augmented`: better, and four to five times the work.
    """

    batch_size: int = 32
    tile_px: int = TILE_PX
    use_exclusion: bool = True
    tta: bool = False
