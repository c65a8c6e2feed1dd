"""How the statuses of prompts add up."""

from collections import Counter
from collections.abc import Sequence

from pydantic import BaseModel, ConfigDict

from nuclick_qp.prompts import Outline, Status

# How the thirteen statuses of a prompt add up to the six counts of the summary.
COUNTED_AS = {
    Status.OK: "ok",
    Status.UNCERTAIN: "uncertain",
    Status.EMPTY: "empty",
    Status.OUTSIDE_OWN_MASK: "empty",
    Status.OUTSIDE_SLIDE: "outside",
    Status.TOO_LARGE: "failed",
    Status.FAILED: "failed",
    Status.UNCHANGED: "skipped",
    Status.BELOW_PROBABILITY: "empty",
    Status.EDITED: "skipped",
    Status.DUPLICATE: "skipped",
    Status.NO_MODEL: "skipped",
    Status.STOPPED: "skipped",
}


class Counts(BaseModel):
    """Prompts by what became of them; `prompts` is the sum of the others."""

    model_config = ConfigDict(frozen=True)

    prompts: int = 0
    ok: int = 0
    uncertain: int = 0
    empty: int = 0
    outside: int = 0
    failed: int = 0
    skipped: int = 0

    @property
    def new_outlines(self) -> int:
        """How many prompts got an outline, sure or not."""
        return self.ok + self.uncertain


def count(outlines: Sequence[Outline], *, bad_prompts: int = 0) -> Counts:
    """Add up outlines, and prompts that could not even be read."""
    sums = Counter(COUNTED_AS[outline.status] for outline in outlines)
    sums["failed"] += bad_prompts
    return Counts(prompts=len(outlines) + bad_prompts, **sums)


def total(images: Sequence[Counts]) -> Counts:
    """Add up the counts of all images."""
    return Counts(**{name: sum(getattr(image, name) for image in images) for name in Counts.model_fields})
