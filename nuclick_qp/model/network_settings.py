"""What fixes the tensors and the connections of a network, as its card states it."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class NetworkSettings(BaseModel):
    """Width, blocks and channels of a NuClick network.

    Attributes
    ----------
    width
        Factor on every channel count; 1 is the paper's network, 0.25 has a sixteenth of its weights.
    ms_blocks
        Number of multi-scale blocks, 0 to 4 (Table 1 of the paper; it settles on 3).
    in_channels
        5 (image, inclusion, exclusion), or 4 without the exclusion map.
    ms3_dilation
        Dilation of the third branch of the third multi-scale block: 3 in the authors' code, 2 in
        the PyTorch ports. The tensors have the same shape, so the wrong one loads without a word.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    width: float = Field(default=1.0, gt=0, le=4)
    ms_blocks: Literal[0, 1, 2, 3, 4] = 3
    in_channels: Literal[4, 5] = 5
    ms3_dilation: Literal[2, 3] = 3

    def channels(self, full_width: int) -> int:
        """Scale a channel count of the paper's network by the width, to a multiple of four branches."""
        return 4 * max(1, round(full_width * self.width / 4))
